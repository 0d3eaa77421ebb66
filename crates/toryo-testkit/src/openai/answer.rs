//! What the server may answer, good and bad.

use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::watch;

/// One answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A message with this text; prose and half a JSON are texts as well.
    Text {
        /// The message's content.
        content: String,
        /// The tokens it claims.
        usage: Usage,
        /// `stop`, `length` or `content_filter`.
        finish_reason: &'static str,
    },
    /// The model declines.
    Refusal(String),
    /// A failure in OpenAI's shape.
    Failure {
        /// The HTTP status.
        status: u16,
        /// `error.code`, such as `insufficient_quota`.
        code: Option<String>,
        /// `error.message`.
        message: String,
        /// The header `Retry-After`, seconds or a date.
        retry_after: Option<String>,
    },
    /// These bytes as they are.
    Raw {
        /// The HTTP status.
        status: u16,
        /// The header `Content-Type`.
        content_type: &'static str,
        /// The body.
        body: String,
    },
    /// Nothing, not even a status, until the gate opens; then the other answer.
    Held(Gate, Box<Answer>),
    /// Status and half of the body at once, the rest when the gate opens.
    SlowBody(Gate, Box<Answer>),
    /// The connection breaks, after half of the body at the latest.
    BreaksOff(Box<Answer>),
}

impl Answer {
    /// A JSON message.
    #[must_use]
    pub fn json(value: &Value) -> Self {
        Self::text(value.to_string())
    }

    /// A message with this text.
    #[must_use]
    pub fn text(content: impl Into<String>) -> Self {
        Self::Text { content: content.into(), usage: Usage::default(), finish_reason: "stop" }
    }

    /// The first half of a JSON message, as a model that ran into its limit leaves it.
    #[must_use]
    pub fn cut(value: &Value) -> Self {
        let whole = value.to_string();
        let half = whole.chars().take(whole.chars().count() / 2).collect();
        Self::Text { content: half, usage: Usage::default(), finish_reason: "length" }
    }

    /// The model declines with these words.
    #[must_use]
    pub fn refusal(words: impl Into<String>) -> Self {
        Self::Refusal(words.into())
    }

    /// A failure without a code.
    #[must_use]
    pub fn status(status: u16, message: impl Into<String>) -> Self {
        Self::Failure { status, code: None, message: message.into(), retry_after: None }
    }

    /// A failure with a code.
    #[must_use]
    pub fn failure(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self::Failure { status, code: Some(code.to_owned()), message: message.into(), retry_after: None }
    }

    /// 429 with `Retry-After`: seconds or an HTTP date.
    #[must_use]
    pub fn rate_limited(retry_after: impl Into<String>) -> Self {
        Self::Failure {
            status: 429,
            code: Some("rate_limit_exceeded".to_owned()),
            message: "Rate limit reached for requests".to_owned(),
            retry_after: Some(retry_after.into()),
        }
    }

    /// This answer, once the gate is open.
    #[must_use]
    pub fn held_by(self, gate: &Gate) -> Self {
        Self::Held(gate.clone(), Box::new(self))
    }

    /// Half of this answer, and the rest once the gate is open.
    #[must_use]
    pub fn slowed_by(self, gate: &Gate) -> Self {
        Self::SlowBody(gate.clone(), Box::new(self))
    }

    /// At most half of this answer.
    #[must_use]
    pub fn breaking_off(self) -> Self {
        Self::BreaksOff(Box::new(self))
    }

    /// This answer with these tokens; failures have none.
    #[must_use]
    pub fn with_usage(mut self, tokens: Usage) -> Self {
        if let Self::Text { usage, .. } = &mut self {
            *usage = tokens;
        }
        self
    }
}

/// Tokens that an answer claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// Of the prompt, cached ones included.
    pub input: u64,
    /// Of the prompt, cached.
    pub cached_input: u64,
    /// Of the answer, reasoning included.
    pub output: u64,
    /// Of hidden reasoning.
    pub reasoning: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { input: 1_000, cached_input: 0, output: 100, reasoning: 0 }
    }
}

/// Holds answers back until the test opens it. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn passed(&self) {
        // The sender lives as long as this gate, so that waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
