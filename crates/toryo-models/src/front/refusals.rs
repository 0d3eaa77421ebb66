//! What a client is told where a call goes no further.

use crate::accounts::KeyError;
use crate::allowance::Refusal;
use crate::config::RouteInForce;
use crate::dialect::{Refused, RefusedKind};
use crate::error::Error;
use crate::provider::ProviderError;

pub(super) fn key_refused(error: KeyError) -> Refused {
    let kind = match error {
        KeyError::Unknown | KeyError::Expired | KeyError::Revoked => RefusedKind::KeyRefused,
        KeyError::Unavailable => RefusedKind::Unavailable,
    };
    Refused::new(kind, error.to_string())
}

pub(super) fn not_admitted(refusal: &Refusal) -> Refused {
    let kind = match refusal {
        Refusal::RouteNotAllowed(_) => RefusedKind::Forbidden,
        Refusal::NeverFits { .. } => RefusedKind::BadRequest,
        Refusal::RateLimited { .. } | Refusal::QueueFull => RefusedKind::RateLimited,
        Refusal::BudgetExhausted { .. } => RefusedKind::OverBudget,
        Refusal::Unavailable => RefusedKind::Unavailable,
    };
    let text = match refusal {
        // What is reserved is the worst case: a client that names no limit of tokens asks for all that the model can say.
        Refusal::NeverFits { .. } | Refusal::BudgetExhausted { .. } => {
            format!("{refusal}; a lower limit of output tokens (`max_tokens`) or a shorter prompt needs less")
        }
        _ => refusal.to_string(),
    };
    Refused { retry_after: refusal.retry_after(), ..Refused::new(kind, text) }
}

/// What a client is told of a failure of ours.
pub(super) fn refused(error: &Error) -> Refused {
    let kind = match error {
        Error::Provider { source: source @ ProviderError::Unsupported { .. }, provider, .. } => {
            let refused = Refused::from(source);
            let message = format!("{} by the provider `{provider}`", refused.message);
            return Refused { message, ..refused };
        }
        Error::Provider { source, .. } => return Refused::from(source),
        Error::UnknownRoute { .. } => RefusedKind::NotFound,
        Error::NoKey { .. } => RefusedKind::Unavailable,
        Error::BadRequest(_) => RefusedKind::BadRequest,
        Error::BudgetUsd { .. } | Error::BudgetTokens { .. } => RefusedKind::OverBudget,
        Error::Config(_) | Error::Cancelled | Error::Journal(_) => RefusedKind::Internal,
    };
    Refused::new(kind, error.to_string())
}

/// What is paid has to be written down.
pub(super) fn no_journal() -> Refused {
    let text = "the gateway's ledger cannot be written; its operator has to look";
    Refused::new(RefusedKind::Unavailable, text)
}

/// A route that masks must not pass anything on unmasked.
pub(super) fn no_mask() -> Refused {
    Refused::new(RefusedKind::Internal, "this route masks and nothing says what to mask")
}

/// A prompt that is longer than the route allows.
pub(super) fn check_prompt(settings: &RouteInForce, input_tokens: u64) -> Result<(), Refused> {
    match settings.max_prompt_tokens {
        Some(limit) if input_tokens > limit => Err(Refused::new(
            RefusedKind::ContextLength,
            format!("the prompt has about {input_tokens} tokens and the route allows {limit}"),
        )),
        _ => Ok(()),
    }
}
