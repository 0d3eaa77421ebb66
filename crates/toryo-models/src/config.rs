//! The section `[models]` of `toryo.toml`: endpoints, routes and retries.
//!
//! Two stages: [`Config`] is what was written, [`InForce`] what holds after the built-in routes and the price
//! table filled the gaps. Only the second one is used.

mod aws;
mod base_url;
mod check;
mod embeddings;
mod in_force;
pub mod litellm;
mod route;

pub use aws::Aws;
pub use base_url::BaseUrl;
pub use embeddings::Embeddings;
pub use in_force::{BUILT_IN_ROUTES, Deployment, InForce, RouteInForce};
pub use route::{
    AtLimit, Endpoint, Fallbacks, KeepWords, PromptLog, Route, RouteCache, Specialisation, Strategy,
    TimeLimits,
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::time::Duration;
use toryo_domain::Usd;

/// Models as the operator wrote them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What happens on a route whose provider has no key.
    pub without_key: WithoutKey,
    /// How often a provider is asked again, and for how long.
    pub retry: Retry,
    /// Endpoints by name. `openai` is there even where it is not written.
    pub providers: BTreeMap<String, Provider>,
    /// Routes by alias. Where none is written the built-in ones hold; where some are, an alias that is missing
    /// falls back to `default`.
    pub routes: BTreeMap<String, Route>,
    /// The model that turns code and questions into vectors for the search. None by default: search is lexical.
    pub embeddings: Option<Embeddings>,
    /// Routes that mask take network addresses for personal data as well. They look like version numbers, so they do
    /// not by default.
    pub mask_ip_addresses: bool,
    /// Bytes of answers that one process keeps at most, for routes that keep answers.
    pub cache_bytes: CacheBytes,
}

/// Bytes of answers that one process keeps at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CacheBytes(pub u64);

impl Default for CacheBytes {
    fn default() -> Self {
        Self(64 * 1024 * 1024)
    }
}

/// What happens on a route whose provider has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutKey {
    /// Calls fail and say which key to set.
    #[default]
    Refuse,
    /// The recording of the sample task answers; everything that follows is labelled as a replay.
    Replay,
}

/// How often a provider is asked again, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Requests for one call at most, the first included. Default 6.
    pub attempts: u32,
    /// Wait before the second request, in milliseconds; doubled each time, plus up to as much again at random.
    /// Default 500.
    pub first_delay_ms: u64,
    /// Longest wait before one request, in seconds. Where a provider asks for more, the step is put off for that
    /// long instead, so that no worker sits waiting. Default 60.
    pub longest_delay_seconds: u64,
    /// Time for one call with all its requests and waits, in seconds. Default 900.
    pub total_seconds: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 6, first_delay_ms: 500, longest_delay_seconds: 60, total_seconds: 900 }
    }
}

/// An endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// Its protocol.
    pub kind: ProviderKind,
    /// Where it is, with the version and without a key. Default OpenAI's own.
    pub base_url: BaseUrl,
    /// The key. Shown as `***`.
    #[serde(serialize_with = "masked")]
    pub api_key: Option<SecretString>,
    /// The endpoint asks for no key, as a local server may.
    pub keyless: bool,
    /// Time for one request, in seconds. Default 300: strong models think for minutes.
    pub timeout_seconds: u64,
    /// Time to connect, in seconds. Default 10.
    pub connect_timeout_seconds: u64,
    /// The name under which the endpoint takes the limit of output tokens.
    pub token_limit_field: TokenLimitField,
    /// The endpoint may keep questions and answers, as OpenAI does under `store`. Default off: `store: false` is sent
    /// to OpenAI and Azure, and to other servers where a client sent the field.
    pub store: bool,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            kind: ProviderKind::OpenAi,
            base_url: BaseUrl::open_ai(),
            api_key: None,
            keyless: false,
            timeout_seconds: 300,
            connect_timeout_seconds: 10,
            token_limit_field: TokenLimitField::MaxCompletionTokens,
            store: false,
        }
    }
}

impl Provider {
    /// The key without the white space that files and terminals add; `None` where there is none.
    #[must_use]
    pub fn key(&self) -> Option<SecretString> {
        let key = self.api_key.as_ref()?.expose_secret().trim();
        (!key.is_empty()).then(|| SecretString::from(key.to_owned()))
    }

    /// Whether requests can be sent at all: there is a key, or none is needed.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.keyless || self.kind == ProviderKind::Bedrock || self.key().is_some()
    }

    /// Time for one request.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProviderKind {
    /// OpenAI's chat completions, which most servers speak.
    #[serde(rename = "openai")]
    OpenAi,
    /// Anthropic's messages.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// Amazon Bedrock's Converse, signed with AWS credentials instead of a key.
    #[serde(rename = "bedrock")]
    Bedrock,
}

/// The name of the limit of output tokens in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenLimitField {
    /// OpenAI's present name.
    MaxCompletionTokens,
    /// The older name, which some servers know only.
    MaxTokens,
}

/// How a deployment is told to answer in JSON of one schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StructuredOutput {
    /// `response_format` with a strict JSON Schema.
    #[default]
    JsonSchema,
    /// One function that the model has to call.
    ToolCall,
    /// `response_format` JSON without a schema; the schema is added to the prompt.
    JsonObject,
}

/// Dollars a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of the prompt.
    pub input: Usd,
    /// Of the part of the prompt that the provider had cached.
    pub cached_input: Usd,
    /// Of the part of the prompt that the provider put into its cache. Default: as any other part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Usd>,
    /// Of the answer.
    pub output: Usd,
}

fn open_ai_name() -> String {
    "openai".to_owned()
}

fn masked<S: Serializer>(key: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match key {
        Some(_) => serializer.serialize_some("***"),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_written_is_a_whole_configuration() {
        let config: Config = toml::from_str("").unwrap();
        let in_force = config.in_force().unwrap();
        assert_eq!(in_force.routes.keys().collect::<Vec<_>>(), BUILT_IN_ROUTES.iter().collect::<Vec<_>>());
        assert!(in_force.routes.values().all(|route| route.first().price.is_some()));
        assert_ne!(in_force.routes["refiner"].first().model, in_force.routes["coder"].first().model);
    }

    #[test]
    fn a_key_alone_is_enough_and_is_never_shown() {
        let config: Config = toml::from_str("[providers.openai]\napi_key = \" sk-secret\\n\"").unwrap();
        let provider = &config.providers["openai"];
        assert_eq!(provider.key().map(|key| key.expose_secret().to_owned()), Some("sk-secret".into()));
        let shown = format!("{config:?} {} {config:#?}", toml::to_string(&config).unwrap());
        assert!(!shown.contains("sk-secret"), "{shown}");
        assert!(shown.contains("***"), "{shown}");
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for wrong in [
            "speed = 1",
            "[providers.openai]\nurl = \"http://x\"",
            "[providers.openai]\nkind = \"telepathy\"",
            "[routes.default]\nmodel = \"m\"\nprize = 1",
            "[retry]\ntimes = 3",
        ] {
            assert!(toml::from_str::<Config>(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}
