//! What agents work with.

use crate::assets::Assets;
use crate::baselines::Baselines;
use crate::meaning::Meaning;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use toryo_forge::{Forge, Identity};
use toryo_index::IndexCache;
use toryo_models::Gateway;
use toryo_policy::{Guardrails, Masker};
use toryo_sandbox::Sandbox;

/// The tools of all agents of a process. Ports and checked values only: nothing here reads a file or the environment.
pub struct Tools {
    /// Repositories and pull requests.
    pub forge: Arc<dyn Forge>,
    /// Where a repository's commands run.
    pub sandbox: Arc<dyn Sandbox>,
    /// What a test job may use.
    pub sandbox_limits: toryo_sandbox::Limits,
    /// The one way to a model.
    pub gateway: Gateway,
    /// Indexes of commits.
    pub indexes: IndexCache,
    /// Nearness in meaning, beside the indexes.
    pub meaning: Meaning,
    /// What a change may do.
    pub guardrails: Guardrails,
    /// Takes secrets out of texts.
    pub masker: Masker,
    /// Manifests, prompts, schemas.
    pub assets: Assets,
    /// Settings.
    pub config: Config,
    /// Test results of trees without a change, so that each is run once a process.
    pub baselines: Baselines,
}

impl Tools {
    /// The text without secrets. Whatever leaves the process or is shown goes through it.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.masker.mask(text).into_owned()
    }
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The section `[agents]` of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of author and committer. Default `Toryo`.
    pub author_name: String,
    /// Their e-mail address. Default `toryo@localhost`.
    pub author_email: String,
    /// Most files in a context pack. Default 8; published work finds 6 to 10 best.
    pub pack_files: usize,
    /// Tokens of a context pack. Default 10,000.
    pub pack_tokens: usize,
    /// How long a repository's whole test command may take, in seconds. Default 900.
    pub test_seconds: u64,
    /// Most `step.log` events of one step. Default 200; the whole output is an artifact.
    pub log_events: usize,
    /// Where the pages of this service are reached; links to runs in pull requests begin with it. Default none.
    pub public_url: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            author_name: "Toryo".into(),
            author_email: "toryo@localhost".into(),
            pack_files: 8,
            pack_tokens: 10_000,
            test_seconds: 900,
            log_events: 200,
            public_url: None,
        }
    }
}

impl Config {
    /// Author and committer of Toryo's commits.
    #[must_use]
    pub fn author(&self) -> Identity {
        Identity { name: self.author_name.clone(), email: self.author_email.clone() }
    }

    /// The time limit of a test command.
    #[must_use]
    pub const fn test_timeout(&self) -> Duration {
        Duration::from_secs(self.test_seconds)
    }
}
