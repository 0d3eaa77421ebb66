//! The worker: woken by a message or a timer, claims the most urgent step, executes it, commits, acknowledges.

use crate::agent::{Agent, HumanMessage, StepContext};
use crate::boundary::{Boundary, reached, reached_by};
use crate::engine::Engine;
use crate::leases::Leases;
use crate::relay::chain;
use crate::report::{LeaseReporter, patiently};
use crate::{Failure, commit};
use futures::FutureExt;
use serde_json::json;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toryo_blackboard::{BlobStore, Claim, Error, db, events, messages, runs, steps, tasks, workers};
use toryo_bus::Wakeup;
use toryo_domain::{EventType, FailureClass, NewEvent, Output, Role, RunSignal, RunStatus, WorkerId};

/// How often a message is told that its step is still worked on: well below the bus' time limit.
const STILL_WORKING: Duration = Duration::from_secs(10);

/// How long an agent that was told to stop may still take before its work is dropped.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How often a worker says that it is alive (R129: gone after 60 s).
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Executes steps of the roles it has agents for.
#[derive(Clone)]
pub struct Worker {
    id: WorkerId,
    engine: Engine,
    agents: Arc<BTreeMap<Role, Arc<dyn Agent>>>,
    blobs: Arc<dyn BlobStore>,
    leases: Leases,
}

impl Worker {
    /// A worker with these agents.
    #[must_use]
    pub fn new(engine: Engine, agents: Vec<Arc<dyn Agent>>, blobs: Arc<dyn BlobStore>) -> Self {
        let agents = agents.into_iter().map(|agent| (agent.role(), agent)).collect();
        let leases = Leases::new(engine.clone());
        Self { id: WorkerId::generate(), engine, agents: Arc::new(agents), blobs, leases }
    }

    /// Works until `stop`. Then running steps get a while to end, and are handed back if they do not.
    pub async fn run(self, host: &str, version: &str, stop: CancellationToken) {
        let keeper = CancellationToken::new();
        let keep = tokio::spawn(self.leases.clone().keep(keeper.clone()));
        let alive =
            tokio::spawn(self.clone().stay_alive(host.to_owned(), version.to_owned(), keeper.clone()));
        let attempts = TaskTracker::new();
        self.dispatch(&attempts, &stop).await;
        attempts.close();
        let grace = Duration::from_secs(self.engine.config.drain_seconds);
        if tokio::time::timeout(grace, attempts.wait()).await.is_err() {
            self.leases.cancel_all();
            attempts.wait().await;
        }
        keeper.cancel();
        let _ended = tokio::join!(keep, alive);
        if let Err(error) = workers::remove(&self.engine.db, self.id).await {
            tracing::debug!(error = %chain(&error), "the worker's row stays until it is swept");
        }
    }

