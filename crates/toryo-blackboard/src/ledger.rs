//! The gateway's ledger: one row a call, and what every account spent in every period.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;
use toryo_domain::{AccountId, CallId, RunId, StepId, Usd};

/// Whom a call belongs to. All of it is `None` for the operator's own key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Who {
    /// The organisation.
    pub organisation: Option<AccountId>,
    /// The team.
    pub team: Option<AccountId>,
    /// The person or service.
    pub user: Option<AccountId>,
    /// The key that was shown.
    pub key: Option<AccountId>,
}

impl Who {
    /// The accounts that pay, widest first.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> {
        [self.organisation, self.team, self.user, self.key].into_iter().flatten()
    }
}

/// What a call was and what became of it, as its caller knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The run that asked, where it was one of Toryo's own.
    pub run_id: Option<RunId>,
    /// Its step.
    pub step_id: Option<StepId>,
    /// Its agent.
    pub agent: Option<Arc<str>>,
    /// The alias that was asked for.
    pub route: Arc<str>,
    /// The deployment that answered last; empty where none was asked.
    pub deployment: Arc<str>,
    /// Its provider's name in the configuration; empty where none was asked.
    pub provider: Arc<str>,
    /// The model as the provider names it; empty where none was asked.
    pub model: Arc<str>,
    /// The region of the deployment, where it has one.
    pub region: Option<Arc<str>>,
    /// The cloud account of the deployment, where it has one.
    pub account: Option<Arc<str>>,
    /// The client's protocol, such as `chat_completions` or `embeddings`.
    pub dialect: Arc<str>,
    /// Tokens of the prompt, cached ones included.
    pub input_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: u64,
    /// Tokens of the prompt that the provider had cached.
    pub cached_input_tokens: u64,
    /// Tokens of the prompt that the provider put into its cache for this call.
    pub cache_write_tokens: u64,
    /// Tokens of hidden reasoning.
    pub reasoning_tokens: u64,
    /// Who counted the tokens.
    pub counted_by: CountedBy,
    /// What it cost; what is charged to every account of the caller.
    #[serde(serialize_with = "as_nanos", deserialize_with = "from_nanos")]
    pub cost: Usd,
    /// The day of the price table, as `YYYY-MM-DD`; `None` where the model has no price.
    pub priced_as_of: Option<Arc<str>>,
    /// From the request to the end of the answer, in milliseconds.
    pub latency_ms: u64,
    /// From the request to the first piece of the answer, in milliseconds; streams only.
    pub first_token_ms: Option<u64>,
    /// What became of it.
    pub status: CallStatus,
    /// The class of the failure, such as `rate_limit`; `None` where there was none.
    pub error_class: Option<Arc<str>>,
    /// What the client was answered.
    pub http_status: u16,
    /// How often providers were asked.
    pub attempts: u32,
    /// Whether a cache answered.
    pub cache: CacheState,
    /// The answer was sent in pieces.
    pub stream: bool,
}

/// One row: a call, who made it, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Its id; writing a row twice changes nothing.
    pub id: CallId,
    /// When the call was admitted, by the database's clock. It decides which period pays.
    pub at: DateTime<Utc>,
    /// Who pays.
    pub who: Who,
    /// The process whose grant covers the cost; `None` where nothing was reserved for it.
    pub session: Option<i64>,
    /// What it was.
    pub call: Call,
}

macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$item])* $variant),+ }

        impl $name {
            /// As tables and lists name it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

text_enum! {
    /// Who counted the tokens.
    CountedBy {
        /// The provider said them.
        Provider = "provider",
        /// The gateway counted, because the provider did not say.
        Estimate = "estimate",
    }
}

text_enum! {
    /// What became of a call.
    CallStatus {
        /// Answered to its end.
        Ok = "ok",
        /// Failed or refused.
        Error = "error",
        /// The client went away.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// Whether a cache answered.
    CacheState {
        /// No cache.
        None = "none",
        /// An equal request was answered before.
        Exact = "exact",
        /// A similar request was answered before.
        Semantic = "semantic",
        /// The provider had a part of the prompt cached.
        Provider = "provider",
    }
}

fn as_nanos<S: Serializer>(amount: &Usd, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(amount.nanos())
}

fn from_nanos<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Usd, D::Error> {
    i64::deserialize(deserializer).map(Usd::from_nanos)
}
