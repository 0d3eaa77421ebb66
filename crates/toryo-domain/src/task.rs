//! Tasks: what somebody asked for.

use crate::{TaskId, Usd, text_enum};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

text_enum! {
    /// How urgent a task is. Claims take the most urgent step first.
    pub enum Priority {
        /// Before everything else.
        High = "high",
        /// The default.
        Normal = "normal",
        /// When nothing else is due.
        Low = "low",
    }
}

impl Priority {
    /// The order in which steps are claimed: the lowest number first.
    #[must_use]
    pub const fn rank(self) -> i16 {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }
}

text_enum! {
    /// Where a person wants to approve before the run goes on.
    pub enum Approval {
        /// Nowhere.
        None = "none",
        /// The plan.
        Plan = "plan",
        /// The change, before the pull request.
        Pr = "pr",
        /// Both.
        All = "all",
    }
}

impl Approval {
    /// Whether the plan waits for a person.
    #[must_use]
    pub const fn gates_plan(self) -> bool {
        matches!(self, Self::Plan | Self::All)
    }

    /// Whether the pull request waits for a person.
    #[must_use]
    pub const fn gates_pull_request(self) -> bool {
        matches!(self, Self::Pr | Self::All)
    }
}

/// What a run may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Cost of all model calls.
    pub usd: Usd,
    /// Tokens of all model calls, in and out.
    pub tokens: u64,
    /// Wall time, in minutes, while the run is not waiting for a person.
    pub minutes: u32,
    /// Repairs and revisions of one subtask (design §2: five).
    pub repair_loops: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { usd: Usd::from_nanos(5_000_000_000), tokens: 2_000_000, minutes: 60, repair_loops: 5 }
    }
}

/// A checked wish, not yet stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTask {
    /// A URL, or a path on the server's own machine.
    pub repo_url: String,
    /// What shall be achieved; not blank.
    pub goal: String,
    /// The issue it comes from.
    pub issue_id: Option<String>,
    /// The branch to start from; the repository's default branch where it is not named.
    pub base_branch: Option<String>,
    /// What has to be respected.
    pub constraints: Vec<String>,
    /// What has to hold in the end.
    pub acceptance_criteria: Vec<String>,
    /// How urgent it is.
    pub priority: Priority,
    /// Where a person wants to approve.
    pub approval: Approval,
    /// What it may use.
    pub limits: Limits,
    /// Free labels.
    pub labels: Vec<String>,
    /// Where it came from: `api`, `github_issue` …
    pub source: String,
}

/// A stored task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What was asked for.
    #[serde(flatten)]
    pub wish: NewTask,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
}
