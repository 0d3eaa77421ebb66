//! The reply journal and the ledger, as a port: what was paid once is found again, and what a run has spent.
//!
//! Adapters: [`postgres`] and the in-process [`memory`]; [`strict`] reads from either and asks nobody.

pub mod memory;
pub mod postgres;
pub mod strict;

use crate::reply::{Finish, Usage};
use crate::request::Caller;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use toryo_domain::{Digest, FailureClass, Limits, RunId, StepId, Usd};

/// Keeps replies and counts their cost.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// The reply stored under this key.
    ///
    /// # Errors
    /// The store does not answer, or holds something unreadable.
    async fn find(&self, key: &CallKey) -> Result<Option<StoredReply>, JournalError>;

    /// Stores a reply and adds its cost and tokens to the run, in one transaction. Storing the same reply again
    /// changes nothing and succeeds, so that a caller who did not hear the answer may repeat it.
    ///
    /// # Errors
    /// [`JournalError::StaleFence`] where the step's lease is no longer the caller's. The reply is kept even then,
    /// because it is paid and the step's next attempt can use it; the caller has to stop.
    /// [`JournalError::AnsweredAlready`] where the key holds another reply: nothing was written.
    async fn record(&self, caller: &Caller, record: &CallRecord) -> Result<(), JournalError>;

    /// Reserves the worst case of a call that is about to be sent, in one atomic step. [`record`](Self::record) settles
    /// it; a lease that is lost gives it back.
    ///
    /// # Errors
    /// [`JournalError::StaleFence`] where the step's lease is no longer the caller's: nothing is reserved.
    async fn reserve(&self, caller: &Caller, most: Spent) -> Result<Reserved, JournalError>;

    /// Gives back what a call reserved that got no reply. Nothing happens where nothing is reserved.
    ///
    /// # Errors
    /// The store does not answer.
    async fn release(&self, caller: &Caller) -> Result<(), JournalError>;

    /// What the run has used so far.
    ///
    /// # Errors
    /// The store does not answer.
    async fn spent(&self, run: RunId) -> Result<Spent, JournalError>;
}

/// What came of asking for a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// The call may be sent.
    Held,
    /// It would fit if the calls now under way took less than their worst case: ask again when they have ended.
    Wait,
    /// It does not fit whatever becomes of the others.
    Refused {
        /// What the run has used.
        spent: Spent,
        /// What it may use.
        limits: Limits,
    },
}

/// Whether a call of at most `most` may be sent beside others that hold `held`: the one rule of all adapters.
#[must_use]
pub fn decide(limits: Limits, spent: Spent, held: Spent, most: Spent) -> Reserved {
    let fits = |used: Spent| used.usd <= limits.usd && used.tokens <= limits.tokens;
    let alone = spent.and(most);
    if !fits(alone) {
        Reserved::Refused { spent, limits }
    } else if fits(alone.and(held)) {
        Reserved::Held
    } else {
        Reserved::Wait
    }
}

/// What a reply is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallKey {
    /// The step.
    pub step_id: StepId,
    /// Which call of the step, counted from 1.
    pub call_no: u32,
    /// [`Request::digest`](crate::Request::digest).
    pub request_digest: Digest,
}

/// One paid call: the journal's reply and the ledger's row.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRecord {
    /// What it is found by.
    pub key: CallKey,
    /// The route that was asked for.
    pub route: String,
    /// Whether the model's price was known; `cost` is zero where it was not.
    pub priced: bool,
    /// How often the provider was asked, the last time included.
    pub provider_attempts: u32,
    /// The reply.
    pub reply: StoredReply,
}

/// A reply as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredReply {
    /// The answer.
    pub content: String,
    /// Why the model stopped.
    pub finish: Finish,
    /// Tokens.
    pub usage: Usage,
    /// What was paid.
    pub cost: Usd,
    /// The provider's name in the configuration.
    pub provider: String,
    /// The model as the provider names it.
    pub model: String,
    /// From the first attempt to the answer.
    pub latency: Duration,
    /// It came from a recording.
    pub recorded: bool,
}

/// What a run has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Money.
    pub usd: Usd,
    /// Tokens, in and out.
    pub tokens: u64,
}

impl Spent {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { usd: self.usd + other.usd, tokens: self.tokens.saturating_add(other.tokens) }
    }
}

/// Why the journal failed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The lease ran out or another worker holds it. The reply is kept, its caller has to stop.
    #[error("the step's lease was lost")]
    StaleFence,
    /// Somebody else journalled another reply to the same call first; that one counts.
    #[error("the call is answered already")]
    AnsweredAlready,
    /// It gave no answer in time.
    #[error("no answer within {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The store failed.
    #[error("the store failed")]
    Store {
        /// What kind of failure it is.
        class: FailureClass,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl JournalError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::StaleFence | Self::AnsweredAlready | Self::TimedOut { .. } => FailureClass::Transient,
            Self::Store { class, .. } => *class,
        }
    }

    /// Whether asking again at once may help.
    pub(crate) const fn is_worth_repeating(&self) -> bool {
        match self {
            Self::StaleFence | Self::AnsweredAlready => false,
            Self::TimedOut { .. } => true,
            Self::Store { class, .. } => matches!(class, FailureClass::Transient),
        }
    }
}

#[cfg(test)]
mod tests;
