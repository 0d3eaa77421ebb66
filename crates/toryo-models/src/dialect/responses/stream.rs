//! The answer in pieces: items begin, grow and end one after the other, every event has a number, and the last one
//! repeats the whole answer.

use super::write::{Content, Failed, Item, Response, id, raw, reasoning};
use crate::chat::{Event, Stop};
use crate::dialect::write::{NO_ARGUMENTS, frame as write_frame};
use crate::dialect::{Facts, Refused, RefusedKind};
use crate::reply::Usage;
use bytes::BytesMut;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Writes events.
pub(in crate::dialect) struct Stream {
    call: String,
    id: String,
    created: i64,
    model: String,
    began: bool,
    numbers: u64,
    /// Items that ended.
    output: Vec<Box<RawValue>>,
    open: Open,
    /// The name of the item that grows.
    item_id: String,
    /// What it holds.
    grown: String,
    /// A call went on after its item had ended: the dialect cannot say that.
    tangled: bool,
    stop: Stop,
    usage: Option<Usage>,
}

/// The item that grows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Open {
    None,
    Text,
    Refusal,
    Reasoning,
    Call { index: usize, call_id: String, name: String },
}

/// Any event: what an event does not have is left out.
#[derive(Serialize, Default)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Response<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
}

impl Stream {
    pub(in crate::dialect) fn new(facts: &Facts) -> Self {
        Self {
            call: facts.id.clone(),
            id: id(facts),
            created: facts.created,
            model: facts.alias.clone(),
            began: false,
            numbers: 0,
            output: Vec::new(),
            open: Open::None,
            item_id: String::new(),
            grown: String::new(),
            tangled: false,
            stop: Stop::End,
            usage: None,
        }
    }

