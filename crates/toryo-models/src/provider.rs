//! The provider port: one question to one deployment, one answer or a classified failure. No retry, no journal,
//! no price; the gateway does those once for all providers.
//!
//! Adapters: [`openai`], [`anthropic`], [`bedrock`], [`replay`], [`silent`] and the in-process [`fake`]. The first two
//! pass a client's own bytes on where its dialect is theirs; neutral words are translated, and what cannot be carried
//! is refused before anything is sent.
//!
//! # What becomes of a fault
//!
//! The same for every adapter, whole or streamed, unless said otherwise; the tests in `faults` ask each adapter
//! through each of them. "Unavailable" and "rate limited" are worth another try, elsewhere or later. A failure inside
//! a stream comes after the text that was there; no such stream has a stop, so that nobody takes it for an answer.
//!
//! | fault | outcome |
//! | --- | --- |
//! | nobody listens, reset before a status | unavailable |
//! | reset in the middle | unavailable |
//! | status, first piece or next piece does not come | waits for its caller's limit; dropped, it closes the connection |
//! | JSON cut, answer ends before the model stopped, nothing at all | unavailable |
//! | a piece that is not the protocol's, a wrong checksum | unavailable |
//! | a wrong content type, a page | unavailable |
//! | 429 | rate limited, with the wait that `Retry-After` names |
//! | 500, 502, 503, 529 | unavailable, with the status |
//! | 200 with an error in the body or in an event | what the error says; unavailable where it says nothing |
//! | a piece twice | passed on twice: equal pieces are no fault; a whole body twice is unavailable |
//! | no tokens counted | an answer without [`Completion::usage`] |
//! | more than 1 MiB in an event, more than 32 MiB in all | unavailable |

pub mod anthropic;
pub(crate) mod asking;
pub mod bedrock;
pub(crate) mod failure;
pub mod fake;
mod forced;
mod http;
mod mask;
mod native;
pub mod openai;
mod parameters;
mod pieces;
pub mod replay;
pub mod silent;
mod sse;

pub use asking::{chat_of, reply_of};
use native::number;

use crate::chat::{Chat, Completion, Event};
use crate::config::{Aws, Config, ProviderKind, StructuredOutput};
use crate::error::Error;
use crate::inbound::{Dialect, Inbound};
use crate::reply::{Finish, Usage};
use crate::request::{Caller, Message, OutputSchema};
use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use toryo_domain::FailureClass;

/// Asks models of one endpoint.
#[async_trait]
pub trait ModelProvider: Send + Sync + 'static {
    /// Asks once, for whoever it is. Dropping the future, or the stream that it returned, closes the connection, so
    /// that the provider may stop as well; time limits are the caller's, but for the connection's own. Sends nothing
    /// twice. An answer of the wrong type, cut or empty, is an error, never half an answer.
    ///
    /// # Errors
    /// What went wrong, in our words and without secrets.
    async fn send(&self, ask: Ask<'_>) -> Result<Answer, ProviderError>;

    /// Whether it can say the question's parameters to a model of its own. Nothing is sent: a deployment that can is
    /// asked instead.
    ///
    /// # Errors
    /// [`ProviderError::Unsupported`] names the first that it cannot say.
    fn knows(&self, _chat: &Chat, _model: &str) -> Result<(), ProviderError> {
        Ok(())
    }

    /// The dialect whose bytes it passes on without a translation: [`Ask::native`] is set for that one only.
    fn dialect(&self) -> Option<Dialect> {
        None
    }

    /// The commit of the repository that its answers were recorded for, where they come from a recording: nothing
    /// is paid, everything is labelled, and no other repository makes sense.
    fn recording_of(&self) -> Option<&str> {
        None
    }
}

