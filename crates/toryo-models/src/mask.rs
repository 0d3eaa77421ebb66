//! Secrets and personal data are taken out of a question before it leaves, and put back into its answer.
//!
//! What is sensitive is decided behind the port [`Mask`]. Each value becomes a placeholder such as `[EMAIL_1]`, an
//! equal value the same one within a call, so that a model can still reason about it. [`masked`] takes the values out
//! of every text of a [`Chat`]; a [`Restorer`] puts them back into the answer, in pieces as well.
//!
//! Three things are not masked: pictures, because they are no text; the address of a picture, because the provider has
//! to fetch it; names of functions. Signed reasoning cannot be changed: where it holds something sensitive it is left
//! out.

mod names;
mod restore;

pub use restore::Restorer;

use crate::chat::{Chat, Format, Part, ToolCall, Turn};
use names::Names;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::ops::Range;

/// Says what is sensitive.
pub trait Mask: fmt::Debug + Send + Sync {
    /// The sensitive places of a text, in its order, without overlaps, on character borders.
    fn find(&self, text: &str) -> Vec<Found>;
}

/// A sensitive place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its bytes.
    pub range: Range<usize>,
    /// What it holds, in capital ASCII letters, such as `EMAIL`.
    pub kind: &'static str,
}

/// Whether a route takes secrets and personal data out of questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Masking {
    /// Questions leave as they are.
    #[default]
    Off,
    /// Placeholders stand for them, in the answer as well.
    Mask,
    /// Placeholders stand for them in the question; the answer gets the values back.
    Restore,
}

/// The question with placeholders for everything sensitive, and what puts the values back into its answer.
#[must_use]
pub fn masked(chat: &Chat, mask: &dyn Mask) -> (Chat, Restorer) {
    let mut chat = chat.clone();
    let mut names = Names::default();
    texts(&mut chat, &mut |text| match text {
        Text::Words(words) | Text::Json(words) => names.reserve(words),
        Text::Value(value) => names.reserve(&value.to_string()),
    });
    drop_signed(&mut chat, mask);
    let mut taker = Taker { mask, names };
    texts(&mut chat, &mut |text| match text {
        Text::Words(words) => taker.words(words),
        Text::Json(json) => taker.json(json),
        Text::Value(value) => taker.value(value),
    });
    let answers_in_json = !matches!(chat.format, Format::Text);
    (chat, Restorer::new(taker.names.into_values(), answers_in_json))
}

/// A text of a question.
enum Text<'a> {
    Words(&'a mut String),
    /// JSON as text.
    Json(&'a mut String),
    Value(&'a mut Value),
}

/// Every text that leaves.
fn texts(chat: &mut Chat, visit: &mut dyn FnMut(Text<'_>)) {
    for turn in &mut chat.turns {
        for part in turn.parts_mut() {
            match part {
                Part::Text(words) | Part::Refusal(words) => visit(Text::Words(words)),
                Part::Other(value) => visit(Text::Value(value)),
                Part::Image(_) | Part::CachePoint | Part::Reasoning(_) => {}
            }
        }
        if let Turn::Assistant { tool_calls, .. } = turn {
            tool_calls.iter_mut().for_each(|ToolCall { arguments, .. }| visit(Text::Json(arguments)));
        }
    }
    for tool in &mut chat.tools {
        tool.description.iter_mut().for_each(|words| visit(Text::Words(words)));
        visit(Text::Value(&mut tool.parameters));
    }
    if let Format::JsonSchema { description, schema, .. } = &mut chat.format {
        description.iter_mut().for_each(|words| visit(Text::Words(words)));
        visit(Text::Value(schema));
    }
    chat.sampling.stop.iter_mut().for_each(|words| visit(Text::Words(words)));
    chat.user.iter_mut().for_each(|words| visit(Text::Words(words)));
    chat.extra.values_mut().for_each(|value| visit(Text::Value(value)));
}

fn drop_signed(chat: &mut Chat, mask: &dyn Mask) {
    for turn in &mut chat.turns {
        turn.parts_mut().retain(|part| match part {
            Part::Reasoning(value) => {
                let kept = !is_sensitive(value, mask);
                if !kept {
                    tracing::info!("signed reasoning with something sensitive is left out of a question");
                }
                kept
            }
            Part::Text(_) | Part::Image(_) | Part::CachePoint | Part::Refusal(_) | Part::Other(_) => true,
        });
    }
}

fn is_sensitive(value: &Value, mask: &dyn Mask) -> bool {
    match value {
        Value::String(text) => !mask.find(text).is_empty(),
        Value::Array(values) => values.iter().any(|value| is_sensitive(value, mask)),
        Value::Object(fields) => fields.values().any(|value| is_sensitive(value, mask)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Puts placeholders into texts.
struct Taker<'a> {
    mask: &'a dyn Mask,
    names: Names,
}

impl Taker<'_> {
    fn words(&mut self, text: &mut String) {
        let found = self.mask.find(text);
        if found.is_empty() {
            return;
        }
        let mut out = String::with_capacity(text.len());
        let mut end = 0;
        for Found { range, kind } in found {
            out.push_str(&text[end..range.start]);
            out.push_str(self.names.of(&text[range.clone()], kind));
            end = range.end;
        }
        out.push_str(&text[end..]);
        *text = out;
    }

    /// JSON as text. What names a value counts (`"password": "…"`), so the text is looked at first; then every string
    /// of it, for what an escape hid. Text that is no JSON is taken as words.
    fn json(&mut self, text: &mut String) {
        if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
            return self.words(text);
        }
        let found = self.mask.find(text);
        if !found.is_empty() {
            let mut out = String::with_capacity(text.len());
            let (mut end, mut quotes) = (0, Quotes::default());
            for Found { range, kind } in found {
                let raw = &text[range.clone()];
                out.push_str(&text[end..range.start]);
                if quotes.inside_after(&text[end..range.start]) {
                    let value = serde_json::from_str::<String>(&format!("\"{raw}\""));
                    out.push_str(self.names.of(value.as_deref().unwrap_or(raw), kind));
                } else {
                    // A bare number.
                    out.extend(["\"", self.names.of(raw, kind), "\""]);
                }
                quotes.inside_after(raw);
                end = range.end;
            }
            out.push_str(&text[end..]);
            *text = out;
        }
        let Ok(mut value) = serde_json::from_str::<Value>(text) else { return };
        let before = value.clone();
        self.strings(&mut value);
        if value != before {
            *text = value.to_string();
        }
    }

    fn value(&mut self, value: &mut Value) {
        let before = value.to_string();
        let mut text = before.clone();
        self.json(&mut text);
        if text != before {
            *value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        }
    }

    fn strings(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => self.words(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.strings(value)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.strings(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Whether a place of a JSON text is inside a string.
#[derive(Default)]
struct Quotes {
    inside: bool,
    escaped: bool,
}

impl Quotes {
    /// Whether it is after this much more text.
    fn inside_after(&mut self, text: &str) -> bool {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.inside => self.escaped = true,
                b'"' => self.inside = !self.inside,
                _ => {}
            }
        }
        self.inside
    }
}

#[cfg(test)]
mod tests;
