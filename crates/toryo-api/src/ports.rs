//! What this crate needs of others and does not own. The binary wires each to an adapter.

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use toryo_blackboard::Repo;
use toryo_domain::{FailureClass, Role, RunId};
use toryo_engine::replay::Line;
use utoipa::ToSchema;

/// Says whether a repository can be worked on, before a task for it is stored.
#[async_trait]
pub trait RepositoryCheck: Send + Sync + 'static {
    /// Ends well where the repository exists, may be used and has the branch, or any commit where none is named.
    ///
    /// # Errors
    /// It cannot be worked on, or nobody can say.
    async fn check(&self, repo_url: &str, base_branch: Option<&str>) -> Result<(), RepositoryError>;
}

/// Why a repository is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// There is none, it is empty, or it is not allowed; the text tells a person what to do.
    #[error("{0}")]
    Refused(String),
    /// The repository is fine, the branch is not there.
    #[error("{0}")]
    NoBranch(String),
    /// Its server does not answer.
    #[error("{0}")]
    Unavailable(String),
}

impl RepositoryError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::Refused(_) | Self::NoBranch(_) => FailureClass::Input,
            Self::Unavailable(_) => FailureClass::Transient,
        }
    }
}

/// Builds the code index of a repository.
#[async_trait]
pub trait Indexer: Send + Sync + 'static {
    /// Begins in the background and returns at once; the end shows as the repository's `indexed_commit`.
    /// Asking again while it works is harmless.
    ///
    /// # Errors
    /// It cannot begin; the text is for people.
    async fn start(&self, repo: &Repo) -> Result<(), IndexError>;
}

/// Why indexing did not begin; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IndexError(pub String);

impl IndexError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        FailureClass::Transient
    }
}

/// Executes finished runs again, without a model and without an effect.
#[async_trait]
pub trait Replayer: Send + Sync + 'static {
    /// Begins; what it says comes line by line. It ends when the lines are no longer read.
    ///
    /// # Errors
    /// The run has not ended, or another replay is under way.
    async fn start(&self, run: RunId) -> Result<Receiver<Line>, ReplayError>;
}

/// Why a run is not replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Not now; the text is for people.
    #[error("{0}")]
    NotPossible(String),
    /// The run does not exist, or the blackboard failed.
    #[error(transparent)]
    Blackboard(#[from] toryo_blackboard::Error),
}

/// Says whether what a run needs is there: database, queue, sandbox.
#[async_trait]
pub trait Readiness: Send + Sync + 'static {
    /// One check a need. Should answer within five seconds; a later answer counts as none.
    async fn checks(&self) -> Vec<Check>;
}

/// The state of one need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// What is needed: `database`, `queue`, `sandbox` …
    pub name: String,
    /// Whether it is there.
    pub ok: bool,
    /// Whether requests and runs are impossible without it; a need that is not only shows.
    pub required: bool,
    /// What is missing and what to do about it; never a secret.
    pub detail: Option<String>,
}

/// What an agent may do, from its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AgentManifest {
    /// The role.
    #[schema(value_type = String, example = "coder")]
    pub role: Role,
    /// One line.
    pub summary: String,
    /// What it may do.
    pub may: Vec<String>,
    /// What it may not do.
    pub may_not: Vec<String>,
    /// The kinds of step it executes.
    pub steps: Vec<String>,
    /// The model route it uses.
    pub route: String,
    /// Its tools.
    pub tools: Vec<String>,
}
