//! Bare mirrors of repositories: read with libgit2, filled by the `git` program, never checked out.
//!
//! [`Mirror`] is a cheap handle; every method opens the repository anew on a blocking thread, so handles may be
//! used from many tasks at once. Objects are only ever added.

pub(crate) mod command;
pub mod discover;
pub(crate) mod lock;
mod read;
pub(crate) mod transfer;
pub mod unused;
mod write;

use crate::Error;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toryo_domain::{CommitId, RepoPath};

/// Largest file that is read into memory, in bytes: the limit that large forges set for one file.
pub const LARGEST_FILE: u64 = 100 * 1024 * 1024;

/// A bare repository under the data folder that holds what was fetched of one repository and what runs made
/// on top of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    path: Arc<Path>,
}

impl Mirror {
    /// A handle for the bare repository at this path; looked at when it is used.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into().into() }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the commit is here.
    ///
    /// # Errors
    /// The mirror cannot be read.
    pub async fn has(&self, commit: &CommitId) -> Result<bool, Error> {
        let commit = commit.clone();
        self.work(move |repository| Ok(repository.find_commit(oid(&commit)?).is_ok())).await
    }

    /// The regular files of a commit, sorted by path, and what was left out: links, submodules, and paths
    /// that [`RepoPath`] refuses.
    ///
    /// # Errors
    /// The commit is not here.
    pub async fn files(&self, commit: &CommitId) -> Result<Listing, Error> {
        let commit = commit.clone();
        self.work(move |repository| read::files(repository, &commit)).await
    }

    /// The content of a regular file; `None` where the commit has no regular file there.
    ///
    /// # Errors
    /// The commit is not here, or the file is over [`LARGEST_FILE`].
    pub async fn read(&self, commit: &CommitId, path: &RepoPath) -> Result<Option<Vec<u8>>, Error> {
        let (commit, path) = (commit.clone(), path.clone());
        self.work(move |repository| read::one(repository, &commit, &path)).await
    }

    /// The contents of several regular files; those that the commit does not have are missing.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_many(
        &self,
        commit: &CommitId,
        paths: impl IntoIterator<Item = RepoPath>,
    ) -> Result<BTreeMap<RepoPath, Vec<u8>>, Error> {
        let (commit, paths) = (commit.clone(), paths.into_iter().collect::<Vec<_>>());
        self.work(move |repository| read::many(repository, &commit, paths)).await
    }

    /// The last `count` commits up to and with this one, newest first.
    ///
    /// # Errors
    /// The commit is not here.
    pub async fn log(&self, commit: &CommitId, count: usize) -> Result<Vec<LogEntry>, Error> {
        let commit = commit.clone();
        self.work(move |repository| read::log(repository, &commit, count)).await
    }

    /// At most `count` commits up to and with this one, newest first by their time. Cheap: what they changed is
    /// asked for with [`entries`](Self::entries).
    ///
    /// # Errors
    /// The commit is not here.
    pub async fn ancestors(&self, commit: &CommitId, count: usize) -> Result<Vec<CommitId>, Error> {
        let commit = commit.clone();
        self.work(move |repository| read::ancestors(repository, &commit, count)).await
    }

    /// What each of these commits says and changed, in their order.
    ///
    /// # Errors
    /// One of them is not here.
    pub async fn entries(&self, commits: Vec<CommitId>) -> Result<Vec<LogEntry>, Error> {
        self.work(move |repository| read::entries(repository, &commits)).await
    }

    /// Writes a commit on top of `base` straight into the object database. Equal input makes the same commit,
    /// so that a repeated attempt is harmless.
    ///
    /// # Errors
    /// [`Error::UnknownCommit`] for the base; [`Error::NotAFile`] where a link, a submodule or a folder is in the
    /// way; [`Error::NothingToCommit`].
    pub async fn commit(&self, new: NewCommit) -> Result<CommitId, Error> {
        self.work(move |repository| write::commit(repository, &new)).await
    }

    /// Runs blocking work on the repository.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&git2::Repository) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let path = Arc::clone(&self.path);
        blocking(move || work(&open(&path)?)).await
    }
}

/// The files of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The regular files, sorted by path.
    pub files: Vec<TreeFile>,
    /// What is there and was left out, in the tree's order.
    pub left_out: Vec<LeftOut>,
}

/// A regular file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// Where it lies.
    pub path: RepoPath,
    /// Its size in bytes.
    pub size: u64,
    /// Whether Git's executable bit is set.
    pub executable: bool,
    /// The id of its content in Git, in hexadecimal digits.
    pub blob: String,
}

/// An entry of a tree that Toryo does not work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path, with unusual characters escaped.
    pub path: String,
    /// Why it was left out.
    pub reason: String,
}

/// A commit of a repository's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its id.
    pub commit: CommitId,
    /// The first line of its message.
    pub subject: String,
    /// When it was committed.
    pub at: DateTime<Utc>,
    /// The paths it changed against its first parent, at most [`MOST_LOG_PATHS`]; none for a merge.
    pub paths: Vec<RepoPath>,
}

/// How many paths a [`LogEntry`] names at most.
pub const MOST_LOG_PATHS: usize = 100;

/// A change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: RepoPath,
    /// What it shall hold; `None` removes it. Removing what is not there changes nothing.
    pub content: Option<Content>,
}

/// The content of a regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its bytes, stored as they are.
    pub bytes: Vec<u8>,
    /// Git's executable bit.
    pub executable: bool,
}

/// A commit to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// Its only parent.
    pub base: CommitId,
    /// The files that differ from it. Of two changes of the same path the later one counts.
    pub changes: Vec<Change>,
    /// The message; see [`ConventionalCommit`](crate::ConventionalCommit).
    pub message: String,
    /// Author and committer.
    pub author: Identity,
    /// When; part of the commit's id, so a repeated attempt passes the same time.
    pub when: DateTime<Utc>,
}

/// A name with an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

/// Opens a mirror. Not with `open_bare`, which overlooks that the history of a shallow clone ends early.
pub(crate) fn open(mirror: &Path) -> Result<git2::Repository, git2::Error> {
    let nowhere_above: [&str; 0] = [];
    let flags = git2::RepositoryOpenFlags::BARE | git2::RepositoryOpenFlags::NO_SEARCH;
    git2::Repository::open_ext(mirror, flags, nowhere_above)
}

/// libgit2's form of a commit id.
pub(crate) fn oid(commit: &CommitId) -> Result<git2::Oid, Error> {
    Ok(git2::Oid::from_str(commit.as_str())?)
}

/// Our form of libgit2's commit id.
pub(crate) fn commit_id(oid: git2::Oid) -> Result<CommitId, Error> {
    oid.to_string().parse().map_err(|_| Error::Internal(format!("{oid} is not a commit id of SHA-1")))
}

/// Runs work that blocks (disk, compression) where it does not hold up other tasks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::Internal(format!("work on a repository ended early: {error}"))))
}
