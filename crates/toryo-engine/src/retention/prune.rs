//! Blobs that nothing names: left by attempts that were lost or whose outcome was refused, and by archives that were
//! written anew.
//!
//! Mark and sweep with a grace between: a round notes in Postgres what it finds unnamed, and deletes what was noted that
//! long before and has not been put since. So a blob that somebody has put and is about to name stays, whatever one
//! machine's clock does; and a round that is cut short anywhere loses nothing but its work.

use super::{Config, DAY};
use crate::engine::Engine;
use std::time::Duration;
use toryo_blackboard::named::Named;
use toryo_blackboard::{BlobStore, Error};

const HOUR: Duration = Duration::from_secs(3600);

/// One round; the number of blobs that were deleted. `None` where another process is at it.
///
/// # Errors
/// Database or blob store do not answer; what was deleted before stays deleted, and nothing else is lost.
pub async fn prune(engine: &Engine, blobs: &dyn BlobStore, config: Config) -> Result<Option<u64>, Error> {
    let grace = grace(engine, config);
    let kept = (config.artifact_days > 0).then(|| DAY * config.artifact_days);
    let Some(mut named) = Named::look(&engine.db, kept).await? else { return Ok(None) };
    match sweep(&mut named, blobs, grace).await {
        Ok(deleted) => {
            named.end().await?;
            Ok(Some(deleted))
        }
        Err(error) => {
            named.give_up().await;
            Err(error)
        }
    }
}

/// Deletes what is due; the number of blobs.
async fn sweep(named: &mut Named, blobs: &dyn BlobStore, grace: Duration) -> Result<u64, Error> {
    let mut deleted = 0;
    for first in 0..=u8::MAX {
        let old = blobs.old(first, grace).await?;
        let mut gone = Vec::new();
        for digest in named.unnamed(first, &old, grace).await? {
            if blobs.delete(&digest, grace).await? {
                gone.push(digest);
                deleted += 1;
            }
        }
        named.gone(&gone).await?;
    }
    Ok(deleted)
}

/// Longer than whoever puts a blob may take to name it.
fn grace(engine: &Engine, config: Config) -> Duration {
    let attempt = Duration::from_secs(60 * engine.config.step_minutes);
    (HOUR * config.blob_hours).max(2 * attempt)
}