/// A question to one deployment.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The deployment's name for its model.
    pub model: &'a str,
    /// The question in neutral words. Where `native` is set it is not read.
    pub chat: &'a Chat,
    /// The client's own bytes, in the provider's own dialect: sent on as they are, but for the model's name, the
    /// limit of tokens, and what the gateway must add (usage in the last chunk of a stream, opt-out of storage).
    pub native: Option<&'a Inbound>,
    /// The answer is wanted in pieces.
    pub stream: bool,
    /// Tokens of the answer at most, hidden reasoning included; in place of what the client asked.
    pub max_output_tokens: u32,
    /// How the deployment is told to answer in JSON of one schema.
    pub structured_output: StructuredOutput,
    /// Whether the model takes `temperature` and `top_p` at all; models that reason refuse them.
    pub takes_temperature: bool,
    /// Where and as whom a deployment of Bedrock is called.
    pub aws: Option<&'a Aws>,
    /// The step that asks, where it is one: sent as the headers `x-toryo-*`.
    pub step: Option<&'a Caller>,
}

/// What a deployment answered.
pub enum Answer {
    /// All at once.
    Whole(Whole),
    /// In pieces. The stream ends after its [`Event::Stop`] and [`Event::Usage`]; a stream that ends before
    /// `Stop` ends with an error.
    Stream(PieceStream),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(whole) => f.debug_tuple("Whole").field(whole).finish(),
            Self::Stream(_) => f.debug_tuple("Stream").finish(),
        }
    }
}

/// The pieces of an answer, as they come.
pub type PieceStream = Pin<Box<dyn Stream<Item = Result<Piece, ProviderError>> + Send>>;

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// In neutral words.
    pub completion: Completion,
    /// As it came, where the question was native: to be sent on as it is.
    pub native: Option<Bytes>,
}

/// One piece of a streamed answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Piece {
    /// In neutral words; may be none (a heartbeat) or several.
    pub events: Vec<Event>,
    /// The data of one server-sent event as it came, without `data:` and line ends, where the question was native
    /// and the client is to see it.
    pub native: Option<Native>,
}

/// One server-sent event of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native {
    /// The event's name, where the dialect names them.
    pub event: Option<&'static str>,
    /// One line of JSON.
    pub data: Bytes,
}

/// A question after the route was resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderRequest {
    /// On whose behalf.
    pub caller: Caller,
    /// The deployment's name for its model.
    pub model: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// What the reply has to look like.
    pub output: OutputSchema,
    /// How the deployment is told so.
    pub structured_output: StructuredOutput,
    /// Tokens the answer may have, hidden reasoning included.
    pub max_output_tokens: u32,
    /// `None` where the model refuses it.
    pub temperature: Option<f32>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderReply {
    /// The text.
    pub content: String,
    /// Why the model stopped.
    pub finish: Finish,
    /// Tokens.
    pub usage: Usage,
    /// The model that answered, as the provider names it.
    pub model: String,
}

