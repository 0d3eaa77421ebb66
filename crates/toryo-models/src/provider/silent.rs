//! A provider that is never asked: it stands for every endpoint while a finished run is executed again.

use super::{Answer, Ask, ModelProvider, ProviderError};
use async_trait::async_trait;

/// Refuses every question.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

#[async_trait]
impl ModelProvider for Silent {
    async fn send(&self, _ask: Ask<'_>) -> Result<Answer, ProviderError> {
        let message = "no model is asked while a run is replayed".to_owned();
        Err(ProviderError::Rejected { status: 403, message })
    }
}
