//! Change sets: what a run's working tree is, as base commit plus changed files.

use crate::{Digest, RepoPath};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum FileState {
    /// The file has this content.
    Present {
        /// Digest of the content, under which the blob store keeps it.
        digest: Digest,
        /// Whether Git's executable bit is set.
        executable: bool,
    },
    /// The file is not there.
    Deleted,
}

/// All files that differ from the base commit. Together with that commit it rebuilds a working tree anywhere,
/// so nothing is lost with a sandbox or a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeSet {
    /// The changed files by path.
    pub files: BTreeMap<RepoPath, FileState>,
}

impl ChangeSet {
    /// Whether nothing differs from the base commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}