    async fn stay_alive(self, host: String, version: String, stop: CancellationToken) {
        loop {
            let beat = async {
                reached(Boundary::Heartbeat).await?;
                workers::heartbeat(&self.engine.db, self.id, &host, &version, self.engine.config.capacity)
                    .await
            };
            if let Err(error) = beat.await {
                tracing::warn!(error = %chain(&error), "the worker could not say that it is alive");
            }
            tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(HEARTBEAT) => {} }
        }
    }

    async fn dispatch(&self, attempts: &TaskTracker, stop: &CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.engine.config.capacity as usize));
        let mut patience = Duration::from_millis(50);
        loop {
            let permit = tokio::select! {
                () = stop.cancelled() => return,
                permit = slots.clone().acquire_owned() => permit,
            };
            let Ok(permit) = permit else { return };
            let wakeup = tokio::select! {
                () = stop.cancelled() => return,
                wakeup = self.engine.bus.next_wakeup(patience) => wakeup,
            };
            patience = self.engine.config.poll();
            let wakeup = match wakeup {
                Ok(wakeup) => wakeup,
                Err(error) => {
                    // Work goes on by the timer alone.
                    tracing::warn!(error = %chain(&error), "no wake-ups while the queue is away");
                    tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(patience) => {} }
                    None
                }
            };
            match self.claim().await {
                Ok(Some(claim)) => {
                    if wakeup.is_none() {
                        // Where one step was not announced there may be more.
                        patience = Duration::from_millis(50);
                    }
                    let worker = self.clone();
                    attempts.spawn(async move {
                        worker.attempt(claim, wakeup).await;
                        drop(permit);
                    });
                }
                Ok(None) => {
                    if let Some(wakeup) = wakeup {
                        wakeup.done().await;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "no step can be claimed now");
                    tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(patience) => {} }
                }
            }
        }
    }

    /// Leases the most urgent step, and starts its run with the first one.
    async fn claim(&self) -> Result<Option<Claim>, Error> {
        reached(Boundary::WokenUp).await?;
        let roles: Vec<Role> = self.agents.keys().copied().collect();
        let mut unreadable = Vec::new();
        while let Some((run, step)) = steps::most_urgent(&self.engine.db, &roles, &unreadable).await? {
            let mut tx = self.engine.db.begin().await?;
            let mut run = match runs::lock(&mut tx, run).await {
                Err(error @ Error::Corrupt { .. }) => {
                    // One run that cannot be read must not hold up all others.
                    tracing::error!(%run, error = %chain(&error), "run {run} cannot be read");
                    unreadable.push(step);
                    continue;
                }
                locked => locked?,
            };
            if !matches!(run.status, RunStatus::Queued | RunStatus::Running) {
                continue;
            }
            // Where another worker was faster, there may be a next one.
            let Some(claim) = steps::claim(&mut tx, step, self.id, self.engine.config.lease()).await? else {
                continue;
            };
            let mut happened = Vec::new();
            if run.status == RunStatus::Queued {
                runs::signal(&mut tx, &mut run, RunSignal::Start, None, None).await?;
                happened.push(NewEvent::of_run(EventType::RunStarted, json!({})));
            }
            let data = json!({ "role": claim.key.kind.role(), "worker_id": self.id });
            happened.push(NewEvent::of_step(
                EventType::StepStarted,
                claim.key.clone(),
                Some(claim.attempt),
                data,
            ));
            let seq = events::append(&mut tx, run.id, &happened).await?;
            reached_by(Boundary::ClaimWritten, &claim.key).await?;
            db::commit(tx).await?;
            reached_by(Boundary::ClaimCommitted, &claim.key).await?;
            self.engine.committed(run.id, seq).await;
            return Ok(Some(claim));
        }
        Ok(None)
    }

    /// Executes a leased step, commits what came of it, and only then acknowledges the message.
    async fn attempt(&self, claim: Claim, wakeup: Option<Wakeup>) {
        let cancel = self.leases.hold(claim.fence);
        let outcome = {
            let work = self.execute(&claim, cancel);
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
        let committed = match &outcome {
            Ok(output) => patiently(|| commit::success(&self.engine, &claim, output)).await,
            Err(failure) => patiently(|| commit::failure(&self.engine, &claim, failure)).await,
        };
        let committed = match committed {
            Err(error) if !matches!(error, Error::Unavailable(_) | Error::StaleFence) => {
                // Another attempt would end the same way; a person has to see why.
                let failure = Failure::bug(format!("its outcome cannot be stored: {}", chain(&error)));
                patiently(|| commit::failure(&self.engine, &claim, &failure)).await
            }
            committed => committed,
        };
        self.leases.let_go(claim.fence);
        let acknowledging = reached_by(Boundary::Acknowledging, &claim.key).await;
        match committed.and(acknowledging) {
            Ok(()) => {}
            Err(Error::StaleFence) => {
                tracing::info!(run = %claim.run_id, step = %claim.key, "step {} is no longer ours", claim.key);
            }
            Err(error) => {
                // The lease runs out and the sweeper gives the step to somebody else.
                tracing::error!(run = %claim.run_id, step = %claim.key, error = %chain(&error),
                    "the outcome of step {} could not be stored", claim.key);
                return;
            }
        }
        if let Some(wakeup) = wakeup {
            wakeup.done().await;
        }
    }

    async fn execute(&self, claim: &Claim, cancel: CancellationToken) -> Result<Output, Failure> {
        let role = claim.key.kind.role();
        let agent =
            self.agents.get(&role).ok_or_else(|| Failure::bug(format!("no agent plays the {role}")))?;
        let ctx = patiently(|| self.context(claim, cancel.clone())).await?;
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

    async fn context(&self, claim: &Claim, cancel: CancellationToken) -> Result<StepContext, Error> {
        let db = &self.engine.db;
        let run = runs::get(db, claim.run_id).await?;
        let mut task = tasks::get(db, run.task_id).await?.task;
        task.wish.limits = run.allowance();
        let outputs = steps::of_run(db, run.id).await?;
        let messages = messages::of_run(db, run.id).await?;
        Ok(StepContext {
            task,
            run_id: claim.run_id,
            step_id: claim.step_id,
            step_key: claim.key.clone(),
            attempt: claim.attempt,
            fence: claim.fence,
            worker_id: self.id,
            outputs: outputs.into_iter().filter_map(|step| Some((step.key, step.output?))).collect(),
            messages: messages
                .into_iter()
                .map(|it| HumanMessage { author: it.author, body: it.body })
                .collect(),
            cancel,
            blobs: self.blobs.clone(),
            reporter: Arc::new(LeaseReporter::new(self.engine.clone(), claim.clone())),
        })
    }
}
