//! The answer in pieces: chunks without names, `[DONE]` at the end.

use super::write::{WireUsage, finish_reason, id};
use crate::chat::{Event, Stop};
use crate::dialect::write::{NO_ARGUMENTS, frame, with_calls};
use crate::dialect::{Facts, Refused};
use crate::inbound::Dialect;
use crate::reply::Usage;
use bytes::BytesMut;
use serde::Serialize;
use serde_json::Value;

/// Writes chunks.
pub(in crate::dialect) struct Stream {
    id: String,
    created: i64,
    model: String,
    include_usage: bool,
    began: bool,
    /// Of each call, whether it has arguments.
    calls: Vec<bool>,
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    /// Absent where the client did not ask for it, `null` in all chunks but the last where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<WireUsage>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guardrail: Option<Vec<&'a str>>,
}

#[derive(Serialize, Default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_blocks: Option<[&'a Value; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Call<'a>; 1]>,
}

#[derive(Serialize)]
struct Call<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl<'a> Delta<'a> {
    fn arguments(index: usize, json: &'a str) -> Self {
        let function = Function { name: None, arguments: json };
        let call = Call { index, id: None, kind: None, function };
        Self { tool_calls: Some([call]), ..Self::default() }
    }
}

impl Stream {
    pub(in crate::dialect) fn new(facts: &Facts, include_usage: bool) -> Self {
        Self {
            id: id(facts),
            created: facts.created,
            model: facts.alias.clone(),
            include_usage,
            began: false,
            calls: Vec::new(),
            usage: None,
        }
    }

    pub(in crate::dialect) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        self.begin(out);
        let delta = match event {
            Event::Begin { .. } => return,
            Event::Usage(usage) => return self.usage = Some(*usage),
            Event::Stop(stop) => return self.stop(stop, out),
            Event::Text(text) => Delta { content: Some(text), ..Delta::default() },
            Event::Refusal(text) => Delta { refusal: Some(text), ..Delta::default() },
            Event::Reasoning(text) => Delta { reasoning_content: Some(text), ..Delta::default() },
            Event::ReasoningDone(native) => Delta { thinking_blocks: Some([native]), ..Delta::default() },
            Event::ToolCall { index, id, name } => {
                if self.calls.len() <= *index {
                    self.calls.resize(*index + 1, true);
                }
                self.calls[*index] = false;
                let function = Function { name: Some(name), arguments: "" };
                let call = Call { index: *index, id: Some(id), kind: Some("function"), function };
                Delta { tool_calls: Some([call]), ..Delta::default() }
            }
            Event::Arguments { index, json } => {
                if !json.is_empty()
                    && let Some(has) = self.calls.get_mut(*index)
                {
                    *has = true;
                }
                Delta::arguments(*index, json)
            }
        };
        self.chunk(delta, out);
    }

    /// After [`Event::Stop`].
    pub(in crate::dialect) fn finish(&mut self, out: &mut BytesMut) {
        if self.include_usage
            && let Some(usage) = self.usage
        {
            self.write(&[], Some(Some(usage.into())), out);
        }
        done(out);
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if !self.began {
            self.began = true;
            let delta = Delta { role: Some("assistant"), content: Some(""), ..Delta::default() };
            self.chunk(delta, out);
        }
    }

    fn stop(&self, stop: &Stop, out: &mut BytesMut) {
        for (index, _) in self.calls.iter().enumerate().filter(|(_, has)| !**has) {
            self.chunk(Delta::arguments(index, NO_ARGUMENTS), out);
        }
        let reason = finish_reason(&with_calls(stop, !self.calls.is_empty()));
        self.choice(Delta::default(), Some(reason), stop.policies(), out);
    }

    fn chunk(&self, delta: Delta<'_>, out: &mut BytesMut) {
        self.choice(delta, None, None, out);
    }

    fn choice(
        &self,
        delta: Delta<'_>,
        finish_reason: Option<&'static str>,
        guardrail: Option<Vec<&str>>,
        out: &mut BytesMut,
    ) {
        let choice = Choice { index: 0, delta, logprobs: None, finish_reason, guardrail };
        self.write(&[choice], self.include_usage.then_some(None), out);
    }

    fn write(&self, choices: &[Choice<'_>], usage: Option<Option<WireUsage>>, out: &mut BytesMut) {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage,
        };
        frame(out, None, &chunk);
    }
}

/// The last frame of a stream that was answered to its end.
pub(in crate::dialect) fn done(out: &mut BytesMut) {
    out.extend_from_slice(b"data: [DONE]\n\n");
}

/// An error in mid-stream: the body of an error as one more frame. `[DONE]` does not follow, so that nobody takes the
/// answer for a whole one.
pub(in crate::dialect) fn failed(refused: &Refused, out: &mut BytesMut) {
    frame(out, None, &refused.body(Dialect::Completions));
}
