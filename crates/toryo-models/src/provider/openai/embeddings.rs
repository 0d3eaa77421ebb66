//! `POST /embeddings`: one vector a text.

use super::OpenAi;
use super::transport::{self, Transport};
use crate::config::Provider;
use crate::embeddings::{EmbeddingProvider, EmbeddingReply, EmbeddingRequest};
use crate::provider::http::Endpoint;
use crate::provider::{ProviderError, failure};
use async_openai::Client;
use async_openai::config::Config as ClientConfig;
use async_trait::async_trait;
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The body of a request.
#[derive(Debug, Serialize)]
struct Question<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

/// The body of a successful answer, read leniently.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    data: Vec<Vector>,
    #[serde(default)]
    usage: Tokens,
}

#[derive(Debug, Deserialize)]
struct Vector {
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    prompt_tokens: u64,
}

/// What `async-openai` is told of the endpoint. Its own `OpenAIConfig` would read the environment and panic on an
/// odd key; the headers are the transport's, which also replaces its retries.
pub(super) struct Vectors {
    base_url: String,
    key: Arc<SecretString>,
}

impl Vectors {
    pub(super) fn client(config: &Provider, endpoint: &Endpoint) -> Client<Self> {
        let of = Self { base_url: config.base_url.as_str().to_owned(), key: Arc::clone(endpoint.key()) };
        Client::build(endpoint.client().clone(), of).with_http_service(Transport::new(endpoint.clone()))
    }
}

impl ClientConfig for Vectors {
    fn headers(&self) -> HeaderMap {
        HeaderMap::new()
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

#[async_trait]
impl EmbeddingProvider for OpenAi {
    async fn embed(
        &self,
        request: &EmbeddingRequest,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<EmbeddingReply, ProviderError> {
        let limit = deadline.saturating_duration_since(Instant::now());
        tokio::select! {
            biased;
            answer = self.ask_for_vectors(request) => answer,
            () = cancel.cancelled() => Err(ProviderError::Cancelled),
            () = tokio::time::sleep_until(deadline) => Err(ProviderError::TimedOut { limit }),
        }
    }
}

impl OpenAi {
    async fn ask_for_vectors(&self, request: &EmbeddingRequest) -> Result<EmbeddingReply, ProviderError> {
        let question = Question {
            model: &request.model,
            input: &request.texts,
            encoding_format: "float",
            dimensions: request.shorten_to,
        };
        let answer = self.vectors.embeddings().create_byot(question).await;
        reply(answer.map_err(transport::of_client)?, request.texts.len())
    }
}

/// The vectors in the order of the texts, however the server ordered them.
fn reply(answer: Answer, texts: usize) -> Result<EmbeddingReply, ProviderError> {
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; texts];
    for (place, vector) in answer.data.into_iter().enumerate() {
        match vectors.get_mut(vector.index.unwrap_or(place)) {
            Some(slot @ None) => *slot = Some(vector.embedding),
            _ => return Err(failure::not_an_answer("a vector for a text that was not sent")),
        }
    }
    let vectors: Option<Vec<Vec<f32>>> = vectors.into_iter().collect();
    let vectors = vectors.ok_or_else(|| failure::not_an_answer("without a vector for each text"))?;
    Ok(EmbeddingReply { vectors, input_tokens: answer.usage.prompt_tokens })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(body: Value) -> Result<Vec<Vec<f32>>, ProviderError> {
        reply(serde_json::from_value(body).unwrap(), 2).map(|reply| reply.vectors)
    }

    #[test]
    fn vectors_stand_in_the_order_of_the_texts() {
        let turned = json!({"data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]});
        assert_eq!(read(turned).unwrap(), [[1.0], [2.0]]);
        let without = json!({"data": [{"embedding": [1]}, {"embedding": [2]}], "usage": {}});
        assert_eq!(read(without).unwrap(), [[1.0], [2.0]]);
    }

    #[test]
    fn an_answer_that_does_not_fit_its_question_is_none() {
        for wrong in [
            json!({"data": []}),
            json!({"data": [{"index": 0, "embedding": [1]}]}),
            json!({"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}),
            json!({"data": [{"index": 0, "embedding": [1]}, {"index": 7, "embedding": [1]}]}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
