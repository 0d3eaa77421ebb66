//! The local forge: repositories by path or URL, pull requests in a store of Toryo's own.

mod path;
mod publish;
mod remote;

use crate::git::command::Transport;
use crate::git::lock::Lock;
use crate::git::transfer::{self, Place, Refs};
use crate::git::unused;
use crate::{Checkout, Config, Error, Forge, Mirror, Opened, PullRequestStore, RepoUrl, naming};
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_domain::{CommitId, NewPullRequest};

/// Works on a repository where it lies and keeps its pull requests in a [`PullRequestStore`].
pub struct Local {
    mirrors: PathBuf,
    pulls: Arc<dyn PullRequestStore>,
    config: Config,
}

impl Local {
    /// A forge that keeps its mirrors under the folder `mirrors`, which is made when it is needed. Workers of
    /// one machine may share it.
    #[must_use]
    pub fn new(mirrors: impl Into<PathBuf>, pulls: Arc<dyn PullRequestStore>, config: Config) -> Self {
        Self { mirrors: mirrors.into(), pulls, config }
    }

    /// Checks that the operator allows the place, and opens it as far as needed to call `git` on it.
    async fn place(&self, url: &RepoUrl) -> Result<Place, Error> {
        match url {
            RepoUrl::Path(path) => {
                let (path, roots) = (path.clone(), self.config.allowed_roots.clone());
                let opening = crate::git::blocking(move || path::git_dir(&path, &roots));
                let git_dir =
                    within(self.config.check_timeout_seconds, "opening the repository", opening).await?;
                Ok(Place { url: git_dir.into(), name: url.to_string(), transport: Transport::File })
            }
            RepoUrl::Remote { url, host } => {
                let hosts = &self.config.allowed_hosts;
                if !hosts.is_empty() && !hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host)) {
                    return Err(Error::NotAllowed { repo: url.clone() });
                }
                Ok(Place { url: url.into(), name: url.clone(), transport: Transport::Network })
            }
        }
    }

    async fn look(
        &self,
        url: &RepoUrl,
        place: &Place,
        base_branch: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<(String, CommitId), Error> {
        if let Some(branch) = base_branch {
            naming::check_branch(branch)?;
        }
        let refs: Refs = match url {
            RepoUrl::Path(_) => {
                let git_dir = PathBuf::from(&place.url);
                let reading = crate::git::blocking(move || path::refs(&git_dir));
                within(self.config.check_timeout_seconds, "reading the branches", reading).await?
            }
            RepoUrl::Remote { .. } => {
                place.refs(Duration::from_secs(self.config.check_timeout_seconds), cancel).await?
            }
        };
        refs.resolve(&place.name, base_branch)
    }

    fn mirror_of(&self, url: &RepoUrl) -> Mirror {
        Mirror::at(self.mirrors.join(format!("{}.git", url.key())))
    }

    /// Takes the mirror's lock and makes the mirror where there is none.
    async fn locked(&self, mirror: &Mirror, cancel: &CancellationToken) -> Result<Lock, Error> {
        tokio::fs::create_dir_all(&self.mirrors).await.map_err(Error::Folder)?;
        let limit = Duration::from_secs(self.config.lock_timeout_seconds);
        let lock = Lock::take(mirror.path().with_extension("lock"), limit, cancel).await?;
        transfer::prepare(mirror).await?;
        Ok(lock)
    }
}

/// Waits for work on a disk, which may hang as a network does. What was begun ends by itself and is harmless then.
async fn within<T>(
    seconds: u64,
    what: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let limit = Duration::from_secs(seconds);
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(Error::TimedOut { what: what.to_owned(), limit }))
}

#[async_trait]
impl Forge for Local {
    async fn check(&self, repo_url: &str, base_branch: Option<&str>) -> Result<(), Error> {
        let url: RepoUrl = repo_url.parse()?;
        let place = self.place(&url).await?;
        self.look(&url, &place, base_branch, &CancellationToken::new()).await.map(|_| ())
    }

    async fn fetch(
        &self,
        repo_url: &str,
        base_branch: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Checkout, Error> {
        let url: RepoUrl = repo_url.parse()?;
        let place = self.place(&url).await?;
        let (base_branch, tip) = self.look(&url, &place, base_branch, cancel).await?;
        let mirror = self.mirror_of(&url);
        unused::used(&mirror).await?;
        if transfer::is_kept(&mirror, &tip).await {
            return Ok(Checkout { mirror, base_branch, commit: tip });
        }
        let _lock = self.locked(&mirror, cancel).await?;
        // The branch may have moved since the look: what was fetched counts.
        let limit = Duration::from_secs(self.config.fetch_timeout_seconds);
        let commit = place.fetch_branch(&mirror, &base_branch, limit, cancel).await?;
        tracing::info!(repository = %url, %commit, "fetched {base_branch} of {url}");
        Ok(Checkout { mirror, base_branch, commit })
    }

    async fn mirror(
        &self,
        repo_url: &str,
        commit: &CommitId,
        cancel: &CancellationToken,
    ) -> Result<Mirror, Error> {
        let url: RepoUrl = repo_url.parse()?;
        let mirror = self.mirror_of(&url);
        unused::used(&mirror).await?;
        // A fetch shows its objects all at once, so a commit that is here is here with its history.
        if mirror.has(commit).await.unwrap_or(false) {
            return Ok(mirror);
        }
        let place = self.place(&url).await?;
        let _lock = self.locked(&mirror, cancel).await?;
        let limit = Duration::from_secs(self.config.fetch_timeout_seconds);
        place.fetch_commit(&mirror, commit, limit, cancel).await?;
        Ok(mirror)
    }

    async fn publish(
        &self,
        repo_url: &str,
        mirror: &Mirror,
        branch: &str,
        commit: &CommitId,
    ) -> Result<(), Error> {
        naming::check_branch(branch)?;
        let url: RepoUrl = repo_url.parse()?;
        let place = self.place(&url).await?;
        match url {
            RepoUrl::Path(_) => {
                let writing = publish::to_path(PathBuf::from(place.url), mirror, branch, commit);
                within(self.config.push_timeout_seconds, "writing the branch", writing).await?;
            }
            RepoUrl::Remote { .. } => {
                let _lock = self.locked(mirror, &CancellationToken::new()).await?;
                remote::publish(&place, mirror, branch, commit, &self.config).await?;
            }
        }
        tracing::info!(branch, %commit, "published {branch} at {}", place.name);
        Ok(())
    }

    async fn open_pull_request(&self, request: &NewPullRequest) -> Result<Opened, Error> {
        naming::check_branch(&request.head_branch)?;
        // The store looks for the head branch itself, in one atomic step.
        let (pull_request, created) = self.pulls.upsert(request).await?;
        Ok(Opened { pull_request, created })
    }
}

#[cfg(test)]
mod tests;
