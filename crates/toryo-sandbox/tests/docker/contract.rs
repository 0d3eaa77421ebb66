//! What every adapter of the port has to do. One function; each adapter's tests call it.

use crate::support::{docker, file, job, shell};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use toryo_sandbox::{Command, Error, Exit, Job, JobReport, Preparation, Progress, Sandbox, Update};

#[tokio::test]
async fn docker_keeps_the_contract() {
    let sandbox = docker().await;
    let template = job(&sandbox, Vec::new()).await;
    contract(&sandbox, &template).await;
}

/// `template` is a job without commands, on an image with Python.
async fn contract(sandbox: &dyn Sandbox, template: &Job) {
    nothing_to_install_is_the_base_image(sandbox).await;
    commands_share_one_workspace(sandbox, template).await;
    a_failure_stops_where_it_should(sandbox, template).await;
    files_make_the_round_trip(sandbox, template).await;
    a_time_limit_ends_one_command_only(sandbox, template).await;
    a_cancelled_job_ends_within_a_second(sandbox, template).await;
}

async fn go(sandbox: &dyn Sandbox, job: &Job) -> JobReport {
    sandbox.run(job, &Progress::none(), &CancellationToken::new()).await.expect("a report")
}

async fn nothing_to_install_is_the_base_image(sandbox: &dyn Sandbox) {
    let (nothing, cancel) = (Preparation::default(), CancellationToken::new());
    let image = sandbox.prepare(&nothing, &Progress::none(), &cancel).await.expect("an image");
    let again = sandbox.prepare(&nothing, &Progress::none(), &cancel).await.expect("an image");
    assert_eq!(image, again);
}

async fn commands_share_one_workspace(sandbox: &dyn Sandbox, template: &Job) {
    let commands = vec![
        shell("echo out; echo err >&2; echo \"$NAME\" > kept").env("NAME", "a value; with $signs"),
        Command::new(["cat", "kept"]),
        Command::new(["no-such-program"]),
    ];
    let report = go(sandbox, &Job { commands, ..template.clone() }).await;
    // Two streams: each keeps its order, the two together need not.
    let mut lines: Vec<_> = report.outputs[0].text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["err", "out"]);
    assert_eq!(report.outputs[0].written, 8);
    assert_eq!(report.outputs[1].text, "a value; with $signs\n");
    assert_eq!(report.outputs[2].exit, Exit::Code(127));
    assert!(report.outputs[2].text.contains("no-such-program"), "{}", report.outputs[2].text);
}

async fn a_failure_stops_where_it_should(sandbox: &dyn Sandbox, template: &Job) {
    let commands = vec![shell("exit 3"), shell("exit 4").stop_on_failure(), shell("exit 5")];
    let report = go(sandbox, &Job { commands, ..template.clone() }).await;
    let exits: Vec<_> = report.outputs.iter().map(|output| output.exit).collect();
    assert_eq!(exits, [Exit::Code(3), Exit::Code(4)]);
    assert!(!report.success());
}

async fn files_make_the_round_trip(sandbox: &dyn Sandbox, template: &Job) {
    let long = format!("deep/{}/last.txt", "a-long-folder-name/".repeat(20).trim_end_matches('/'));
    let files = vec![
        file("tool.sh", "#!/bin/sh\necho it runs\n", true),
        file("plain.sh", "#!/bin/sh\n", false),
        file("日本語/ファイル é.txt", "こんにちは\n", false),
        file("-dash", "starts like an option\n", false),
        file("empty", "", false),
        file(&long, "deep\n", false),
        file("binary", (0..=255_u8).cycle().take(300_000).collect::<Vec<_>>(), false),
    ];
    let commands = vec![
        Command::new(["./tool.sh"]).stop_on_failure(),
        shell("test ! -x plain.sh && cmp /dev/null empty").stop_on_failure(),
        shell("ln -s /etc/passwd 日本語/link; ln tool.sh hard; mkdir out; cp binary out/copy; truncate -s 1T huge").stop_on_failure(),
    ];
    let paths = ["tool.sh", "plain.sh", "日本語", "-dash", "empty", &long, "out", "hard", "not there"];
    let collect = paths.map(|path| path.parse().expect("a plain path")).to_vec();
    let sent = Job { files: files.clone(), commands, collect, ..template.clone() };
    let report = go(sandbox, &sent).await;
    assert!(report.success(), "{report:?}");
    assert_eq!(report.outputs[0].text, "it runs\n");
    let mut wanted = files;
    wanted.push(file("hard", "#!/bin/sh\necho it runs\n", true));
    wanted
        .iter_mut()
        .filter(|file| file.path.as_str() == "binary")
        .for_each(|file| file.path = "out/copy".parse().unwrap());
    let mut came = report.collected;
    came.sort_by(|a, b| a.path.cmp(&b.path));
    wanted.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(came, wanted);
    // Links may point anywhere: they stay where they are, and the report says so.
    assert!(
        report.not_collected.as_ref().is_some_and(|why| why.contains("link")),
        "{:?}",
        report.not_collected
    );

    let collect = vec!["huge".parse().expect("a plain path")];
    let report =
        go(sandbox, &Job { commands: vec![shell("truncate -s 1T huge")], collect, ..template.clone() }).await;
    assert!(report.success() && report.collected.is_empty());
    assert!(report.not_collected.is_some_and(|why| why.contains("larger than 32 MiB")));
}

async fn a_time_limit_ends_one_command_only(sandbox: &dyn Sandbox, template: &Job) {
    let commands = vec![
        shell("echo before; sleep 600").timeout(Duration::from_millis(500)),
        shell("echo after; echo x > left"),
    ];
    let job = Job { commands, collect: vec!["left".parse().expect("a plain path")], ..template.clone() };
    let report = go(sandbox, &job).await;
    let ends: Vec<_> = report.outputs.iter().map(|output| (output.exit, output.text.as_str())).collect();
    assert_eq!(ends, [(Exit::TimedOut, "before\n"), (Exit::Code(0), "after\n")]);
    assert_eq!(report.file("left").map(|content| &content[..]), Some(b"x\n".as_slice()));
}

async fn a_cancelled_job_ends_within_a_second(sandbox: &dyn Sandbox, template: &Job) {
    let cancel = CancellationToken::new();
    let (progress, mut updates) = Progress::channel(64);
    let job = Job { commands: vec![shell("echo started; sleep 600")], ..template.clone() };
    let canceller = async {
        while updates.recv().await != Some(Update::Output("started".into())) {}
        cancel.cancel();
        Instant::now()
    };
    let (result, cancelled) = tokio::join!(sandbox.run(&job, &progress, &cancel), canceller);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    assert!(cancelled.elapsed() < Duration::from_secs(1), "it took {:?}", cancelled.elapsed());
}
