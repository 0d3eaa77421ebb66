//! Anthropic's Messages API. No retry here: the gateway has its own.

mod read;
mod stream;
mod write;

pub(super) use write::{arguments, schema_of, thinking};

use super::http::{self, Endpoint};
use super::native::{Fields, json_text};
use super::parameters::{self, Wire};
use super::{Answer, Ask, ModelProvider, ProviderError, Whole, forced, pieces};
use crate::chat::{Chat, Format};
use crate::config::{BaseUrl, Provider};
use crate::error::Error;
use crate::inbound::{Dialect, Inbound};
use async_trait::async_trait;
use reqwest::header::{HeaderName, HeaderValue};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The version of the API that is spoken; the only one since 2023.
const VERSION: &str = "2023-06-01";
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// An endpoint that speaks Anthropic's Messages.
pub struct Anthropic {
    endpoint: Endpoint,
}

impl Anthropic {
    /// Connects to nothing yet. The base URL may end in `/v1` or not.
    ///
    /// # Errors
    /// [`Error::Config`] where the key cannot be sent in a header.
    pub fn new(name: &str, config: &Provider) -> Result<Self, Error> {
        let key = |key: &str| Some((HeaderName::from_static("x-api-key"), key.to_owned()));
        let mut config = config.clone();
        if config.base_url == BaseUrl::open_ai() {
            // Nothing was written: a provider's default is OpenAI's.
            config.base_url = BaseUrl::anthropic();
        }
        let path = if config.base_url.as_str().ends_with("/v1") { "/messages" } else { "/v1/messages" };
        let endpoint = Endpoint::new(name, &config, path, key)?;
        let version = HeaderValue::from_static(VERSION);
        Ok(Self { endpoint: endpoint.with_header(HeaderName::from_static("anthropic-version"), version) })
    }
}

/// The client's own bytes with the model, the limit of tokens and what the gateway must add. The names of beta
/// features, which clients send in a header or in the body, go into their header.
fn native(inbound: &Inbound, ask: &Ask<'_>) -> Result<(Vec<u8>, Option<HeaderValue>), ProviderError> {
    let fields = Fields::read(&inbound.body)?;
    let named = fields.get(write::BETA_FIELD).map(serde_json::from_str).transpose();
    let named = named.map_err(|_| unsupported("a beta feature without a name"))?;
    let betas = write::betas(named.as_ref(), inbound.betas.as_deref())?;
    let limit = ask.max_output_tokens.to_string();
    let mut own: Vec<(&str, Cow<'_, str>)> =
        vec![("model", json_text(ask.model).into()), ("max_tokens", limit.into())];
    if ask.stream {
        own.push(("stream", "true".into()));
    }
    let body = fields.with(&own, &["stream", write::BETA_FIELD]);
    Ok((body, betas))
}

fn unsupported(what: &str) -> ProviderError {
    ProviderError::unsupported(what)
}

#[async_trait]
impl ModelProvider for Anthropic {
    async fn send(&self, ask: Ask<'_>) -> Result<Answer, ProviderError> {
        let native = ask.native.filter(|inbound| inbound.dialect == Dialect::Messages);
        let (body, beta) = match native {
            Some(inbound) => self::native(inbound, &ask)?,
            None => write::neutral(&ask)?,
        };
        let response = self.endpoint.post(body, ask.step, beta.map(|beta| (BETA, beta))).await?;
        let forced = native.is_none() && matches!(ask.chat.format, Format::JsonSchema { .. });
        if ask.stream {
            let response = self.endpoint.streamed(response).await?;
            let key = Arc::clone(self.endpoint.key());
            let decoder =
                stream::Blocks::new(ask.model.to_owned(), native.is_some(), forced, Arc::clone(&key));
            return Ok(Answer::Stream(pieces::of(response, decoder, key)));
        }
        let body = self.endpoint.whole(response).await?;
        let completion = read::completion(&body, ask.model)
            .map_err(|error| http::error_in(&body, self.endpoint.key()).unwrap_or(error))?;
        let completion = if forced { forced::unwrap(completion) } else { completion };
        Ok(Answer::Whole(Whole { completion, native: native.map(|_| body) }))
    }

    fn knows(&self, chat: &Chat, _: &str) -> Result<(), ProviderError> {
        parameters::check(chat, Wire::Anthropic)
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Messages)
    }
}

impl fmt::Debug for Anthropic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anthropic").field("url", &self.endpoint.url().as_str()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

/// What the tests of other modules look at.
#[cfg(test)]
pub(super) mod tests_of {
    use super::*;
    use crate::chat::Completion;

    pub(in crate::provider) fn write(ask: &Ask<'_>) -> Result<Vec<u8>, ProviderError> {
        Ok(write::neutral(ask)?.0)
    }

    pub(in crate::provider) fn read_answer(body: &[u8]) -> Result<Completion, ProviderError> {
        read::completion(body, "asked")
    }
}
