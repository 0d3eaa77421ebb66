//! What was said so far.

use serde_json::Value;

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    /// Instructions of whoever runs the application.
    System(Vec<Part>),
    /// The question.
    User(Vec<Part>),
    /// An earlier answer.
    Assistant {
        /// What was said.
        parts: Vec<Part>,
        /// Which functions were asked for.
        tool_calls: Vec<ToolCall>,
    },
    /// What a function returned.
    Tool {
        /// The [`ToolCall::id`] that it answers.
        call_id: String,
        /// What came of it.
        parts: Vec<Part>,
        /// The function failed.
        failed: bool,
    },
}

/// A piece of a turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Words.
    Text(String),
    /// A picture.
    Image(Image),
    /// The prefix of the conversation up to here is worth caching at the provider.
    CachePoint,
    /// An earlier refusal.
    Refusal(String),
    /// Earlier hidden reasoning, with the provider's signature, as it came; only the same provider understands it.
    Reasoning(Value),
    /// Anything else, as it came: a document, a sound. Only a provider of the same dialect understands it.
    Other(Value),
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// Where it can be fetched by the provider, and how closely to look where the dialect says so.
    Url {
        /// Its address, `https:`.
        url: String,
        /// `low`, `high` or `auto`.
        detail: Option<String>,
    },
    /// The picture itself.
    Inline {
        /// Such as `image/png`.
        media_type: String,
        /// In Base64.
        data: String,
        /// `low`, `high` or `auto`.
        detail: Option<String>,
    },
}

/// A function that the model asks to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// What the answer to it names.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// Its arguments in JSON, as the model wrote them: untrusted and perhaps not valid.
    pub arguments: String,
}

impl Turn {
    /// What was said, whoever said it.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        match self {
            Self::System(parts)
            | Self::User(parts)
            | Self::Assistant { parts, .. }
            | Self::Tool { parts, .. } => parts,
        }
    }

    /// What was said, whoever said it, to change it.
    pub const fn parts_mut(&mut self) -> &mut Vec<Part> {
        match self {
            Self::System(parts)
            | Self::User(parts)
            | Self::Assistant { parts, .. }
            | Self::Tool { parts, .. } => parts,
        }
    }
}
