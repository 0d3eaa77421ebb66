//! A failure in the words of each dialect.

use super::BadRequest;
use super::write::json_bytes;
use crate::inbound::Dialect;
use crate::provider::ProviderError;
use bytes::Bytes;
use serde::Serialize;
use std::time::Duration;

/// Why a question is not answered, as the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// What kind of failure it is: decides status and type.
    pub kind: RefusedKind,
    /// One or two sentences for a person, without secrets.
    pub message: String,
    /// The parameter that it is about.
    pub param: Option<String>,
    /// Not before this much time has passed.
    pub retry_after: Option<Duration>,
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedKind {
    /// The question breaks a rule of its dialect, or asks for what the model cannot do.
    BadRequest,
    /// No key, or not one of ours, or one that has ended.
    KeyRefused,
    /// The key may not do this.
    Forbidden,
    /// No such route, or no such page.
    NotFound,
    /// The body is too long.
    TooLarge,
    /// Too many requests or tokens; later it may work.
    RateLimited,
    /// A budget is used up; waiting a little does not help.
    OverBudget,
    /// The prompt does not fit into the model.
    ContextLength,
    /// A policy, a guardrail or the provider's filter forbids it.
    ContentPolicy,
    /// No deployment can answer now.
    Unavailable,
    /// The provider's answer cannot be used.
    BadAnswer,
    /// No answer in time.
    TimedOut,
    /// A fault of the gateway's own.
    Internal,
}

/// A kind's words: status, type and code of OpenAI's, status and type of Anthropic's.
struct Words(u16, &'static str, Option<&'static str>, u16, &'static str);

impl RefusedKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::BadRequest,
        Self::KeyRefused,
        Self::Forbidden,
        Self::NotFound,
        Self::TooLarge,
        Self::RateLimited,
        Self::OverBudget,
        Self::ContextLength,
        Self::ContentPolicy,
        Self::Unavailable,
        Self::BadAnswer,
        Self::TimedOut,
        Self::Internal,
    ];

    const fn words(self) -> Words {
        const INVALID: &str = "invalid_request_error";
        match self {
            Self::BadRequest => Words(400, INVALID, None, 400, INVALID),
            // OpenAI itself says `invalid_request_error`, which LiteLLM takes for 400.
            Self::KeyRefused => {
                Words(401, "authentication_error", Some("invalid_api_key"), 401, "authentication_error")
            }
            Self::Forbidden => {
                Words(403, "permission_error", Some("permission_denied"), 403, "permission_error")
            }
            Self::NotFound => Words(404, INVALID, Some("model_not_found"), 404, "not_found_error"),
            Self::TooLarge => Words(413, INVALID, Some("request_too_large"), 413, "request_too_large"),
            Self::RateLimited => {
                Words(429, "rate_limit_error", Some("rate_limit_exceeded"), 429, "rate_limit_error")
            }
            Self::OverBudget => {
                Words(429, "insufficient_quota", Some("insufficient_quota"), 402, "billing_error")
            }
            Self::ContextLength => Words(400, INVALID, Some("context_length_exceeded"), 400, INVALID),
            Self::ContentPolicy => Words(400, INVALID, Some("content_policy_violation"), 400, INVALID),
            Self::Unavailable => Words(503, "server_error", Some("unavailable"), 529, "overloaded_error"),
            Self::BadAnswer => Words(502, "server_error", Some("bad_gateway"), 502, "api_error"),
            Self::TimedOut => Words(504, "server_error", Some("timeout"), 504, "timeout_error"),
            Self::Internal => Words(500, "server_error", Some("internal_error"), 500, "api_error"),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self, dialect: Dialect) -> u16 {
        match dialect {
            Dialect::Completions | Dialect::Responses => self.words().0,
            Dialect::Messages => self.words().3,
        }
    }

    /// Whether asking again makes sense. The official clients ask again by themselves after some statuses; the header
    /// `x-should-retry` tells them.
    #[must_use]
    pub const fn is_worth_repeating(self) -> bool {
        match self {
            Self::RateLimited | Self::Unavailable | Self::BadAnswer | Self::TimedOut | Self::Internal => true,
            Self::BadRequest
            | Self::KeyRefused
            | Self::Forbidden
            | Self::NotFound
            | Self::TooLarge
            | Self::OverBudget
            | Self::ContextLength
            | Self::ContentPolicy => false,
        }
    }
}

/// A dialect's body of an error.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Body<'a> {
    OpenAi { error: OpenAi<'a> },
    Anthropic { r#type: &'static str, error: Anthropic<'a> },
}

#[derive(Serialize)]
pub(super) struct OpenAi<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct Anthropic<'a> {
    r#type: &'static str,
    message: &'a str,
}

impl Refused {
    /// Without a parameter and a time.
    pub fn new(kind: RefusedKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), param: None, retry_after: None }
    }

    /// Status and body.
    #[must_use]
    pub fn write(&self, dialect: Dialect) -> (u16, Bytes) {
        (self.kind.status(dialect), json_bytes(&self.body(dialect)))
    }

    /// The body.
    pub(super) fn body(&self, dialect: Dialect) -> Body<'_> {
        let Words(_, kind, code, _, messages_kind) = self.kind.words();
        let message = self.message.as_str();
        match dialect {
            Dialect::Completions | Dialect::Responses => {
                Body::OpenAi { error: OpenAi { message, r#type: kind, param: self.param.as_deref(), code } }
            }
            Dialect::Messages => {
                Body::Anthropic { r#type: "error", error: Anthropic { r#type: messages_kind, message } }
            }
        }
    }
}

impl From<BadRequest> for Refused {
    fn from(bad: BadRequest) -> Self {
        Self { kind: RefusedKind::BadRequest, message: bad.message, param: bad.param, retry_after: None }
    }
}

impl From<&ProviderError> for Refused {
    fn from(error: &ProviderError) -> Self {
        let kind = match error {
            ProviderError::RateLimited { .. } => RefusedKind::RateLimited,
            // The provider's account and its key are the operator's: the client did nothing wrong.
            ProviderError::QuotaExhausted { .. } | ProviderError::KeyRefused { .. } => {
                RefusedKind::Unavailable
            }
            // An answer that is none, or an address that is none: the operator's again.
            ProviderError::Unavailable { status: Some(200), .. }
            | ProviderError::Rejected { status: 404 | 405, .. } => RefusedKind::BadAnswer,
            ProviderError::Unavailable { .. } => RefusedKind::Unavailable,
            ProviderError::TimedOut { .. } => RefusedKind::TimedOut,
            ProviderError::ContextLength { .. } => RefusedKind::ContextLength,
            ProviderError::ContentPolicy { .. } => RefusedKind::ContentPolicy,
            ProviderError::Unsupported { .. }
            | ProviderError::Rejected { .. }
            | ProviderError::NotRecorded { .. } => RefusedKind::BadRequest,
            ProviderError::Cancelled => RefusedKind::Internal,
        };
        let message = match error {
            ProviderError::QuotaExhausted { .. } | ProviderError::KeyRefused { .. } => {
                "the provider does not let the gateway in; its operator has to look".into()
            }
            other => other.to_string(),
        };
        let param = match error {
            ProviderError::Unsupported { param, .. } => param.clone(),
            _ => None,
        };
        Self { kind, message, param, retry_after: error.retry_after() }
    }
}
