//! The ledger: a row for every call, journalled in a local file before its caller goes on, written to Postgres in batches.

mod days;
mod flush;
mod journal;

pub(crate) use days::roll_up;
pub(crate) use flush::Flusher;
pub use toryo_blackboard::ledger::{Alert, CacheState, Call, CallStatus, CountedBy, LedgerRow, Who};

use journal::Writer;
use std::path::Path;
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
}

impl Ledger {
    /// Opens a journal of this process's own in a folder that several may share.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn open(folder: &Path) -> Result<Self, LedgerError> {
        let writer = Writer::create(folder)?;
        Ok(Self(Arc::new(Shared { writer: Mutex::new(writer), rows: Notify::new() })))
    }

    /// Journals a row: it is in a local file when this returns, so that a crash of this process does not lose it. Never
    /// waits for Postgres. A crash of the machine may lose what the operating system had not written yet.
    ///
    /// # Errors
    /// The row is not journalled.
    pub fn append(&self, row: &LedgerRow) -> Result<(), LedgerError> {
        let first = self.writer().append(row)?;
        if first {
            self.0.rows.notify_one();
        }
        Ok(())
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
