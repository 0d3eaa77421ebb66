//! Spans of calls, by OpenTelemetry's semantic conventions for generative AI: one for the call, and below it one for
//! each request to a provider.
//!
//! Only the requests carry tokens: who adds up a trace counts them once. No span carries a word of a prompt or of an
//! answer. The spans have a target of their own, so that whoever exports them can ask for them and logs leave them
//! out; where nobody asks, a span is one look at a flag.

mod embedding;

pub(crate) use embedding::EmbeddingSpan;

use super::member::Member;
use super::{By, Question, Wanted, attempt};
use crate::chat::{Completion, Event, Format, Stop};
use crate::config::{Provider, ProviderKind};
use crate::error::Error;
use crate::ledger::CacheState;
use crate::provider::{Piece, ProviderError};
use crate::reply::Usage;
use serde::Deserialize;
use std::time::Duration;
use toryo_domain::Usd;
use tracing::Span;
use tracing::field::Empty;

/// The target of the spans.
pub const TARGET: &str = "toryo::gen_ai";

/// The span of a call, from the route that was asked to the bill. It ends when the last copy is dropped.
#[derive(Debug, Clone)]
pub struct CallSpan(Span);

impl CallSpan {
    pub(crate) fn begin(question: &Question<'_>) -> Self {
        let step = question.step;
        // Its parent is the client's own span, where it told one.
        Self(tracing::info_span!(
            target: TARGET,
            "call",
            "otel.name" = format!("chat {}", question.route),
            "otel.kind" = "internal",
            "otel.status_code" = Empty,
            "gen_ai.operation.name" = "chat",
            "gen_ai.request.model" = question.route,
            "gen_ai.response.model" = Empty,
            "error.type" = Empty,
            "toryo.route" = question.route,
            "toryo.answered_by_route" = Empty,
            "toryo.deployment" = Empty,
            "toryo.attempts" = Empty,
            "toryo.cost_usd" = Empty,
            "toryo.cache" = Empty,
            "toryo.run" = step.map(|step| step.run_id.to_string()),
            "toryo.step" = step.map(|step| step.step_key.to_string()),
            "toryo.agent" = step.map(|step| step.agent.to_string()),
        ))
    }

    /// A call that was answered from what was kept.
    pub(crate) fn kept(route: &str, deployment: &str, state: CacheState) {
        tracing::info_span!(
            target: TARGET,
            "call",
            "otel.name" = format!("chat {route}"),
            "otel.kind" = "internal",
            "gen_ai.operation.name" = "chat",
            "gen_ai.request.model" = route,
            "toryo.route" = route,
            "toryo.deployment" = deployment,
            "toryo.attempts" = 0_i64,
            "toryo.cost_usd" = 0.0,
            "toryo.cache" = state.as_str(),
        );
    }

    pub(super) fn attempt(&self, member: &Member, question: &Question<'_>, number: u32) -> AttemptSpan {
        let (deployment, vendor) = (&member.deployment, &member.vendor);
        let step = question.step;
        let span = tracing::info_span!(
            target: TARGET,
            parent: &self.0,
            "attempt",
            "otel.name" = format!("chat {}", deployment.model),
            "otel.kind" = "client",
            "otel.status_code" = Empty,
            "gen_ai.operation.name" = "chat",
            "gen_ai.provider.name" = vendor.name,
            "gen_ai.request.model" = deployment.model.as_str(),
            "gen_ai.request.max_tokens" = i64::from(attempt::output_tokens(question, deployment)),
            "gen_ai.request.choice.count" = Empty,
            "gen_ai.request.temperature" = Empty,
            "gen_ai.request.top_p" = Empty,
            "gen_ai.request.top_k" = Empty,
            "gen_ai.request.seed" = Empty,
            "gen_ai.request.frequency_penalty" = Empty,
            "gen_ai.request.presence_penalty" = Empty,
            "gen_ai.output.type" = Empty,
            "gen_ai.response.id" = Empty,
            "gen_ai.response.model" = Empty,
            "gen_ai.response.finish_reasons" = Empty,
            "gen_ai.usage.input_tokens" = Empty,
            "gen_ai.usage.output_tokens" = Empty,
            "gen_ai.usage.cache_read.input_tokens" = Empty,
            "gen_ai.usage.cache_creation.input_tokens" = Empty,
            "server.address" = vendor.address(deployment.region.as_deref()),
            "server.port" = vendor.port.map(i64::from),
            "error.type" = Empty,
            "toryo.route" = question.route,
            "toryo.deployment" = deployment.name.as_str(),
            "toryo.region" = deployment.region.as_deref(),
            "toryo.attempt" = i64::from(number),
            "toryo.stream" = question.stream,
            "toryo.first_token_ms" = Empty,
            "toryo.usage.reasoning_tokens" = Empty,
            "toryo.run" = step.map(|step| step.run_id.to_string()),
            "toryo.step" = step.map(|step| step.step_key.to_string()),
            "toryo.agent" = step.map(|step| step.agent.to_string()),
        );
        let span = AttemptSpan(span);
        if !span.0.is_disabled() {
            span.asked(member, question);
        }
        span
    }

