//! The ledger: a row for every call, journalled in a local file before its caller goes on, written to Postgres in batches.

pub use toryo_blackboard::ledger::{CacheState, Call, CallStatus, CountedBy, LedgerRow, Who};
use toryo_domain::FailureClass;

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
