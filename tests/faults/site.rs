//! What the suite and its child processes share: where the servers, the folders and the scripted model are.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toryo_bus::{Bus, Subjects};
use toryo_engine::Engine;

/// How long a lease lasts here: a killed worker costs about that much.
pub const LEASE: Duration = Duration::from_secs(2);

/// Written as JSON; its path is a child's first argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Site {
    pub database_url: String,
    pub nats_url: String,
    pub nats_prefix: String,
    pub model_url: String,
    /// Blobs and mirrors, shared by all workers.
    pub data: PathBuf,
    /// Blobs alone, which may lie on a disk that fills up.
    pub blobs: PathBuf,
    /// Armed boundaries; the child finds it in its environment too.
    pub points: PathBuf,
    /// What the journal said to whom: see [`crate::ports::Notes`].
    pub notes: PathBuf,
}

impl Site {
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(file)?)?)
    }

    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        Ok(std::fs::write(file, serde_json::to_vec_pretty(self)?)?)
    }

    /// Database and queue, with short times so that a fault is over soon.
    pub async fn engine(&self) -> anyhow::Result<Engine> {
        let config = toryo_engine::Config {
            capacity: 4,
            lease_seconds: LEASE.as_secs(),
            watch_ms: 200,
            poll_ms: 300,
            drain_seconds: 5,
            backoff_ms: 50,
            backoff_max_seconds: 1,
            // Workers die all the time here; giving a step up after five lost ones is tested elsewhere.
            attempts: 200,
            ..toryo_engine::Config::default()
        };
        let db = toryo_blackboard::Db::lazy(&self.database_url, 10)?;
        let bus = Bus::connect(&self.nats_url, Subjects::new(&self.nats_prefix)?).await?;
        Ok(Engine::new(db, bus, config))
    }
}