    pub(super) fn answered(&self, route: &str, by: &By, attempts: u32) {
        if self.0.is_disabled() {
            return;
        }
        self.0.record("toryo.answered_by_route", route);
        self.0.record("toryo.deployment", by.deployment.as_str());
        self.0.record("gen_ai.response.model", by.model.as_str());
        self.0.record("toryo.attempts", i64::from(attempts));
    }

    pub(super) fn failed(&self, error: &Error, attempts: u32) {
        if self.0.is_disabled() {
            return;
        }
        let kind = match error {
            Error::Provider { source, .. } => error_type(source),
            _ => "internal",
        };
        self.0.record("toryo.attempts", i64::from(attempts));
        self.0.record("error.type", kind);
        self.0.record("otel.status_code", "ERROR");
    }

    /// What the call cost.
    pub(crate) fn cost(&self, cost: Usd) {
        if !self.0.is_disabled() {
            self.0.record("toryo.cost_usd", cost.dollars());
        }
    }
}

/// The span of one request to a provider. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct AttemptSpan(Span);

/// What a client's own bytes say of the choice of words, in OpenAI's and Anthropic's names, which are the same.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    n: Option<i64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<i64>,
    seed: Option<i64>,
    frequency_penalty: Option<f64>,
    presence_penalty: Option<f64>,
}

impl AttemptSpan {
    /// Nobody is told.
    pub(crate) const fn none() -> Self {
        Self(Span::none())
    }

    fn asked(&self, member: &Member, question: &Question<'_>) {
        let mut asked = match question.wanted {
            Wanted::Inbound(inbound, _) => serde_json::from_slice(&inbound.body).unwrap_or_default(),
            Wanted::Chat(chat) => {
                let json = !matches!(chat.format, Format::Text);
                self.0.record("gen_ai.output.type", if json { "json" } else { "text" });
                let sampling = &chat.sampling;
                Asked {
                    n: None,
                    temperature: sampling.temperature.map(f64::from),
                    top_p: sampling.top_p.map(f64::from),
                    top_k: sampling.top_k.map(i64::from),
                    seed: sampling.seed,
                    frequency_penalty: sampling.frequency_penalty.map(f64::from),
                    presence_penalty: sampling.presence_penalty.map(f64::from),
                }
            }
        };
        asked.temperature = member.deployment.temperature.map(f64::from).or(asked.temperature);
        if !member.deployment.takes_temperature {
            (asked.temperature, asked.top_p) = (None, None);
        }
        self.0.record("gen_ai.request.choice.count", asked.n);
        self.0.record("gen_ai.request.temperature", asked.temperature);
        self.0.record("gen_ai.request.top_p", asked.top_p);
        self.0.record("gen_ai.request.top_k", asked.top_k);
        self.0.record("gen_ai.request.seed", asked.seed);
        self.0.record("gen_ai.request.frequency_penalty", asked.frequency_penalty);
        self.0.record("gen_ai.request.presence_penalty", asked.presence_penalty);
    }

    pub(super) fn began(&self, took: Duration) {
        if !self.0.is_disabled() {
            self.0.record("toryo.first_token_ms", i64::try_from(took.as_millis()).unwrap_or(i64::MAX));
        }
    }

    /// A whole answer came.
    pub(super) fn whole(&self, completion: &Completion) {
        if self.0.is_disabled() {
            return;
        }
        self.said_by(&completion.id, &completion.model);
        self.stopped(&completion.stop);
        completion.usage.iter().for_each(|usage| self.used(usage));
    }

    /// A piece of an answer came.
    pub(super) fn piece(&self, piece: &Piece) {
        if self.0.is_disabled() {
            return;
        }
        for event in &piece.events {
            match event {
                Event::Begin { id, model } => self.said_by(id, model),
                Event::Stop(stop) => self.stopped(stop),
                Event::Usage(usage) => self.used(usage),
                Event::Text(_)
                | Event::Refusal(_)
                | Event::Reasoning(_)
                | Event::ReasoningDone(_)
                | Event::ToolCall { .. }
                | Event::Arguments { .. } => {}
            }
        }
    }

    pub(super) fn failed(&self, error: &ProviderError) {
        // Not the provider's words: they may repeat the prompt.
        self.0.record("error.type", error_type(error));
        self.0.record("otel.status_code", "ERROR");
    }

    /// The client went away, or another deployment was faster.
    pub(super) fn abandoned(&self) {
        self.0.record("error.type", "cancelled");
    }

    fn said_by(&self, id: &str, model: &str) {
        if !id.is_empty() {
            self.0.record("gen_ai.response.id", id);
        }
        if !model.is_empty() {
            self.0.record("gen_ai.response.model", model);
        }
    }

