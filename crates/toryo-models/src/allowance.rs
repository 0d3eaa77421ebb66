//! Whether a call may be sent: requests and tokens a minute, calls at once, and money a period, of every account its
//! caller belongs to.
//!
//! The truth is in Postgres. An instance draws a *grant* of each limit from it, spends that in memory and hands back
//! what it does not use, so that a call costs no round trip and all instances together never pass a limit.

mod desk;
mod dispatch;
mod pools;
mod queue;

pub(crate) use desk::Desk;
pub(crate) use dispatch::{Dispatcher, Recall};
pub use toryo_blackboard::allowances::Limit;

use crate::accounts::Principal;
use crate::journal::Spent;
use crate::ledger::{Call, LedgerError, LedgerRow};
use chrono::{DateTime, Utc};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use toryo_blackboard::accounts::Kind;
use toryo_domain::{AccountId, CallId, FailureClass, Priority};

/// What a call asks for before it is sent.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The route's alias.
    pub route: &'a str,
    /// What it may cost at most, whichever deployment answers.
    pub most: Spent,
    /// Its place among those that wait.
    pub priority: Priority,
    /// What happens where a limit is reached.
    pub at_limit: AtLimit,
}

/// What happens where a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtLimit {
    /// Waits in the queue, for this long at most.
    Wait(Duration),
    /// Is refused.
    Refuse,
}

/// A limit a minute and what is left of it in this minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The limit.
    pub most: i64,
    /// What is left, as far as this process knows.
    pub left: i64,
}

/// The tightest limits a minute of a caller, of all accounts it belongs to; `None` where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// Of requests.
    pub requests: Option<Left>,
    /// Of tokens, in and out.
    pub tokens: Option<Left>,
    /// When they were looked at, by the database's clock.
    pub at: Option<DateTime<Utc>>,
    /// When their minute ends.
    pub resets_at: Option<DateTime<Utc>>,
}

/// Why a call was not admitted. Nothing is held for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An account of the caller does not allow the route. Answer 403.
    #[error("the key may not use the route `{0}`")]
    RouteNotAllowed(String),
    /// A limit a minute or of calls at once is used up, or what is left of a budget is held by calls under way.
    /// Answer 429.
    #[error("{} of the {} is used up", in_words(*.limit), .scope.as_str())]
    RateLimited {
        /// What kind of account has it.
        scope: Kind,
        /// Which account.
        account: AccountId,
        /// Which limit.
        limit: Limit,
        /// When to ask again.
        retry_after: Duration,
    },
    /// The worst case of the call does not fit into what is left of a budget. Answer 429, or 402 where the dialect has it.
    #[error("{} of the {} is used up", in_words(*.limit), .scope.as_str())]
    BudgetExhausted {
        /// What kind of account has it.
        scope: Kind,
        /// Which account.
        account: AccountId,
        /// Which period.
        limit: Limit,
        /// When the period ends; `None` where it never does.
        retry_after: Option<Duration>,
    },
    /// The call alone is larger than a limit: it never fits. Answer 400 or 413.
    #[error("the call is larger than {} of the {} allows at all", in_words(*.limit), .scope.as_str())]
    NeverFits {
        /// What kind of account has it.
        scope: Kind,
        /// Which account.
        account: AccountId,
        /// Which limit.
        limit: Limit,
    },
    /// Too many calls wait already. Answer 429.
    #[error("too many calls wait already")]
    QueueFull,
    /// The database does not answer and the configuration says to refuse, or what may be spent without it is spent.
    /// Answer 503.
    #[error("limits cannot be checked: the database does not answer")]
    Unavailable,
}

impl Refusal {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::RouteNotAllowed(_) | Self::NeverFits { .. } => FailureClass::Input,
            Self::BudgetExhausted { .. } => FailureClass::Budget,
            Self::RateLimited { .. } | Self::QueueFull => FailureClass::RateLimited,
            Self::Unavailable => FailureClass::Transient,
        }
    }

    /// What the client is told to wait, where waiting helps.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            Self::BudgetExhausted { retry_after, .. } => *retry_after,
            Self::QueueFull | Self::Unavailable => Some(Duration::from_secs(1)),
            Self::RouteNotAllowed(_) | Self::NeverFits { .. } => None,
        }
    }
}

/// For people.
#[must_use]
pub const fn in_words(limit: Limit) -> &'static str {
    match limit {
        Limit::Requests => "the limit of requests a minute",
        Limit::Tokens => "the limit of tokens a minute",
        Limit::Parallel => "the limit of calls at once",
        Limit::Day => "the budget of the day",
        Limit::Week => "the budget of the week",
        Limit::Month => "the budget of the month",
        Limit::Total => "the whole budget",
    }
}

/// A limit that holds for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Whose.
    pub account: AccountId,
    /// What kind of account that is.
    pub scope: Kind,
    /// Which limit.
    pub limit: Limit,
    /// How much of it there is, as far as this process knows.
    pub most: i64,
}

/// The right to send one call: holds its place among the calls at once and its worst case. Dropping it gives both back,
/// whatever ended the call; a call that cost something has to be settled.
#[must_use = "dropping it gives the reservation back at once"]
pub struct Permit {
    id: CallId,
    desk: Arc<Desk>,
    who: Arc<Principal>,
    at: DateTime<Utc>,
    most: Spent,
    /// No grant covers it.
    credit: bool,
    open: bool,
}

impl Permit {
    /// When the call was admitted, by the database's clock.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// The call's id, as its row has it.
    #[must_use]
    pub const fn id(&self) -> CallId {
        self.id
    }

    /// Who makes it.
    #[must_use]
    pub const fn who(&self) -> &Arc<Principal> {
        &self.who
    }

    /// Ends the call: journals its row and charges what it cost instead of its worst case. Does not wait for Postgres.
    ///
    /// # Errors
    /// The row could not be journalled; the call is charged in this process all the same.
    pub fn settle(mut self, call: Call) -> Result<(), LedgerError> {
        let tokens = call.input_tokens.saturating_add(call.output_tokens);
        let actual = Spent { usd: call.cost, tokens };
        let row = LedgerRow {
            id: self.id,
            at: self.at,
            who: self.who.who(),
            tenant: None,
            instance: self.desk.instance(),
            call,
        };
        // First the journal: after a crash here the row charges what it cost.
        let journalled = self.desk.ledger.append(&row);
        self.close(actual);
        journalled
    }

    fn close(&mut self, actual: Spent) {
        if std::mem::take(&mut self.open) {
            self.desk.settle(&self.who, self.at, self.most, actual, self.credit);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.close(Spent::default());
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("at", &self.at).field("most", &self.most).finish_non_exhaustive()
    }
}
