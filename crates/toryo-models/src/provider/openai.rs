//! OpenAI's chat completions and embeddings, and every server that speaks them. No retry here: the gateway has its
//! own. Chats go over `http`, so that a client's bytes pass through unread; embeddings over `async-openai`.

mod embeddings;
mod read;
mod stream;
mod transport;
mod write;

use super::http::{self, Endpoint};
use super::parameters::{self, Wire};
use super::{Answer, Ask, ModelProvider, ProviderError, Whole, forced, pieces};
use crate::chat::{Chat, Format};
use crate::config::{Provider, StructuredOutput, TokenLimitField};
use crate::error::Error;
use crate::inbound::Dialect;
use async_openai::Client;
use async_trait::async_trait;
use embeddings::Vectors;
use reqwest::header::AUTHORIZATION;
use std::fmt;
use std::sync::Arc;

/// An endpoint that speaks OpenAI's chat completions.
pub struct OpenAi {
    endpoint: Endpoint,
    vectors: Client<Vectors>,
    rules: Rules,
}

/// What the endpoint is sent beside the question.
pub(super) struct Rules {
    token_limit_field: TokenLimitField,
    /// It is OpenAI itself, or Azure's: strict about fields, and knows `store`.
    is_openai: bool,
    /// The operator allows the provider to keep questions and answers.
    may_store: bool,
}

impl Rules {
    const fn wire(&self) -> Wire {
        if self.is_openai { Wire::OpenAi } else { Wire::Compatible }
    }

    const fn limit_field(&self) -> &'static str {
        match self.token_limit_field {
            TokenLimitField::MaxCompletionTokens => "max_completion_tokens",
            TokenLimitField::MaxTokens => "max_tokens",
        }
    }
}

impl OpenAi {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Config`] where the key cannot be sent in a header.
    pub fn new(name: &str, config: &Provider) -> Result<Self, Error> {
        let bearer = |key: &str| Some((AUTHORIZATION, format!("Bearer {key}")));
        let endpoint = Endpoint::new(name, config, "/chat/completions", bearer)?;
        let vectors = Vectors::client(config, &endpoint);
        let host = endpoint.url().host_str().unwrap_or_default();
        let rules = Rules {
            token_limit_field: config.token_limit_field,
            is_openai: [".openai.com", ".openai.azure.com"].iter().any(|domain| host.ends_with(domain)),
            may_store: config.store,
        };
        Ok(Self { endpoint, vectors, rules })
    }
}

#[async_trait]
impl ModelProvider for OpenAi {
    async fn send(&self, ask: Ask<'_>) -> Result<Answer, ProviderError> {
        let native = ask.native.filter(|inbound| inbound.dialect == Dialect::Completions);
        let body = match native {
            Some(inbound) => write::native(inbound, &ask, &self.rules)?,
            None => write::neutral(&ask, &self.rules)?,
        };
        let response = self.endpoint.post(body, ask.step, None).await?;
        let forced = native.is_none()
            && ask.structured_output == StructuredOutput::ToolCall
            && matches!(ask.chat.format, Format::JsonSchema { .. });
        if ask.stream {
            let response = self.endpoint.streamed(response).await?;
            let settings = stream::Settings {
                model: ask.model.to_owned(),
                native: native.map(|inbound| inbound.head.include_usage),
                choices: native.map_or(1, |inbound| inbound.head.choices),
                forced,
            };
            let key = Arc::clone(self.endpoint.key());
            return Ok(Answer::Stream(pieces::of(
                response,
                stream::Chunks::new(settings, Arc::clone(&key)),
                key,
            )));
        }
        let body = self.endpoint.whole(response).await?;
        let completion = read::completion(&body, ask.model)
            .map_err(|error| http::error_in(&body, self.endpoint.key()).unwrap_or(error))?;
        let completion = if forced { forced::unwrap(completion) } else { completion };
        Ok(Answer::Whole(Whole { completion, native: native.map(|_| body) }))
    }

    fn knows(&self, chat: &Chat, _: &str) -> Result<(), ProviderError> {
        parameters::check(chat, self.rules.wire())
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Completions)
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi").field("url", &self.endpoint.url().as_str()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod chats;
#[cfg(test)]
mod tests;

/// What the tests of other modules look at.
#[cfg(test)]
pub(super) mod tests_of {
    use super::*;
    use crate::chat::Completion;

    pub(in crate::provider) fn write(ask: &Ask<'_>) -> Result<Vec<u8>, ProviderError> {
        let token_limit_field = TokenLimitField::MaxCompletionTokens;
        write::neutral(ask, &Rules { token_limit_field, is_openai: true, may_store: true })
    }

    pub(in crate::provider) fn read_answer(body: &[u8]) -> Result<Completion, ProviderError> {
        read::completion(body, "asked")
    }
}
