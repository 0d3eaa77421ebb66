//! A caller's tightest limits a minute, in the headers where the official clients of each protocol look for them.

use super::reply::set;
use axum::response::Response;
use chrono::SecondsFormat;
use toryo_models::allowance::{Left, RateLimits};
use toryo_models::inbound::Dialect;

/// The names of limit, rest and reset of a kind of limit.
type Names = [&'static str; 3];

const OPENAI_REQUESTS: Names =
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
const OPENAI_TOKENS: Names =
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
const ANTHROPIC_REQUESTS: Names = [
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
];
const ANTHROPIC_TOKENS: Names = [
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
];

/// Tells what is left; nothing of limits that the caller does not have.
pub(super) fn tell(response: &mut Response, limits: &RateLimits, dialect: Dialect) {
    let (Some(at), Some(end)) = (limits.at, limits.resets_at) else { return };
    let (requests, tokens, reset) = match dialect {
        // In the form of a duration.
        Dialect::Completions | Dialect::Responses => {
            let milliseconds = (end - at).num_milliseconds().max(0);
            let reset = format!("{}.{:03}s", milliseconds / 1000, milliseconds % 1000);
            (OPENAI_REQUESTS, OPENAI_TOKENS, reset)
        }
        // In the form of RFC 3339.
        Dialect::Messages => {
            (ANTHROPIC_REQUESTS, ANTHROPIC_TOKENS, end.to_rfc3339_opts(SecondsFormat::Secs, true))
        }
    };
    let mut one = |left: Option<Left>, [most, rest, resets]: Names| {
        if let Some(left) = left {
            set(response, most, &left.most.to_string());
            set(response, rest, &left.left.to_string());
            set(response, resets, &reset);
        }
    };
    one(limits.requests, requests);
    one(limits.tokens, tokens);
}
