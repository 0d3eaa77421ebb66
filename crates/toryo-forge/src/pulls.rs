//! Where the local forge keeps its pull requests: a small port, and its fake.

use crate::Error;
use async_trait::async_trait;
use std::sync::{Mutex, PoisonError};
use toryo_domain::{NewPullRequest, PullRequest, PullRequestState};

/// Keeps pull requests of repositories that have no forge of their own. The store makes number and URL.
#[async_trait]
pub trait PullRequestStore: Send + Sync + 'static {
    /// The pull request of a head branch.
    ///
    /// # Errors
    /// The store does not answer: [`Error::Store`].
    async fn find_by_head(&self, repo_url: &str, head_branch: &str) -> Result<Option<PullRequest>, Error>;

    /// Opens a pull request, or updates the one with the same repository and head branch; `true` where it
    /// was opened. One atomic step: two callers at once open one.
    ///
    /// # Errors
    /// The store does not answer: [`Error::Store`].
    async fn upsert(&self, request: &NewPullRequest) -> Result<(PullRequest, bool), Error>;
}

/// Pull requests in memory, numbered from 1 in each repository: the fake of tests.
#[derive(Debug, Default)]
pub struct InMemoryPulls(Mutex<Vec<(NewPullRequest, PullRequest)>>);

impl InMemoryPulls {
    /// What was stored, in the order of opening, each with its latest request.
    #[must_use]
    pub fn all(&self) -> Vec<(NewPullRequest, PullRequest)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl PullRequestStore for InMemoryPulls {
    async fn find_by_head(&self, repo_url: &str, head_branch: &str) -> Result<Option<PullRequest>, Error> {
        let stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same =
            |request: &NewPullRequest| request.repo_url == repo_url && request.head_branch == head_branch;
        Ok(stored.iter().find(|(request, _)| same(request)).map(|(_, found)| found.clone()))
    }

    async fn upsert(&self, request: &NewPullRequest) -> Result<(PullRequest, bool), Error> {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let in_repository = |other: &NewPullRequest| other.repo_url == request.repo_url;
        let same = |other: &NewPullRequest| in_repository(other) && other.head_branch == request.head_branch;
        if let Some((before, found)) = stored.iter_mut().find(|(other, _)| same(other)) {
            *before = request.clone();
            found.draft = request.draft;
            return Ok((found.clone(), false));
        }
        let number = stored.iter().filter(|(other, _)| in_repository(other)).count() as u64 + 1;
        let opened = PullRequest {
            number,
            url: format!("memory:pull/{number}"),
            head_branch: request.head_branch.clone(),
            state: PullRequestState::Open,
            draft: request.draft,
        };
        stored.push((request.clone(), opened.clone()));
        Ok((opened, true))
    }
}
