//! The handle that everything in this crate works with.

use crate::Config;
use crate::batch::Batch;
use std::sync::Arc;
use tokio::sync::Notify;
use toryo_blackboard::Db;
use toryo_bus::Bus;
use toryo_domain::RunId;

/// Blackboard, bus and settings; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    /// The truth.
    pub db: Db,
    /// The bell.
    pub bus: Bus,
    /// The settings.
    pub config: Arc<Config>,
    pub(crate) batch: Batch,
    outbox: Arc<Notify>,
    sweep: Arc<Notify>,
}

impl Engine {
    /// A handle on these.
    #[must_use]
    pub fn new(db: Db, bus: Bus, config: Config) -> Self {
        Self {
            db,
            bus,
            config: Arc::new(config),
            batch: Batch::default(),
            outbox: Arc::default(),
            sweep: Arc::default(),
        }
    }

    /// After a commit that put messages into the outbox: wakes the relay of this process and rings the run's bell. Nothing
    /// depends on it.
    pub(crate) async fn committed(&self, run: RunId, seq: u64) {
        self.outbox.notify_one();
        self.bus.ring(run, seq).await;
    }

    /// After a commit that announces no step: rings the run's bell. Nothing depends on it.
    pub(crate) async fn told(&self, run: RunId, seq: u64) {
        self.bus.ring(run, seq).await;
    }

    /// Wakes the sweeper of this process: there may be something that no timer should wait for.
    pub fn sweep_soon(&self) {
        self.sweep.notify_one();
    }

    /// Ends when the sweeper of this process is wanted.
    pub(crate) async fn sweep_wanted(&self) {
        self.sweep.notified().await;
    }

    /// Ends when the outbox of this process has something new.
    pub(crate) async fn outbox_changed(&self) {
        self.outbox.notified().await;
    }
}
