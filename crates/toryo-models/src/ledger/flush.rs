//! From the journal to Postgres: files are closed, read, written in batches and removed. The same road after a crash.

use super::journal::{self, Left};
use super::tell;
use super::{Ledger, LedgerRow};
use crate::allowance::Desk;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use toryo_blackboard::ledger::{self, Alert};
use toryo_blackboard::{Db, Error, allowances, db};

/// Rows that come within this time are written together.
const GATHER: Duration = Duration::from_millis(100);
/// Rows in one transaction at most.
const BATCH: usize = 1000;
/// Longest time for one transaction.
const ANSWER: Duration = Duration::from_secs(5);
/// How soon a database that did not answer is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Longest time for the last rows when the process stops; what is left is read by the next one.
const LAST: Duration = Duration::from_secs(5);
/// How often journals of processes that are gone are looked for.
const LOOK: Duration = Duration::from_secs(30);

/// The task.
pub struct Flusher {
    pub ledger: Ledger,
    pub desk: Arc<Desk>,
    pub db: Db,
    /// The folder that processes share.
    pub shared: PathBuf,
    /// Held while money is charged.
    pub turn: Arc<Mutex<()>>,
    pub stop: CancellationToken,
}

impl Flusher {
    /// Works until it is told to stop, then writes what is left.
    pub async fn run(self) {
        let own = self.ledger.writer().folder().to_owned();
        let stopped = self.stop.clone();
        let adopt = async {
            loop {
                self.adopt().await;
                tokio::time::sleep(LOOK).await;
            }
        };
        let write = async {
            loop {
                self.woken().await;
                tokio::time::sleep(GATHER).await;
                self.write_unwritten().await;
                self.write_own(&own).await;
            }
        };
        tokio::select! {
            () = stopped.cancelled() => {}
            () = async { tokio::join!(adopt, write); } => {}
        }
        let last = async {
            self.write_unwritten().await;
            self.write_own(&own).await;
        };
        if tokio::time::timeout(LAST, last).await.is_err() {
            tracing::warn!("the last rows of the ledger stay in the journal until the next start");
        }
    }

    /// Writes what processes left that are gone, and frees what they held.
    async fn adopt(&self) {
        for left in journal::left(&self.shared) {
            for file in journal::files(&left.folder) {
                self.write_file(&file, false).await;
            }
            self.release(left).await;
        }
    }

    async fn release(&self, left: Left) {
        for instance in left.instances() {
            while let Err(error) = allowances::leave(&self.db, instance).await {
                tracing::warn!(%error, %instance, "grants of a process that is gone cannot be released yet");
                tokio::time::sleep(RETRY).await;
            }
        }
        if left.is_read() {
            left.remove();
        }
    }

    /// Writes what is in memory because no file takes it, and looks whether one does again.
    async fn write_unwritten(&self) {
        // They stay there until Postgres has them, whatever ends this.
        let rows = self.ledger.unwritten().clone();
        self.write_rows(&rows, true).await;
        self.ledger.unwritten().drain(..rows.len());
        if self.ledger.0.blocked.load(Ordering::Relaxed) {
            self.ledger.try_again();
        }
    }

    /// There are rows, or it is time to try again whether a file takes some.
    async fn woken(&self) {
        let rows = self.ledger.0.rows.notified();
        if self.ledger.0.blocked.load(Ordering::Relaxed) {
            let _time_is_up = tokio::time::timeout(RETRY, rows).await;
        } else {
            rows.await;
        }
    }

    async fn write_own(&self, own: &Path) {
        let current = {
            let mut writer = self.ledger.writer();
            if let Err(error) = writer.close() {
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(cause, "the ledger's journal cannot begin a new file");
                // Its rows are written when there is room again.
                self.ledger.0.rows.notify_one();
            }
            writer.current()
        };
        for file in journal::files(own).into_iter().filter(|file| *file != current) {
            self.write_file(&file, true).await;
        }
    }

    /// Writes a file that is closed and removes it. Tries until Postgres answers; a file that cannot be read stays.
    async fn write_file(&self, file: &Path, own: bool) {
        let rows = match journal::read(file) {
            Ok((rows, torn)) => {
                if torn {
                    tracing::warn!(file = %file.display(), "a journal of the ledger ends in half a row; a crash tore it");
                }
                rows
            }
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(cause, file = %file.display(), "a journal of the ledger cannot be read; it is put aside");
                let _stays_where_it_is = std::fs::rename(file, file.with_extension("unread"));
                return;
            }
        };
        self.write_rows(&rows, own).await;
        if let Err(error) = std::fs::remove_file(file) {
            tracing::warn!(%error, file = %file.display(), "a journal that was written cannot be removed");
        }
    }

    async fn write_rows(&self, rows: &[LedgerRow], own: bool) {
        for batch in rows.chunks(BATCH) {
            let mut told = false;
            loop {
                match self.write_batch(batch, own).await {
                    Ok(alerts) => {
                        alerts.iter().for_each(tell);
                        break;
                    }
                    Err(cause) => {
                        if !std::mem::replace(&mut told, true) {
                            tracing::warn!(
                                cause,
                                "the ledger waits for the database; rows stay in the journal"
                            );
                        }
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
        }
    }

    /// One transaction. Repeating it after a lost answer changes nothing.
    async fn write_batch(&self, rows: &[LedgerRow], own: bool) -> Result<Vec<Alert>, String> {
        let _turn = self.turn.lock().await;
        let written = async {
            let mut tx = self.db.begin().await?;
            let alerts = ledger::insert(&mut tx, rows).await?;
            db::commit(tx).await?;
            Ok::<_, Error>(alerts)
        };
        let alerts = match tokio::time::timeout(ANSWER, written).await {
            Ok(Ok(alerts)) => alerts,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("no answer within {ANSWER:?}")),
        };
        if own {
            let mut state = self.desk.lock();
            for ((window, instance), amount) in ledger::charges(rows) {
                if instance.is_some() {
                    state.pools.charged(&window, amount);
                }
            }
        }
        Ok(alerts)
    }
}
