//! One attempt: execute a leased step, commit what came of it, acknowledge. Where its outcome made the next step ready,
//! the same commit may have leased that one too, and the worker goes on with it.

use super::Worker;
use crate::agent::{HumanMessage, Orders, StepContext};
use crate::boundary::{Boundary, reached_by};
use crate::commit::Next;
use crate::inbox::Inbox;
use crate::relay::chain;
use crate::report::{LeaseReporter, patiently};
use crate::{Failure, commit, version};
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_blackboard::outcomes::{self, View};
use toryo_blackboard::{Claim, Error, leases};
use toryo_bus::Wakeup;
use toryo_domain::{FailureClass, Output};

/// How often a message is told that its step is still worked on: well below the bus' time limit.
const STILL_WORKING: Duration = Duration::from_secs(10);

/// How long an agent that was told to stop may still take before its work is dropped.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

impl Worker {
    /// Executes a leased step and those that follow it one by one, until another one comes first or the worker stops.
    pub(super) async fn work(&self, first: Next, wakeup: Option<Wakeup>, stop: &CancellationToken) {
        let (mut next, mut wakeup) = (Some(first), wakeup);
        while let Some(Next { claim, view }) = next {
            next = self.attempt(claim, view, wakeup.take(), stop).await;
        }
    }

    /// Executes a leased step, commits what came of it, and only then acknowledges the message. Returns the step whose
    /// lease was taken in the same commit.
    async fn attempt(
        &self,
        claim: Claim,
        mut view: Option<View>,
        wakeup: Option<Wakeup>,
        stop: &CancellationToken,
    ) -> Option<Next> {
        let cancel = self.leases.hold(claim.fence);
        let outcome = {
            let work = self.execute(&claim, &mut view, cancel);
            tokio::pin!(work);
            loop {
                tokio::select! {
                    outcome = &mut work => break outcome,
                    () = tokio::time::sleep(STILL_WORKING) => {
                        if let Some(wakeup) = &wakeup {
                            wakeup.still_working().await;
                        }
                    }
                }
            }
        };
        let committed = self.store(&claim, view, outcome, stop).await;
        self.leases.let_go(claim.fence);
        let acknowledging = reached_by(Boundary::Acknowledging, &claim.key).await;
        let next = match acknowledging.and(committed) {
            Ok(next) => next,
            Err(Error::StaleFence) => {
                tracing::info!(run = %claim.run_id, step = %claim.key, "step {} is no longer ours", claim.key);
                None
            }
            Err(error) => {
                // The lease runs out and the sweeper gives the step to somebody else.
                tracing::error!(run = %claim.run_id, step = %claim.key, error = %chain(&error),
                    "the outcome of step {} could not be stored", claim.key);
                return None;
            }
        };
        if let Some(wakeup) = wakeup {
            wakeup.done().await;
        }
        next
    }

    async fn store(
        &self,
        claim: &Claim,
        mut view: Option<View>,
        outcome: Result<Output, Failure>,
        stop: &CancellationToken,
    ) -> Result<Option<Next>, Error> {
        let committed = match &outcome {
            Ok(output) => {
                let heir = (!stop.is_cancelled()).then(|| self.claimant());
                patiently(|| commit::success_then(&self.engine, view.take(), claim, output, heir.as_ref()))
                    .await
            }
            Err(failure) => patiently(|| commit::failure(&self.engine, claim, failure)).await.map(|()| None),
        };
        match committed {
            Err(error) if !matches!(error, Error::Unavailable(_) | Error::StaleFence) => {
                let newer = leases::is_newer(&self.engine.db, claim.run_id, version::VERSION).await;
                let failure = match newer {
                    // Its run has grown beyond what this process understands: a newer worker takes the step.
                    Ok(true) => Failure::cancelled(),
                    // Another attempt would end the same way; a person has to see why.
                    Ok(false) | Err(_) => {
                        Failure::bug(format!("its outcome cannot be stored: {}", chain(&error)))
                    }
                };
                patiently(|| commit::failure(&self.engine, claim, &failure)).await.map(|()| None)
            }
            committed => committed,
        }
    }

    async fn execute(
        &self,
        claim: &Claim,
        view: &mut Option<View>,
        cancel: CancellationToken,
    ) -> Result<Output, Failure> {
        let role = claim.key.kind.role();
        let agent =
            self.agents.get(&role).ok_or_else(|| Failure::bug(format!("no agent plays the {role}")))?;
        let view = match view {
            Some(view) => view,
            None => view.insert(patiently(|| outcomes::see(&self.engine.db, claim.run_id)).await?),
        };
        let inbox = patiently(|| Inbox::open(&self.engine, claim, view.newest_message)).await?;
        let ctx = self.context(claim, view, inbox, cancel.clone());
        reached_by(Boundary::AgentStarts, &claim.key).await?;
        let limit = Duration::from_secs(60 * self.engine.config.step_minutes);
        // An agent that panics is a fault of ours; it must not take the worker's other steps with it.
        let work = AssertUnwindSafe(agent.run(&ctx)).catch_unwind();
        let told_to_stop = async {
            cancel.cancelled().await;
            tokio::time::sleep(STOP_PATIENCE).await;
        };
        let ended = tokio::select! {
            ended = tokio::time::timeout(limit, work) => ended,
            () = told_to_stop => return Err(Failure::cancelled()),
        };
        reached_by(Boundary::AgentEnded, &claim.key).await?;
        match ended {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => {
                Err(Failure::bug(format!("the {role} panicked; its backtrace is in the worker's log")))
            }
            Err(_late) => {
                Err(Failure::new(FailureClass::Transient, format!("the step took longer than {limit:?}")))
            }
        }
    }

    fn context(
        &self,
        claim: &Claim,
        view: &View,
        (inbox, messages): (Inbox, Vec<HumanMessage>),
        cancel: CancellationToken,
    ) -> StepContext {
        let mut task = view.task.clone();
        task.wish.limits = view.run.allowance();
        let outputs = view.steps.iter().filter_map(|step| Some((step.key.clone(), step.output.clone()?)));
        StepContext {
            task,
            run_id: claim.run_id,
            step_id: claim.step_id,
            step_key: claim.key.clone(),
            attempt: claim.attempt,
            fence: claim.fence,
            worker_id: self.id,
            outputs: outputs.collect(),
            messages,
            orders: Orders {
                stopping: view.run.control.stopping.clone(),
                variant: view.run.origin.as_ref().map(|origin| origin.variant.clone()).unwrap_or_default(),
            },
            cancel,
            blobs: self.blobs.clone(),
            reporter: Arc::new(LeaseReporter::new(self.engine.clone(), claim.clone(), inbox)),
        }
    }
}
