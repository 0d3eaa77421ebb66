//! The error of this crate.

use std::time::Duration;
use toryo_domain::{CommitId, FailureClass, RepoPath};

/// Any error, as a source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a forge or Git did not do what it was asked for. No text of it holds a credential.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text names no repository that Toryo could reach.
    #[error("`{url}` is not a repository URL: {reason}")]
    BadUrl {
        /// What was given, without credentials, cut after 200 characters.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The URL carries a user name with a password, or a token.
    #[error(
        "`{url}` carries credentials; leave them out and set up a credential helper or an ssh key for the \
         user that Toryo runs as"
    )]
    CredentialsInUrl {
        /// The URL without them.
        url: String,
    },
    /// Nothing is there, or nothing that this user may see.
    #[error("there is no repository at {repo}")]
    NotFound {
        /// Where.
        repo: String,
    },
    /// Something is there, but no Git repository.
    #[error("{repo} is not a Git repository")]
    NotARepository {
        /// Where.
        repo: String,
    },
    /// A repository without a commit.
    #[error("the repository {repo} is empty: it has no commit to start from")]
    Empty {
        /// Where.
        repo: String,
    },
    /// No such branch.
    #[error("the repository {repo} has no branch `{branch}`")]
    UnknownBranch {
        /// Where.
        repo: String,
        /// What was asked for.
        branch: String,
    },
    /// No branch was named and the repository says no default.
    #[error("{repo} has no default branch (its HEAD is at no branch); name a base branch")]
    NoDefaultBranch {
        /// Where.
        repo: String,
    },
    /// The operator does not allow this place.
    #[error("{repo} is outside the folders and hosts that this service may use")]
    NotAllowed {
        /// Where.
        repo: String,
    },
    /// The folder belongs to another user; Git reads such repositories only where the user said so.
    #[error(
        "{repo} belongs to another user; to let Toryo work on it, run `git config --global --add \
         safe.directory {repo}` as the user that Toryo runs as"
    )]
    ForeignOwner {
        /// Where.
        repo: String,
    },
    /// The remote side wants credentials that this user does not have.
    #[error(
        "access to {repo} was denied; set up a credential helper or an ssh key for the user that Toryo runs as"
    )]
    Denied {
        /// Where.
        repo: String,
    },
    /// Not a name that Git allows for a branch.
    #[error("`{branch}` is not a branch name")]
    BadBranch {
        /// What was given, cut after 200 characters.
        branch: String,
    },
    /// The commit is neither in the mirror nor at the repository.
    #[error("commit {commit} is not in {repo} (any more)")]
    UnknownCommit {
        /// Where.
        repo: String,
        /// Which.
        commit: CommitId,
    },
    /// The branch holds something that is not an earlier commit of the same run.
    #[error("the branch `{branch}` exists and holds other work; it was left as it is")]
    BranchTaken {
        /// Which.
        branch: String,
    },
    /// A work tree stands on the branch; moving it would make that work tree look changed.
    #[error("the branch `{branch}` is checked out in the repository; it was left as it is")]
    BranchCheckedOut {
        /// Which.
        branch: String,
    },
    /// A path of a change is no ordinary file in the base commit, or lies below one.
    #[error("`{path}` cannot be written: the repository has a link, a submodule or a folder there")]
    NotAFile {
        /// Which.
        path: RepoPath,
    },
    /// A file over the size that is read into memory.
    #[error("`{path}` has {size} bytes; at most {limit} are read")]
    TooLarge {
        /// Which.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The changes leave the base commit's tree as it is.
    #[error("the changes leave everything as it was: there is nothing to commit")]
    NothingToCommit,
    /// Name or address of an author that Git cannot store.
    #[error("an author needs a name and an address")]
    BadIdentity,
    /// No commit of that name.
    #[error("{repo} has no revision `{rev}`")]
    UnknownRevision {
        /// Where.
        repo: String,
        /// What was asked for, cut after 200 characters.
        rev: String,
    },
    /// Another process works on the same mirror or branch.
    #[error("{what} is locked by another process")]
    Locked {
        /// Which.
        what: String,
    },
    /// It took too long; what it started was killed.
    #[error("{what} took longer than {limit:?}")]
    TimedOut {
        /// Which operation.
        what: String,
        /// The limit.
        limit: Duration,
    },
    /// The token was cancelled; what was started was killed.
    #[error("cancelled")]
    Cancelled,
    /// The `git` program failed for a reason that none of the others names.
    #[error("`git {what}` failed: {message}")]
    Command {
        /// The subcommand.
        what: &'static str,
        /// The end of what it said, on one line and without credentials.
        message: String,
    },
    /// The `git` program cannot be started.
    #[error("the `git` program cannot be started")]
    NoGit(#[source] std::io::Error),
    /// Reading or writing a repository failed.
    #[error("a Git repository could not be read or written")]
    Repository(#[source] BoxError),
    /// A file of the data folder failed.
    #[error("the mirrors' folder could not be used")]
    Folder(#[source] std::io::Error),
    /// Where pull requests are kept failed.
    #[error("the pull request could not be stored")]
    Store {
        /// Its own class.
        class: FailureClass,
        /// What happened.
        #[source]
        source: BoxError,
    },
    /// A fault of Toryo's own.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::BadUrl { .. }
            | Self::CredentialsInUrl { .. }
            | Self::NotFound { .. }
            | Self::NotARepository { .. }
            | Self::Empty { .. }
            | Self::UnknownBranch { .. }
            | Self::NoDefaultBranch { .. }
            | Self::NotAllowed { .. }
            | Self::ForeignOwner { .. }
            | Self::Denied { .. }
            | Self::BadBranch { .. }
            | Self::BadIdentity
            | Self::UnknownCommit { .. }
            | Self::UnknownRevision { .. }
            | Self::TooLarge { .. } => FailureClass::Input,
            Self::NotAFile { .. } | Self::NothingToCommit => FailureClass::InvalidOutput,
            Self::BranchTaken { .. } | Self::BranchCheckedOut { .. } => FailureClass::Policy,
            Self::Locked { .. }
            | Self::TimedOut { .. }
            | Self::Command { .. }
            | Self::NoGit(_)
            | Self::Repository(_)
            | Self::Folder(_) => FailureClass::Transient,
            Self::Cancelled => FailureClass::Cancelled,
            Self::Store { class, .. } => *class,
            Self::Internal(_) => FailureClass::Bug,
        }
    }
}

impl From<git2::Error> for Error {
    fn from(error: git2::Error) -> Self {
        match error.code() {
            git2::ErrorCode::Locked => Self::Locked { what: "the repository".to_owned() },
            _ => Self::Repository(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_keep_the_class() {
        let of = |code| git2::Error::new(code, git2::ErrorClass::Reference, "why");
        let locked = Error::from(of(git2::ErrorCode::Locked));
        assert!(matches!(locked, Error::Locked { .. }) && locked.class() == FailureClass::Transient);
        let other = Error::from(of(git2::ErrorCode::GenericError));
        assert!(matches!(other, Error::Repository(_)) && other.class() == FailureClass::Transient);
        for class in FailureClass::ALL {
            assert_eq!(Error::Store { class: *class, source: "why".into() }.class(), *class);
        }
    }
}
