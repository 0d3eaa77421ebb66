//! Preparation: dependencies into an image, once per content.

use super::container::{self, Container, Profile};
use super::engine::Engine;
use super::exec::{self, Exec, LastLine};
use super::job::until;
use super::{Inner, files};
use crate::capture::Capture;
use crate::python::{self, Setup};
use crate::{Error, Exit, Image, Labels, Limits, Preparation, Progress, WorkspaceFile, clip};
use bollard::models::ContainerConfig;
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use toryo_domain::Digest;

/// Raised when the way of preparing changes, so that older images are not taken for the same.
const VERSION: &str = "1";

/// The name of prepared images; the digest is the tag.
const REPOSITORY: &str = "toryo-prepared";

/// Where certificates of a package mirror lie while dependencies are installed.
const CERTIFICATES: &str = "/tmp";

/// How long writing the image may take.
pub(super) const COMMIT: Duration = Duration::from_secs(600);

/// See [`crate::Sandbox::prepare`].
pub(super) async fn prepare(
    inner: &Inner,
    preparation: &Preparation,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Image, Error> {
    let base = until(cancel, inner.engine.image(&inner.config.image)).await?;
    let setup = if preparation.setup.is_empty() {
        python::derive(&preparation.files)
    } else {
        Setup { files: preparation.files.clone(), commands: preparation.setup.clone() }
    };
    if setup.commands.is_empty() {
        return Ok(base);
    }
    let digest = digest(&base, &setup);
    let lock = lock(inner, digest).await;
    let guard = until(cancel, async { Ok(lock.lock().await) }).await?;
    let result = prepare_once(inner, &base, &setup, digest, preparation, progress, cancel).await;
    drop(guard);
    drop(lock);
    inner.preparing.lock().await.retain(|_, lock| Arc::strong_count(lock) > 1);
    result
}

async fn lock(inner: &Inner, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
    Arc::clone(inner.preparing.lock().await.entry(digest).or_default())
}

/// What a prepared image depends on. The network is no part of it: it changes where packages come from, not which.
fn digest(base: &Image, setup: &Setup) -> Digest {
    let mut parts: Vec<&[u8]> = vec![VERSION.as_bytes(), base.id.as_bytes()];
    for file in &setup.files {
        parts.extend([
            file.path.as_str().as_bytes(),
            &file.content,
            if file.executable { b"x" } else { b"-" },
        ]);
    }
    // A border between files and commands: three parts a file, then this, then one part a command.
    parts.push(b"commands");
    parts.extend(setup.commands.iter().map(|command| command.as_bytes()));
    Digest::of_parts(parts)
}

async fn prepare_once(
    inner: &Inner,
    base: &Image,
    setup: &Setup,
    digest: Digest,
    preparation: &Preparation,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Image, Error> {
    let name = format!("{REPOSITORY}:{digest}");
    if let Some(image) = until(cancel, inner.engine.find_image(&name)).await? {
        return Ok(image);
    }
    progress.stage("installing the repository's dependencies");
    let network = if preparation.offline { "none" } else { &inner.config.prepare.network };
    let limits =
        Limits { job_seconds: inner.config.prepare.seconds, tmp_mib: 1_024, ..inner.config.limits.clone() };
    let profile = Profile::Setup { network };
    let labels = &preparation.labels;
    let start = Container::start(&inner.engine, &base.id, profile, &limits, &inner.config.runtime, labels);
    let container = until(cancel, start).await?;
    let result = until(cancel, async {
        install(inner, setup, &limits, progress, &container).await?;
        progress.stage("keeping the installed dependencies as an image");
        commit(inner, &container, &name, labels).await
    })
    .await;
    remove_within(container, cancel).await;
    result
}

/// Removes a container, and waits for it as long as the caller has time: a cancelled one has a second in all.
pub(super) async fn remove_within(container: Container, cancel: &CancellationToken) {
    let limit = if cancel.is_cancelled() { Duration::from_millis(800) } else { Duration::from_secs(15) };
    container.remove(limit).await;
}

/// Runs setup commands with the mirror's variables and certificates.
pub(super) async fn install(
    inner: &Inner,
    setup: &Setup,
    limits: &Limits,
    progress: &Progress,
    container: &Container,
) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_secs(limits.job_seconds.into());
    files::put(&inner.engine, container, crate::port::WORKSPACE, &setup.files, limits).await?;
    let mut env = inner.mirror_env.clone();
    let certificates = read_certificates(inner).await?;
    env.extend(
        certificates.iter().map(|(name, file)| (name.clone(), format!("{CERTIFICATES}/{}", file.path))),
    );
    let certificates: Vec<_> = certificates.into_iter().map(|(_, file)| file).collect();
    files::put(&inner.engine, container, CERTIFICATES, &certificates, limits).await?;
    for command in &setup.commands {
        progress.stage(format!("running {}", clip(command, 200, 0)));
        let left = deadline.saturating_duration_since(Instant::now());
        let exec = Exec { env: env.clone(), ..Exec::new(["/bin/sh", "-ec", command], left) };
        let (mut capture, mut last_line) = (Capture::new(256 << 10), LastLine::new(progress));
        let ended = exec
            .run(&inner.engine, container, &mut |piece| {
                let chunk = exec::bytes(piece);
                capture.push(chunk);
                last_line.see(chunk);
                true
            })
            .await?;
        if ended.exit != Exit::Code(0) {
            let output = without_secrets(capture.finish().0, &inner.mirror_env);
            let (command, output) = (clip(command, 500, 0), clip(&output, 500, 3_000));
            return Err(Error::SetupFailed { command, exit: ended.exit, output });
        }
    }
    Ok(())
}

/// The certificate files of this machine, under names of their own.
async fn read_certificates(inner: &Inner) -> Result<Vec<(String, WorkspaceFile)>, Error> {
    let mut files = Vec::new();
    for (variable, path) in &inner.certificates {
        let bad = |reason: String| Error::Config {
            reason: format!("{variable} names {}: {reason}", path.display()),
        };
        let content = tokio::fs::read(path).await.map_err(|error| bad(error.to_string()))?;
        let path =
            format!("toryo-{}.pem", variable.to_lowercase()).parse().map_err(|_| bad("bad name".into()))?;
        files.push((variable.clone(), WorkspaceFile { path, content: content.into(), executable: false }));
    }
    Ok(files)
}

/// Package mirrors are often named with a password in the address, and pip prints addresses.
fn without_secrets(text: String, env: &[(String, String)]) -> String {
    env.iter()
        .filter_map(|(_, value)| password(value))
        .fold(text, |text, secret| text.replace(secret, "[masked]"))
}

/// The `user:password` of an address.
fn password(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@').map(|(user, _)| user).filter(|user| !user.is_empty())
}

async fn commit(inner: &Inner, container: &Container, name: &str, labels: &Labels) -> Result<Image, Error> {
    let docker = inner.engine.docker().await?;
    let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
    let options = CommitContainerOptionsBuilder::new()
        .container(&container.name)
        .repo(repository)
        .tag(tag)
        .comment("dependencies of a repository, installed by Toryo")
        .build();
    let config = ContainerConfig {
        entrypoint: Some(Vec::new()),
        cmd: Some(vec!["python3".into()]),
        labels: Some(container::cleared_labels()),
        ..ContainerConfig::default()
    };
    inner.engine.call_within(COMMIT, "commit an image", docker.commit_container(options, config)).await?;
    tracing::info!(image = name, run = labels.run, "prepared image {name}");
    inner.engine.image(name).await
}

/// See [`super::DockerSandbox::remove_prepared`].
pub(super) async fn remove_prepared(engine: &Engine, older_than: Duration) -> Result<usize, Error> {
    let docker = engine.docker().await?;
    let filters = HashMap::from([("reference", vec![REPOSITORY])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let images = engine.call("list images", docker.list_images(Some(options))).await?;
    let before = container::ago(older_than);
    let names = images.into_iter().filter(|image| image.created <= before).flat_map(|image| image.repo_tags);
    let mut removed = 0;
    for name in names.filter(|name| name.starts_with(&format!("{REPOSITORY}:"))) {
        let options = RemoveImageOptionsBuilder::new().build();
        match engine.call("remove an image", docker.remove_image(&name, Some(options), None)).await {
            Ok(_) => removed += 1,
            // Most often a container still uses it.
            Err(Error::Engine { source, .. }) => tracing::debug!(image = name, %source, "image {name} stays"),
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirrors_password_does_not_reach_an_error() {
        let env = [("PIP_INDEX_URL".to_owned(), "https://me:s3cret@mirror.example/simple".to_owned())];
        let text =
            without_secrets("Looking in indexes: https://me:s3cret@mirror.example/simple".into(), &env);
        assert_eq!(text, "Looking in indexes: https://[masked]@mirror.example/simple");
        assert_eq!(password("https://mirror.example/@x"), None);
        assert_eq!(password("600"), None);
    }

    #[test]
    fn every_input_counts_for_the_digest() {
        let base = |id: &str| Image { name: "base".into(), id: id.into() };
        let setup = |path: &str, content: &'static str, command: &str| Setup {
            files: vec![WorkspaceFile {
                path: path.parse().unwrap(),
                content: content.into(),
                executable: false,
            }],
            commands: vec![command.into()],
        };
        let digests = [
            digest(&base("1"), &setup("a", "b", "c")),
            digest(&base("2"), &setup("a", "b", "c")),
            digest(&base("1"), &setup("x", "b", "c")),
            digest(&base("1"), &setup("a", "x", "c")),
            digest(&base("1"), &setup("a", "b", "x")),
        ];
        assert_eq!(std::collections::HashSet::from(digests).len(), 5);
    }
}
