//! Reading JSON with a place for every complaint: values are taken apart without copying their texts, and a path is
//! written out only where something is wrong.

use serde_json::{Map, Value};
use std::fmt;

/// Why a question cannot be used: the client's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// What is wrong, in one sentence. Holds names and types, no values but those of enumerations, cut.
    pub message: String,
    /// Where, such as `messages[2].content`; `None` where it is the body as a whole.
    pub param: Option<String>,
}

impl BadRequest {
    /// About the body as a whole.
    pub(super) fn body(message: impl Into<String>) -> Self {
        Self { message: message.into(), param: None }
    }
}

/// The complaint about bytes that are no JSON.
pub(super) fn syntax(error: &serde_json::Error) -> BadRequest {
    let text = error.to_string();
    if text.starts_with("recursion limit") {
        return BadRequest::body("the body is nested too deeply: at most 127 levels are read");
    }
    if error.is_data() {
        return BadRequest::body("the body is not a JSON object");
    }
    BadRequest::body(format!("the body is not JSON: {text}"))
}

/// A place in the body.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    above: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    /// A parameter.
    pub(super) const fn field(name: &'a str) -> Self {
        Self { above: None, step: Step::Key(name) }
    }

    /// A member of the object here.
    pub(super) const fn key(&'a self, name: &'a str) -> Self {
        Self { above: Some(self), step: Step::Key(name) }
    }

    /// An element of the list here.
    pub(super) const fn index(&'a self, index: usize) -> Self {
        Self { above: Some(self), step: Step::Index(index) }
    }

    /// The complaint about what stands here.
    pub(super) fn wrong(&self, what: impl fmt::Display) -> BadRequest {
        BadRequest { message: format!("`{self}` {what}"), param: Some(self.to_string()) }
    }

    /// The complaint about something that is not there.
    pub(super) fn missing(&self) -> BadRequest {
        self.wrong("is required")
    }

    /// The complaint about one of several words that nobody knows.
    pub(super) fn unknown(&self, word: &str, known: &str) -> BadRequest {
        let word: String = word.chars().take(60).collect();
        self.wrong(format_args!("is `{word}`; known are {known}"))
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        match self.step {
            // A client's own key can be of any length.
            Step::Key(name) if self.above.is_none() => write!(f, "{name:.100}"),
            Step::Key(name) => write!(f, ".{name:.100}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A text.
pub(super) fn text(value: Value, at: At<'_>) -> Result<String, BadRequest> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(at.wrong("has to be a string")),
    }
}

/// A list.
pub(super) fn list(value: Value, at: At<'_>) -> Result<Vec<Value>, BadRequest> {
    match value {
        Value::Array(list) => Ok(list),
        _ => Err(at.wrong("has to be a list")),
    }
}

/// An object.
pub(super) fn object(value: Value, at: At<'_>) -> Result<Map<String, Value>, BadRequest> {
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(at.wrong("has to be an object")),
    }
}

/// Yes or no.
pub(super) fn flag(value: &Value, at: At<'_>) -> Result<bool, BadRequest> {
    value.as_bool().ok_or_else(|| at.wrong("has to be true or false"))
}

/// A number that may have a fraction.
pub(super) fn number(value: &Value, at: At<'_>) -> Result<f32, BadRequest> {
    #[expect(clippy::cast_possible_truncation, reason = "providers take as many digits as an f32 has")]
    let number = value.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
    number.ok_or_else(|| at.wrong("has to be a number"))
}

/// A whole number from 0.
pub(super) fn count(value: &Value, at: At<'_>) -> Result<u32, BadRequest> {
    let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
    count.ok_or_else(|| at.wrong("has to be a whole number from 0"))
}

/// The texts of a list of texts.
pub(super) fn texts(value: Value, at: At<'_>) -> Result<Vec<String>, BadRequest> {
    let list = list(value, at)?;
    list.into_iter().enumerate().map(|(index, value)| text(value, at.index(index))).collect()
}

/// Takes a member out of an object; `null` is none.
pub(super) fn take(map: &mut Map<String, Value>, name: &str) -> Option<Value> {
    map.remove(name).filter(|value| !value.is_null())
}

/// Takes a text that has to be there.
pub(super) fn need_text(map: &mut Map<String, Value>, name: &str, at: &At<'_>) -> Result<String, BadRequest> {
    let at = at.key(name);
    text(take(map, name).ok_or_else(|| at.missing())?, at)
}

/// Takes a text that may be there.
pub(super) fn may_text(
    map: &mut Map<String, Value>,
    name: &str,
    at: &At<'_>,
) -> Result<Option<String>, BadRequest> {
    take(map, name).map(|value| text(value, at.key(name))).transpose()
}

/// Moves what is left of an object to [`Chat::extra`](crate::chat::Chat::extra), each under its path.
pub(super) fn leave(rest: Map<String, Value>, at: &At<'_>, extra: &mut Map<String, Value>) {
    for (name, value) in rest {
        if !value.is_null() {
            extra.insert(at.key(&name).to_string(), value);
        }
    }
}
