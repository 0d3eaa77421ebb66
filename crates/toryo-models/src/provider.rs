//! The provider port: one question to one deployment, one answer or a classified failure. No retry, no journal,
//! no price; the gateway does those once for all providers.
//!
//! Adapters: [`openai`], [`replay`], [`silent`] and the in-process [`fake`].

pub mod fake;
pub mod openai;
pub mod replay;
pub mod silent;

use crate::config::{Config, ProviderKind, StructuredOutput};
use crate::error::Error;
use crate::reply::{Finish, Usage};
use crate::request::{Caller, Message, OutputSchema};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use toryo_domain::FailureClass;

/// Asks models of one endpoint.
#[async_trait]
pub trait ModelProvider: Send + Sync + 'static {
    /// Asks once. Ends at the answer, at `deadline` or soon after `cancel`; sends nothing twice.
    ///
    /// # Errors
    /// What went wrong, in our words and without secrets.
    async fn complete(
        &self,
        request: &ProviderRequest,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<ProviderReply, ProviderError>;

    /// The commit of the repository that its answers were recorded for, where they come from a recording: nothing
    /// is paid, everything is labelled, and no other repository makes sense.
    fn recording_of(&self) -> Option<&str> {
        None
    }
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
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::RateLimited { .. } => FailureClass::RateLimited,
            Self::QuotaExhausted { .. } => FailureClass::Budget,
            Self::Unavailable { .. } | Self::TimedOut { .. } => FailureClass::Transient,
            Self::KeyRefused { .. }
            | Self::ContextLength { .. }
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

    /// A client for every endpoint that has a key or needs none.
    ///
    /// # Errors
    /// [`Error::Config`] names the endpoint that cannot be used.
    pub fn from_config(config: &Config) -> Result<Self, Error> {
        let mut providers = Self::new();
        for (name, provider) in &config.in_force()?.providers {
            if provider.key().is_some() || provider.keyless {
                let client: Arc<dyn ModelProvider> = match provider.kind {
                    ProviderKind::OpenAi => Arc::new(openai::OpenAi::new(name, provider)?),
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
