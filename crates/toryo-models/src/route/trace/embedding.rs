//! Spans of calls for embeddings: one for the call, one below it for the request. No text is in them.

use super::{TARGET, Vendor, error_type};
use crate::config::Deployment;
use crate::provider::ProviderError;
use toryo_domain::Usd;
use tracing::Span;
use tracing::field::Empty;

/// The two spans of a call. Dropped before anything is told, the client went away.
#[derive(Debug)]
pub(crate) struct EmbeddingSpan {
    call: Span,
    request: Span,
    told: bool,
}

impl EmbeddingSpan {
    pub(crate) fn begin(
        route: &str,
        deployment: &Deployment,
        vendor: &Vendor,
        dimensions: Option<u32>,
    ) -> Self {
        let call = tracing::info_span!(
            target: TARGET,
            "call",
            "otel.name" = format!("embeddings {route}"),
            "otel.kind" = "internal",
            "otel.status_code" = Empty,
            "gen_ai.operation.name" = "embeddings",
            "gen_ai.request.model" = route,
            "gen_ai.response.model" = deployment.model.as_str(),
            "error.type" = Empty,
            "toryo.route" = route,
            "toryo.deployment" = deployment.name.as_str(),
            "toryo.attempts" = 1_i64,
            "toryo.cost_usd" = Empty,
        );
        let request = tracing::info_span!(
            target: TARGET,
            parent: &call,
            "attempt",
            "otel.name" = format!("embeddings {}", deployment.model),
            "otel.kind" = "client",
            "otel.status_code" = Empty,
            "gen_ai.operation.name" = "embeddings",
            "gen_ai.provider.name" = vendor.name,
            "gen_ai.request.model" = deployment.model.as_str(),
            "gen_ai.embeddings.dimension.count" = dimensions.map(i64::from),
            "gen_ai.usage.input_tokens" = Empty,
            "server.address" = vendor.address(deployment.region.as_deref()),
            "server.port" = vendor.port.map(i64::from),
            "error.type" = Empty,
            "toryo.route" = route,
            "toryo.deployment" = deployment.name.as_str(),
            "toryo.region" = deployment.region.as_deref(),
            "toryo.attempt" = 1_i64,
        );
        Self { call, request, told: false }
    }

    pub(crate) fn answered(mut self, input_tokens: u64, cost: Usd) {
        self.told = true;
        self.request.record("gen_ai.usage.input_tokens", i64::try_from(input_tokens).unwrap_or(i64::MAX));
        self.call.record("toryo.cost_usd", cost.dollars());
    }

    pub(crate) fn failed(mut self, error: &ProviderError) {
        self.told = true;
        for span in [&self.call, &self.request] {
            // Not the provider's words: they may repeat the texts.
            span.record("error.type", error_type(error));
            span.record("otel.status_code", "ERROR");
        }
    }
}

impl Drop for EmbeddingSpan {
    fn drop(&mut self) {
        if !self.told {
            self.call.record("error.type", "cancelled");
            self.request.record("error.type", "cancelled");
        }
    }
}
