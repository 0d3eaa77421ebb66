//! Executes finished runs again with the agents of this process: replies come from the journal, nothing is published.

use crate::config::Config;
use crate::wiring;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toryo_agents::dry::{DryForge, Seen};
use toryo_agents::{Tools, meaning};
use toryo_api::ports::{ReplayError, Replayer};
use toryo_blackboard::{BlobStore, Run, artifacts};
use toryo_domain::{RunId, StepKey};
use toryo_engine::replay::{Line, Replay};
use toryo_engine::{Agent, Engine};
use toryo_index::vectors::Near;

/// Replays one run at a time.
pub struct LocalReplayer {
    /// The settings: the gateway of a replay is made of them.
    pub config: Config,
    /// Where runs are read.
    pub engine: Engine,
    /// Artifacts and file contents.
    pub blobs: Arc<dyn BlobStore>,
    /// Sandbox and repositories.
    pub tools: Arc<Tools>,
    /// Owns the task.
    pub tasks: TaskTracker,
    /// Ends it.
    pub stop: CancellationToken,
    /// Held while one is under way.
    pub busy: Arc<Mutex<()>>,
}

#[async_trait]
impl Replayer for LocalReplayer {
    async fn start(&self, run: RunId) -> Result<Receiver<Line>, ReplayError> {
        let replay = Replay::read(&self.engine, &*self.blobs, run).await.map_err(|error| match error {
            toryo_blackboard::Error::Conflict(text) => ReplayError::NotPossible(text),
            other => ReplayError::Blackboard(other),
        })?;
        let busy = Arc::clone(&self.busy).try_lock_owned();
        let busy: OwnedMutexGuard<()> = busy.map_err(|_| {
            ReplayError::NotPossible(
                "another replay is under way on this server; try again when it has ended".into(),
            )
        })?;
        let near = self.near(run).await.map_err(ReplayError::Blackboard)?;
        let agents = self.agents(replay.run(), near)?;
        let (sender, lines) = channel(8);
        let (blobs, stop) = (Arc::clone(&self.blobs), self.stop.child_token());
        self.tasks.spawn(async move {
            let _ends_with_the_guard = stop.clone().drop_guard();
            replay.all(&agents, &blobs, &sender, &stop).await;
            drop(busy);
        });
        Ok(lines)
    }
}

impl LocalReplayer {
    /// What the steps of a run found near in meaning when they were executed first.
    async fn near(&self, run: RunId) -> Result<HashMap<StepKey, Vec<Near>>, toryo_blackboard::Error> {
        let mut steps = HashMap::new();
        for artifact in artifacts::of_run(&self.engine.db, run).await? {
            if let Some(step) = artifact.step_key.filter(|_| artifact.kind == meaning::ARTIFACT) {
                let near = meaning::read(&self.blobs.get(&artifact.digest).await?);
                steps.insert(step, near.unwrap_or_default());
            }
        }
        Ok(steps)
    }

    fn agents(
        &self,
        run: &Run,
        near: HashMap<StepKey, Vec<Near>>,
    ) -> Result<Vec<Arc<dyn Agent>>, ReplayError> {
        let not_begun = || ReplayError::NotPossible("the run ended before it read its repository".into());
        let seen = Seen {
            base_branch: run.base_branch.clone().ok_or_else(not_begun)?,
            base_commit: run.base_commit.clone().ok_or_else(not_begun)?,
            pull_request: run.pull_request.clone(),
        };
        let forge = Arc::new(DryForge::new(Arc::clone(&self.tools.forge), seen));
        let tools = wiring::replay_tools(&self.config, &self.engine.db, &self.tools, forge, near);
        let tools = tools.map_err(|error| ReplayError::NotPossible(format!("{error:#}")))?;
        Ok(toryo_agents::agents(Arc::new(tools)))
    }
}
