//! A streamed answer: chunks as they come become events.

use super::read::{Said, Text, Tokens, null_is_default, parse, stop};
use crate::chat::{Event, Stop};
use crate::provider::forced::Unwrapping;
use crate::provider::pieces::Decode;
use crate::provider::{Native, Piece, ProviderError, failure, sse};
use crate::reply::Usage;
use bytes::Bytes;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::sync::Arc;

/// Function calls of one answer at most; more are an attack on our memory.
const MOST_CALLS: usize = 1024;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    model: Text<'a>,
    #[serde(borrow, default, deserialize_with = "null_is_default")]
    choices: Vec<Choice<'a>>,
    usage: Option<Tokens>,
    error: Option<IgnoredAny>,
}

impl Chunk<'_> {
    /// The text that is all that the chunk says, as it stands in the chunk.
    fn only_text(&self) -> Option<&str> {
        let [choice] = self.choices.as_slice() else { return None };
        let Cow::Borrowed(text) = choice.delta.content.0 else { return None };
        let delta = &choice.delta;
        let quiet = delta.refusal.0.is_empty()
            && delta.reasoning().is_empty()
            && delta.tool_calls.is_empty()
            && choice.finish_reason.0.is_empty()
            && self.usage.is_none();
        (choice.index == 0 && quiet && !text.is_empty()).then_some(text)
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default, deserialize_with = "null_is_default")]
    delta: Said<'a>,
    #[serde(borrow, default)]
    finish_reason: Text<'a>,
}

/// What the chunks of a stream have in common: servers write the same bytes before and after each piece of text. A
/// chunk that differs there only need not be parsed, which is a tenth of the work.
struct Template {
    /// Up to the quotation mark that begins the text.
    before: Bytes,
    /// From the quotation mark that ends it.
    after: Bytes,
}

impl Template {
    /// Of a chunk that says this text and nothing else, if the text stands in it as it is.
    fn of(data: &Bytes, text: &str) -> Option<Self> {
        let start = text.as_ptr().addr().checked_sub(data.as_ptr().addr())?;
        let end = start + text.len();
        (start > 0 && end < data.len())
            .then(|| Self { before: data.slice(..start), after: data.slice(end..) })
    }

    /// The text of a chunk of this form.
    fn text<'a>(&self, data: &'a [u8]) -> Option<&'a str> {
        let text = data.strip_prefix(self.before.as_ref())?.strip_suffix(self.after.as_ref())?;
        // Without these the text is one JSON text, and ends where we think it does.
        let plain = text.iter().all(|byte| *byte >= b' ' && *byte != b'"' && *byte != b'\\');
        std::str::from_utf8(text).ok().filter(|_| plain)
    }
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
    template: Option<Template>,
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
            template: None,
            begun: false,
            refused: false,
            ended: 0,
            stopped: false,
            over: false,
            calls,
        }
    }

    fn chunk(&mut self, chunk: &mut Chunk<'_>) -> Result<Vec<Event>, ProviderError> {
        let mut events = Vec::with_capacity(2);
        if !self.begun {
            self.begun = true;
            let named = &chunk.model.0;
            let model = if named.is_empty() { self.settings.model.clone() } else { named.to_string() };
            events.push(Event::Begin { id: chunk.id.0.to_string(), model });
        }
        for choice in &mut chunk.choices {
            // Only the first of several answers is told in neutral words; the native bytes hold them all.
            if choice.index == 0 {
                self.delta(&mut choice.delta, &mut events)?;
            }
            let finish = &choice.finish_reason.0;
            if !finish.is_empty() {
                self.finish(choice.index, stop(finish, self.refused), &mut events);
            }
        }
        Ok(events)
    }

    fn delta(&mut self, delta: &mut Said<'_>, events: &mut Vec<Event>) -> Result<(), ProviderError> {
        let mut push = |text: &str, make: fn(String) -> Event| {
            let some = !text.is_empty();
            if some {
                events.push(make(text.to_owned()));
            }
            some
        };
        push(delta.reasoning(), Event::Reasoning);
        push(&delta.content.0, Event::Text);
        self.refused |= push(&delta.refusal.0, Event::Refusal);
        for (place, call) in std::mem::take(&mut delta.tool_calls).into_iter().enumerate() {
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

    fn piece(&mut self, mut events: Vec<Event>, data: Bytes, tokens_alone: bool) -> Option<Piece> {
        if self.settings.forced {
            events = self.unwrapping.events(events);
        }
        let native = self.settings.native.filter(|wants_usage| *wants_usage || !tokens_alone);
        let native = native.map(|_| Native { event: None, data });
        (native.is_some() || !events.is_empty()).then_some(Piece { events, native })
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
        if let Some(text) = self.template.as_ref().and_then(|template| template.text(&event.data)) {
            let text = Some(text).filter(|text| !text.is_empty()).map(|text| Event::Text(text.to_owned()));
            return Ok(self.piece(text.into_iter().collect(), event.data, false));
        }
        let Some(mut chunk) = parse::<Chunk<'_>>(&event.data) else {
            return Err(failure::not_an_answer("a chunk that is not a chat completion's"));
        };
        if chunk.error.is_some() {
            return Err(failure::of_body(&event.data, &self.key));
        }
        if self.template.is_none() && self.begun {
            self.template = chunk.only_text().and_then(|text| Template::of(&event.data, text));
        }
        let mut events = self.chunk(&mut chunk)?;
        let usage = chunk.usage.take().map(Usage::from);
        let tokens_alone = usage.is_some() && chunk.choices.is_empty();
        events.extend(usage.map(Event::Usage));
        drop(chunk);
        Ok(self.piece(events, event.data, tokens_alone))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn chunks() -> Chunks {
        let settings = Settings { model: "m".into(), native: None, choices: 1, forced: false };
        Chunks::new(settings, Arc::new(SecretString::from("k")))
    }

    fn events(chunks: &mut Chunks, data: &str) -> Vec<Event> {
        let event = sse::Event { name: None, data: Bytes::from(data.to_owned()) };
        chunks.event(event).unwrap().map(|piece| piece.events).unwrap_or_default()
    }

    fn say(text: &str, more: u32) -> String {
        json!({"id": "c", "choices": [{"index": 0, "delta": {"content": text}}], "more": more}).to_string()
    }

    proptest! {
        #[test]
        fn what_is_not_parsed_says_the_same(
            said in proptest::collection::vec(("([a-z \"\\\\\n\u{1}é\u{1F600}]|\"\\}|\\u0041){0,8}", 0..2_u32), 0..12),
        ) {
            let mut chunks = chunks();
            events(&mut chunks, &say("", 0));
            for (text, more) in said {
                let expected: Vec<Event> = Some(text.clone()).filter(|text| !text.is_empty()).map(Event::Text).into_iter().collect();
                let seen = events(&mut chunks, &say(&text, more));
                prop_assert_eq!(seen, expected);
            }
        }
    }

    #[test]
    fn what_is_like_a_text_and_is_none_is_parsed() {
        let mut chunks = chunks();
        for data in [say("", 0), say("a", 0), say("b", 0)] {
            events(&mut chunks, &data);
        }
        assert!(chunks.template.is_some());
        // A text that ends earlier, and a stop in what follows it.
        let sly =
            say("x", 0).replace("\"x\"}", "\"x\"},\"finish_reason\":\"stop\",\"more\":{\"content\":\"y\"}");
        assert_eq!(events(&mut chunks, &sly), [Event::Text("x".into()), Event::Stop(Stop::End)]);
    }
}
