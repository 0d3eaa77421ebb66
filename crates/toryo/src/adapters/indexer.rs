//! Builds a repository's code index when somebody asks for it, so that its next run starts at once.

use async_trait::async_trait;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toryo_agents::Tools;
use toryo_api::ports::{IndexError, Indexer};
use toryo_blackboard::{Db, Repo, repos};
use toryo_domain::RepoId;

/// Builds indexes in the background, one of each repository at a time.
pub struct BackgroundIndexer {
    /// Forge and index cache.
    pub tools: Arc<Tools>,
    /// Where the end is noted.
    pub db: Db,
    /// Owns the tasks.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
    /// Those at work.
    pub busy: Arc<Mutex<HashSet<RepoId>>>,
}

#[async_trait]
impl Indexer for BackgroundIndexer {
    async fn start(&self, repo: &Repo) -> Result<(), IndexError> {
        if !self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(repo.id) {
            return Ok(());
        }
        let (tools, db, stop, busy, repo) =
            (self.tools.clone(), self.db.clone(), self.stop.clone(), self.busy.clone(), repo.clone());
        self.tasks.spawn(async move {
            if let Err(error) = build(&tools, &db, &repo, &stop).await {
                tracing::warn!(repo = %repo.id, error = %format!("{error:#}"), "repository {} was not indexed", repo.id);
            }
            busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&repo.id);
        });
        Ok(())
    }
}

async fn build(tools: &Arc<Tools>, db: &Db, repo: &Repo, stop: &CancellationToken) -> anyhow::Result<()> {
    let checkout = tools.forge.fetch(&repo.url, None, stop).await?;
    tokio::select! {
        built = toryo_agents::index_commit(tools, &checkout.mirror, &checkout.commit) => { built?; }
        // Dropping the build ends it.
        () = stop.cancelled() => return Ok(()),
    }
    repos::mark_indexed(db, repo.id, &checkout.commit).await?;
    toryo_agents::embed_commit(tools, &repo.url, &checkout.mirror, &checkout.commit, stop).await?;
    Ok(())
}
