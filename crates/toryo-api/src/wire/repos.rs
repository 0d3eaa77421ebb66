//! Repositories over the wire.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use toryo_blackboard::Repo;
use toryo_domain::RepoId;
use utoipa::ToSchema;

/// A repository to register, or to change by its URL.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutRepo {
    /// A URL, or a path on the server's own machine.
    #[schema(example = "/srv/git/calendar")]
    pub url: String,
    /// What an administrator sets; replaces all earlier settings. `max_steps`: steps of the repository that may run at
    /// once.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
}

/// New settings of a repository.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutSettings {
    /// Replaces all earlier settings. `max_steps`: steps of the repository that may run at once.
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
}

/// A repository.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Repo)]
pub struct RepoView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    id: RepoId,
    /// As tasks name it.
    url: String,
    /// The branch that tasks start from, once known.
    default_branch: Option<String>,
    /// What an administrator set.
    #[schema(value_type = Object)]
    settings: Value,
    /// The commit for which the code index was last built.
    indexed_commit: Option<String>,
    /// When it was first named.
    #[schema(value_type = String, format = DateTime)]
    created_at: DateTime<Utc>,
    /// When its newest run was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_run_at: Option<DateTime<Utc>>,
}

impl From<Repo> for RepoView {
    fn from(repo: Repo) -> Self {
        let Repo { id, url, default_branch, settings, indexed_commit, created_at, last_run_at } = repo;
        Self { id, url, default_branch, settings, indexed_commit, created_at, last_run_at }
    }
}
