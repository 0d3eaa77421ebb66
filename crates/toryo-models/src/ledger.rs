//! The ledger: a row for every call, journalled in a local file before its caller goes on, written to Postgres in batches.

mod days;
mod flush;
mod journal;

pub(crate) use days::roll_up;
pub(crate) use flush::Flusher;
pub use toryo_blackboard::ledger::{Alert, CacheState, Call, CallStatus, CountedBy, LedgerRow, Who};

use journal::Writer;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use toryo_domain::{FailureClass, InstanceId};

/// The ledger of one process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    writer: Mutex<Writer>,
    /// There are rows to write to Postgres.
    rows: Notify,
    on_full: OnFullJournal,
    /// Rows that no file took; they go to Postgres from here.
    unwritten: Mutex<Vec<LedgerRow>>,
    /// No file took the last row: nothing is to be paid before one does again.
    blocked: AtomicBool,
}

/// What becomes of calls while the journal cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFullJournal {
    /// They are refused, before anything is sent. A call that was under way is not answered; its row is kept.
    #[default]
    Refuse,
    /// They go on. Their rows are kept in memory until Postgres has them: a crash loses those.
    Allow,
}

/// Rows that are kept in memory, at most: some ten mebibytes.
const MOST_UNWRITTEN: usize = 10_000;

impl Ledger {
    /// Opens a journal of this process's own in a folder that several may share.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn open(folder: &Path, on_full: OnFullJournal) -> Result<Self, LedgerError> {
        let writer = Writer::create(folder)?;
        Ok(Self(Arc::new(Shared {
            writer: Mutex::new(writer),
            rows: Notify::new(),
            on_full,
            unwritten: Mutex::default(),
            blocked: AtomicBool::new(false),
        })))
    }

    /// Whether calls have to be refused, because what they cost could not be journalled.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.0.on_full == OnFullJournal::Refuse && self.0.blocked.load(Ordering::Relaxed)
    }

    /// Journals a row: it is in a local file when this returns, so that a crash of this process does not lose it. Never
    /// waits for Postgres. A crash of the machine may lose what the operating system had not written yet.
    ///
    /// A row that no file takes is kept in memory and goes to Postgres from there.
    ///
    /// # Errors
    /// The row is not journalled, and the settings do not say to go on without.
    pub fn append(&self, row: &LedgerRow) -> Result<(), LedgerError> {
        let error = match self.writer().append(row) {
            Ok(first) => {
                if first {
                    self.0.rows.notify_one();
                }
                return Ok(());
            }
            Err(error) => error,
        };
        if error.class() == FailureClass::Transient {
            self.0.blocked.store(true, Ordering::Relaxed);
        }
        let mut unwritten = self.unwritten();
        let has_room = unwritten.len() < MOST_UNWRITTEN;
        if has_room {
            unwritten.push(row.clone());
        }
        drop(unwritten);
        self.0.rows.notify_one();
        let cause: &dyn std::error::Error = &error;
        if !has_room {
            tracing::error!(cause, call = %row.id, cost = %row.call.cost, "a row of the ledger is lost: no file takes it, nor does memory");
        } else if self.0.on_full == OnFullJournal::Allow {
            tracing::error!(cause, call = %row.id, "a row of the ledger is in memory only until Postgres has it");
            return Ok(());
        }
        Err(error)
    }

    /// Looks whether the journal takes rows again.
    fn try_again(&self) {
        let works = self.writer().has_room();
        self.0.blocked.store(!works, Ordering::Relaxed);
    }

    /// Rows that no file took, oldest first. Only the flusher takes some away.
    fn unwritten(&self) -> std::sync::MutexGuard<'_, Vec<LedgerRow>> {
        self.0.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes under which id this process holds grants, for whoever finds its journal after a crash.
    pub(crate) fn note(&self, instance: InstanceId) {
        if let Err(error) = self.writer().note(instance) {
            let cause: &dyn std::error::Error = &error;
            tracing::warn!(cause, "after a crash, grants of this process will end with their lease only");
        }
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Writer> {
        // The writer cuts off what a panic left half written.
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a row was not journalled. The call it belongs to must not be answered as if it were.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The disk under the data folder is full; make room and try again.
    #[error("the ledger's journal cannot be written: its disk is full")]
    DiskFull(#[source] std::io::Error),
    /// The journal cannot be written for another reason.
    #[error("the ledger's journal cannot be written")]
    Io(#[source] std::io::Error),
    /// A row is larger than the journal takes.
    #[error("a row of the ledger is too large")]
    TooLarge,
}

impl LedgerError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::DiskFull(_) | Self::Io(_) => FailureClass::Transient,
            Self::TooLarge => FailureClass::Bug,
        }
    }
}

/// Says that a budget passed a threshold; once a period, because the database raises an alert once.
pub(crate) fn tell(alert: &Alert) {
    tracing::warn!(
        account = %alert.window.account,
        period = alert.window.limit.period(),
        threshold_percent = alert.threshold,
        spent = %alert.spent,
        limit = %alert.limit,
        "a budget passed a threshold"
    );
}
