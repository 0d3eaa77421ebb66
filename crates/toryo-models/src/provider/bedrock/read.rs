//! A whole answer.

use super::{document, guardrail};
use crate::chat::{Completion, Output, Stop, ToolCall};
use crate::provider::{ProviderError, failure};
use crate::reply::Usage;
use aws_sdk_bedrockruntime::operation::RequestId as _;
use aws_sdk_bedrockruntime::operation::converse::ConverseOutput;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ConverseOutput as Said, ReasoningContentBlock, StopReason, TokenUsage,
};
use serde_json::{Value, json};

pub(super) fn completion(answer: ConverseOutput, asked_model: &str) -> Result<Completion, ProviderError> {
    let id = answer.request_id().unwrap_or_default().to_owned();
    let policies = guardrail::policies(asked_model, answer.trace().and_then(|trace| trace.guardrail()));
    let stop = with_policies(stop(answer.stop_reason())?, policies);
    let usage = answer.usage().and_then(usage);
    let Some(Said::Message(message)) = answer.output else {
        return Err(failure::not_an_answer("without a message"));
    };
    let output = message.content.into_iter().filter_map(output).collect();
    Ok(Completion { id, model: asked_model.to_owned(), output, stop, usage })
}

fn output(block: ContentBlock) -> Option<Output> {
    match block {
        ContentBlock::Text(text) => Some(Output::Text(text)),
        ContentBlock::ToolUse(call) => {
            let arguments = match document::json(&call.input) {
                Value::Null => json!({}),
                arguments => arguments,
            };
            let arguments = arguments.to_string();
            Some(Output::ToolCall(ToolCall { id: call.tool_use_id, name: call.name, arguments }))
        }
        ContentBlock::ReasoningContent(ReasoningContentBlock::ReasoningText(block)) => {
            let native = thought(&block.text, block.signature.as_deref());
            Some(Output::Reasoning { text: block.text, native })
        }
        ContentBlock::ReasoningContent(ReasoningContentBlock::RedactedContent(blob)) => {
            Some(Output::Reasoning { text: String::new(), native: Some(redacted(blob.as_ref())) })
        }
        // Models answer with nothing else as yet.
        _ => None,
    }
}

/// Signed reasoning in Anthropic's form, so that both ways to a model of theirs understand it. What is not signed
/// need not be sent back.
pub(super) fn thought(text: &str, signature: Option<&str>) -> Option<Value> {
    let signature = signature.filter(|signature| !signature.is_empty())?;
    Some(json!({"type": "thinking", "thinking": text, "signature": signature}))
}

pub(super) fn redacted(blob: &[u8]) -> Value {
    json!({"type": "redacted_thinking", "data": aws_smithy_types::base64::encode(blob)})
}

/// Cached tokens are counted beside the others: the prompt is the sum of the three. Where Bedrock did not count, the
/// SDK says zero; no answer has none at all.
pub(super) fn usage(tokens: &TokenUsage) -> Option<Usage> {
    let count = |tokens: i32| u64::try_from(tokens).unwrap_or(0);
    let cached_input = count(tokens.cache_read_input_tokens().unwrap_or(0));
    let cache_write = count(tokens.cache_write_input_tokens().unwrap_or(0));
    let usage = Usage {
        input: count(tokens.input_tokens()).saturating_add(cached_input).saturating_add(cache_write),
        cached_input,
        cache_write,
        output: count(tokens.output_tokens()),
        reasoning: 0,
    };
    (usage.total() > 0).then_some(usage)
}

/// A filter that a guardrail's policies explain.
pub(super) fn with_policies(stop: Stop, policies: Option<String>) -> Stop {
    match (stop, policies) {
        (Stop::ContentFilter, Some(policies)) => Stop::Guardrail(policies),
        (stop, _) => stop,
    }
}

pub(super) fn stop(reason: &StopReason) -> Result<Stop, ProviderError> {
    Ok(match reason {
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => Stop::Length,
        StopReason::StopSequence => Stop::Sequence(None),
        StopReason::ToolUse => Stop::ToolUse,
        StopReason::GuardrailIntervened | StopReason::ContentFiltered => Stop::ContentFilter,
        StopReason::MalformedModelOutput | StopReason::MalformedToolUse => {
            return Err(failure::not_an_answer("malformed, as Bedrock says itself"));
        }
        // `refusal` of newer models has no name in the SDK.
        other if other.as_str() == "refusal" => Stop::Refusal,
        _ => Stop::End,
    })
}
