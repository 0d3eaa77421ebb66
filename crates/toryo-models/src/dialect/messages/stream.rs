//! The answer in pieces: a message begins, blocks begin, grow and end one after the other, the message ends.

use super::write::{Block, Input, Message, WireUsage, id, redacted, signature, stop_reason};
use crate::chat::{Event, Stop};
use crate::dialect::write::{frame, with_calls};
use crate::dialect::{Facts, Refused, RefusedKind};
use crate::inbound::Dialect;
use bytes::BytesMut;
use serde::Serialize;
use serde_json::Value;

/// Writes events.
pub(in crate::dialect) struct Stream {
    id: String,
    model: String,
    began: bool,
    /// Blocks begun so far.
    blocks: usize,
    open: Open,
    calls: bool,
    /// A call went on after its block had ended: the dialect cannot say that.
    tangled: bool,
    stop: Stop,
    usage: WireUsage,
}

/// The block that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    None,
    Text,
    Thinking,
    /// The call of this number.
    Call(usize),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: usize, content_block: &'a Block<'a> },
    ContentBlockDelta { index: usize, delta: Delta<'a> },
    ContentBlockStop { index: usize },
    MessageDelta { delta: Stopped<'a>, usage: WireUsage },
    MessageStop,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
}

#[derive(Serialize)]
struct Stopped<'a> {
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guardrail: Option<Vec<&'a str>>,
}

impl Frame<'_> {
    const fn event(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }

    fn write(&self, out: &mut BytesMut) {
        frame(out, Some(self.event()), self);
    }
}

impl Stream {
    pub(in crate::dialect) fn new(facts: &Facts) -> Self {
        Self {
            id: id(facts),
            model: facts.alias.clone(),
            began: false,
            blocks: 0,
            open: Open::None,
            calls: false,
            tangled: false,
            stop: Stop::End,
            usage: WireUsage::default(),
        }
    }

    pub(in crate::dialect) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Usage(usage) => return self.usage = (*usage).into(),
            // What the prompt took may come next and belongs into the first frame.
            Event::Begin { .. } => return,
            _ => self.begin(out),
        }
        match event {
            Event::Begin { .. } | Event::Usage(_) => {}
            Event::Text(text) | Event::Refusal(text) => {
                self.need(Open::Text, &Block::Text { text: "" }, out);
                self.delta(Delta::Text { text }, out);
            }
            Event::Reasoning(thinking) => {
                self.need(Open::Thinking, &Block::Thinking { thinking: "", signature: "".into() }, out);
                self.delta(Delta::Thinking { thinking }, out);
            }
            Event::ReasoningDone(native) => self.reasoning_done(native, out),
            Event::ToolCall { index, id, name } => {
                self.calls = true;
                self.close(out);
                self.start(Open::Call(*index), &Block::ToolUse { id, name, input: Input::Empty {} }, out);
            }
            Event::Arguments { index, json } => match self.open {
                Open::Call(open) if open == *index => {
                    self.delta(Delta::InputJson { partial_json: json }, out);
                }
                _ => self.tangled |= !json.is_empty(),
            },
            Event::Stop(stop) => {
                self.close(out);
                self.stop = with_calls(stop, self.calls);
            }
        }
    }

    /// After [`Event::Stop`].
    pub(in crate::dialect) fn finish(&self, out: &mut BytesMut) {
        if self.tangled {
            let text = "the provider mixed the arguments of several calls, which this dialect cannot carry";
            let refused = Refused::new(RefusedKind::BadAnswer, text);
            return frame(out, Some("error"), &refused.body(Dialect::Messages));
        }
        let (stop_reason, stop_sequence) = stop_reason(&self.stop);
        let delta = Stopped { stop_reason, stop_sequence, guardrail: self.stop.policies() };
        Frame::MessageDelta { delta, usage: self.usage }.write(out);
        Frame::MessageStop.write(out);
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if self.began {
            return;
        }
        self.began = true;
        let message = Message {
            id: &self.id,
            kind: "message",
            role: "assistant",
            model: &self.model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            guardrail: None,
            usage: self.usage,
        };
        Frame::MessageStart { message }.write(out);
    }

    /// Sees to it that a block of this kind is open.
    fn need(&mut self, kind: Open, empty: &Block<'_>, out: &mut BytesMut) {
        if self.open != kind {
            self.close(out);
            self.start(kind, empty, out);
        }
    }
    fn start(&mut self, kind: Open, empty: &Block<'_>, out: &mut BytesMut) {
        Frame::ContentBlockStart { index: self.blocks, content_block: empty }.write(out);
        self.open = kind;
        self.blocks += 1;
    }

    /// Adds to the block that is open.
    fn delta(&self, delta: Delta<'_>, out: &mut BytesMut) {
        Frame::ContentBlockDelta { index: self.blocks.saturating_sub(1), delta }.write(out);
    }

    fn close(&mut self, out: &mut BytesMut) {
        if self.open != Open::None {
            self.open = Open::None;
            Frame::ContentBlockStop { index: self.blocks.saturating_sub(1) }.write(out);
        }
    }

    fn reasoning_done(&mut self, native: &Value, out: &mut BytesMut) {
        match redacted(native) {
            Some(data) if self.open != Open::Thinking => {
                self.close(out);
                self.start(Open::Thinking, &Block::RedactedThinking { data }, out);
            }
            _ => {
                self.need(Open::Thinking, &Block::Thinking { thinking: "", signature: "".into() }, out);
                self.delta(Delta::Signature { signature: &signature(native) }, out);
            }
        }
        self.close(out);
    }
}
