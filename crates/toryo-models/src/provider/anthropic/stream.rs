//! A streamed answer: named events, content in numbered blocks, tokens in the first and in the last event but one.

use super::read::{Tokens, stop};
use crate::chat::Event;
use crate::provider::forced::Unwrapping;
use crate::provider::pieces::Decode;
use crate::provider::{Native, Piece, ProviderError, failure, sse};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Blocks that are open at once, at most; the API opens one after the other.
const MOST_OPEN: usize = 64;

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    index: u64,
    message: Option<Start>,
    content_block: Option<Value>,
    delta: Option<Delta>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    usage: Option<Tokens>,
}

/// The deltas of all kinds of blocks, and of the message itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    text: Option<String>,
    partial_json: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

/// A block that has begun and not ended.
enum Open {
    Text,
    Call {
        index: usize,
        said: bool,
    },
    Thinking {
        text: String,
        signature: String,
    },
    /// What only the provider understands, as it came.
    Redacted(Value),
    /// What is not told.
    Other,
}

/// The state between two events.
pub(super) struct Blocks {
    model: String,
    native: bool,
    forced: bool,
    key: Arc<SecretString>,
    unwrapping: Unwrapping,
    open: BTreeMap<u64, Open>,
    calls: usize,
    tokens: Option<Tokens>,
    begun: bool,
    stopped: bool,
    over: bool,
}

impl Blocks {
    pub(super) fn new(model: String, native: bool, forced: bool, key: Arc<SecretString>) -> Self {
        Self {
            model,
            native,
            forced,
            key,
            unwrapping: Unwrapping::default(),
            open: BTreeMap::new(),
            calls: 0,
            tokens: None,
            begun: false,
            stopped: false,
            over: false,
        }
    }

    fn read(&mut self, data: Data<'_>, raw: &[u8]) -> Result<Vec<Event>, ProviderError> {
        let mut events = Vec::new();
        match data.kind.as_ref() {
            "message_start" => {
                let start =
                    data.message.ok_or_else(|| failure::not_an_answer("a start without a message"))?;
                self.begun = true;
                self.count(start.usage);
                let model = if start.model.is_empty() { self.model.clone() } else { start.model };
                events.push(Event::Begin { id: start.id, model });
            }
            "content_block_start" => self.start(data.index, data.content_block, &mut events)?,
            "content_block_delta" => self.delta(data.index, data.delta.unwrap_or_default(), &mut events),
            "content_block_stop" => self.end_block(data.index, &mut events),
            "message_delta" => {
                self.count(data.usage);
                let delta = data.delta.unwrap_or_default();
                if let Some(reason) = delta.stop_reason
                    && !std::mem::replace(&mut self.stopped, true)
                {
                    events.push(Event::Stop(stop(&reason, delta.stop_sequence)?));
                }
                events.extend(self.tokens.map(|tokens| Event::Usage(tokens.into())));
            }
            "message_stop" if self.stopped => self.over = true,
            "message_stop" => return Err(failure::cut()),
            "error" => return Err(failure::of_body(raw, &self.key)),
            // `ping`, and what the API promises to add.
            _ => {}
        }
        Ok(events)
    }

    fn count(&mut self, tokens: Option<Tokens>) {
        if let Some(later) = tokens {
            self.tokens = Some(self.tokens.map_or(later, |before| before.then(later)));
        }
    }

    fn start(&mut self, at: u64, block: Option<Value>, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        let block = block.unwrap_or_default();
        let text = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
        if self.open.len() >= MOST_OPEN {
            return Err(failure::not_an_answer("with more open blocks than make sense"));
        }
        let open = match block["type"].as_str().unwrap_or_default() {
            "text" => {
                events.extend(Some(text("text")).filter(|text| !text.is_empty()).map(Event::Text));
                Open::Text
            }
            "tool_use" => {
                let index = self.calls;
                self.calls += 1;
                events.push(Event::ToolCall { index, id: text("id"), name: text("name") });
                Open::Call { index, said: false }
            }
            "thinking" => Open::Thinking { text: text("thinking"), signature: text("signature") },
            "redacted_thinking" => Open::Redacted(block),
            _ => Open::Other,
        };
        self.open.insert(at, open);
        Ok(())
    }

    fn delta(&mut self, at: u64, delta: Delta, events: &mut Vec<Event>) {
        match self.open.get_mut(&at) {
            Some(Open::Text) => events.extend(delta.text.filter(|text| !text.is_empty()).map(Event::Text)),
            Some(Open::Call { index, said }) => {
                if let Some(json) = delta.partial_json.filter(|json| !json.is_empty()) {
                    *said = true;
                    events.push(Event::Arguments { index: *index, json });
                }
            }
            Some(Open::Thinking { text, signature }) => {
                if let Some(more) = delta.thinking.filter(|more| !more.is_empty()) {
                    text.push_str(&more);
                    events.push(Event::Reasoning(more));
                }
                signature.push_str(&delta.signature.unwrap_or_default());
            }
            Some(Open::Redacted(_) | Open::Other) | None => {}
        }
    }

    fn end_block(&mut self, at: u64, events: &mut Vec<Event>) {
        match self.open.remove(&at) {
            // A call without arguments has an empty object, as in a whole answer.
            Some(Open::Call { index, said: false }) => {
                events.push(Event::Arguments { index, json: "{}".to_owned() });
            }
            Some(Open::Thinking { text, signature }) => {
                let native = json!({"type": "thinking", "thinking": text, "signature": signature});
                events.push(Event::ReasoningDone(native));
            }
            Some(Open::Redacted(block)) => events.push(Event::ReasoningDone(block)),
            Some(Open::Text | Open::Other | Open::Call { .. }) | None => {}
        }
    }
}

/// The names of the events, for whoever passes them on.
fn name(kind: &str) -> Option<&'static str> {
    const NAMES: [&str; 7] = [
        "content_block_delta",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_start",
        "message_stop",
        "ping",
    ];
    NAMES.into_iter().find(|name| *name == kind)
}

impl Decode for Blocks {
    fn event(&mut self, event: sse::Event) -> Result<Option<Piece>, ProviderError> {
        let Ok(data) = serde_json::from_slice::<Data<'_>>(&event.data) else {
            return Err(failure::not_an_answer("an event that is not a message's"));
        };
        let name = name(&data.kind);
        let mut events = self.read(data, &event.data)?;
        if !self.begun {
            // Nothing of an answer may come before its start.
            return if events.is_empty() { Ok(None) } else { Err(failure::not_an_answer("without a start")) };
        }
        if self.forced {
            events = self.unwrapping.events(events);
        }
        // What has no name that we know could not be passed on as it came.
        let native = name.filter(|_| self.native);
        let native = native.map(|name| Native { event: Some(name), data: event.data });
        Ok((native.is_some() || !events.is_empty()).then_some(Piece { events, native }))
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn end(&mut self) -> Result<Option<Piece>, ProviderError> {
        if self.stopped { Ok(None) } else { Err(failure::cut()) }
    }

    fn has_stopped(&self) -> bool {
        self.stopped
    }
}