    pub(in crate::dialect) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        self.begin(out);
        match event {
            Event::Begin { .. } => {}
            Event::Text(text) => self.grow(Open::Text, text, out),
            Event::Refusal(text) => self.grow(Open::Refusal, text, out),
            Event::Reasoning(text) => self.grow(Open::Reasoning, text, out),
            Event::ReasoningDone(native) => self.reasoning_done(native, out),
            Event::ToolCall { index, id, name } => {
                self.close(out);
                self.start(Open::Call { index: *index, call_id: id.clone(), name: name.clone() }, out);
            }
            Event::Arguments { index, json } => match &self.open {
                Open::Call { index: open, .. } if open == index => self.grow_call(json, out),
                _ => self.tangled |= !json.is_empty(),
            },
            Event::Stop(stop) => {
                self.close(out);
                self.stop = stop.clone();
            }
            Event::Usage(usage) => self.usage = Some(*usage),
        }
    }

    /// After [`Event::Stop`].
    pub(in crate::dialect) fn finish(&mut self, out: &mut BytesMut) {
        if self.tangled {
            let text = "the provider mixed the arguments of several calls, which this dialect cannot carry";
            return self.failed(&Refused::new(RefusedKind::BadAnswer, text), 0, out);
        }
        let output = std::mem::take(&mut self.output);
        let response = Response::begun(&self.id, self.created, &self.model);
        let response = response.ended(&self.stop, &output, self.usage);
        let kind = if response.status == "completed" { "response.completed" } else { "response.incomplete" };
        let number = self.numbers;
        write(Frame { kind, response: Some(response), ..Frame::default() }, number, out);
    }

    /// An error in mid-stream, after so many frames that were passed on.
    pub(in crate::dialect) fn failed(&mut self, refused: &Refused, passed_on: u64, out: &mut BytesMut) {
        let code = match refused.kind {
            RefusedKind::RateLimited | RefusedKind::OverBudget => "rate_limit_exceeded",
            RefusedKind::BadRequest | RefusedKind::ContextLength | RefusedKind::ContentPolicy => {
                "invalid_prompt"
            }
            _ => "server_error",
        };
        let response = Response::begun(&self.id, self.created, &self.model);
        let response = response.failed(Failed { code, message: &refused.message }, &self.output);
        let number = self.numbers + passed_on;
        write(Frame { kind: "response.failed", response: Some(response), ..Frame::default() }, number, out);
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if self.began {
            return;
        }
        self.began = true;
        for kind in ["response.created", "response.in_progress"] {
            let response = Response::begun(&self.id, self.created, &self.model);
            write(Frame { kind, response: Some(response), ..Frame::default() }, self.numbers, out);
            self.numbers += 1;
        }
    }

    /// Adds to the item of this kind, and begins it where another one was open.
    fn grow(&mut self, kind: Open, more: &str, out: &mut BytesMut) {
        if self.open != kind {
            self.close(out);
            self.start(kind, out);
        }
        if self.open == Open::Reasoning && self.grown.is_empty() {
            let part = Content::SummaryText { text: "" };
            self.part("response.reasoning_summary_part.added", part, out);
        }
        self.grown.push_str(more);
        let delta = Some(more);
        let frame = match self.open {
            Open::Text => {
                let kind = "response.output_text.delta";
                Frame { kind, content_index: Some(0), delta, logprobs: Some([]), ..Frame::default() }
            }
            Open::Refusal => {
                let kind = "response.refusal.delta";
                Frame { kind, content_index: Some(0), delta, ..Frame::default() }
            }
            Open::Reasoning | Open::Call { .. } | Open::None => {
                let kind = "response.reasoning_summary_text.delta";
                Frame { kind, summary_index: Some(0), delta, ..Frame::default() }
            }
        };
        self.about_item(frame, out);
    }

    fn grow_call(&mut self, json: &str, out: &mut BytesMut) {
        self.grown.push_str(json);
        let kind = "response.function_call_arguments.delta";
        self.about_item(Frame { kind, delta: Some(json), ..Frame::default() }, out);
    }

    fn start(&mut self, kind: Open, out: &mut BytesMut) {
        let prefix = match kind {
            Open::Call { .. } => "fc",
            Open::Reasoning => "rs",
            Open::Text | Open::Refusal | Open::None => "msg",
        };
        self.item_id = format!("{prefix}_{}_{}", self.call, self.output.len());
        self.grown.clear();
        self.open = kind;
        let (id, status) = (self.item_id.as_str(), "in_progress");
        let item = match &self.open {
            Open::Call { call_id, name, .. } => {
                raw(&Item::FunctionCall { id, status, call_id, name, arguments: "" })
            }
            Open::Reasoning => reasoning(id, "", None),
            Open::Text | Open::Refusal | Open::None => {
                raw(&Item::Message { id, status, role: "assistant", content: &[] })
            }
        };
        self.item("response.output_item.added", item.as_deref(), out);
        let part = match self.open {
            Open::Text => Content::text(""),
            Open::Refusal => Content::Refusal { refusal: "" },
            Open::Reasoning | Open::Call { .. } | Open::None => return,
        };
        self.part("response.content_part.added", part, out);
    }

    /// Ends the item that grows.
    fn close(&mut self, out: &mut BytesMut) {
        if matches!(self.open, Open::Call { .. }) && self.grown.is_empty() {
            self.grow_call(NO_ARGUMENTS, out);
        }
        let open = std::mem::replace(&mut self.open, Open::None);
        let grown = std::mem::take(&mut self.grown);
        let id = self.item_id.clone();
        let (id, status, role) = (id.as_str(), "completed", "assistant");
        let item = match &open {
            Open::None => return,
            Open::Text => {
                let text = Some(grown.as_str());
                let kind = "response.output_text.done";
                let done =
                    Frame { kind, content_index: Some(0), text, logprobs: Some([]), ..Frame::default() };
                self.about_item(done, out);
                self.part("response.content_part.done", Content::text(&grown), out);
                raw(&Item::Message { id, status, role, content: &[Content::text(&grown)] })
            }
            Open::Refusal => {
                let refusal = Some(grown.as_str());
                let kind = "response.refusal.done";
                self.about_item(Frame { kind, content_index: Some(0), refusal, ..Frame::default() }, out);
                self.part("response.content_part.done", Content::Refusal { refusal: &grown }, out);
                raw(&Item::Message { id, status, role, content: &[Content::Refusal { refusal: &grown }] })
            }
            Open::Reasoning => return self.close_reasoning(&grown, None, out),
            Open::Call { call_id, name, .. } => {
                let kind = "response.function_call_arguments.done";
                let (name, arguments) = (name.as_str(), grown.as_str());
                let done = Frame { kind, name: Some(name), arguments: Some(arguments), ..Frame::default() };
                self.about_item(done, out);
                raw(&Item::FunctionCall { id, status, call_id, name, arguments })
            }
        };
        self.end_item(item, out);
    }

    fn reasoning_done(&mut self, native: &Value, out: &mut BytesMut) {
        if self.open != Open::Reasoning {
            self.close(out);
            self.start(Open::Reasoning, out);
        }
        self.open = Open::None;
        let grown = std::mem::take(&mut self.grown);
        self.close_reasoning(&grown, Some(native), out);
    }

    fn close_reasoning(&mut self, text: &str, native: Option<&Value>, out: &mut BytesMut) {
        if !text.is_empty() {
            let kind = "response.reasoning_summary_text.done";
            let done = Frame { kind, summary_index: Some(0), text: Some(text), ..Frame::default() };
            self.about_item(done, out);
            self.part("response.reasoning_summary_part.done", Content::SummaryText { text }, out);
        }
        let item = reasoning(&self.item_id, text, native);
        self.end_item(item, out);
    }

    fn end_item(&mut self, item: Option<Box<RawValue>>, out: &mut BytesMut) {
        self.item("response.output_item.done", item.as_deref(), out);
        self.output.extend(item);
    }

    fn item(&mut self, kind: &'static str, item: Option<&RawValue>, out: &mut BytesMut) {
        let output_index = Some(self.output.len());
        write(Frame { kind, output_index, item, ..Frame::default() }, self.numbers, out);
        self.numbers += 1;
    }

    fn part(&mut self, kind: &'static str, part: Content<'_>, out: &mut BytesMut) {
        let index = Some(0);
        let frame = match part {
            Content::SummaryText { .. } => Frame { summary_index: index, ..Frame::default() },
            Content::OutputText { .. } | Content::Refusal { .. } => {
                Frame { content_index: index, ..Frame::default() }
            }
        };
        self.about_item(Frame { kind, part: Some(part), ..frame }, out);
    }

    /// An event about the item that grows.
    fn about_item(&mut self, frame: Frame<'_>, out: &mut BytesMut) {
        let item_id = Some(self.item_id.as_str());
        write(Frame { item_id, output_index: Some(self.output.len()), ..frame }, self.numbers, out);
        self.numbers += 1;
    }
}

fn write(frame: Frame<'_>, sequence_number: u64, out: &mut BytesMut) {
    write_frame(out, Some(frame.kind), &Frame { sequence_number, ..frame });
}
