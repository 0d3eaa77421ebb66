//! The worker: woken by a message or a timer, claims the most urgent step, executes it, commits, acknowledges.

mod attempt;
mod claimed;
mod claims;

pub(crate) use claims::{started, starting};

use crate::agent::Agent;
use crate::boundary::{Boundary, reached};
use crate::engine::Engine;
use crate::leases::Leases;
use crate::relay::chain;
use crate::version;
use claimed::ClaimedEarly;
use claims::Found;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toryo_blackboard::workers::Heartbeat;
use toryo_blackboard::{BlobStore, workers};
use toryo_bus::{Wakeup, Wakeups};
use toryo_domain::{Role, WorkerId};

/// How often a worker says that it is alive (R129: gone after 60 s).
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How soon a worker looks again where it has reason to.
const SOON: Duration = Duration::from_millis(50);

/// Executes steps of the roles it has agents for.
#[derive(Clone)]
pub struct Worker {
    id: WorkerId,
    engine: Engine,
    agents: Arc<BTreeMap<Role, Arc<dyn Agent>>>,
    blobs: Arc<dyn BlobStore>,
    leases: Leases,
    early: Arc<ClaimedEarly>,
    /// Looks side by side: more of them would only pass over each other's steps.
    looks: Arc<Semaphore>,
}

/// Why a worker looks for a step that no message announces, besides the timer.
struct Reasons {
    /// The last look has found one, or others were faster.
    again: AtomicBool,
    /// A message was followed to nothing: its step may wait for a limit.
    passed_over: AtomicBool,
}

/// Looks for a step that one worker takes at a time.
const LOOKS: usize = 4;

/// Wake-ups asked for at once.
const MOST_ASKED: usize = 16;

/// Looks in a row at steps that others are about to take, by whoever has a message.
const LOOKS_WOKEN: u64 = 6;

impl Worker {
    /// A worker with these agents.
    #[must_use]
    pub fn new(engine: Engine, agents: Vec<Arc<dyn Agent>>, blobs: Arc<dyn BlobStore>) -> Self {
        let agents = agents.into_iter().map(|agent| (agent.role(), agent)).collect();
        let leases = Leases::new(engine.clone());
        Self {
            id: WorkerId::generate(),
            engine,
            agents: Arc::new(agents),
            blobs,
            leases,
            early: Arc::default(),
            looks: Arc::new(Semaphore::new(LOOKS)),
        }
    }

