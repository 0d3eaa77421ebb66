//! The leases a worker holds: extended while it works, and looked at when somebody orders something and by a timer, so that
//! a cancelled step stops.

use crate::boundary::{Boundary, reached};
use crate::engine::Engine;
use crate::relay::chain;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use toryo_blackboard::{Error, steps};

/// The leases of one worker.
#[derive(Clone)]
pub struct Leases {
    engine: Engine,
    held: Arc<Mutex<HashMap<i64, CancellationToken>>>,
}

impl Leases {
    /// None yet.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self { engine, held: Arc::default() }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<i64, CancellationToken>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a lease; the token ends when it is lost.
    #[must_use]
    pub fn hold(&self, fence: i64) -> CancellationToken {
        self.map().entry(fence).or_default().clone()
    }

    /// No longer keeps a lease.
    pub fn let_go(&self, fence: i64) {
        self.map().remove(&fence);
    }

    /// Tells every step to stop; its lease is kept until its outcome is stored.
    pub fn cancel_all(&self) {
        self.map().values().for_each(CancellationToken::cancel);
    }

    async fn extend(&self, fences: &[i64]) -> Result<Vec<i64>, Error> {
        reached(Boundary::LeaseDue).await?;
        let held = steps::extend(&self.engine.db, fences, self.engine.config.lease()).await?;
        reached(Boundary::LeaseExtended).await?;
        Ok(held)
    }

    /// Looks at the leases until `stop`, and extends them every third of their time. While the database does not
    /// answer, work goes on: a stale token is refused when the outcome is stored.
    pub async fn keep(self, stop: CancellationToken) {
        let lease = self.engine.config.lease();
        let mut extended = Instant::now();
        let mut orders = self.engine.bus.orders();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                // The sender lives as long as the bus, which this holds.
                Ok(()) = orders.changed() => {}
                () = tokio::time::sleep(self.engine.config.watch()) => {}
            }
            let fences: Vec<i64> = self.map().keys().copied().collect();
            if fences.is_empty() {
                extended = Instant::now();
                continue;
            }
            let due = extended.elapsed() >= lease / 3;
            let held =
                if due { self.extend(&fences).await } else { steps::held(&self.engine.db, &fences).await };
            match held {
                Ok(held) => {
                    if due {
                        extended = Instant::now();
                    }
                    let map = self.map();
                    for lost in fences.iter().filter(|fence| !held.contains(fence)) {
                        if let Some(token) = map.get(lost) {
                            token.cancel();
                        }
                    }
                }
                Err(error) => tracing::warn!(error = %chain(&error), "leases cannot be looked at now"),
            }
        }
    }
}
