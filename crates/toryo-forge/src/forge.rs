//! The port: what Toryo needs of a place where repositories and pull requests live.

use crate::{Error, Mirror};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use toryo_domain::{CommitId, NewPullRequest, PullRequest};

/// Repositories and pull requests. Adapters: [`Local`](crate::Local); with
/// [`InMemoryPulls`](crate::InMemoryPulls) it is also the fake of tests.
///
/// `repo_url` is what a task named: an absolute path, `file://…`, or an https or ssh URL without credentials.
#[async_trait]
pub trait Forge: Send + Sync + 'static {
    /// A cheap look without a fetch: is this a repository that a run could work on?
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotARepository`], [`Error::Empty`], [`Error::UnknownBranch`],
    /// [`Error::NotAllowed`] and the refusals of [`RepoUrl`](crate::RepoUrl) are final; others may pass.
    async fn check(&self, repo_url: &str, base_branch: Option<&str>) -> Result<(), Error>;

    /// Brings the repository into the local mirror and resolves the base branch (the default branch where
    /// none is named) to a commit. Safe to run in several processes at once.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`Error::Cancelled`] within a second of the token.
    async fn fetch(
        &self,
        repo_url: &str,
        base_branch: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Checkout, Error>;

    /// A mirror that holds this commit. Fetches again where it is missing: another worker, another machine.
    ///
    /// # Errors
    /// [`Error::UnknownCommit`] where the repository has it no longer; else as [`fetch`](Self::fetch).
    async fn mirror(
        &self,
        repo_url: &str,
        commit: &CommitId,
        cancel: &CancellationToken,
    ) -> Result<Mirror, Error>;

    /// Makes `branch` point to `commit` at the repository. Idempotent. A branch that exists is moved only
    /// where its tip is an earlier commit of the same run, by compare-and-swap.
    ///
    /// # Errors
    /// [`Error::BranchTaken`], [`Error::BranchCheckedOut`] are for a person; others may pass.
    async fn publish(
        &self,
        repo_url: &str,
        mirror: &Mirror,
        branch: &str,
        commit: &CommitId,
    ) -> Result<(), Error>;

    /// Opens a pull request, or updates the one that the head branch already has. Idempotent.
    ///
    /// # Errors
    /// Where pull requests are kept does not answer.
    async fn open_pull_request(&self, request: &NewPullRequest) -> Result<Opened, Error>;
}

/// A fetched repository.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// The mirror that holds the commit with its history.
    pub mirror: Mirror,
    /// The branch the run starts from.
    pub base_branch: String,
    /// The tip of that branch when it was fetched.
    pub commit: CommitId,
}

/// A pull request after [`Forge::open_pull_request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The pull request.
    pub pull_request: PullRequest,
    /// Whether this call opened it; `false` where it was there and was updated.
    pub created: bool,
}
