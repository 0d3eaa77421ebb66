//! Old runs: their events go to the artifact store, and blobs that nothing names any more go for good. Woken by a timer,
//! takes no input, may run twice and be killed anywhere; every process that works has one.

mod prune;

pub use prune::prune;

use crate::engine::Engine;
use crate::relay::chain;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use toryo_blackboard::{BlobStore, Error, archive, idempotency};

/// How often old runs are looked for.
const EVERY: Duration = Duration::from_secs(3600);

/// Runs archived between two looks at whether to stop.
const BATCH: i64 = 20;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What becomes of old runs, section `[retention]` of `toryo.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Days after its end that a run's events stay in the database; then they stand in the artifact store and are read
    /// from there. 0 never moves them.
    pub days: u32,
    /// Days that an `Idempotency-Key` of a message is remembered.
    pub key_days: u32,
    /// Hours that a blob stays in the artifact store which nothing names, such as one of an attempt that was lost; never
    /// less than two attempts may take (`engine.step_minutes`). 0 never deletes any.
    pub blob_hours: u32,
    /// Days after its end that a run's artifacts and file contents are kept; its events and outcomes stay. Older runs can
    /// no longer be replayed, forked or tried again. 0 keeps them.
    pub artifact_days: u32,
    /// Days that a repository's local mirror is kept unused; it is fetched again when it is needed. 0 keeps them.
    pub mirror_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { days: 90, key_days: 30, blob_hours: 24, artifact_days: 0, mirror_days: 30 }
    }
}

/// How often blobs are looked through: a round reads every run's outcomes.
const PRUNE_EVERY: Duration = DAY;

/// Archives what is due, every hour, and prunes blobs, every day, until `stop`.
pub async fn run(engine: Engine, blobs: Arc<dyn BlobStore>, config: Config, stop: CancellationToken) {
    let mut pruned: Option<Instant> = None;
    loop {
        let kept = tokio::select! {
            () = stop.cancelled() => return,
            kept = keep(&engine, &*blobs, config) => kept,
        };
        match kept {
            Ok(0) => {}
            Ok(runs) => tracing::info!(runs, "archived {runs} runs"),
            Err(error) => tracing::warn!(error = %chain(&error), "old runs are looked at again in an hour"),
        }
        if config.blob_hours > 0 && pruned.is_none_or(|last| last.elapsed() >= PRUNE_EVERY) {
            let round = tokio::select! {
                () = stop.cancelled() => return,
                round = prune(&engine, &*blobs, config) => round,
            };
            match round {
                Ok(Some(blobs)) => {
                    pruned = Some(Instant::now());
                    tracing::info!(blobs, "deleted {blobs} blobs that nothing named");
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "blobs are looked through again in an hour")
                }
            }
        }
        tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(EVERY) => {} }
    }
}

/// One round; the number of runs that were archived.
///
/// # Errors
/// Database or blob store do not answer; what was done before stays done.
pub async fn keep(engine: &Engine, blobs: &dyn BlobStore, config: Config) -> Result<u64, Error> {
    idempotency::forget(&engine.db, DAY * config.key_days).await?;
    if config.days == 0 {
        return Ok(0);
    }
    let mut archived = 0;
    loop {
        let before = archived;
        for run in archive::due(&engine.db, DAY * config.days, BATCH).await? {
            match archive::archive(&engine.db, blobs, run).await {
                Ok(true) => archived += 1,
                Ok(false) => {}
                // One run that cannot be read must not hold up all others.
                Err(error @ Error::Corrupt { .. }) => {
                    tracing::error!(%run, error = %chain(&error), "run {run} was not archived");
                }
                Err(error) => return Err(error),
            }
        }
        if archived == before {
            return Ok(archived);
        }
    }
}
