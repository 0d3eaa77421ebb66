//! A provider that is never asked: it stands for every endpoint while a finished run is executed again.

use super::{ModelProvider, ProviderError, ProviderReply, ProviderRequest};
use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Refuses every question.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

#[async_trait]
impl ModelProvider for Silent {
    async fn complete(
        &self,
        _request: &ProviderRequest,
        _deadline: Instant,
        _cancel: &CancellationToken,
    ) -> Result<ProviderReply, ProviderError> {
        let message = "no model is asked while a run is replayed".to_owned();
        Err(ProviderError::Rejected { status: 403, message })
    }
}
