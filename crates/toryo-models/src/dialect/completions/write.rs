//! The whole answer.

use crate::chat::{Completion, Output, Stop};
use crate::dialect::Facts;
use crate::dialect::write::{arguments_text, json_bytes, stop_of};
use crate::reply::Usage;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
struct Whole<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: Option<WireUsage>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
    /// Not OpenAI's: the policies of the guardrail that stepped in.
    #[serde(skip_serializing_if = "Option::is_none")]
    guardrail: Option<Vec<&'a str>>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thinking_blocks: Vec<&'a Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

/// Tokens as this dialect counts them: cached and hidden ones are part of the two sums.
#[derive(Serialize)]
pub(super) struct WireUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    /// Not OpenAI's, whose cache costs nothing to fill.
    #[serde(skip_serializing_if = "is_zero")]
    cache_creation_tokens: u64,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cached_input,
                cache_creation_tokens: usage.cache_write,
            },
            completion_tokens_details: CompletionDetails { reasoning_tokens: usage.reasoning },
        }
    }
}

/// The name of an answer.
pub(super) fn id(facts: &Facts) -> String {
    format!("chatcmpl-{}", facts.id)
}

/// Why an answer ended.
pub(super) const fn finish_reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::Refusal => "stop",
        Stop::Length => "length",
        Stop::ToolUse => "tool_calls",
        Stop::ContentFilter | Stop::Guardrail(_) => "content_filter",
    }
}

/// Writes an answer.
pub(in crate::dialect) fn whole(answer: &Completion, facts: &Facts) -> Bytes {
    json_bytes(&Whole {
        id: &id(facts),
        object: "chat.completion",
        created: facts.created,
        model: &facts.alias,
        choices: [Choice {
            index: 0,
            message: message(&answer.output),
            logprobs: None,
            finish_reason: finish_reason(&stop_of(&answer.output, &answer.stop)),
            guardrail: answer.stop.policies(),
        }],
        usage: answer.usage.map(WireUsage::from),
    })
}

fn message(output: &[Output]) -> Message<'_> {
    let mut message = Message {
        role: "assistant",
        content: None,
        refusal: None,
        reasoning_content: None,
        thinking_blocks: Vec::new(),
        tool_calls: Vec::new(),
    };
    for piece in output {
        match piece {
            Output::Text(text) => message.content.get_or_insert_default().push_str(text),
            Output::Refusal(text) => message.refusal.get_or_insert_default().push_str(text),
            Output::Reasoning { text, native } => {
                if !text.is_empty() {
                    message.reasoning_content.get_or_insert_default().push_str(text);
                }
                message.thinking_blocks.extend(native);
            }
            Output::ToolCall(call) => message.tool_calls.push(Call {
                id: &call.id,
                kind: "function",
                function: Function { name: &call.name, arguments: arguments_text(&call.arguments) },
            }),
        }
    }
    if message.refusal.is_none() && message.tool_calls.is_empty() {
        message.content.get_or_insert_default();
    }
    message
}
