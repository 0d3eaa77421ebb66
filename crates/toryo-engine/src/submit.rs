//! A task comes in: one transaction for task, run, trigger, first step, event and outbox row.

use crate::advance::{Graph, Rules, advance};
use crate::boundary::{Boundary, reached};
use crate::engine::Engine;
use serde_json::json;
use toryo_blackboard::triggers::Submission;
use toryo_blackboard::{Control, Idempotency, Trigger, triggers};
use toryo_domain::{Digest, EventType, NewEvent, NewTask, RunId, StepKey, StepKind, TaskId};

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
    let trigger = match idempotency {
        Some(idempotency) => of_key(idempotency),
        None => {
            Trigger { delivery: None, ..of_key(&Idempotency { key: String::new(), digest: digest(wish)? }) }
        }
    };
    triggered(engine, wish, &trigger).await
}

/// Stores the task that a trigger asks for and queues its first run; one of the same delivery, body or logical key
/// gives the run that came of it before.
///
/// # Errors
/// The delivery came with another body before, or the blackboard does not answer; then nothing is stored.
pub async fn triggered(engine: &Engine, wish: &NewTask, trigger: &Trigger) -> Result<Submitted, Error> {
    let (task_id, run_id) = (TaskId::generate(), RunId::generate());
    let facts = json!({
        "task_id": task_id, "repo_url": wish.repo_url, "goal": wish.goal, "priority": wish.priority,
        "approval": wish.approval, "limits": wish.limits,
    });
    let first = first_step(wish);
    let ready = json!({ "role": first.kind.role() });
    let events = [
        NewEvent::of_run(EventType::RunCreated, facts),
        NewEvent::of_step(EventType::StepReady, first.clone(), None, ready),
    ];
    reached(Boundary::SubmitWritten).await?;
    let new = Submission { task: task_id, run: run_id, wish, trigger, first: &first, events: &events };
    let Some(seq) = triggers::submit(&engine.db, &new).await? else {
        let taken = || toryo_blackboard::Error::Conflict("the trigger is taken".into());
        return Ok(before(engine, trigger).await?.ok_or_else(taken)?);
    };
    reached(Boundary::SubmitCommitted).await?;
    engine.committed(run_id, seq).await;
    Ok(Submitted { task_id, run_id, created: true })
}

/// What a run without steps is missing first.
fn first_step(wish: &NewTask) -> StepKey {
    let control = Control::default();
    let rules = Rules { approval: wish.approval, repair_loops: wish.limits.repair_loops, control };
    let next = advance(&Graph::default(), &rules);
    next.unblock.into_iter().next().unwrap_or_else(|| StepKey::of_run(StepKind::Spec))
}

/// What an earlier request with this key stored: for a caller who repeats it, whatever became of the repository since.
///
/// # Errors
/// The key was used for another request, or the blackboard does not answer.
pub async fn earlier(engine: &Engine, idempotency: &Idempotency) -> Result<Option<Submitted>, Error> {
    before(engine, &of_key(idempotency)).await
}

async fn before(engine: &Engine, trigger: &Trigger) -> Result<Option<Submitted>, Error> {
    let Some(earlier) = triggers::earlier(&engine.db, trigger).await? else { return Ok(None) };
    if earlier.same_delivery && !earlier.same_body {
        return Err(Error::KeyReused);
    }
    Ok(Some(Submitted { task_id: earlier.task_id, run_id: earlier.run_id, created: false }))
}

fn of_key(idempotency: &Idempotency) -> Trigger {
    Trigger {
        source: "api",
        delivery: Some(idempotency.key.clone()),
        body: idempotency.digest,
        // Whoever asks twice without a key wants two runs.
        once_a_body: false,
        logical_key: None,
    }
}

fn digest(wish: &NewTask) -> Result<Digest, Error> {
    let text = serde_json::to_vec(wish).map_err(|error| toryo_blackboard::Error::corrupt("wish", error))?;
    Ok(Digest::of(text))
}
