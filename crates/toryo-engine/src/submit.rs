//! A task comes in: one transaction for task, run, first step, event and outbox row.

use crate::boundary::{Boundary, reached};
use crate::engine::Engine;
use crate::grow::grow;
use serde_json::json;
use toryo_blackboard::{Idempotency, db, repos, runs, tasks};
use toryo_domain::{EventType, NewEvent, NewTask, RunId, TaskId};

/// A task that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// The task.
    pub task_id: TaskId,
    /// Its first run.
    pub run_id: RunId,
    /// `false` where an earlier request with the same key made it.
    pub created: bool,
}

/// Why a task is not stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The idempotency key came with another request before.
    #[error("the idempotency key was used for another request; use a new key")]
    KeyReused,
    /// The blackboard failed.
    #[error(transparent)]
    Blackboard(#[from] toryo_blackboard::Error),
}

/// Stores a checked task and queues its first run. With an idempotency key a repeated request gives the same run.
///
/// # Errors
/// The key was used for another request, or the blackboard does not answer; then nothing is stored.
pub async fn submit(
    engine: &Engine,
    wish: &NewTask,
    idempotency: Option<&Idempotency>,
) -> Result<Submitted, Error> {
    let mut tx = engine.db.begin().await?;
    let repo = repos::ensure(&mut tx, &wish.repo_url).await?;
    let Some(task_id) = tasks::insert(&mut tx, repo, wish, idempotency).await? else {
        let taken = || toryo_blackboard::Error::Conflict("the idempotency key is taken".into());
        let wanted = idempotency.ok_or_else(taken)?;
        return Ok(by_key(&mut tx, wanted).await?.ok_or_else(taken)?);
    };
    let run_id = runs::insert(&mut tx, task_id).await?;
    let mut run = runs::lock(&mut tx, run_id).await?;
    let facts = json!({
        "task_id": task_id, "repo_url": wish.repo_url, "goal": wish.goal, "priority": wish.priority,
        "approval": wish.approval, "limits": wish.limits,
    });
    let seq = grow(&mut tx, &mut run, vec![NewEvent::of_run(EventType::RunCreated, facts)]).await?;
    reached(Boundary::SubmitWritten).await?;
    db::commit(tx).await?;
    reached(Boundary::SubmitCommitted).await?;
    engine.committed(run_id, seq).await;
    Ok(Submitted { task_id, run_id, created: true })
}

/// What an earlier request with this key stored: for a caller who repeats it, whatever became of the repository since.
///
/// # Errors
/// The key was used for another request, or the blackboard does not answer.
pub async fn earlier(engine: &Engine, idempotency: &Idempotency) -> Result<Option<Submitted>, Error> {
    let mut tx = engine.db.begin().await?;
    by_key(&mut tx, idempotency).await
}

async fn by_key(tx: &mut db::Connection, wanted: &Idempotency) -> Result<Option<Submitted>, Error> {
    match tasks::by_key(tx, &wanted.key).await? {
        None => Ok(None),
        Some((task_id, run_id, digest)) if digest == Some(wanted.digest) => {
            Ok(Some(Submitted { task_id, run_id, created: false }))
        }
        Some(_) => Err(Error::KeyReused),
    }
}
