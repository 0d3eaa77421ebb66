//! What no message announces: leases that ran out, runs over their time, workers that are gone. Woken by a timer and by a
//! signal; takes no input, may run twice and anywhere; every process has one.

use crate::boundary::{Boundary, reached_by};
use crate::commit::{given_back, stop};
use crate::engine::Engine;
use crate::grow::{announce, begin_stopping, follow};
use crate::relay::chain;
use crate::{Failure, agent};
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_blackboard::{Claim, Error, db, leases, reservations, runs, workers};
use toryo_domain::{EventType, FailureClass, Limit, NewEvent, RunId, RunSignal, RunStatus, Stopping};

/// Leases looked at in one round.
const BATCH: i64 = 100;

/// Sweeps every third of a lease until `stop`.
pub async fn run(engine: Engine, stop: CancellationToken) {
    let interval = (engine.config.lease() / 3).max(Duration::from_millis(200));
    loop {
        if let Err(error) = sweep(&engine).await {
            tracing::warn!(error = %chain(&error), "the sweep will be tried again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = engine.sweep_wanted() => {}
            () = tokio::time::sleep(interval) => {}
        }
    }
}

/// One round.
///
/// # Errors
/// The blackboard does not answer.
pub async fn sweep(engine: &Engine) -> Result<(), Error> {
    // One run that cannot be read must not hold up all others.
    for claim in leases::expired(&engine.db, BATCH).await? {
        if let Err(error) = take_back(engine, &claim).await {
            tracing::error!(run = %claim.run_id, error = %chain(&error), "step {} was not taken back", claim.key);
        }
    }
    for run in runs::overdue(&engine.db).await? {
        if let Err(error) = stop_overdue(engine, run).await {
            tracing::error!(%run, error = %chain(&error), "run {run} was not stopped at its time limit");
        }
    }
    reservations::remove_lost(&engine.db).await?;
    workers::remove_gone(&engine.db).await?;
    Ok(())
}

/// Gives a step to another worker whose own is gone or stuck.
async fn take_back(engine: &Engine, claim: &Claim) -> Result<(), Error> {
    reached_by(Boundary::SweepFound, &claim.key).await?;
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, claim.run_id).await?;
    if !leases::is_expired(&mut tx, claim).await? {
        return Ok(());
    }
    let happened = if claim.attempt >= engine.config.attempts {
        let text = format!("its worker was lost {} times in a row; look at the workers' logs", claim.attempt);
        let failure = Failure::new(FailureClass::Transient, text);
        stop(&mut tx, &mut run, claim, &failure, RunSignal::Fail, true).await?
    } else {
        let step = leases::take_back(&mut tx, claim).await?;
        announce(&mut tx, claim.run_id, step, &format!("after-{}", claim.fence), Duration::ZERO).await?;
        let data = json!({ "class": "transient", "reason": agent::WORKER_LOST, "delay_ms": 0 });
        vec![NewEvent::of_step(EventType::StepRetrying, claim.key.clone(), Some(claim.attempt), data)]
    };
    let seq = follow(&mut tx, &mut run, happened).await?;
    reached_by(Boundary::SweepWritten, &claim.key).await?;
    db::commit(tx).await?;
    reached_by(Boundary::SweepCommitted, &claim.key).await?;
    tracing::warn!(run = %claim.run_id, step = %claim.key, "step {} was taken back from a lost worker", claim.key);
    engine.committed(claim.run_id, seq).await;
    Ok(())
}

/// Stops a run whose minutes are used up: its best state becomes a draft, then a person decides; a resume grants as
/// many minutes again.
async fn stop_overdue(engine: &Engine, run: RunId) -> Result<(), Error> {
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
    if run.status != RunStatus::Running || run.control.stopping.is_some() {
        return Ok(());
    }
    let minutes = run.allowance().minutes;
    let reason = format!("the limit of {minutes} minutes is used up; resume to grant as many again");
    let released = leases::release_all(&mut tx, run.id).await?;
    let mut happened: Vec<NewEvent> = released
        .into_iter()
        .map(|(key, attempt)| given_back(key, attempt, "the run's minutes are used up"))
        .collect();
    happened.push(begin_stopping(&mut tx, &mut run, Stopping { limit: Limit::Time, reason }).await?);
    let seq = follow(&mut tx, &mut run, happened).await?;
    db::commit(tx).await?;
    engine.committed(run.id, seq).await;
    Ok(())
}
