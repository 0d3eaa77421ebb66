//! The whole answer.

use crate::chat::{Completion, Output, Stop};
use crate::dialect::Facts;
use crate::dialect::thinking::{is_a, seal};
use crate::dialect::write::{arguments, json_bytes, stop_of};
use crate::reply::Usage;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A message: a whole one, or the empty one with which a stream begins.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: Vec<Block<'a>>,
    pub(super) stop_reason: Option<&'static str>,
    pub(super) stop_sequence: Option<&'a str>,
    /// Not Anthropic's: the policies of the guardrail that stepped in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) guardrail: Option<Vec<&'a str>>,
    pub(super) usage: WireUsage,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: Cow<'a, str> },
    RedactedThinking { data: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Input<'a> },
}

/// The arguments of a call.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Input<'a> {
    /// None yet.
    Empty {},
    /// As the model wrote them.
    Object(&'a RawValue),
    /// The dialect knows objects only; what the model wrote is none.
    Unreadable { unreadable_arguments: &'a str },
}

/// Tokens as this dialect counts them: cached ones are not part of `input_tokens`.
#[derive(Serialize, Default, Clone, Copy)]
pub(super) struct WireUsage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input.saturating_sub(usage.cached_input).saturating_sub(usage.cache_write),
            cache_creation_input_tokens: usage.cache_write,
            cache_read_input_tokens: usage.cached_input,
            output_tokens: usage.output,
        }
    }
}

/// The name of an answer.
pub(super) fn id(facts: &Facts) -> String {
    format!("msg_{}", facts.id)
}

/// Why an answer ended, and at which text.
pub(super) fn stop_reason(stop: &Stop) -> (&'static str, Option<&str>) {
    match stop {
        Stop::End => ("end_turn", None),
        Stop::Sequence(text) => ("stop_sequence", text.as_deref()),
        Stop::Length => ("max_tokens", None),
        Stop::ToolUse => ("tool_use", None),
        Stop::Refusal | Stop::ContentFilter | Stop::Guardrail(_) => ("refusal", None),
    }
}

/// What shows that reasoning is a provider's own: its signature, or its own form in our seal. Empty where nobody
/// signed it.
pub(super) fn signature(native: &Value) -> Cow<'_, str> {
    match native.get("signature").and_then(Value::as_str) {
        Some(signature) if is_a(native, "thinking") => Cow::Borrowed(signature),
        _ => Cow::Owned(seal(native)),
    }
}

/// Reasoning that the provider hides even from us.
pub(super) fn redacted(native: &Value) -> Option<&str> {
    if is_a(native, "redacted_thinking") { native.get("data")?.as_str() } else { None }
}

/// Writes an answer.
pub(in crate::dialect) fn whole(answer: &Completion, facts: &Facts) -> Bytes {
    let stop = stop_of(&answer.output, &answer.stop);
    let (stop_reason, stop_sequence) = stop_reason(&stop);
    json_bytes(&Message {
        id: &id(facts),
        kind: "message",
        role: "assistant",
        model: &facts.alias,
        content: answer.output.iter().map(block).collect(),
        stop_reason: Some(stop_reason),
        stop_sequence,
        guardrail: stop.policies(),
        usage: answer.usage.map(WireUsage::from).unwrap_or_default(),
    })
}

fn block(output: &Output) -> Block<'_> {
    match output {
        Output::Text(text) | Output::Refusal(text) => Block::Text { text },
        Output::Reasoning { text, native: None } => Block::Thinking { thinking: text, signature: "".into() },
        Output::Reasoning { text, native: Some(native) } => match redacted(native) {
            Some(data) if text.is_empty() => Block::RedactedThinking { data },
            _ => Block::Thinking { thinking: text, signature: signature(native) },
        },
        Output::ToolCall(call) => Block::ToolUse {
            id: &call.id,
            name: &call.name,
            input: match (arguments(&call.arguments), call.arguments.trim().is_empty()) {
                (Some(object), _) => Input::Object(object),
                (None, true) => Input::Empty {},
                (None, false) => Input::Unreadable { unreadable_arguments: &call.arguments },
            },
        },
    }
}
