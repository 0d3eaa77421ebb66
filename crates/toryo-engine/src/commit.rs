//! The outcome of an attempt: one transaction, refused when the fencing token is stale.

use crate::Failure;
use crate::at_once::{self, kept};
use crate::boundary::{Boundary, reached_by};
use crate::engine::Engine;
use crate::grow::{Heir, announce, begin_stopping, follow, grow_for};
use crate::settle::{Settlement, settle};
use crate::summary::summary;
use serde_json::json;
use std::time::Duration;
use toryo_blackboard::db::Connection;
use toryo_blackboard::outcomes::View;
use toryo_blackboard::steps::Written;
use toryo_blackboard::{
    Claim, Claimant, Error, Run, StepFailure, db, dead_letters, leases, outbox, runs, steps,
};
use toryo_domain::{
    EventType, FailureClass, Limit, NewEvent, Output, RunSignal, RunStatus, StepKey, StepKind, Stopping,
};

/// The step that a worker goes on with.
#[derive(Debug)]
pub struct Next {
    /// Its lease.
    pub claim: Claim,
    /// The run as the commit left it that took the lease, so that nobody need look again; `None` where that is not known.
    pub view: Option<View>,
}

/// Stores what an attempt achieved and whatever follows from it.
///
/// # Errors
/// [`Error::StaleFence`] where the lease was lost: then nothing is written.
pub async fn success(engine: &Engine, claim: &Claim, output: &Output) -> Result<(), Error> {
    success_then(engine, None, claim, output, None).await.map(|_| ())
}

/// As [`success`], and leases a step that it made ready to `heir` in the same commit, where nobody waits who comes first.
/// `view` is what the worker saw of the run last.
///
/// # Errors
/// [`Error::StaleFence`] where the lease was lost: then nothing is written.
pub async fn success_then(
    engine: &Engine,
    view: Option<View>,
    claim: &Claim,
    output: &Output,
    heir: Option<&Claimant>,
) -> Result<Option<Next>, Error> {
    if output.kind() != claim.key.kind {
        return Err(Error::Conflict(format!("step `{}` left an output of `{}`", claim.key, output.kind())));
    }
    if let Some(next) = at_once::success(engine, view, claim, output, heir).await? {
        return Ok(next);
    }
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, claim.run_id).await?;
    reached_by(Boundary::OutcomeLocked, &claim.key).await?;
    if steps::succeed(&mut tx, claim, output).await? == Written::Before {
        return Ok(leases::followed(&mut tx, claim).await?.map(|claim| Next { claim, view: None }));
    }
    remember(&mut tx, &run, claim, output).await?;
    let event =
        NewEvent::of_step(EventType::StepSucceeded, claim.key.clone(), Some(claim.attempt), summary(output));
    let mut heir = heir.map(|claimant| Heir { done: claim, claimant, next: None });
    let seq = grow_for(&mut tx, &mut run, vec![event], heir.as_mut()).await?;
    let next = heir.and_then(|heir| Some(Next { claim: heir.next?, view: None }));
    reached_by(Boundary::OutcomeWritten, &claim.key).await?;
    db::commit(tx).await?;
    reached_by(Boundary::OutcomeCommitted, &claim.key).await?;
    engine.committed(claim.run_id, seq).await;
    Ok(next)
}

/// What the run itself keeps of an output.
async fn remember(tx: &mut Connection, run: &Run, claim: &Claim, output: &Output) -> Result<(), Error> {
    runs::keep(tx, run.id, &kept(claim, output)?).await
}

/// Stores why an attempt failed and whatever follows from it.
///
/// # Errors
/// [`Error::StaleFence`] where the lease was lost: then nothing is written.
pub async fn failure(engine: &Engine, claim: &Claim, failure: &Failure) -> Result<(), Error> {
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, claim.run_id).await?;
    reached_by(Boundary::OutcomeLocked, &claim.key).await?;
    let settlement = settle(failure, claim.attempt, claim.fence.unsigned_abs(), &engine.config);
    let happened = match settlement {
        Settlement::Retry(delay) => again(&mut tx, claim, failure, delay).await?,
        Settlement::HandBack => hand_back(&mut tx, claim, &failure.text).await?,
        Settlement::Stop { signal, exhausted } => {
            stop(&mut tx, &mut run, claim, failure, signal, exhausted).await?
        }
    };
    let seq = follow(&mut tx, &mut run, happened).await?;
    reached_by(Boundary::OutcomeWritten, &claim.key).await?;
    db::commit(tx).await?;
    reached_by(Boundary::OutcomeCommitted, &claim.key).await?;
    engine.committed(claim.run_id, seq).await;
    Ok(())
}

