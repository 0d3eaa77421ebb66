//! What a client of the gateway sent: its dialect, its bytes, and what the gateway must know before it decides
//! who answers. The whole is read into a [`Chat`] only where somebody needs it: a client and a provider of one
//! dialect understand each other without us.

use bytes::Bytes;

/// The three protocols that clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's chat completions, `POST /v1/chat/completions`.
    Completions,
    /// OpenAI's responses, `POST /v1/responses`.
    Responses,
    /// Anthropic's messages, `POST /v1/messages`.
    Messages,
}

impl Dialect {
    /// As logs and the ledger name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completions => "chat_completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// Its protocol.
    pub dialect: Dialect,
    /// A JSON object.
    pub body: Bytes,
    /// What was read of it.
    pub head: Head,
    /// Names of beta features that an Anthropic client asks for in its header `anthropic-beta`, separated by commas.
    /// They mean something to Anthropic only: whoever else answers is not told.
    pub betas: Option<Box<str>>,
}

/// What decides who answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The route's alias.
    pub model: String,
    /// The answer is wanted in pieces.
    pub stream: bool,
    /// The client of a stream wants the tokens in its last chunk (`stream_options.include_usage`); always so in
    /// the other two dialects.
    pub include_usage: bool,
    /// Tokens of the answer at most, as the client asked.
    pub max_output_tokens: Option<u32>,
    /// Answers wanted side by side; 1 but for chat completions with `n`.
    pub choices: u32,
}
