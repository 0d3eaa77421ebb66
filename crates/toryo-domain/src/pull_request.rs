//! Pull requests as every forge knows them.

use crate::{CommitId, RunId, text_enum};
use serde::{Deserialize, Serialize};

text_enum! {
    /// Where a pull request stands.
    pub enum PullRequestState {
        /// Waiting for review.
        Open = "open",
        /// Its branch is part of the base branch.
        Merged = "merged",
        /// Ended without a merge.
        Closed = "closed",
    }
}

/// What the Integrator asks a forge to open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPullRequest {
    /// The run it comes from.
    pub run_id: RunId,
    /// The repository as the task named it.
    pub repo_url: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The branch with the change.
    pub head_branch: String,
    /// The tip of that branch.
    pub head_commit: CommitId,
    /// The branch it shall go into.
    pub base_branch: String,
    /// Not yet ready for review.
    pub draft: bool,
}

/// An open pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Its number in the repository.
    pub number: u64,
    /// Where a person reads it.
    pub url: String,
    /// The branch with the change.
    pub head_branch: String,
    /// Where it stands.
    pub state: PullRequestState,
    /// Not yet ready for review.
    #[serde(default)]
    pub draft: bool,
}
