//! What people do with a run: cancel, pause, resume, retry, go back, change limits, approve, reject, write, fork. Each is
//! one transaction that changes what was decided and lets the graph grow from it.

mod fork;
mod limits;
mod pause;
mod resume;
mod rewind;

pub use fork::{Fork, fork};
pub use limits::{LimitChange, set_limits};
pub use pause::pause;
pub use resume::{resume, resume_with, retry};
pub use rewind::retry_from;

use crate::boundary::{Boundary, reached};
use crate::engine::Engine;
use crate::grow::grow;
use serde_json::{Value, json};
use toryo_blackboard::db::Connection;
use toryo_blackboard::{Idempotency, Run, StepRow, db, events, idempotency, messages, runs, steps};
use toryo_domain::{EventType, Gate, NewEvent, RunId, RunSignal, RunStatus, StepKind};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The run's status does not allow it; the text says what would be possible.
    #[error("{0}")]
    NotPossible(String),
    /// The idempotency key came with another request before.
    #[error("the idempotency key was used for another request; use a new key")]
    KeyReused,
    /// The run does not exist, or the blackboard failed.
    #[error(transparent)]
    Blackboard(toryo_blackboard::Error),
}

impl From<toryo_blackboard::Error> for Error {
    fn from(error: toryo_blackboard::Error) -> Self {
        match error {
            toryo_blackboard::Error::Conflict(text) => Self::NotPossible(text),
            other => Self::Blackboard(other),
        }
    }
}

/// Ends a run. Its model calls and sandbox commands end within a second; everything so far is kept.
///
/// # Errors
/// The run has ended already.
pub async fn cancel(engine: &Engine, run: RunId, by: &str, reason: Option<&str>) -> Result<RunStatus, Error> {
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
    end(engine, tx, &mut run, by, reason).await
}

async fn end(
    engine: &Engine,
    mut tx: db::Tx,
    run: &mut Run,
    by: &str,
    reason: Option<&str>,
) -> Result<RunStatus, Error> {
    runs::signal(&mut tx, run, RunSignal::Cancel, reason, None).await?;
    steps::cancel_all(&mut tx, run.id).await?;
    let event = NewEvent::of_run(EventType::RunCancelled, json!({ "by": by, "reason": reason }));
    let seq = events::append(&mut tx, run.id, &[event]).await?;
    finish(engine, tx, run, seq).await
}

/// The gate that a person decided about, as they saw it: a repeated approval must not open the next one. What is `None`
/// is whatever the run waits with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// The gate.
    pub gate: Option<Gate>,
    /// Its round, counted from 1: one more with each rejection.
    pub round: Option<u32>,
}

/// Approves what the run waits with.
///
/// # Errors
/// The run does not wait for approval.
pub async fn approve(
    engine: &Engine,
    run: RunId,
    by: &str,
    comment: Option<&str>,
) -> Result<RunStatus, Error> {
    approve_seen(engine, run, by, comment, Seen::default()).await
}

/// As [`approve`], if the run still waits with what was seen.
///
/// # Errors
/// The run does not wait for approval, or with something else.
pub async fn approve_seen(
    engine: &Engine,
    run: RunId,
    by: &str,
    comment: Option<&str>,
    seen: Seen,
) -> Result<RunStatus, Error> {
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
    let (gate, round) = gate(&mut tx, &run, seen).await?;
    if let Some(comment) = comment {
        messages::insert(&mut tx, run.id, by, comment).await?;
    }
    match gate {
        Gate::Plan => run.control.approved_plan = Some(round),
        Gate::PullRequest => run.control.approved_merge = Some(round),
    }
    let data = json!({ "gate": gate, "round": round, "approved": true, "comment": comment });
    decided(engine, tx, &mut run, by, data).await
}

/// Rejects what the run waits with. With a comment another round is made that heeds it; without one the run ends.
///
/// # Errors
/// The run does not wait for approval.
pub async fn reject(
    engine: &Engine,
    run: RunId,
    by: &str,
    comment: Option<&str>,
) -> Result<RunStatus, Error> {
    reject_seen(engine, run, by, comment, Seen::default()).await
}

/// As [`reject`], if the run still waits with what was seen.
///
/// # Errors
/// The run does not wait for approval, or with something else.
pub async fn reject_seen(
    engine: &Engine,
    run: RunId,
    by: &str,
    comment: Option<&str>,
    seen: Seen,
) -> Result<RunStatus, Error> {
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
    let (gate, round) = gate(&mut tx, &run, seen).await?;
    let Some(comment) = comment else {
        return end(engine, tx, &mut run, by, Some("rejected without a comment")).await;
    };
    messages::insert(&mut tx, run.id, by, comment).await?;
    match gate {
        Gate::Plan => run.control.plan_rounds += 1,
        Gate::PullRequest => run.control.merge_rounds = round + 1,
    }
    let data = json!({ "gate": gate, "round": round, "approved": false, "comment": comment });
    decided(engine, tx, &mut run, by, data).await
}

