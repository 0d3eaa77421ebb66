//! Old rows of the ledger become sums of days. Woken by a timer, may run in several processes and be killed anywhere.

use std::time::Duration;
use tokio::time::{sleep, timeout};
use toryo_blackboard::{Db, Error, db, ledger_days};

/// How often old rows are looked for.
const EVERY: Duration = Duration::from_secs(3600);
/// Rows of one statement: some tens of milliseconds, so that nobody waits for its locks.
const BATCH: u32 = 5_000;
/// Time for one statement.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rolls up what is older than so many days, every hour. 0 keeps every row for ever.
pub(crate) async fn roll_up(db: Db, days: u32) {
    if days == 0 {
        return;
    }
    loop {
        match all(&db, days).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "{rows} old rows of the ledger became sums of their days"),
            Err(error) => {
                tracing::warn!(%error, "old rows of the ledger are looked at again in an hour");
            }
        }
        sleep(EVERY).await;
    }
}

async fn all(db: &Db, days: u32) -> Result<u64, Error> {
    let mut rows = 0;
    loop {
        let Ok(batch) = timeout(PATIENCE, batch(db, days)).await else {
            tracing::warn!("old rows of the ledger are not rolled up yet: the database is slow");
            return Ok(rows);
        };
        let batch = batch?;
        rows += batch;
        if batch < u64::from(BATCH) {
            return Ok(rows);
        }
    }
}

async fn batch(db: &Db, days: u32) -> Result<u64, Error> {
    let mut tx = db.begin().await?;
    let rows = ledger_days::roll_up(&mut tx, days, BATCH).await?;
    db::commit(tx).await?;
    Ok(rows)
}
