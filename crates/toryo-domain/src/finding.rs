//! Findings: what a check or the Critic reports.

use crate::{RepoPath, text_enum};
use serde::{Deserialize, Serialize};

text_enum! {
    /// How much a finding weighs.
    pub enum Severity {
        /// Worth knowing; goes into the pull request.
        Info = "info",
        /// Should be looked at; goes into the pull request.
        Warning = "warning",
        /// Has to be mended before the pull request: causes a revision.
        Blocking = "blocking",
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The rule's stable name, for example `correctness` or `secret.aws_key`.
    pub rule: String,
    /// The file it is about, if it is about one.
    pub path: Option<RepoPath>,
    /// The first line it is about, counted from 1.
    pub line: Option<u32>,
    /// What is wrong and what would be right.
    pub text: String,
}
