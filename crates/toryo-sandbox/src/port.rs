//! The port: what Toryo needs of a sandbox, in its own words. No type of a container engine crosses it.

use crate::{Error, Progress};
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_domain::RepoPath;

/// Where the workspace lies inside a sandbox. Commands start here.
pub const WORKSPACE: &str = "/workspace";

/// Runs commands of one repository in isolation. Adapters: [`crate::docker`], [`crate::fake`].
#[async_trait]
pub trait Sandbox: Send + Sync + 'static {
    /// Makes sure that there is an image with the repository's dependencies. Cached by the digest of the files,
    /// the setup commands and the base image, so that calling it before each job is cheap (one engine call).
    /// Where there is nothing to install, the answer is the base image itself.
    ///
    /// # Errors
    /// [`Error::SetupFailed`] when a setup command fails; [`Error::ImageMissing`] when there is no base image;
    /// [`Error::Cancelled`] within a second of the token; otherwise the engine's failure.
    async fn prepare(
        &self,
        preparation: &Preparation,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Image, Error>;

    /// Runs the commands one after another in one fresh container, on one workspace, without network. Stops after
    /// the first command that failed and has `stop_on_failure` set. A command that fails is an [`Output`], not an
    /// error. The container is gone when this returns, and soon after the future is dropped.
    ///
    /// # Errors
    /// [`Error::Cancelled`] within a second of the token; otherwise the engine's failure.
    async fn run(
        &self,
        job: &Job,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<JobReport, Error>;
}

/// A file of the workspace, going in or coming out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceFile {
    /// Where it lies, relative to [`WORKSPACE`].
    pub path: RepoPath,
    /// Its bytes.
    pub content: Bytes,
    /// Whether it may be executed.
    pub executable: bool,
}

/// Which run and step something in the engine belongs to; stands on every container as `toryo.run` and `toryo.step`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// The run's id, or the name of the command that needed the sandbox.
    pub run: String,
    /// The step's key; may be empty.
    pub step: String,
}

/// What has to be installed before a repository's commands can run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preparation {
    /// The files that say what is needed: requirement and lock files, `pyproject.toml`, `setup.cfg`, `setup.py`.
    /// Give only these ([`crate::python::is_requirement_file`]): each byte counts for the cache.
    pub files: Vec<WorkspaceFile>,
    /// Shell commands, run in the workspace with the files present. Empty: derived from the files.
    pub setup: Vec<String>,
    /// Whether the commands must do without network. The operator's configuration may forbid network in any case.
    pub offline: bool,
    /// Who asks.
    pub labels: Labels,
}

/// An image in which jobs can run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Its name with tag, for people and the engine.
    pub name: String,
    /// The engine's id: the same id means the same content.
    pub id: String,
}

/// Some commands to run on one workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// What [`Sandbox::prepare`] answered.
    pub image: Image,
    /// The whole workspace.
    pub files: Vec<WorkspaceFile>,
    /// Run one after another.
    pub commands: Vec<Command>,
    /// Files or folders of the workspace to bring back in the end, for example `junit.xml`. What is not there is
    /// left out. They come back after a failed command too.
    pub collect: Vec<RepoPath>,
    /// What the job may use.
    pub limits: Limits,
    /// Who asks.
    pub labels: Labels,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments; no shell.
    pub argv: Vec<String>,
    /// Set in addition to, and winning over, the sandbox's own environment.
    pub env: Vec<(String, String)>,
    /// It is killed after this time.
    pub timeout: Duration,
    /// Whether later commands are left out when this one fails.
    pub stop_on_failure: bool,
}

impl Command {
    /// A command with a time limit of ten minutes that does not stop the job.
    pub fn new<Text: Into<String>>(argv: impl IntoIterator<Item = Text>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            timeout: Duration::from_secs(600),
            stop_on_failure: false,
        }
    }

    /// Sets one variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets the time limit.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Leaves out the later commands when this one fails.
    #[must_use]
    pub const fn stop_on_failure(mut self) -> Self {
        self.stop_on_failure = true;
        self
    }
}

/// What one job may use. The defaults are those of requirement R67, and sizes for an ordinary Python project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Processors, in parts if need be. Default 2.
    pub cpus: f64,
    /// Memory in MiB, the temporary file systems included; there is no swap. Default 2,048.
    pub memory_mib: u32,
    /// Processes and threads at a time. Default 512.
    pub pids: u32,
    /// Size of the workspace in MiB. Default 1,024.
    pub workspace_mib: u32,
    /// Size of `/tmp` in MiB. Default 256.
    pub tmp_mib: u32,
    /// Wall time of the whole job in seconds. Default 1,800.
    pub job_seconds: u32,
    /// What is kept of one command's output in KiB: half of it from the start, half from the end. Default 1,024.
    pub output_kib: u32,
    /// What may come back as collected files in MiB, all together. Default 32.
    pub collect_mib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpus: 2.0,
            memory_mib: 2_048,
            pids: 512,
            workspace_mib: 1_024,
            tmp_mib: 256,
            job_seconds: 1_800,
            output_kib: 1_024,
            collect_mib: 32,
        }
    }
}

impl Limits {
    /// The smaller of each: a repository may ask for less than the operator allows, never for more.
    #[must_use]
    pub fn tightened(&self, wish: &Self) -> Self {
        Self {
            cpus: self.cpus.min(wish.cpus),
            memory_mib: self.memory_mib.min(wish.memory_mib),
            pids: self.pids.min(wish.pids),
            workspace_mib: self.workspace_mib.min(wish.workspace_mib),
            tmp_mib: self.tmp_mib.min(wish.tmp_mib),
            job_seconds: self.job_seconds.min(wish.job_seconds),
            output_kib: self.output_kib.min(wish.output_kib),
            collect_mib: self.collect_mib.min(wish.collect_mib),
        }
    }
}

/// What became of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobReport {
    /// One for each command that ran, in their order. Shorter than the list of commands where one stopped the job,
    /// the job's time ran out, or the container died.
    pub outputs: Vec<Output>,
    /// What was asked for and is there, in the archive's order.
    pub collected: Vec<WorkspaceFile>,
    /// Why files that are there did not come back: too large, no regular files, the container died.
    pub not_collected: Option<String>,
}

impl JobReport {
    /// A collected file.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&Bytes> {
        self.collected.iter().find(|file| file.path.as_str() == path).map(|file| &file.content)
    }

    /// Whether every command that ran exited with 0. A job that ran none did not succeed.
    #[must_use]
    pub fn success(&self) -> bool {
        !self.outputs.is_empty() && self.outputs.iter().all(|output| output.exit.success())
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// It was killed at its own time limit or the job's.
    TimedOut,
    /// It was killed because the job's memory was used up.
    OutOfMemory,
    /// It was killed for another reason.
    Killed,
}

impl Exit {
    /// Whether it ended by itself with 0.
    #[must_use]
    pub const fn success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::TimedOut => f.write_str("killed at its time limit"),
            Self::OutOfMemory => f.write_str("killed: out of memory"),
            Self::Killed => f.write_str("killed"),
        }
    }
}

/// What a command wrote and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Standard output and standard error as they came, with the first and last 5,000 characters kept and a line
    /// that says how much was left out. For models and pages.
    pub text: String,
    /// The same with the first and last half of [`Limits::output_kib`] kept. For an artifact.
    pub log: Bytes,
    /// How many bytes the command wrote in all.
    pub written: u64,
    /// How long it ran.
    pub duration: Duration,
}