/// Writes to the agents of a run, who see it with their next step; in a run that waits for input it answers the
/// open questions and lets the run go on.
///
/// # Errors
/// The run has ended.
pub async fn message(engine: &Engine, run: RunId, author: &str, body: &str) -> Result<RunStatus, Error> {
    message_once(engine, run, author, body, None).await
}

/// As [`message`]; with a key a repeated message is written once.
///
/// # Errors
/// The run has ended, or the key came with another message.
pub async fn message_once(
    engine: &Engine,
    run: RunId,
    author: &str,
    body: &str,
    key: Option<&Idempotency>,
) -> Result<RunStatus, Error> {
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
    if let Some(key) = key {
        match idempotency::take(&mut tx, &format!("messages of {}", run.id), key).await? {
            idempotency::Seen::First => {}
            idempotency::Seen::Before => return Ok(run.status),
            idempotency::Seen::Other => return Err(Error::KeyReused),
        }
    }
    if run.status.is_final() {
        return Err(Error::NotPossible(format!("the run is {}: nobody reads messages any more", run.status)));
    }
    messages::insert(&mut tx, run.id, author, body).await?;
    let event = NewEvent::of_run(EventType::MessageReceived, json!({ "author": author, "body": body }));
    if run.status != RunStatus::WaitingForInput {
        let seq = events::append(&mut tx, run.id, &[event]).await?;
        return finish(engine, tx, &run, seq).await;
    }
    runs::signal(&mut tx, &mut run, RunSignal::Resume, None, None).await?;
    run.control.spec_rounds += 1;
    runs::set_control(&mut tx, run.id, &run.control).await?;
    let seq = grow(&mut tx, &mut run, vec![event, resumed(author, json!({ "answered": true }))]).await?;
    finish(engine, tx, &run, seq).await
}

/// The gate a run waits at, and its round.
async fn gate(tx: &mut Connection, run: &Run, seen: Seen) -> Result<(Gate, u32), Error> {
    let (RunStatus::WaitingForApproval, Some(gate)) = (run.status, run.gate) else {
        return Err(Error::NotPossible(format!("the run is {}: it does not wait for approval", run.status)));
    };
    let round = match gate {
        Gate::Plan => run.control.plan_rounds,
        Gate::PullRequest => gate_round(run, &steps::of_run_in(tx, run.id).await?).unwrap_or(1),
    };
    if seen.gate.is_some_and(|seen| seen != gate) || seen.round.is_some_and(|seen| seen != round) {
        let text = format!("the run waits with round {round} of `{gate}`, not with what was decided about");
        return Err(Error::NotPossible(text));
    }
    Ok((gate, round))
}

/// The round of the gate that a run waits at, counted from 1.
#[must_use]
pub fn gate_round(run: &Run, steps: &[StepRow]) -> Option<u32> {
    match run.gate? {
        Gate::Plan => Some(run.control.plan_rounds),
        Gate::PullRequest => {
            let merges = steps.iter().filter(|row| row.key.kind == StepKind::Merge);
            Some(merges.map(|row| row.key.round).max().unwrap_or(1))
        }
    }
}

fn resumed(by: &str, mut data: Value) -> NewEvent {
    data["by"] = json!(by);
    NewEvent::of_run(EventType::RunResumed, data)
}

async fn decided(
    engine: &Engine,
    mut tx: db::Tx,
    run: &mut Run,
    by: &str,
    data: Value,
) -> Result<RunStatus, Error> {
    runs::signal(&mut tx, run, RunSignal::Resume, None, None).await?;
    runs::set_control(&mut tx, run.id, &run.control).await?;
    let seq = grow(&mut tx, run, vec![resumed(by, data)]).await?;
    finish(engine, tx, run, seq).await
}

async fn finish(engine: &Engine, tx: db::Tx, run: &Run, seq: u64) -> Result<RunStatus, Error> {
    reached(Boundary::ControlWritten).await?;
    db::commit(tx).await?;
    reached(Boundary::ControlCommitted).await?;
    engine.committed(run.id, seq).await;
    // What the run executes may be wanted no longer: whoever holds its leases looks at once.
    engine.bus.order().await;
    Ok(run.status)
}
