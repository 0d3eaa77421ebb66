//! The Docker adapter: the port on any engine that speaks Docker's API, near or far. Files go in and out as tar
//! streams through commands in the container, so that nothing is mounted from this machine.
//!
//! Containers that run a repository's commands have no network, a read-only root, no capabilities, no way to gain
//! privileges, the engine's default seccomp profile, and the limits of the job.

mod container;
mod engine;
mod exec;
mod files;
mod image;
mod job;
mod prepare;

use crate::{Config, Error, Image, Job, JobReport, Preparation, Progress, Sandbox};
use async_trait::async_trait;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_domain::Digest;

use engine::Engine;

/// Variables whose value names a file with certificates.
const CERTIFICATE_FILES: [&str; 3] = ["PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"];

/// Sandboxes in a Docker engine. Cheap to clone. Making one does not talk to the engine, so that a worker starts
/// while the engine is down and goes on when it is back.
#[derive(Debug, Clone)]
pub struct DockerSandbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    config: Config,
    /// Values of `prepare.pass_env` that are no files.
    mirror_env: Vec<(String, String)>,
    /// Variables of [`CERTIFICATE_FILES`] with the file on this machine.
    certificates: Vec<(String, PathBuf)>,
    /// This process's `PATH`, to look for the tools that build an image.
    path: String,
    /// One preparation of the same content at a time in this process.
    preparing: tokio::sync::Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

/// What an engine says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineCheck {
    /// Where it listens.
    pub host: String,
    /// Its version.
    pub version: String,
    /// The sandbox's image, if it is there.
    pub image: Option<Image>,
}

impl DockerSandbox {
    /// Sandboxes as configured. `environment` looks up a variable of the process; it is asked for `DOCKER_HOST` where
    /// the configuration names no host, for `PATH`, and for the names in `prepare.pass_env`.
    ///
    /// # Errors
    /// [`Error::Config`] for a host whose scheme is unknown or limits of zero.
    pub fn new(config: Config, environment: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let limits = &config.limits;
        if limits.cpus <= 0.0 || limits.memory_mib < 16 || limits.pids < 8 || limits.job_seconds == 0 {
            return Err(Error::Config {
                reason: "limits need cpus > 0, memory_mib >= 16, pids >= 8, job_seconds > 0".into(),
            });
        }
        let host = config.host.clone().or_else(|| environment("DOCKER_HOST")).filter(|host| !host.is_empty());
        let engine = Engine::new(host, Duration::from_secs(config.engine_seconds.max(1).into()))?;
        let passed: Vec<_> = config
            .prepare
            .pass_env
            .iter()
            .filter_map(|name| Some((name.clone(), environment(name)?)))
            .collect();
        let (files, mirror_env): (Vec<_>, Vec<_>) =
            passed.into_iter().partition(|(name, _)| CERTIFICATE_FILES.contains(&name.as_str()));
        let certificates = files.into_iter().map(|(name, path)| (name, PathBuf::from(path))).collect();
        let path = environment("PATH").unwrap_or_default();
        let preparing = tokio::sync::Mutex::default();
        Ok(Self { inner: Arc::new(Inner { engine, config, mirror_env, certificates, path, preparing }) })
    }

    /// Whether the engine answers, and whether the sandbox's image is there. For `toryo doctor` and `/ready`.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn check(&self) -> Result<EngineCheck, Error> {
        let Inner { engine, config, .. } = &*self.inner;
        let version = engine.call("tell its version", engine.docker().await?.version()).await?;
        Ok(EngineCheck {
            host: engine.host().to_owned(),
            version: version.version.unwrap_or_default(),
            image: engine.find_image(&config.image).await?,
        })
    }

    /// Removes containers that a crashed worker left behind: those with Toryo's label that were created longer ago
    /// than `older_than`, which has to exceed the longest job, because other workers may use the same engine.
    /// Answers how many there were.
    ///
    /// # Errors
    /// The engine does not answer. A container that cannot be removed is logged and left for the next time.
    pub async fn remove_orphans(&self, older_than: Duration) -> Result<usize, Error> {
        container::sweep(&self.inner.engine, None, older_than).await
    }

    /// Removes images of prepared dependencies that were made longer ago than `older_than` and that no container uses.
    /// A later job that needs one prepares it again. Answers how many there were.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn remove_prepared(&self, older_than: Duration) -> Result<usize, Error> {
        prepare::remove_prepared(&self.inner.engine, older_than).await
    }

    /// Removes every container of one run at once, for a run that has ended or is taken over from a dead worker.
    /// `run` is what stood in [`crate::Labels::run`]. Answers how many there were.
    ///
    /// # Errors
    /// As [`DockerSandbox::remove_orphans`].
    pub async fn remove_run(&self, run: &str) -> Result<usize, Error> {
        container::sweep(&self.inner.engine, Some(run), Duration::ZERO).await
    }
}

#[async_trait]
impl Sandbox for DockerSandbox {
    async fn prepare(
        &self,
        preparation: &Preparation,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Image, Error> {
        prepare::prepare(&self.inner, preparation, progress, cancel).await
    }

    async fn run(
        &self,
        job: &Job,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<JobReport, Error> {
        job::run(&self.inner, job, progress, cancel).await
    }
}
