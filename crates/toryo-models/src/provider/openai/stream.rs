//! A streamed answer: chunks as they come become events.

use super::read::{Said, Tokens, calls, null_is_default, stop, text};
use crate::chat::{Event, Stop};
use crate::provider::forced::Unwrapping;
use crate::provider::pieces::Decode;
use crate::provider::{Native, Piece, ProviderError, failure, sse};
use crate::reply::Usage;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Function calls of one answer at most; more are an attack on our memory.
const MOST_CALLS: usize = 1024;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "null_is_default")]
    choices: Vec<Choice<'a>>,
    usage: Option<Tokens>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default, deserialize_with = "null_is_default")]
    delta: Said<'a>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

/// How a stream is read.
pub(super) struct Settings {
    /// The model that was asked.
    pub(super) model: String,
    /// The client's dialect is the endpoint's: its bytes go on. The value says whether the client wants to see the
    /// chunk that holds the tokens alone.
    pub(super) native: Option<bool>,
    /// Answers side by side; the stream stops with the last of them.
    pub(super) choices: u32,
    /// The answer is a forced function's arguments.
    pub(super) forced: bool,
}

/// The state between two chunks.
pub(super) struct Chunks {
    settings: Settings,
    key: Arc<SecretString>,
    unwrapping: Unwrapping,
    begun: bool,
    refused: bool,
    /// Which choices have ended; more than 32 are not told apart.
    ended: u32,
    stopped: bool,
    over: bool,
    calls: Calls,
}

/// The calls that have begun, by the place that the server gives them. Some servers give every call the place 0: a new
/// id is a new call.
#[derive(Default)]
struct Calls {
    /// Our number and the id of the last call at each place.
    at: Vec<Option<(usize, String)>>,
    count: usize,
}

impl Calls {
    /// Our number of a call, and whether it begins here; `None` where there are too many.
    fn number(&mut self, place: usize, id: Option<&str>) -> Option<(usize, bool)> {
        if place >= MOST_CALLS || self.count >= MOST_CALLS {
            return None;
        }
        if self.at.len() <= place {
            self.at.resize(place + 1, None);
        }
        let id = id.filter(|id| !id.is_empty());
        match &self.at[place] {
            Some((number, known)) if id.is_none_or(|id| id == known) => Some((*number, false)),
            _ => {
                let number = self.count;
                self.count += 1;
                self.at[place] = Some((number, id.unwrap_or_default().to_owned()));
                Some((number, true))
            }
        }
    }
}

impl Chunks {
    pub(super) fn new(settings: Settings, key: Arc<SecretString>) -> Self {
        let unwrapping = Unwrapping::default();
        let calls = Calls::default();
        Self {
            settings,
            key,
            unwrapping,
            begun: false,
            refused: false,
            ended: 0,
            stopped: false,
            over: false,
            calls,
        }
    }

    fn chunk(&mut self, chunk: &Chunk<'_>) -> Result<Vec<Event>, ProviderError> {
        let mut events = Vec::with_capacity(2);
        if !self.begun {
            self.begun = true;
            let model = Some(text(chunk.model)).filter(|model| !model.is_empty());
            let model = model.unwrap_or_else(|| self.settings.model.clone());
            events.push(Event::Begin { id: text(chunk.id), model });
        }
        for choice in &chunk.choices {
            // Only the first of several answers is told in neutral words; the native bytes hold them all.
            if choice.index == 0 {
                self.delta(&choice.delta, &mut events)?;
            }
            let finish = text(choice.finish_reason);
            if !finish.is_empty() {
                self.finish(choice.index, stop(&finish, self.refused), &mut events);
            }
        }
        Ok(events)
    }

    fn delta(&mut self, delta: &Said<'_>, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        let mut push = |text: String, make: fn(String) -> Event| {
            let some = !text.is_empty();
            if some {
                events.push(make(text));
            }
            some
        };
        push(delta.reasoning(), Event::Reasoning);
        push(text(delta.content), Event::Text);
        self.refused |= push(text(delta.refusal), Event::Refusal);
        for (place, call) in calls(delta.tool_calls)?.into_iter().enumerate() {
            let number = self.calls.number(call.index.unwrap_or(place), call.id.as_deref());
            let too_many = || failure::not_an_answer("with more function calls than make sense");
            let (index, begins) = number.ok_or_else(too_many)?;
            if begins {
                let (id, name) =
                    (call.id.unwrap_or_default(), call.function.name.clone().unwrap_or_default());
                events.push(Event::ToolCall { index, id, name });
            }
            let json = call.function.arguments();
            if !json.is_empty() {
                events.push(Event::Arguments { index, json });
            }
        }
        Ok(())
    }

    fn finish(&mut self, choice: u32, stop: Stop, events: &mut Vec<Event>) {
        self.ended |= 1_u32.checked_shl(choice).unwrap_or(0);
        if !self.stopped && self.ended.count_ones() >= self.settings.choices.clamp(1, 32) {
            self.stopped = true;
            events.push(Event::Stop(stop));
        }
    }
}

impl Decode for Chunks {
    fn event(&mut self, event: sse::Event) -> Result<Option<Piece>, ProviderError> {
        if event.data.as_ref() == b"[DONE]" {
            self.over = true;
            return if self.stopped { Ok(None) } else { Err(failure::cut()) };
        }
        let Ok(mut chunk) = serde_json::from_slice::<Chunk<'_>>(&event.data) else {
            return Err(failure::not_an_answer("a chunk that is not a chat completion's"));
        };
        if chunk.error.is_some() {
            return Err(failure::of_body(&event.data, &self.key));
        }
        let mut events = self.chunk(&chunk)?;
        if self.settings.forced {
            events = self.unwrapping.events(events);
        }
        let usage = chunk.usage.take().map(Usage::from);
        events.extend(usage.map(Event::Usage));
        let tokens_alone = usage.is_some() && chunk.choices.is_empty();
        let native = self.settings.native.filter(|wants_usage| *wants_usage || !tokens_alone);
        let native = native.map(|_| Native { event: None, data: event.data });
        Ok((native.is_some() || !events.is_empty()).then_some(Piece { events, native }))
    }

    fn is_over(&self) -> bool {
        self.over
    }

    /// A server that ends without `[DONE]` has said all once the model stopped.
    fn end(&mut self) -> Result<Option<Piece>, ProviderError> {
        if self.stopped { Ok(None) } else { Err(failure::cut()) }
    }

    fn has_stopped(&self) -> bool {
        self.stopped
    }
}