async fn again(
    tx: &mut Connection,
    claim: &Claim,
    failure: &Failure,
    delay: Duration,
) -> Result<Vec<NewEvent>, Error> {
    let reason = StepFailure { class: failure.class, text: failure.text.clone() };
    let step = steps::retry(tx, claim, &reason, delay).await?;
    announce(tx, claim.run_id, step, &format!("after-{}", claim.fence), delay).await?;
    let data = json!({
        "class": failure.class, "reason": failure.text, "delay_ms": u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
    });
    Ok(vec![NewEvent::of_step(EventType::StepRetrying, claim.key.clone(), Some(claim.attempt), data)])
}

/// Puts a step back to the queue whose worker cannot go on with it.
pub(crate) async fn hand_back(tx: &mut Connection, claim: &Claim, why: &str) -> Result<Vec<NewEvent>, Error> {
    let step = leases::give_back(tx, claim, why).await?;
    announce(tx, claim.run_id, step, &format!("after-{}", claim.fence), Duration::ZERO).await?;
    Ok(vec![given_back(claim.key.clone(), claim.attempt, why)])
}

/// Says that an attempt ended without an outcome and without a fault.
pub(crate) fn given_back(key: StepKey, attempt: u32, why: &str) -> NewEvent {
    let data = json!({ "class": "cancelled", "reason": why, "delay_ms": 0 });
    NewEvent::of_step(EventType::StepRetrying, key, Some(attempt), data)
}

/// Ends a step for good, and stops the run.
pub(crate) async fn stop(
    tx: &mut Connection,
    run: &mut Run,
    claim: &Claim,
    failure: &Failure,
    signal: RunSignal,
    exhausted: bool,
) -> Result<Vec<NewEvent>, Error> {
    let reason = StepFailure { class: failure.class, text: failure.text.clone() };
    if steps::fail(tx, claim, &reason).await? == Written::Before {
        return Ok(vec![]);
    }
    let data = json!({ "class": failure.class, "reason": failure.text, "exhausted": exhausted });
    let mut happened =
        vec![NewEvent::of_step(EventType::StepFailed, claim.key.clone(), Some(claim.attempt), data.clone())];
    if exhausted {
        dead_letters::insert(tx, claim, &reason).await?;
        let letter = json!({
            "version": 1, "run_id": claim.run_id, "step_id": claim.step_id, "step_key": claim.key,
            "attempts": claim.attempt, "class": failure.class, "reason": failure.text,
        });
        outbox::push(
            tx,
            "step_dead",
            &format!("{}:{}:dead", claim.step_id, claim.fence),
            &letter,
            Duration::ZERO,
        )
        .await?;
    }
    if claim.key.kind == StepKind::Draft {
        // The run stops at its limit all the same, without a draft.
        return Ok(happened);
    }
    if failure.class == FailureClass::Budget
        && run.status == RunStatus::Running
        && run.control.stopping.is_none()
    {
        let reason = format!("step `{}`: {}", claim.key, failure.text);
        happened.push(begin_stopping(tx, run, Stopping { limit: Limit::Budget, reason }).await?);
        return Ok(happened);
    }
    if run.status.after(signal).is_ok() {
        let text = format!("step `{}`: {}", claim.key, failure.text);
        runs::signal(tx, run, signal, Some(&text), None).await?;
        if run.status.is_final() {
            // No event may follow the run's last one, so other attempts lose their leases; a retry gives them back.
            for (key, attempt) in steps::release_all(tx, run.id).await? {
                happened.push(given_back(key, attempt, "the run failed elsewhere"));
            }
        }
        let event = if signal == RunSignal::Fail { EventType::RunFailed } else { EventType::RunNeedsHuman };
        happened.push(NewEvent::of_run(event, json!({ "class": failure.class, "reason": text })));
    }
    Ok(happened)
}
