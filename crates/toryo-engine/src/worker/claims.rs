//! How a worker comes to a step.

use super::Worker;
use crate::boundary::{Boundary, reached, reached_by};
use crate::commit::Next;
use crate::relay::chain;
use crate::version;
use serde_json::{Value, json};
use std::time::Duration;
use toryo_blackboard::{Claim, Claimant, Claimed, Error, db, leases, outcomes};
use toryo_domain::{EventType, NewEvent, Role, StepId, WorkerId};

/// What one look came to; see [`Claimed`].
enum Look {
    Lease(Box<Next>),
    Busy,
    Nothing,
    Unreadable(StepId),
}

/// What a worker found.
pub(super) enum Found {
    /// A lease, and the run as it was then.
    Step(Box<Next>),
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

    /// Leases the most urgent step; looks so often where others are about to take what is due.
    pub(super) async fn claim(&self, looks: u64) -> Result<Found, Error> {
        reached(Boundary::WokenUp).await?;
        let claimant = self.claimant();
        let mut unreadable = Vec::new();
        let mut look = 0;
        while look < looks {
            match self.look(&claimant, &unreadable).await? {
                Look::Lease(next) => return Ok(Found::Step(next)),
                Look::Nothing => return Ok(Found::Nothing),
                Look::Unreadable(step) => {
                    // One step that cannot be read must not hold up all others.
                    tracing::error!(%step, "step {step} cannot be read");
                    unreadable.push(step);
                }
                Look::Busy => {
                    look += 1;
                    if look < looks {
                        tokio::time::sleep(pause(self.id, look)).await;
                    }
                }
            }
        }
        Ok(Found::Busy)
    }

    async fn look(&self, claimant: &Claimant, except: &[StepId]) -> Result<Look, Error> {
        let mut tx = self.engine.db.begin().await?;
        let (claim, seq) =
            match leases::claim(&mut tx, claimant, self.engine.config.ceilings(), except).await? {
                Claimed::Lease(claim, seq) => (claim, seq),
                Claimed::Busy => return Ok(Look::Busy),
                Claimed::Nothing => return Ok(Look::Nothing),
                Claimed::Unreadable(step) => return Ok(Look::Unreadable(step)),
            };
        let view = match outcomes::see_in(&mut tx, claim.run_id).await {
            Err(error @ Error::Corrupt { .. }) => {
                tracing::error!(run = %claim.run_id, error = %chain(&error), "run {} cannot be read", claim.run_id);
                return Ok(Look::Unreadable(claim.step_id));
            }
            seen => seen?,
        };
        reached_by(Boundary::ClaimWritten, &claim.key).await?;
        db::commit(tx).await?;
        reached_by(Boundary::ClaimCommitted, &claim.key).await?;
        self.engine.told(claim.run_id, seq).await;
        Ok(Look::Lease(Box::new(Next { claim, view: Some(view) })))
    }
}

/// Says that an attempt began.
pub(crate) fn started(claim: &Claim, worker: WorkerId) -> NewEvent {
    let data = starting(claim.key.kind.role(), worker);
    NewEvent::of_step(EventType::StepStarted, claim.key.clone(), Some(claim.attempt), data)
}

/// The facts of an attempt that begins.
pub(crate) fn starting(role: Role, worker: WorkerId) -> Value {
    json!({ "role": role, "worker_id": worker })
}

/// A few milliseconds, another time for each worker, so that those that met do not meet again.
fn pause(worker: WorkerId, look: u64) -> Duration {
    let spread = worker.uuid().as_u64_pair().1.wrapping_mul(look.wrapping_mul(2) + 1) >> 60;
    Duration::from_millis(2 * look + spread)
}
