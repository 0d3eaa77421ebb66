//! Texts to vectors: one model, in batches, asked again where that makes sense.
//!
//! A vector has the length 1, so that the cosine of two is their product. Nothing is kept here: what was embedded
//! once is kept by whoever asks, under the text's digest and [`Embedder::model`].

use crate::config::{Aws, Config, Embeddings, Provider, ProviderKind, Retry};
use crate::error::Error;
use crate::provider::{ProviderError, bedrock, openai};
use crate::retry::Policy;
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Embeds texts at one endpoint. No retry.
#[async_trait]
pub trait EmbeddingProvider: Send + Sync + 'static {
    /// Asks once. Ends at the answer, at `deadline` or soon after `cancel`.
    ///
    /// # Errors
    /// What went wrong, in our words and without secrets.
    async fn embed(
        &self,
        request: &EmbeddingRequest,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<EmbeddingReply, ProviderError>;
}

/// Texts to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingRequest {
    /// The endpoint's name for the model.
    pub model: String,
    /// The texts; none is empty.
    pub texts: Vec<String>,
    /// What they are.
    pub kind: TextKind,
    /// The dimensions to ask for, where the model can shorten its vectors.
    pub shorten_to: Option<u32>,
}

/// Their vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingReply {
    /// One a text, in their order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens, as the endpoint counted them; 0 where it does not say.
    pub input_tokens: u64,
}

/// What a text is; some models want to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// A question, such as an issue's text.
    Query,
    /// Something to be found, such as a function.
    Passage,
}

/// Who embeds at an endpoint; `None` where its protocol has no embeddings.
///
/// # Errors
/// [`Error::Config`] where the endpoint cannot be used.
pub(crate) fn provider(
    name: &str,
    endpoint: &Provider,
    aws: Option<Aws>,
) -> Result<Option<Arc<dyn EmbeddingProvider>>, Error> {
    Ok(match endpoint.kind {
        ProviderKind::OpenAi => Some(Arc::new(openai::OpenAi::new(name, endpoint)?)),
        ProviderKind::Bedrock => {
            Some(Arc::new(bedrock::Bedrock::new(endpoint).with_default(aws.unwrap_or_default())))
        }
        ProviderKind::Anthropic => None,
    })
}

/// The configured model of embeddings.
#[derive(Clone)]
pub struct Embedder {
    provider: Arc<dyn EmbeddingProvider>,
    config: Embeddings,
    timeout: Duration,
    retry: Retry,
}

impl Embedder {
    /// The model that the configuration names; `None` where it names none.
    ///
    /// # Errors
    /// [`Error::Config`] where it cannot be used, [`Error::NoKey`] where its endpoint has no key.
    pub fn from_config(config: &Config) -> Result<Option<Self>, Error> {
        let in_force = config.in_force()?;
        let Some(embeddings) = in_force.embeddings else { return Ok(None) };
        let name = &embeddings.provider;
        let Some(endpoint) = in_force.providers.get(name) else {
            return Err(Error::Config(format!("models.embeddings.provider names no provider: {name}")));
        };
        if !endpoint.is_usable() {
            return Err(Error::NoKey { route: "embeddings".to_owned(), provider: name.clone() });
        }
        let no_embeddings = || Error::Config(format!("models.providers.{name} makes no embeddings"));
        let provider = provider(name, endpoint, embeddings.aws.clone())?.ok_or_else(no_embeddings)?;
        let timeout = endpoint.timeout();
        Ok(Some(Self { provider, config: embeddings, timeout, retry: in_force.retry }))
    }

    /// Under which name vectors of this model are kept: vectors of two names must not be compared.
    #[must_use]
    pub fn model(&self) -> String {
        let Embeddings { provider, model, dimensions, passage_prefix, .. } = &self.config;
        format!("{provider}/{model}/{dimensions}/{passage_prefix}")
    }

    /// Numbers of a vector.
    #[must_use]
    pub const fn dimensions(&self) -> u32 {
        self.config.dimensions
    }

    /// Texts of one request at most: what a caller keeps after each batch is not paid again after a crash.
    #[must_use]
    pub const fn batch(&self) -> usize {
        self.config.batch as usize
    }

    /// The vectors of texts, in their order. Empty texts are embedded as a space.
    ///
    /// # Errors
    /// [`Error::Provider`] after all retries, [`Error::Cancelled`]. Vectors of earlier batches are lost then, so
    /// pass at most [`Embedder::batch`] texts where that matters.
    pub async fn embed(
        &self,
        texts: &[impl AsRef<str> + Sync],
        kind: TextKind,
        cancel: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let prefix = match kind {
            TextKind::Query => &self.config.query_prefix,
            TextKind::Passage => &self.config.passage_prefix,
        };
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.batch()) {
            let whole = |text: &str| format!("{prefix}{}", if text.is_empty() { " " } else { text });
            let request = EmbeddingRequest {
                model: self.config.model.clone(),
                texts: batch.iter().map(|text| whole(text.as_ref())).collect(),
                kind,
                shorten_to: self.config.shorten.then_some(self.config.dimensions),
            };
            vectors.extend(self.ask(&request, cancel).await?);
        }
        Ok(vectors)
    }

    async fn ask(
        &self,
        request: &EmbeddingRequest,
        cancel: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let policy = Policy::starting_now(self.retry, request.texts.len() as u64);
        let attempts = AtomicU32::new(0);
        let once = || async {
            attempts.fetch_add(1, Ordering::Relaxed);
            let deadline = policy.deadline().min(Instant::now() + self.timeout);
            let reply = self.provider.embed(request, deadline, cancel).await?;
            reply.vectors.into_iter().map(|vector| self.unit(vector)).collect()
        };
        let asked = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(ProviderError::Cancelled),
            asked = policy.run(once) => asked,
        };
        asked.map_err(|source| match source {
            ProviderError::Cancelled => Error::Cancelled,
            source => Error::Provider {
                provider: self.config.provider.clone(),
                attempts: attempts.load(Ordering::Relaxed),
                source,
            },
        })
    }

    /// The vector with the length 1.
    fn unit(&self, mut vector: Vec<f32>) -> Result<Vec<f32>, ProviderError> {
        let rejected = |message: String| ProviderError::Rejected { status: 200, message };
        if vector.len() != self.config.dimensions as usize {
            let (got, asked) = (vector.len(), self.config.dimensions);
            return Err(rejected(format!(
                "the model's vectors have {got} numbers, models.embeddings.dimensions says {asked}"
            )));
        }
        let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
        if !length.is_finite() || length == 0.0 {
            return Err(rejected("a vector has no direction".to_owned()));
        }
        for number in &mut vector {
            *number = (f64::from(*number) / length) as f32;
        }
        Ok(vector)
    }
}

impl fmt::Debug for Embedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedder").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