/// Why a provider gave no answer. Messages are cut and masked before they get here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// 429: fewer requests, please.
    #[error("too many requests: {message}")]
    RateLimited {
        /// Not before this much time has passed, where it said so.
        retry_after: Option<Duration>,
        /// Its words.
        message: String,
    },
    /// The account has no money left; waiting does not help.
    #[error("the provider account's quota is used up: {message}")]
    QuotaExhausted {
        /// Its words.
        message: String,
    },
    /// It cannot be reached, answered with a server error, or with something that is not an answer.
    #[error("unavailable: {message}")]
    Unavailable {
        /// The HTTP status, if there was one.
        status: Option<u16>,
        /// Not before this much time has passed, where it said so.
        retry_after: Option<Duration>,
        /// Its words.
        message: String,
    },
    /// No answer in time.
    #[error("no answer within {limit:?}")]
    TimedOut {
        /// The limit of one attempt.
        limit: Duration,
    },
    /// 401 or 403.
    #[error("the key was refused (HTTP {status}): check the key and what it may use")]
    KeyRefused {
        /// The HTTP status.
        status: u16,
    },
    /// The prompt does not fit into the model.
    #[error("the prompt is longer than the model takes: {message}")]
    ContextLength {
        /// Its words.
        message: String,
    },
    /// The provider's rules forbid the question or the answer.
    #[error("the provider's content policy refused it: {message}")]
    ContentPolicy {
        /// Its words.
        message: String,
    },
    /// The model, its provider or our translation lacks something that the caller asked for. Nothing was sent.
    #[error("this model cannot do what was asked: {what} is not supported")]
    Unsupported {
        /// What is lacking.
        what: String,
        /// The parameter that asks for it, where it is one.
        param: Option<String>,
    },
    /// Any other refusal of the request: a wrong model name, an unsupported parameter.
    #[error("the request was refused (HTTP {status}): {message}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The recording holds no such reply.
    #[error(
        "the recording holds no reply to call {call_no} (`{output}`) of step `{step}`; \
         it plays the sample task only: configure a model key to work on anything else"
    )]
    NotRecorded {
        /// The step.
        step: String,
        /// The call.
        call_no: u32,
        /// The schema's name.
        output: String,
    },
    /// The step was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl ProviderError {
    /// Something is lacking that is no parameter by itself.
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), param: None }
    }

    /// A value of a parameter that is known as such.
    pub(crate) fn unsupported_value(param: &str, what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), param: Some(param.to_owned()) }
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::RateLimited { .. } => FailureClass::RateLimited,
            Self::QuotaExhausted { .. } => FailureClass::Budget,
            Self::Unavailable { .. } | Self::TimedOut { .. } => FailureClass::Transient,
            Self::KeyRefused { .. }
            | Self::ContextLength { .. }
            | Self::ContentPolicy { .. }
            | Self::Unsupported { .. }
            | Self::Rejected { .. }
            | Self::NotRecorded { .. } => FailureClass::Input,
            Self::Cancelled => FailureClass::Cancelled,
        }
    }

    /// Not before this much time has passed, where the provider said so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            Self::QuotaExhausted { .. }
            | Self::TimedOut { .. }
            | Self::KeyRefused { .. }
            | Self::ContextLength { .. }
            | Self::ContentPolicy { .. }
            | Self::Unsupported { .. }
            | Self::Rejected { .. }
            | Self::NotRecorded { .. }
            | Self::Cancelled => None,
        }
    }

    /// Whether the gateway asks again.
    pub(crate) const fn is_worth_repeating(&self) -> bool {
        matches!(self.class(), FailureClass::Transient | FailureClass::RateLimited)
    }
}

/// The providers by their names in the configuration.
#[derive(Clone, Default)]
pub struct Providers {
    pub(crate) by_name: BTreeMap<String, Arc<dyn ModelProvider>>,
    pub(crate) replay: Option<Arc<dyn ModelProvider>>,
}

impl Providers {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A client for every endpoint that has a key or needs none: Bedrock takes the environment's credentials.
    ///
    /// # Errors
    /// [`Error::Config`] names the endpoint that cannot be used.
    pub fn from_config(config: &Config) -> Result<Self, Error> {
        let mut providers = Self::new();
        for (name, provider) in &config.in_force()?.providers {
            if provider.is_usable() {
                let client: Arc<dyn ModelProvider> = match provider.kind {
                    ProviderKind::OpenAi => Arc::new(openai::OpenAi::new(name, provider)?),
                    ProviderKind::Anthropic => Arc::new(anthropic::Anthropic::new(name, provider)?),
                    ProviderKind::Bedrock => Arc::new(bedrock::Bedrock::new(provider)),
                };
                providers = providers.with(name, client);
            }
        }
        Ok(providers)
    }

    /// Endpoints that are known by name and never asked.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn silent(config: &Config) -> Result<Self, Error> {
        let names = config.in_force()?.providers.into_keys();
        Ok(names.fold(Self::new(), |providers, name| providers.with(name, Arc::new(silent::Silent))))
    }

    /// Adds a provider under a name, in place of an earlier one.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, provider: Arc<dyn ModelProvider>) -> Self {
        self.by_name.insert(name.into(), provider);
        self
    }

    /// Sets what answers for routes whose provider has no key, where the configuration allows it.
    #[must_use]
    pub fn with_replay(mut self, replay: Arc<dyn ModelProvider>) -> Self {
        self.replay = Some(replay);
        self
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Providers")
            .field("names", &self.by_name.keys())
            .field("replay", &self.replay.is_some())
            .finish()
    }
}

#[cfg(test)]
mod asked;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod round_trips;
