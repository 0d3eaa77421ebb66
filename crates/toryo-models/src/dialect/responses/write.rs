//! The whole answer.

use crate::chat::{Completion, Output, Stop};
use crate::dialect::Facts;
use crate::dialect::thinking::seal;
use crate::dialect::write::{arguments_text, json_bytes};
use crate::reply::Usage;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// An answer: a whole one, or as far as a stream has come. The members that repeat the question say what the gateway
/// knows of it without reading it: nothing.
#[derive(Serialize)]
pub(super) struct Response<'a> {
    id: &'a str,
    object: &'static str,
    created_at: i64,
    pub(super) status: &'static str,
    background: bool,
    error: Option<Failed<'a>>,
    incomplete_details: Option<Incomplete<'a>>,
    instructions: Option<()>,
    max_output_tokens: Option<()>,
    metadata: Nothing,
    model: &'a str,
    output: &'a [Box<RawValue>],
    parallel_tool_calls: bool,
    previous_response_id: Option<()>,
    store: bool,
    temperature: Option<()>,
    tool_choice: &'static str,
    tools: [(); 0],
    top_p: Option<()>,
    truncation: &'static str,
    usage: Option<WireUsage>,
}

/// An empty object.
#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
pub(super) struct Failed<'a> {
    pub(super) code: &'static str,
    pub(super) message: &'a str,
}

#[derive(Serialize)]
struct Incomplete<'a> {
    reason: &'static str,
    /// Not OpenAI's: the policies of the guardrail that stepped in.
    #[serde(skip_serializing_if = "Option::is_none")]
    guardrail: Option<Vec<&'a str>>,
}

/// Tokens as this dialect counts them: cached and hidden ones are part of the two sums.
#[derive(Serialize, Clone, Copy)]
pub(super) struct WireUsage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize, Clone, Copy)]
struct InputDetails {
    cached_tokens: u64,
}

#[derive(Serialize, Clone, Copy)]
struct OutputDetails {
    reasoning_tokens: u64,
}

/// A piece of an answer.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item<'a> {
    Message { id: &'a str, status: &'static str, role: &'static str, content: &'a [Content<'a>] },
    FunctionCall { id: &'a str, status: &'static str, call_id: &'a str, name: &'a str, arguments: &'a str },
    Reasoning { id: &'a str, summary: &'a [Content<'a>], encrypted_content: Option<String> },
}

/// A piece of a message, or of reasoning.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content<'a> {
    OutputText { text: &'a str, annotations: [(); 0], logprobs: [(); 0] },
    Refusal { refusal: &'a str },
    SummaryText { text: &'a str },
}

impl<'a> Content<'a> {
    pub(super) const fn text(text: &'a str) -> Self {
        Self::OutputText { text, annotations: [], logprobs: [] }
    }
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input,
            input_tokens_details: InputDetails { cached_tokens: usage.cached_input },
            output_tokens: usage.output,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning },
            total_tokens: usage.total(),
        }
    }
}

impl<'a> Response<'a> {
    /// One that is being written.
    pub(super) const fn begun(id: &'a str, created: i64, model: &'a str) -> Self {
        Self {
            id,
            object: "response",
            created_at: created,
            status: "in_progress",
            background: false,
            error: None,
            incomplete_details: None,
            instructions: None,
            max_output_tokens: None,
            metadata: Nothing {},
            model,
            output: &[],
            parallel_tool_calls: true,
            previous_response_id: None,
            store: false,
            temperature: None,
            tool_choice: "auto",
            tools: [],
            top_p: None,
            truncation: "disabled",
            usage: None,
        }
    }

    /// One that broke.
    pub(super) fn failed(self, error: Failed<'a>, output: &'a [Box<RawValue>]) -> Self {
        Self { status: "failed", error: Some(error), output, ..self }
    }

    /// One that is done.
    pub(super) fn ended(self, stop: &'a Stop, output: &'a [Box<RawValue>], usage: Option<Usage>) -> Self {
        let incomplete_details =
            incomplete(stop).map(|reason| Incomplete { reason, guardrail: stop.policies() });
        let status = if incomplete_details.is_some() { "incomplete" } else { "completed" };
        Self { status, incomplete_details, output, usage: usage.map(WireUsage::from), ..self }
    }
}

/// Why an answer is not complete.
fn incomplete(stop: &Stop) -> Option<&'static str> {
    match stop {
        Stop::Length => Some("max_output_tokens"),
        Stop::ContentFilter | Stop::Guardrail(_) => Some("content_filter"),
        Stop::End | Stop::Sequence(_) | Stop::ToolUse | Stop::Refusal => None,
    }
}

/// The name of an answer.
pub(super) fn id(facts: &Facts) -> String {
    format!("resp_{}", facts.id)
}

/// An item as JSON. `None` never happens: our own types have no keys but texts.
pub(super) fn raw(item: &Item<'_>) -> Option<Box<RawValue>> {
    to_raw_value(item).ok()
}

/// Reasoning as an item: what may be shown, and the provider's own form under our seal.
pub(super) fn reasoning(id: &str, text: &str, native: Option<&Value>) -> Option<Box<RawValue>> {
    let summary = [Content::SummaryText { text }];
    let summary = if text.is_empty() { &[][..] } else { &summary[..] };
    raw(&Item::Reasoning { id, summary, encrypted_content: native.map(seal) })
}

/// Writes an answer.
pub(in crate::dialect) fn whole(answer: &Completion, facts: &Facts) -> Bytes {
    let output: Vec<_> = answer
        .output
        .iter()
        .enumerate()
        .filter_map(|(index, output)| {
            let name = |kind: &str| format!("{kind}_{}_{index}", facts.id);
            match output {
                Output::Text(text) => message(&name("msg"), Content::text(text)),
                Output::Refusal(refusal) => message(&name("msg"), Content::Refusal { refusal }),
                Output::Reasoning { text, native } => reasoning(&name("rs"), text, native.as_ref()),
                Output::ToolCall(call) => raw(&Item::FunctionCall {
                    id: &name("fc"),
                    status: "completed",
                    call_id: &call.id,
                    name: &call.name,
                    arguments: arguments_text(&call.arguments),
                }),
            }
        })
        .collect();
    let id = id(facts);
    json_bytes(&Response::begun(&id, facts.created, &facts.alias).ended(&answer.stop, &output, answer.usage))
}

fn message(id: &str, content: Content<'_>) -> Option<Box<RawValue>> {
    raw(&Item::Message { id, status: "completed", role: "assistant", content: &[content] })
}
