//! The section `[models.embeddings]`.

use super::check::wrong;
use super::{Aws, Provider};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most numbers of a vector that pgvector's HNSW index takes (its README, "HNSW").
const MOST_DIMENSIONS: u32 = 2_000;

/// The model that turns texts into vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embeddings {
    /// The endpoint's name. Default `openai`.
    #[serde(default = "super::open_ai_name")]
    pub provider: String,
    /// The model, as the endpoint names it, for example `text-embedding-3-large` or `bge-large-en-v1.5`.
    pub model: String,
    /// Numbers of a vector, 1 to 2,000.
    pub dimensions: u32,
    /// Ask the endpoint for so many dimensions, as OpenAI's third generation allows; other servers refuse that.
    /// Default off.
    #[serde(default)]
    pub shorten: bool,
    /// Texts of one request at most, 1 to 2,048. Default 64.
    #[serde(default = "batch")]
    pub batch: u32,
    /// Put before a question, where the model wants it, for example `query: ` for E5. Default nothing.
    #[serde(default)]
    pub query_prefix: String,
    /// Where and as whom a model of Bedrock is called. Default: the environment's account and region.
    #[serde(default)]
    pub aws: Option<Aws>,
    /// Put before code, for example `passage: ` for E5. Default nothing.
    #[serde(default)]
    pub passage_prefix: String,
}

const fn batch() -> u32 {
    64
}

impl Embeddings {
    /// This model of the provider `openai`, everything else by default.
    #[must_use]
    pub fn of(model: impl Into<String>, dimensions: u32) -> Self {
        Self {
            provider: super::open_ai_name(),
            model: model.into(),
            dimensions,
            shorten: false,
            batch: batch(),
            query_prefix: String::new(),
            passage_prefix: String::new(),
            aws: None,
        }
    }

    pub(super) fn check(&self, providers: &BTreeMap<String, Provider>) -> Result<(), Error> {
        if !providers.contains_key(&self.provider) {
            return Err(wrong("embeddings.provider", "names no provider of models.providers"));
        }
        if self.model.trim().is_empty() {
            return Err(wrong("embeddings.model", "is empty"));
        }
        if !(1..=MOST_DIMENSIONS).contains(&self.dimensions) {
            return Err(wrong("embeddings.dimensions", "must be between 1 and 2000"));
        }
        if !(1..=2_048).contains(&self.batch) {
            return Err(wrong("embeddings.batch", "must be between 1 and 2048"));
        }
        Ok(())
    }
}
