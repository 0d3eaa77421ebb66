//! OpenAI's chat completions and embeddings, and every server that speaks them. No retry here: those of `async-openai` are
//! replaced by a plain transport, the gateway has its own.

mod embeddings;
mod failure;
mod mask;
mod question;
mod transport;
mod wire;

use super::{ModelProvider, ProviderError, ProviderReply, ProviderRequest};
use crate::config::{Provider, TokenLimitField};
use crate::error::Error;
use async_openai::error::OpenAIError;
use async_openai::traits::RequestOptionsBuilder as _;
use async_openai::{Client, config::Config as EndpointConfig};
use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transport::Transport;

/// An endpoint that speaks OpenAI's chat completions.
pub struct OpenAi {
    client: Client<Endpoint>,
    token_limit_field: TokenLimitField,
}

impl OpenAi {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Config`] where the key cannot be sent in a header.
    pub fn new(name: &str, config: &Provider) -> Result<Self, Error> {
        let key = config.key().unwrap_or_else(|| SecretString::from(String::new()));
        let wrong = |what: &str| Error::Config(format!("models.providers.{name}{what}"));
        let authorization =
            bearer(&key).map_err(|_| wrong(".api_key holds characters that an HTTP header cannot carry"))?;
        // A client needs a TLS implementation of the process, even for plain HTTP; the first one wins.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(config.connect_timeout_seconds))
            // A key is sent to the configured host and to nobody it points to.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("toryo/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| wrong(": no HTTP client can be made"))?;
        let transport = Transport::new(http.clone(), key.clone());
        let endpoint = Endpoint { base_url: config.base_url.as_str().to_owned(), key, authorization };
        let client = Client::build(http, endpoint).with_http_service(transport);
        Ok(Self { client, token_limit_field: config.token_limit_field })
    }

    async fn ask(&self, request: &ProviderRequest) -> Result<ProviderReply, ProviderError> {
        let question = question::of(request, self.token_limit_field);
        let answer: Result<wire::Completion, OpenAIError> =
            self.client.chat().headers(headers(request)).create_byot(question).await;
        wire::reply(answer.map_err(failure::of_client)?, &request.model)
    }
}

#[async_trait]
impl ModelProvider for OpenAi {
    async fn complete(
        &self,
        request: &ProviderRequest,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<ProviderReply, ProviderError> {
        let limit = deadline.saturating_duration_since(Instant::now());
        // Dropping the request closes its connection, so that the server may stop as well.
        tokio::select! {
            biased;
            answer = self.ask(request) => answer,
            () = cancel.cancelled() => Err(ProviderError::Cancelled),
            () = tokio::time::sleep_until(deadline) => Err(ProviderError::TimedOut { limit }),
        }
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi").field("base_url", &self.client.config().base_url).finish_non_exhaustive()
    }
}

/// What `async-openai` is told of the endpoint. Its own `OpenAIConfig` would read the environment and panic on an
/// odd key.
struct Endpoint {
    base_url: String,
    key: SecretString,
    authorization: Option<HeaderValue>,
}

impl EndpointConfig for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.authorization.iter().map(|value| (AUTHORIZATION, value.clone())).collect()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base_url
    }

    fn api_key(&self) -> &SecretString {
        &self.key
    }
}

fn bearer(key: &SecretString) -> Result<Option<HeaderValue>, reqwest::header::InvalidHeaderValue> {
    if key.expose_secret().is_empty() {
        return Ok(None);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The headers of design §5.2.
fn headers(request: &ProviderRequest) -> HeaderMap {
    let caller = &request.caller;
    [
        ("x-toryo-run", caller.run_id.to_string()),
        ("x-toryo-step", caller.step_key.to_string()),
        ("x-toryo-agent", caller.agent.to_string()),
    ]
    .into_iter()
    // Ids, step keys and roles are ASCII by construction.
    .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?)))
    .collect()
}

#[cfg(test)]
mod tests;