    fn stopped(&self, stop: &Stop) {
        let reason = match stop {
            Stop::End | Stop::Sequence(_) => "stop",
            Stop::Length => "length",
            Stop::ToolUse => "tool_calls",
            Stop::Refusal => "refusal",
            Stop::ContentFilter | Stop::Guardrail(_) => "content_filter",
        };
        self.0.record("gen_ai.response.finish_reasons", reason);
    }

    fn used(&self, usage: &Usage) {
        let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
        self.0.record("gen_ai.usage.input_tokens", count(usage.input));
        self.0.record("gen_ai.usage.output_tokens", count(usage.output));
        self.0.record("gen_ai.usage.cache_read.input_tokens", count(usage.cached_input));
        self.0.record("gen_ai.usage.cache_creation.input_tokens", count(usage.cache_write));
        self.0.record("toryo.usage.reasoning_tokens", count(usage.reasoning));
    }
}

/// Who is asked, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Vendor {
    /// A well-known value of `gen_ai.provider.name`.
    name: &'static str,
    address: String,
    port: Option<u16>,
}

/// Vendors behind OpenAI's protocol, by the end of their host's name. Any other server counts as `openai`, as the
/// conventions say for its protocol.
const HOSTS: [(&str, &str); 9] = [
    (".openai.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("api.cohere.com", "cohere"),
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.x.ai", "x_ai"),
];

impl Vendor {
    /// Bedrock's is the region's, unless one is written.
    fn address(&self, region: Option<&str>) -> Option<String> {
        match (self.address.as_str(), region) {
            ("", Some(region)) if self.name == "aws.bedrock" => {
                Some(format!("bedrock-runtime.{region}.amazonaws.com"))
            }
            ("", _) => None,
            (address, _) => Some(address.to_owned()),
        }
    }

    pub(crate) fn of(provider: &Provider) -> Self {
        let usual = provider.base_url == crate::config::BaseUrl::open_ai();
        let url = match (provider.kind, usual) {
            (ProviderKind::Bedrock, true) => {
                return Self { name: "aws.bedrock", ..Self::default() };
            }
            (ProviderKind::Anthropic, true) => crate::config::BaseUrl::anthropic(),
            _ => provider.base_url.clone(),
        };
        let url = reqwest::Url::parse(url.as_str()).ok();
        let address = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default().to_owned();
        let by_host = HOSTS.iter().find(|(end, _)| address.ends_with(end)).map(|(_, name)| *name);
        let name = match provider.kind {
            ProviderKind::OpenAi => by_host.unwrap_or("openai"),
            ProviderKind::Anthropic => "anthropic",
            ProviderKind::Bedrock => "aws.bedrock",
        };
        Self { name, address, port: url.as_ref().and_then(reqwest::Url::port_or_known_default) }
    }
}

/// Few values, so that errors can be counted by them.
fn error_type(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::RateLimited { .. } => "rate_limited",
        ProviderError::QuotaExhausted { .. } => "quota_exhausted",
        ProviderError::Unavailable { .. } => "unavailable",
        ProviderError::TimedOut { .. } => "timeout",
        ProviderError::KeyRefused { .. } => "key_refused",
        ProviderError::ContextLength { .. } => "context_length",
        ProviderError::ContentPolicy { .. } => "content_policy",
        ProviderError::Unsupported { .. } => "unsupported",
        ProviderError::Rejected { .. } => "rejected",
        ProviderError::NotRecorded { .. } => "not_recorded",
        ProviderError::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_is_known_by_its_protocol_and_its_host() {
        let vendor = |kind, base_url: Option<&str>| {
            let mut provider = Provider { kind, ..Provider::default() };
            if let Some(base_url) = base_url {
                provider.base_url = base_url.parse().unwrap();
            }
            let vendor = Vendor::of(&provider);
            let address = vendor.address(Some("eu-central-1")).unwrap_or_default();
            format!("{} {address} {:?}", vendor.name, vendor.port)
        };
        use ProviderKind::{Anthropic, Bedrock, OpenAi};
        assert_eq!(vendor(OpenAi, None), "openai api.openai.com Some(443)");
        assert_eq!(vendor(OpenAi, Some("http://gpu:8000/v1")), "openai gpu Some(8000)");
        let azure = "https://acme.openai.azure.com/openai/v1";
        assert_eq!(vendor(OpenAi, Some(azure)), "azure.ai.openai acme.openai.azure.com Some(443)");
        assert_eq!(vendor(Anthropic, None), "anthropic api.anthropic.com Some(443)");
        assert_eq!(vendor(Bedrock, None), "aws.bedrock bedrock-runtime.eu-central-1.amazonaws.com None");
        assert_eq!(vendor(Bedrock, Some("https://vpce.example")), "aws.bedrock vpce.example Some(443)");
    }
}