    /// Works until `stop`. Then running steps get a while to end, and are handed back if they do not.
    pub async fn run(self, host: &str, version: &str, stop: CancellationToken) {
        let keeper = CancellationToken::new();
        let keep = tokio::spawn(self.leases.clone().keep(keeper.clone()));
        let alive =
            self.clone().stay_alive(host.to_owned(), version.to_owned(), stop.clone(), keeper.clone());
        let alive = tokio::spawn(alive);
        // Whoever ran here before may have left leases behind.
        self.engine.sweep_soon();
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

    /// Says that it is alive until `end`, and from `stop` on that it takes no further steps.
    async fn stay_alive(
        self,
        host: String,
        version: String,
        stop: CancellationToken,
        end: CancellationToken,
    ) {
        loop {
            let draining = stop.is_cancelled();
            let beat = async {
                reached(Boundary::Heartbeat).await?;
                let worker = Heartbeat {
                    id: self.id,
                    host: &host,
                    version: &version,
                    engine_version: version::VERSION,
                    capacity: self.engine.config.capacity,
                    draining,
                };
                workers::heartbeat(&self.engine.db, &worker).await
            };
            if let Err(error) = beat.await {
                tracing::warn!(error = %chain(&error), "the worker could not say that it is alive");
            }
            tokio::select! {
                () = end.cancelled() => return,
                () = stop.cancelled(), if !draining => {}
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
        }
    }

    /// Takes wake-ups as often as there is a free place, until `stop`. Whoever was woken looks for a step by itself, so that
    /// many looks go on side by side.
    async fn dispatch(&self, attempts: &TaskTracker, stop: &CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.engine.config.capacity as usize));
        let reasons = Arc::new(Reasons { again: AtomicBool::new(true), passed_over: AtomicBool::new(false) });
        let mut asked = None;
        loop {
            let was_full = slots.available_permits() == 0;
            let permit = tokio::select! {
                () = stop.cancelled() => return,
                permit = slots.clone().acquire_owned() => permit,
            };
            let Ok(permit) = permit else { return };
            let again_soon = reasons.again.swap(false, Ordering::Relaxed);
            let patience = if again_soon { SOON } else { self.engine.config.poll() };
            // Where there may be steps that no message announces any more, a place that has just become free is filled at
            // once. Else the message waits in the queue, and a look before it would mostly find nothing.
            let at_once = was_full && (again_soon || reasons.passed_over.swap(false, Ordering::Relaxed));
            let wakeup = tokio::select! {
                () = stop.cancelled() => return,
                wakeup = self.hear(&mut asked, slots.available_permits(), again_soon), if !at_once => wakeup,
                () = std::future::ready(()), if at_once => Ok(None),
            };
            let wakeup = match wakeup {
                Ok(wakeup) => wakeup,
                Err(error) => {
                    // Work goes on by the timer alone.
                    tracing::warn!(error = %chain(&error), "no wake-ups while the queue is away");
                    tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(patience) => {} }
                    None
                }
            };
            let wakeup = match wakeup {
                Some(wakeup) if self.early.answers(wakeup.step()) => {
                    wakeup.done().await;
                    continue;
                }
                wakeup => wakeup,
            };
            let (worker, stop, reasons) = (self.clone(), stop.clone(), reasons.clone());
            attempts.spawn(async move {
                worker.woken(wakeup, &reasons, &stop).await;
                drop(permit);
            });
        }
    }

    /// The next wake-up; `None` where there is none and it is time to look. They are asked for by as many as there are places
    /// for, the caller's and `more`: one by one, each would wait for the way of the one before.
    async fn hear(
        &self,
        asked: &mut Option<Wakeups>,
        more: usize,
        soon: bool,
    ) -> Result<Option<Wakeup>, toryo_bus::Error> {
        let mut open = match asked.take().filter(|asked| !asked.is_over()) {
            Some(open) => open,
            None => {
                let most = (1 + more).min(MOST_ASKED);
                self.engine.bus.wakeups(most, self.engine.config.poll()).await?
            }
        };
        // What was asked for ends by itself; where the caller looks before, it goes on.
        let heard = tokio::select! {
            heard = open.next() => heard?,
            () = tokio::time::sleep(SOON), if soon => None,
        };
        *asked = Some(open);
        Ok(heard)
    }

    /// Looks for a step and executes it.
    async fn woken(&self, wakeup: Option<Wakeup>, reasons: &Reasons, stop: &CancellationToken) {
        let found = {
            let _look = self.looks.acquire().await;
            // Whoever was woken tries for a while; a timer comes again anyway.
            self.claim(if wakeup.is_some() { LOOKS_WOKEN } else { 1 }).await
        };
        match found {
            Ok(Found::Step(next)) => {
                self.early.note(next.claim.step_id, wakeup.as_ref().and_then(Wakeup::step));
                if wakeup.is_none() {
                    // Where one step was not announced there may be more.
                    reasons.again.store(true, Ordering::Relaxed);
                }
                self.work(*next, wakeup, stop).await;
            }
            Ok(found) => {
                if matches!(found, Found::Busy) {
                    reasons.again.store(true, Ordering::Relaxed);
                }
                if let Some(wakeup) = wakeup {
                    reasons.passed_over.store(true, Ordering::Relaxed);
                    wakeup.done().await;
                }
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "no step can be claimed now");
                let pause = self.engine.config.poll();
                tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(pause) => {} }
            }
        }
    }
}
