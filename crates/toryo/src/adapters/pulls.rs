//! The local forge's pull requests, kept on the blackboard.

use async_trait::async_trait;
use toryo_blackboard::{Db, LocalPullRequest, db, pull_requests};
use toryo_domain::{NewPullRequest, PullRequest};
use toryo_forge::{Error, PullRequestStore};

/// Pull requests in Postgres, each with a page.
pub struct BlackboardPulls {
    db: Db,
    public_url: String,
}

impl BlackboardPulls {
    /// Pull requests of this database, with pages under this address.
    pub const fn new(db: Db, public_url: String) -> Self {
        Self { db, public_url }
    }

    fn shown(&self, stored: LocalPullRequest) -> PullRequest {
        PullRequest {
            number: stored.number,
            url: format!("{}/ui/pulls/{}", self.public_url, stored.id),
            head_branch: stored.head_branch,
            state: stored.state,
            draft: stored.draft,
        }
    }
}

fn failed(error: toryo_blackboard::Error) -> Error {
    Error::Store { class: error.class(), source: error.into() }
}

#[async_trait]
impl PullRequestStore for BlackboardPulls {
    async fn find_by_head(&self, repo_url: &str, head_branch: &str) -> Result<Option<PullRequest>, Error> {
        let mut tx = self.db.begin().await.map_err(failed)?;
        let found = pull_requests::by_head(&mut tx, repo_url, head_branch).await.map_err(failed)?;
        Ok(found.map(|stored| self.shown(stored)))
    }

    async fn upsert(&self, request: &NewPullRequest) -> Result<(PullRequest, bool), Error> {
        let mut tx = self.db.begin().await.map_err(failed)?;
        let (stored, created) = pull_requests::upsert(&mut tx, request).await.map_err(failed)?;
        db::commit(tx).await.map_err(failed)?;
        Ok((self.shown(stored), created))
    }
}
