//! What a model says, in words that every wire can carry.

use crate::openai::Usage;
use serde_json::Value;

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Visible reasoning before it.
    pub thinking: Option<Thinking>,
    /// The text in the pieces in which it is streamed; none where it is empty.
    pub text: Vec<String>,
    /// Functions to call.
    pub calls: Vec<Call>,
    /// Why it ends.
    pub stop: Stop,
    /// The tokens it claims; `None` claims nothing.
    pub usage: Option<Usage>,
    /// Tokens put into the provider's cache, where the wire counts them.
    pub cache_write: u64,
}

/// Visible reasoning.
#[derive(Debug, Clone)]
pub struct Thinking {
    /// What may be shown.
    pub text: String,
    /// The provider's signature.
    pub signature: String,
}

/// A function to call.
#[derive(Debug, Clone)]
pub struct Call {
    /// What the answer to it names.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stop {
    /// The model was done.
    #[default]
    End,
    /// It ran into the limit of tokens.
    Length,
    /// It waits for functions.
    ToolUse,
    /// A filter or a guardrail stopped it.
    Filter,
}

impl Said {
    /// Words in pieces of eight characters, of a thousand tokens in and a hundred out.
    #[must_use]
    pub fn text(words: &str) -> Self {
        let characters: Vec<char> = words.chars().collect();
        let text = characters.chunks(8).map(|piece| piece.iter().collect()).collect();
        Self { text, usage: Some(Usage::default()), ..Self::default() }
    }

    /// One function to call.
    #[must_use]
    pub fn call(name: &str, arguments: Value) -> Self {
        let call = Call { id: "call_1".into(), name: name.into(), arguments };
        Self { calls: vec![call], stop: Stop::ToolUse, usage: Some(Usage::default()), ..Self::default() }
    }

    /// With these tokens.
    #[must_use]
    pub const fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }
}

/// A JSON text in pieces of twelve characters, as arguments are streamed.
pub(super) fn pieces_of(value: &Value) -> Vec<String> {
    let characters: Vec<char> = value.to_string().chars().collect();
    characters.chunks(12).map(|piece| piece.iter().collect()).collect()
}
