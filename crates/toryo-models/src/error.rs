//! The error of this crate.

use crate::journal::JournalError;
use crate::provider::ProviderError;
use std::time::Duration;
use toryo_domain::{FailureClass, Usd};

/// Why no reply came. No text of it holds a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error("the model configuration cannot be used: {0}")]
    Config(String),
    /// No such route, and it is not one that falls back to `default`.
    #[error("no model route is called `{route}`; there are {known}")]
    UnknownRoute {
        /// What was asked for.
        route: String,
        /// Those there are.
        known: String,
    },
    /// The route's provider has no key.
    #[error(
        "route `{route}` needs a model key: set models.providers.{provider}.api_key \
         (or keyless = true where the endpoint asks for none)"
    )]
    NoKey {
        /// The route.
        route: String,
        /// Its provider.
        provider: String,
    },
    /// The request breaks a rule of the gateway's own: a fault of the agent that made it.
    #[error("the request is not usable: {0}")]
    BadRequest(String),
    /// The provider failed, after all retries that make sense.
    #[error("model provider `{provider}` failed (attempts: {attempts})")]
    Provider {
        /// Its name in the configuration.
        provider: String,
        /// How often it was asked.
        attempts: u32,
        /// What it said last.
        #[source]
        source: ProviderError,
    },
    /// The run's money would not suffice for the worst case of this call. Nothing was sent.
    #[error("the run's budget of {limit} does not cover this call: {spent} spent, up to {needed} needed")]
    BudgetUsd {
        /// What the run may use.
        limit: Usd,
        /// What it has used.
        spent: Usd,
        /// What this call may cost at most.
        needed: Usd,
    },
    /// The run's tokens would not suffice for the worst case of this call. Nothing was sent.
    #[error(
        "the run's limit of {limit} tokens does not cover this call: {spent} used, up to {needed} needed"
    )]
    BudgetTokens {
        /// What the run may use.
        limit: u64,
        /// What it has used.
        spent: u64,
        /// What this call may use at most.
        needed: u64,
    },
    /// The step was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The journal failed; a reply that could not be journalled is not handed out.
    #[error("the reply journal failed")]
    Journal(#[from] JournalError),
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::Config(_) | Self::UnknownRoute { .. } | Self::NoKey { .. } => FailureClass::Input,
            Self::BadRequest(_) => FailureClass::Bug,
            Self::Provider { source, .. } => source.class(),
            Self::BudgetUsd { .. } | Self::BudgetTokens { .. } => FailureClass::Budget,
            Self::Cancelled => FailureClass::Cancelled,
            Self::Journal(source) => source.class(),
        }
    }

    /// Not before this much time has passed, where the provider said so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Provider { source, .. } => source.retry_after(),
            Self::Config(_)
            | Self::UnknownRoute { .. }
            | Self::NoKey { .. }
            | Self::BadRequest(_)
            | Self::BudgetUsd { .. }
            | Self::BudgetTokens { .. }
            | Self::Cancelled
            | Self::Journal(_) => None,
        }
    }
}
