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
use toryo_blackboard::{Run, db, events, messages, runs, steps};
use toryo_domain::{EventType, Gate, NewEvent, RunId, RunSignal, RunStatus};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The run's status does not allow it; the text says what would be possible.
    #[error("{0}")]
    NotPossible(String),
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
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
    let gate = gate(&run)?;
    if let Some(comment) = comment {
        messages::insert(&mut tx, run.id, by, comment).await?;
    }
    match gate {
        Gate::Plan => run.control.approved_plan = Some(run.control.plan_rounds),
        Gate::PullRequest => run.control.approved_merge = Some(merge_round(&mut tx, &run).await?),
    }
    let data = json!({ "gate": gate, "approved": true, "comment": comment });
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
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
    let gate = gate(&run)?;
    let Some(comment) = comment else {
        return end(engine, tx, &mut run, by, Some("rejected without a comment")).await;
    };
    messages::insert(&mut tx, run.id, by, comment).await?;
    match gate {
        Gate::Plan => run.control.plan_rounds += 1,
        Gate::PullRequest => run.control.merge_rounds = merge_round(&mut tx, &run).await? + 1,
    }
    let data = json!({ "gate": gate, "approved": false, "comment": comment });
    decided(engine, tx, &mut run, by, data).await
}

/// Writes to the agents of a run, who see it with their next step; in a run that waits for input it answers the
/// open questions and lets the run go on.
///
/// # Errors
/// The run has ended.
pub async fn message(engine: &Engine, run: RunId, author: &str, body: &str) -> Result<RunStatus, Error> {
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
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

fn gate(run: &Run) -> Result<Gate, Error> {
    match (run.status, run.gate) {
        (RunStatus::WaitingForApproval, Some(gate)) => Ok(gate),
        (status, _) => Err(Error::NotPossible(format!("the run is {status}: it does not wait for approval"))),
    }
}

async fn merge_round(tx: &mut Connection, run: &Run) -> Result<u32, Error> {
    let rows = steps::of_run_in(tx, run.id).await?;
    let merges = rows.iter().filter(|row| row.key.kind == toryo_domain::StepKind::Merge);
    Ok(merges.map(|row| row.key.round).max().unwrap_or(1))
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
    Ok(run.status)
}
