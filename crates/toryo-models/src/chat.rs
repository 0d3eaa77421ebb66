//! A chat in neutral words: what every dialect of the gateway is read into and every provider writes from.
//!
//! A [`Chat`] is the question, a [`Completion`] the whole answer, an [`Event`] one piece of a streamed answer.
//! What only one dialect knows travels in [`Chat::extra`]; a provider that cannot pass it on refuses the call
//! ([`ProviderError::Unsupported`](crate::provider::ProviderError::Unsupported)), it never drops it silently.

mod answer;
mod message;

pub use answer::{Completion, Event, Output, Stop};
pub use message::{Image, Part, ToolCall, Turn};

use crate::inbound::Dialect;
use serde_json::{Map, Value};

/// A question to a model, as any client may ask it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chat {
    /// The conversation, oldest first.
    pub turns: Vec<Turn>,
    /// Functions that the model may ask to be called.
    pub tools: Vec<Tool>,
    /// Whether it has to.
    pub tool_choice: ToolChoice,
    /// Whether several may be asked for at once; `None` leaves it to the model.
    pub parallel_tool_calls: Option<bool>,
    /// What the answer has to look like.
    pub format: Format,
    /// Tokens of the answer at most, hidden reasoning included.
    pub max_output_tokens: Option<u32>,
    /// How words are chosen.
    pub sampling: Sampling,
    /// How long the model thinks before it answers; `None` leaves it to the model.
    pub reasoning: Option<Reasoning>,
    /// Whom the provider may hold responsible: an opaque name of the end user.
    pub user: Option<String>,
    /// Parameters that only the caller's dialect knows, by their names there.
    pub extra: Map<String, Value>,
    /// The caller's dialect, where it has one: says what the names in `extra` mean.
    pub dialect: Option<Dialect>,
}

/// A function that the model may ask to be called.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// When to use it.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Value,
    /// The arguments follow the schema exactly.
    pub strict: Option<bool>,
}

/// Whether the model has to call a function.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// As it likes.
    #[default]
    Auto,
    /// It must not.
    None,
    /// At least one, whichever.
    Required,
    /// This one.
    Named(String),
}

/// What the answer has to look like.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Format {
    /// Text.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON of this schema.
    JsonSchema {
        /// What the schema is called.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The schema.
        schema: Value,
        /// The answer follows it exactly.
        strict: Option<bool>,
    },
}

/// How words are chosen. `None` leaves it to the model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sampling {
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// 0 to 1.
    pub top_p: Option<f32>,
    /// From 1.
    pub top_k: Option<u32>,
    /// Texts at which the answer ends.
    pub stop: Vec<String>,
    /// For answers that can be had again.
    pub seed: Option<i64>,
    /// -2 to 2.
    pub presence_penalty: Option<f32>,
    /// -2 to 2.
    pub frequency_penalty: Option<f32>,
}

/// How long a model thinks before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reasoning {
    /// In words: OpenAI's way.
    Effort(Effort),
    /// In tokens: Anthropic's way.
    Tokens(u32),
    /// Not at all.
    Off,
}

/// Effort in words, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// As usual.
    Medium,
    /// A lot.
    High,
}

impl Effort {
    /// As wires carry it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}
