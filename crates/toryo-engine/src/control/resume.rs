//! Going on: a run that stopped at a limit or a guardrail, or that a person paused, and steps that failed.

use super::limits::LimitChange;
use super::{Error, finish, resumed};
use crate::advance::draft_key;
use crate::engine::Engine;
use crate::grow::{announce_again, grow};
use serde_json::json;
use toryo_blackboard::{Run, StepRow, db, runs, steps};
use toryo_domain::{EventType, NewEvent, RunId, RunSignal, RunStatus, StepKey, StepKind, StepStatus};

/// Lets a run go on that stopped at a limit or a guardrail: what failed is tried again, and as much as the limits name is
/// granted once more. A paused run goes on where it stood, with what it had left.
///
/// # Errors
/// The run is not stopped so.
pub async fn resume(engine: &Engine, run: RunId, by: &str) -> Result<RunStatus, Error> {
    resume_with(engine, run, by, &LimitChange::default()).await
}

/// As [`resume`], but with new limits in place of as much once more, where any are named.
///
/// # Errors
/// The run is not stopped so, or a limit is below what is used already.
pub async fn resume_with(
    engine: &Engine,
    run: RunId,
    by: &str,
    limits: &LimitChange,
) -> Result<RunStatus, Error> {
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
    match run.status {
        RunStatus::NeedsHuman => {}
        RunStatus::WaitingForInput => {
            return Err(Error::NotPossible("the run waits for answers: send them as a message".into()));
        }
        RunStatus::WaitingForApproval => {
            return Err(Error::NotPossible("the run waits for approval: approve or reject it".into()));
        }
        RunStatus::Queued
        | RunStatus::Running
        | RunStatus::Succeeded
        | RunStatus::Failed
        | RunStatus::Cancelled => {
            return Err(Error::NotPossible(format!("the run is {}: there is nothing to resume", run.status)));
        }
    }
    if !limits.is_empty() {
        limits.apply(&mut run)?;
    } else if !run.control.paused {
        grant(&mut run);
    }
    go_on(engine, tx, &mut run, RunSignal::Resume, by, None).await
}

/// Tries failed steps again, all or the one named; what is upstream of them is kept.
///
/// # Errors
/// The run neither failed nor stopped, or the named step has not failed.
pub async fn retry(
    engine: &Engine,
    run: RunId,
    by: &str,
    step: Option<&StepKey>,
) -> Result<RunStatus, Error> {
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
    if !matches!(run.status, RunStatus::NeedsHuman | RunStatus::Failed) {
        return Err(Error::NotPossible(format!("the run is {}: nothing failed", run.status)));
    }
    grant(&mut run);
    go_on(engine, tx, &mut run, RunSignal::Retry, by, step).await
}

async fn go_on(
    engine: &Engine,
    mut tx: db::Tx,
    run: &mut Run,
    signal: RunSignal,
    by: &str,
    only: Option<&StepKey>,
) -> Result<RunStatus, Error> {
    runs::signal(&mut tx, run, signal, None, None).await?;
    let rows = steps::of_run_in(&mut tx, run.id).await?;
    // A draft is made anew when the next limit is hit, never again.
    let failed: Vec<&StepKey> = rows
        .iter()
        .filter(|row| row.status == StepStatus::Failed && row.key.kind != StepKind::Draft)
        .filter(|row| only.is_none_or(|only| *only == row.key))
        .map(|row| &row.key)
        .collect();
    if let (Some(only), true) = (only, failed.is_empty()) {
        return Err(Error::NotPossible(format!("step `{only}` has not failed")));
    }
    start_over(run, &rows);
    runs::set_control(&mut tx, run.id, &run.control).await?;
    let mut happened = vec![resumed(by, json!({ "retried": failed }))];
    for key in failed {
        steps::reopen(&mut tx, run.id, key).await?;
        happened.push(NewEvent::of_step(
            EventType::StepReady,
            key.clone(),
            None,
            json!({ "role": key.kind.role() }),
        ));
    }
    announce_again(&mut tx, run).await?;
    let seq = grow(&mut tx, run, happened).await?;
    finish(engine, tx, run, seq).await
}

/// As much as the limits name, once more.
pub(super) fn grant(run: &mut Run) {
    let granted = &mut run.control;
    granted.extra_repairs = granted.extra_repairs.saturating_add(run.limits.repair_loops.max(1));
    granted.extra_minutes = granted.extra_minutes.saturating_add(run.limits.minutes);
    granted.extra_usd += run.limits.usd;
    granted.extra_tokens = granted.extra_tokens.saturating_add(run.limits.tokens);
}

/// Forgets that the run stopped: the next limit makes another draft, of the same branch and pull request.
pub(super) fn start_over(run: &mut Run, rows: &[StepRow]) {
    run.control.stopping = None;
    run.control.paused = false;
    let draft = draft_key(&run.control);
    if rows.iter().any(|row| row.key == draft) {
        run.control.drafts += 1;
    }
}
