//! Building the base image with the engine: pull or import, finish, commit.

use super::container::{self, Container, Profile};
use super::job::until;
use super::prepare::{COMMIT, install, remove_within};
use super::{DockerSandbox, Inner};
use crate::image::debian::{self, Root};
use crate::image::{
    BuiltImage, HOW_LABEL, How, RECIPE, RECIPE_LABEL, REGISTRY_IMAGE, announce, finish, sources,
};
use crate::python::Setup;
use crate::{Error, Labels, Limits, Progress};
use bollard::models::ContainerConfig;
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, CreateImageOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures::StreamExt;
use std::path::Path;
use std::time::Duration;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

/// How long a registry may take to say its first word before Debian packages are taken instead.
const PROBE: Duration = Duration::from_secs(20);

/// How long pulling or importing may take.
const TRANSFER: Duration = Duration::from_secs(1_800);

/// The name under which an imported root waits to be finished.
const UNFINISHED: &str = "toryo-sandbox-unfinished";

impl DockerSandbox {
    /// Makes the configured base image, or finds that it is there: then it takes one engine call. An image of that
    /// name that Toryo did not make is left alone and used. Says through `progress` what it is about to do.
    ///
    /// # Errors
    /// [`Error::CannotBuild`] names the command that a person has to run first; [`Error::BuildFailed`] says which
    /// tool failed; [`Error::Cancelled`]; otherwise the engine's failure.
    pub async fn build_base(
        &self,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<BuiltImage, Error> {
        build(&self.inner, progress, cancel).await
    }
}

/// Each part watches the token itself: some have to clean up.
async fn build(inner: &Inner, progress: &Progress, cancel: &CancellationToken) -> Result<BuiltImage, Error> {
    if let Some(image) = until(cancel, existing(inner)).await? {
        return Ok(image);
    }
    let (repository, tag) = REGISTRY_IMAGE;
    announce(progress, &format!("pulling {repository}:{tag} from the engine's registry"));
    let how = match until(cancel, pull(inner, progress)).await {
        Ok(()) => How::FromRegistry,
        Err(Error::Engine { source, .. }) => {
            announce(progress, &format!("no registry can be reached ({source}); taking Debian packages"));
            How::FromDebianPackages
        }
        Err(Error::EngineSlow { .. }) => {
            announce(progress, "the registry does not answer; taking Debian packages");
            How::FromDebianPackages
        }
        Err(error) => return Err(error),
    };
    match how {
        How::FromDebianPackages => {
            let unfinished = import(inner, progress, cancel).await?;
            let built = finish(inner, &unfinished, how, progress, cancel).await;
            untag(inner, &unfinished).await;
            built
        }
        How::FromRegistry | How::Provided => {
            finish(inner, &format!("{repository}:{tag}"), how, progress, cancel).await
        }
    }
}

/// The image, where it is there and no older recipe's.
async fn existing(inner: &Inner) -> Result<Option<BuiltImage>, Error> {
    let name = inner.config.image.clone();
    let Some(image) = inner.engine.find_image(&name).await? else { return Ok(None) };
    let docker = inner.engine.docker().await?;
    let inspected = inner.engine.call("inspect an image", docker.inspect_image(&image.id)).await?;
    let labels = inspected.config.and_then(|config| config.labels).unwrap_or_default();
    let how = match (labels.get(RECIPE_LABEL), labels.get(HOW_LABEL)) {
        (None, _) => How::Provided,
        (Some(recipe), how) if recipe == RECIPE => {
            how.and_then(|how| How::from_label(how)).unwrap_or(How::Provided)
        }
        (Some(_), _) => return Ok(None),
    };
    Ok(Some(BuiltImage { name, id: image.id, how, existed: true }))
}

async fn pull(inner: &Inner, progress: &Progress) -> Result<(), Error> {
    const ACTION: &str = "pull an image";
    let docker = inner.engine.docker().await?;
    let (repository, tag) = REGISTRY_IMAGE;
    let options = CreateImageOptionsBuilder::new().from_image(repository).tag(tag).build();
    let mut stream = std::pin::pin!(docker.create_image(Some(options), None, None));
    let slow = |limit| Error::EngineSlow { action: ACTION, limit };
    let mut next = tokio::time::timeout(PROBE, stream.next()).await.map_err(|_| slow(PROBE))?;
    let all = async {
        while let Some(update) = next {
            let update = update.map_err(|error| inner.engine.failure(ACTION, error))?;
            if let Some(status) = update.status {
                progress.output(status);
            }
            next = stream.next().await;
        }
        Ok(())
    };
    tokio::time::timeout(TRANSFER, all).await.map_err(|_| slow(TRANSFER))?
}

/// Bootstraps a root on this machine and imports it; answers the name it waits under.
async fn import(inner: &Inner, progress: &Progress, cancel: &CancellationToken) -> Result<String, Error> {
    debian::check_tools(nix::unistd::Uid::effective().is_root(), &inner.path)?;
    let source = sources::of_this_machine(Path::new("/"));
    announce(
        progress,
        &format!(
            "building the sandbox's image from packages of {} ({}); takes a minute or two",
            source.mirror.as_deref().unwrap_or("debootstrap's usual mirror"),
            source.suite
        ),
    );
    let root = Root::bootstrap(&source, progress, cancel).await?;
    progress.stage("importing the root into the engine");
    let mut tar = root.tar()?;
    let stream = tar.stream.take().map(|stream| ReaderStream::with_capacity(stream, 256 << 10));
    let stream = stream.ok_or(Error::BuildFailed { stage: "tar", reason: "it has no output".into() })?;
    let docker = inner.engine.docker().await?;
    let tag = uuid::Uuid::now_v7().simple().to_string();
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(UNFINISHED).tag(&tag).build();
    let mut updates =
        std::pin::pin!(docker.create_image(Some(options), Some(bollard::body_try_stream(stream)), None));
    let all = async {
        while let Some(update) = updates.next().await {
            update.map_err(|error| inner.engine.failure("import an image", error))?;
        }
        tar.finish().await
    };
    let name = format!("{UNFINISHED}:{tag}");
    let imported = until(cancel, async {
        let slow = |_| Error::EngineSlow { action: "import an image", limit: TRANSFER };
        tokio::time::timeout(TRANSFER, all).await.map_err(slow)?
    })
    .await;
    if imported.is_err() {
        untag(inner, &name).await;
    }
    imported.map(|()| name)
}

/// Runs the finishing script as root and commits the result under the configured name.
async fn finish(
    inner: &Inner,
    from: &str,
    how: How,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<BuiltImage, Error> {
    progress.stage("finishing the image");
    let network = if how == How::FromRegistry { inner.config.prepare.network.as_str() } else { "none" };
    let profile = Profile::Base { network };
    let limits = Limits { job_seconds: inner.config.prepare.seconds, tmp_mib: 1_024, ..Limits::default() };
    let labels = Labels { run: "sandbox-build".into(), step: String::new() };
    let start = Container::start(&inner.engine, from, profile, &limits, &inner.config.runtime, &labels);
    let container = until(cancel, start).await?;
    let setup = Setup { files: Vec::new(), commands: vec![finish::script(how)] };
    let result = until(cancel, async {
        install(inner, &setup, &limits, &Progress::none(), &container).await.map_err(
            |error| match error {
                Error::SetupFailed { output, .. } => Error::BuildFailed { stage: "finish", reason: output },
                error => error,
            },
        )?;
        commit(inner, &container, how).await
    })
    .await;
    remove_within(container, cancel).await;
    result
}

async fn commit(inner: &Inner, container: &Container, how: How) -> Result<BuiltImage, Error> {
    let docker = inner.engine.docker().await?;
    let name = inner.config.image.clone();
    // A colon after the last slash starts the tag; one before it belongs to a registry's port.
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name.as_str(), "latest"),
    };
    let options = CommitContainerOptionsBuilder::new()
        .container(&container.name)
        .repo(repository)
        .tag(tag)
        .comment("base image of Toryo's sandbox")
        .build();
    let mut labels = container::cleared_labels();
    labels.insert(RECIPE_LABEL.into(), RECIPE.into());
    labels.insert(HOW_LABEL.into(), how.as_str().into());
    let config = ContainerConfig {
        user: Some(container::USER.into()),
        working_dir: Some(crate::port::WORKSPACE.into()),
        entrypoint: Some(Vec::new()),
        cmd: Some(vec!["python3".into()]),
        labels: Some(labels),
        ..ContainerConfig::default()
    };
    inner.engine.call_within(COMMIT, "commit an image", docker.commit_container(options, config)).await?;
    let image = inner.engine.image(&name).await?;
    tracing::info!(image = name, how = how.as_str(), "built the sandbox's image {name}");
    Ok(BuiltImage { name, id: image.id, how, existed: false })
}

/// Takes a name away; the layers stay where another image is built on them.
async fn untag(inner: &Inner, name: &str) {
    let Ok(docker) = inner.engine.docker().await else { return };
    let options = RemoveImageOptionsBuilder::new().build();
    if let Err(error) =
        inner.engine.call("untag an image", docker.remove_image(name, Some(options), None)).await
    {
        tracing::warn!(image = name, %error, "the unfinished image {name} was left behind");
    }
}
