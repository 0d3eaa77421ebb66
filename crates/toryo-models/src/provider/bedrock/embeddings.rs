//! Embeddings of Amazon's Titan and Cohere's models over `InvokeModel`: each family has a body of its own.

use super::{Bedrock, failure};
use crate::embeddings::{EmbeddingProvider, EmbeddingReply, EmbeddingRequest, TextKind};
use crate::provider::ProviderError;
use crate::provider::failure::not_an_answer;
use async_trait::async_trait;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::primitives::Blob;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Texts of one request to Cohere's models at most.
const MOST_TEXTS: usize = 96;

/// What one text of Titan's becomes.
#[derive(Deserialize)]
struct Titan {
    embedding: Vec<f32>,
    #[serde(default, rename = "inputTextTokenCount")]
    tokens: u64,
}

#[derive(Deserialize)]
struct Cohere {
    embeddings: Vectors,
}

/// A list, or one list a type of numbers: `embedding_types` decides, and the version of the model.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vectors {
    List(Vec<Vec<f32>>),
    ByType { float: Vec<Vec<f32>> },
}

#[async_trait]
impl EmbeddingProvider for Bedrock {
    async fn embed(
        &self,
        request: &EmbeddingRequest,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<EmbeddingReply, ProviderError> {
        let limit = deadline.saturating_duration_since(Instant::now());
        tokio::select! {
            biased;
            answer = self.vectors(request) => answer,
            () = cancel.cancelled() => Err(ProviderError::Cancelled),
            () = tokio::time::sleep_until(deadline) => Err(ProviderError::TimedOut { limit }),
        }
    }
}

impl Bedrock {
    async fn vectors(&self, request: &EmbeddingRequest) -> Result<EmbeddingReply, ProviderError> {
        let client = self.clients.of(&self.default).await;
        if request.model.contains("cohere") {
            return cohere(&client, request).await;
        }
        if request.model.contains("titan-embed") {
            return titan(&client, request).await;
        }
        Err(ProviderError::unsupported("embeddings of a model other than Titan's and Cohere's"))
    }
}

/// One text a request.
async fn titan(client: &Client, request: &EmbeddingRequest) -> Result<EmbeddingReply, ProviderError> {
    let mut reply = EmbeddingReply { vectors: Vec::with_capacity(request.texts.len()), input_tokens: 0 };
    for text in &request.texts {
        let mut body = json!({"inputText": text});
        if let Some(dimensions) = request.shorten_to {
            body["dimensions"] = dimensions.into();
        }
        let answer: Titan = invoke(client, &request.model, &body).await?;
        reply.vectors.push(answer.embedding);
        reply.input_tokens = reply.input_tokens.saturating_add(answer.tokens);
    }
    Ok(reply)
}

async fn cohere(client: &Client, request: &EmbeddingRequest) -> Result<EmbeddingReply, ProviderError> {
    let mut reply = EmbeddingReply { vectors: Vec::with_capacity(request.texts.len()), input_tokens: 0 };
    let input_type = match request.kind {
        TextKind::Query => "search_query",
        TextKind::Passage => "search_document",
    };
    for texts in request.texts.chunks(MOST_TEXTS) {
        let mut body = json!({"texts": texts, "input_type": input_type});
        if let Some(dimensions) = request.shorten_to {
            body["output_dimension"] = dimensions.into();
            body["embedding_types"] = json!(["float"]);
        }
        let answer: Cohere = invoke(client, &request.model, &body).await?;
        let (Vectors::List(vectors) | Vectors::ByType { float: vectors }) = answer.embeddings;
        if vectors.len() != texts.len() {
            return Err(not_an_answer("without a vector for each text"));
        }
        reply.vectors.extend(vectors);
    }
    Ok(reply)
}

async fn invoke<T: for<'a> Deserialize<'a>>(
    client: &Client,
    model: &str,
    body: &Value,
) -> Result<T, ProviderError> {
    let call =
        client.invoke_model().model_id(model).content_type("application/json").accept("application/json");
    let answer = call.body(Blob::new(body.to_string())).send().await;
    let answer = answer.map_err(|error| failure::of_call(&error))?;
    serde_json::from_slice(answer.body().as_ref()).map_err(|_| not_an_answer("not embeddings in JSON"))
}
