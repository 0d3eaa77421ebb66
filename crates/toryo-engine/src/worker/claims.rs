//! How a worker comes to a step.

use super::Worker;
use crate::boundary::{Boundary, reached, reached_by};
use crate::relay::chain;
use crate::version;
use serde_json::json;
use std::time::Duration;
use toryo_blackboard::{Claim, Claimant, Claimed, Error, db, events, leases, runs};
use toryo_domain::{EventType, NewEvent, RunSignal, RunStatus, StepId, WorkerId};

/// Looks in a row at steps that others are about to take.
const LOOKS: u64 = 6;

/// What a worker found.
pub(super) enum Found {
    /// A lease.
    Step(Claim),
    /// Others were faster; there may be more in a moment.
    Busy,
    /// Nothing that may run now.
    Nothing,
}

impl Worker {
    /// Who it is and what it can do.
    pub(super) fn claimant(&self) -> Claimant {
        Claimant {
            worker: self.id,
            roles: self.agents.keys().copied().collect(),
            lease: self.engine.config.lease(),
            version: version::VERSION,
        }
    }

    /// Leases the most urgent step, and starts its run with the first one.
    pub(super) async fn claim(&self) -> Result<Found, Error> {
        reached(Boundary::WokenUp).await?;
        let claimant = self.claimant();
        let mut unreadable = Vec::new();
        let mut look = 0;
        while look < LOOKS {
            match self.look(&claimant, &unreadable).await? {
                Claimed::Lease(claim, _) => return Ok(Found::Step(claim)),
                Claimed::Nothing => return Ok(Found::Nothing),
                Claimed::Unreadable(step) => {
                    // One step that cannot be read must not hold up all others.
                    tracing::error!(%step, "step {step} cannot be read");
                    unreadable.push(step);
                }
                Claimed::Busy => {
                    look += 1;
                    tokio::time::sleep(pause(self.id, look)).await;
                }
            }
        }
        Ok(Found::Busy)
    }

    async fn look(&self, claimant: &Claimant, except: &[StepId]) -> Result<Claimed, Error> {
        let mut tx = self.engine.db.begin().await?;
        let claimed = leases::claim(&mut tx, claimant, self.engine.config.ceilings(), except).await?;
        let Claimed::Lease(claim, status) = &claimed else { return Ok(claimed) };
        let mut happened = Vec::new();
        if *status == RunStatus::Queued {
            let mut run = match runs::lock(&mut tx, claim.run_id).await {
                Err(error @ Error::Corrupt { .. }) => {
                    tracing::error!(run = %claim.run_id, error = %chain(&error), "run {} cannot be read", claim.run_id);
                    return Ok(Claimed::Unreadable(claim.step_id));
                }
                locked => locked?,
            };
            runs::signal(&mut tx, &mut run, RunSignal::Start, None, None).await?;
            happened.push(NewEvent::of_run(EventType::RunStarted, json!({})));
        }
        happened.push(started(claim, self.id));
        let seq = events::append(&mut tx, claim.run_id, &happened).await?;
        reached_by(Boundary::ClaimWritten, &claim.key).await?;
        db::commit(tx).await?;
        reached_by(Boundary::ClaimCommitted, &claim.key).await?;
        self.engine.committed(claim.run_id, seq).await;
        Ok(claimed)
    }
}

/// Says that an attempt began.
pub(crate) fn started(claim: &Claim, worker: WorkerId) -> NewEvent {
    let data = json!({ "role": claim.key.kind.role(), "worker_id": worker });
    NewEvent::of_step(EventType::StepStarted, claim.key.clone(), Some(claim.attempt), data)
}

/// A few milliseconds, another time for each worker, so that those that met do not meet again.
fn pause(worker: WorkerId, look: u64) -> Duration {
    let spread = worker.uuid().as_u64_pair().1.wrapping_mul(look.wrapping_mul(2) + 1) >> 60;
    Duration::from_millis(2 * look + spread)
}
