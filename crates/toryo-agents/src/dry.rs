//! A forge for executing a finished run again: repositories are read, nothing is published, and what the run saw of the
//! world is what it sees again.

use async_trait::async_trait;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use toryo_domain::{CommitId, NewPullRequest, PullRequest};
use toryo_forge::{Checkout, Error, Forge, Mirror, Opened};

/// What a run saw of its repository.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The branch it started from.
    pub base_branch: String,
    /// The tip of that branch then.
    pub base_commit: CommitId,
    /// The pull request it opened, if it opened one.
    pub pull_request: Option<PullRequest>,
}

/// Reads through another forge.
pub struct DryForge {
    inner: Arc<dyn Forge>,
    seen: Seen,
}

impl DryForge {
    /// Reads through this forge, as the run saw it.
    #[must_use]
    pub fn new(inner: Arc<dyn Forge>, seen: Seen) -> Self {
        Self { inner, seen }
    }
}

#[async_trait]
impl Forge for DryForge {
    async fn check(&self, _repo_url: &str, _base_branch: Option<&str>) -> Result<(), Error> {
        Ok(())
    }

    async fn fetch(
        &self,
        repo_url: &str,
        _base_branch: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Checkout, Error> {
        // The branch may have moved since.
        let mirror = self.inner.mirror(repo_url, &self.seen.base_commit, cancel).await?;
        let Seen { base_branch, base_commit, .. } = self.seen.clone();
        Ok(Checkout { mirror, base_branch, commit: base_commit })
    }

    async fn mirror(
        &self,
        repo_url: &str,
        commit: &CommitId,
        cancel: &CancellationToken,
    ) -> Result<Mirror, Error> {
        self.inner.mirror(repo_url, commit, cancel).await
    }

    async fn publish(
        &self,
        _repo_url: &str,
        _mirror: &Mirror,
        _branch: &str,
        _commit: &CommitId,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn open_pull_request(&self, request: &NewPullRequest) -> Result<Opened, Error> {
        let stored = self.seen.pull_request.clone();
        let opened = stored.map(|pull| PullRequest {
            head_branch: request.head_branch.clone(),
            draft: request.draft,
            ..pull
        });
        let pull_request = opened.ok_or_else(|| Error::Store {
            class: toryo_domain::FailureClass::Input,
            source: "the run opened no pull request".into(),
        })?;
        Ok(Opened { pull_request, created: true })
    }
}
