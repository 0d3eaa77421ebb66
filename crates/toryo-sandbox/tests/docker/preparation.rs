//! The base image and prepared images.

use crate::support::{base, containers, docker, file, job, labels, remove_images, run, shell};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use toryo_domain::FailureClass;
use toryo_sandbox::{Config, DockerSandbox, Error, How, Image, Job, Preparation, Progress, Sandbox, Update};

async fn prepare(sandbox: &DockerSandbox, preparation: &Preparation) -> Result<(Image, bool), Error> {
    let (progress, mut updates) = Progress::channel(1_000);
    let image = sandbox.prepare(preparation, &progress, &CancellationToken::new()).await?;
    let mut installed = false;
    while let Ok(update) = updates.try_recv() {
        installed |= matches!(update, Update::Stage(text) if text.contains("installing"));
    }
    Ok((image, installed))
}

#[tokio::test]
async fn the_base_image_is_built_once() {
    let sandbox = docker().await;
    let started = Instant::now();
    let built = sandbox.build_base(&Progress::none(), &CancellationToken::new()).await.expect("an image");
    assert!(built.existed && started.elapsed() < Duration::from_secs(5));
    assert!(matches!(built.how, How::FromRegistry | How::FromDebianPackages), "{built:?}");
    assert_eq!(built.id, base(&sandbox).await.id);
}

#[tokio::test]
async fn setup_commands_become_an_image_once() {
    let sandbox = docker().await;
    // Nothing that another run of this test has left may answer.
    let labels = labels();
    let preparation = Preparation {
        files: vec![file("requirements.txt", format!("# {}\n", labels.run), false)],
        setup: vec!["cp requirements.txt /opt/venv/installed && echo $HOME".into()],
        offline: true,
        labels,
    };
    // Two at the same time: one installs, the other waits for it.
    let (one, two) = tokio::join!(prepare(&sandbox, &preparation), prepare(&sandbox, &preparation));
    let ((one, first), (two, second)) = (one.expect("an image"), two.expect("an image"));
    assert_eq!(one, two);
    assert!(first ^ second, "it was installed {} times", u8::from(first) + u8::from(second));
    assert_eq!(containers(&preparation.labels).await, Vec::<String>::new());

    let changed = Preparation { setup: vec!["true".into()], ..preparation.clone() };
    let (other, _) = prepare(&sandbox, &changed).await.expect("an image");
    assert_ne!(other.id, one.id);

    let seen =
        Job { image: one, ..job(&sandbox, vec![shell("cat /opt/venv/installed; touch /opt/venv/x")]).await };
    let report = run(&sandbox, &seen).await.expect("a report");
    assert!(report.outputs[0].text.starts_with(&format!("# {}\n", preparation.labels.run)));
    assert!(report.outputs[0].text.contains("Read-only file system"));

    assert_eq!(sandbox.remove_prepared(Duration::from_secs(86_400 * 365)).await.expect("a count"), 0);
    remove_images(&[&seen.image, &other]).await;
    let (again, installed) = prepare(&sandbox, &preparation).await.expect("an image");
    assert!(installed, "an image that is gone was not prepared again");
    remove_images(&[&again]).await;
}

#[tokio::test]
async fn a_setup_that_fails_says_why_and_leaves_nothing() {
    let sandbox = docker().await;
    let preparation = Preparation {
        setup: vec!["echo the reason >&2; exit 9".into()],
        offline: true,
        labels: labels(),
        ..Preparation::default()
    };
    let error = prepare(&sandbox, &preparation).await.expect_err("no image");
    assert_eq!(error.class(), FailureClass::Input);
    assert!(
        error.to_string().contains("the reason") && error.to_string().contains("exit status 9"),
        "{error}"
    );
    assert_eq!(containers(&preparation.labels).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_preparation_can_be_cancelled() {
    let sandbox = docker().await;
    let preparation = Preparation {
        setup: vec!["echo begun; sleep 600".into()],
        offline: true,
        labels: labels(),
        ..Preparation::default()
    };
    let cancel = CancellationToken::new();
    let (progress, mut updates) = Progress::channel(64);
    let canceller = async {
        while updates.recv().await != Some(Update::Output("begun".into())) {}
        cancel.cancel();
        Instant::now()
    };
    let (result, cancelled) = tokio::join!(sandbox.prepare(&preparation, &progress, &cancel), canceller);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    assert!(cancelled.elapsed() < Duration::from_secs(1), "it took {:?}", cancelled.elapsed());
}

#[tokio::test]
async fn a_requirement_is_installed_from_the_index_and_used_without_network() {
    let sandbox = docker().await;
    let pyproject = "[project]\nname = 'sample'\ndependencies = ['iniconfig==2.0.0']\n";
    let preparation = Preparation {
        files: vec![file("pyproject.toml", pyproject, false)],
        labels: labels(),
        ..Preparation::default()
    };
    let (image, _) = prepare(&sandbox, &preparation).await.expect("this test needs a package index");
    assert_ne!(image.id, base(&sandbox).await.id);
    let (again, installed) = prepare(&sandbox, &preparation).await.expect("an image");
    assert_eq!((again, installed), (image.clone(), false));
    let script = "python3 -c 'import iniconfig; print(iniconfig.__file__)'";
    let report =
        run(&sandbox, &Job { image, ..job(&sandbox, vec![shell(script)]).await }).await.expect("a report");
    assert!(report.outputs[0].text.starts_with("/opt/venv/lib/"), "{}", report.outputs[0].text);
}

#[tokio::test]
async fn a_missing_base_image_is_named() {
    let config = Config { image: "toryo-no-such-image:1".into(), ..Config::default() };
    let sandbox = DockerSandbox::new(config, |name| std::env::var(name).ok()).expect("a good configuration");
    let error = prepare(&sandbox, &Preparation::default()).await.expect_err("no image");
    assert!(matches!(&error, Error::ImageMissing { name } if name == "toryo-no-such-image:1"), "{error:?}");
}
