//! What the tests share: sandboxes on this machine's engine, jobs in one line, and what is left over.

use bollard::Docker;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveImageOptions};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use toryo_sandbox::{
    Command, Config, DockerSandbox, Error, Image, Job, JobReport, Labels, Limits, Output, Progress, Sandbox,
    WorkspaceFile,
};

/// A sandbox with the base image present; the first test of a machine builds it.
pub(crate) async fn docker() -> DockerSandbox {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    let sandbox =
        DockerSandbox::new(Config::default(), |name| std::env::var(name).ok()).expect("a good configuration");
    let build = || async {
        let built = sandbox.build_base(&Progress::none(), &CancellationToken::new()).await;
        built.expect("these tests need a Docker engine and its base image; start `dockerd`, then `toryo sandbox build`");
    };
    BUILT.get_or_init(build).await;
    sandbox
}

/// The base image.
pub(crate) async fn base(sandbox: &DockerSandbox) -> Image {
    sandbox.check().await.expect("an engine").image.expect("the base image")
}

/// A job on the base image whose containers nobody else has.
pub(crate) async fn job(sandbox: &DockerSandbox, commands: Vec<Command>) -> Job {
    Job {
        image: base(sandbox).await,
        files: Vec::new(),
        commands,
        collect: Vec::new(),
        limits: Limits::default(),
        labels: labels(),
    }
}

/// Labels that no other test uses.
pub(crate) fn labels() -> Labels {
    Labels { run: toryo_domain::RunId::generate().to_string(), step: "test".into() }
}

pub(crate) fn shell(script: &str) -> Command {
    Command::new(["sh", "-c", script])
}

pub(crate) fn python(script: &str) -> Command {
    Command::new(["python3", "-c", script])
}

pub(crate) fn file(path: &str, content: impl Into<bytes::Bytes>, executable: bool) -> WorkspaceFile {
    WorkspaceFile { path: path.parse().expect("a plain path"), content: content.into(), executable }
}

pub(crate) async fn run(sandbox: &impl Sandbox, job: &Job) -> Result<JobReport, Error> {
    sandbox.run(job, &Progress::none(), &CancellationToken::new()).await
}

/// Runs one command; its container has to be gone afterwards.
pub(crate) async fn one(command: Command) -> Output {
    let sandbox = docker().await;
    let job = job(&sandbox, vec![command]).await;
    let report = run(&sandbox, &job).await.expect("a report");
    assert_eq!(containers(&job.labels).await, Vec::<String>::new(), "the container is left over");
    report.outputs.into_iter().next().expect("an output")
}

/// The containers of these labels, running or not.
pub(crate) async fn containers(labels: &Labels) -> Vec<String> {
    let docker =
        Docker::connect_with_defaults().expect("a client").negotiate_version().await.expect("an engine");
    let filters = HashMap::from([("label".to_owned(), vec![format!("toryo.run={}", labels.run)])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = docker.list_containers(Some(options)).await.expect("a list");
    found.into_iter().filter_map(|container| container.id).collect()
}

/// Removes images that no other test can need.
pub(crate) async fn remove_images(images: &[&Image]) {
    let docker =
        Docker::connect_with_defaults().expect("a client").negotiate_version().await.expect("an engine");
    for image in images {
        docker.remove_image(&image.name, None::<RemoveImageOptions>, None).await.expect("no longer used");
    }
}

/// Waits until the number of containers of these labels is as wanted.
pub(crate) async fn until_containers(labels: &Labels, wanted: usize) {
    let started = Instant::now();
    while containers(labels).await.len() != wanted {
        assert!(started.elapsed() < Duration::from_secs(20), "there are never {wanted} containers");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
