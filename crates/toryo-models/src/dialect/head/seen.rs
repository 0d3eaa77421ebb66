//! One pass over a body that keeps a few parameters and checks the rest.

use crate::inbound::Dialect;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// The parameters that are kept; which of them are looked for depends on the dialect.
#[derive(Default)]
pub(super) struct Body<'a> {
    pub(super) model: Seen<'a>,
    /// `messages`, or `input` of responses.
    pub(super) conversation: Seen<'a>,
    pub(super) stream: Seen<'a>,
    pub(super) stream_options: Option<Value>,
    pub(super) max_tokens: Seen<'a>,
    pub(super) max_completion_tokens: Seen<'a>,
    pub(super) max_output_tokens: Seen<'a>,
    pub(super) choices: Seen<'a>,
    /// A parameter that was there before. Which of the two counts is not the same for every reader, so that a
    /// provider could see another model or limit than the gateway did.
    pub(super) twice: Option<&'static str>,
}

impl<'a> Body<'a> {
    /// Walks an object.
    pub(super) fn read<D: Deserializer<'a>>(dialect: Dialect, json: D) -> Result<Self, D::Error> {
        json.deserialize_map(BodyOf(dialect))
    }

    /// Where a parameter's value goes.
    fn place(&mut self, dialect: Dialect, name: &'static str) -> Option<&mut Seen<'a>> {
        use Dialect::{Completions, Messages, Responses};
        match (name, dialect) {
            ("model", _) => Some(&mut self.model),
            ("messages", Completions | Messages) | ("input", Responses) => Some(&mut self.conversation),
            ("stream", _) => Some(&mut self.stream),
            ("max_tokens", Completions | Messages) => Some(&mut self.max_tokens),
            ("max_completion_tokens", Completions) => Some(&mut self.max_completion_tokens),
            ("max_output_tokens", Responses) => Some(&mut self.max_output_tokens),
            ("n", Completions) => Some(&mut self.choices),
            _ => None,
        }
    }
}

/// What stands at a place, no deeper than that.
#[derive(Default)]
pub(super) enum Seen<'a> {
    /// It is not there, or `null`.
    #[default]
    Nothing,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number from 0.
    Count(u64),
    /// Any other number.
    Number,
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List {
        /// Nothing is in it.
        empty: bool,
    },
    /// An object.
    Object,
}

struct BodyOf(Dialect);

impl<'de> Visitor<'de> for BodyOf {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body<'de>, A::Error> {
        let mut body = Body::default();
        // A bit for each known name that came by.
        let mut seen = 0_u16;
        while let Some(known) = map.next_key_seed(Name)? {
            let Some(index) = known else {
                map.next_value::<Skip>()?;
                continue;
            };
            let name = KNOWN[index];
            if seen & (1 << index) != 0 {
                body.twice = Some(name);
            }
            seen |= 1 << index;
            if name == "stream_options" {
                body.stream_options = Some(map.next_value()?);
            } else if let Some(place) = body.place(self.0, name) {
                *place = map.next_value()?;
            } else {
                map.next_value::<Skip>()?;
            }
        }
        Ok(body)
    }
}

/// Every name that [`Body`] knows in one dialect or another.
const KNOWN: [&str; 9] = [
    "model",
    "messages",
    "input",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n",
];

/// Finds a name's place in [`KNOWN`].
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<usize>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<usize>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(KNOWN.iter().position(|known| *known == name))
    }
}

impl<'de> Deserialize<'de> for Seen<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(SeenAt)
    }
}

struct SeenAt;

impl<'de> Visitor<'de> for SeenAt {
    type Value = Seen<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Seen<'de>, E> {
        Ok(Seen::Nothing)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Seen<'de>, E> {
        Ok(Seen::Flag(flag))
    }
    fn visit_u64<E>(self, count: u64) -> Result<Seen<'de>, E> {
        Ok(Seen::Count(count))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Seen<'de>, E> {
        Ok(Seen::Number)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Seen<'de>, E> {
        Ok(Seen::Number)
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Seen<'de>, E> {
        Ok(Seen::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Seen<'de>, E> {
        Ok(Seen::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Seen<'de>, A::Error> {
        let mut empty = true;
        while seq.next_element::<Skip>()?.is_some() {
            empty = false;
        }
        Ok(Seen::List { empty })
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Seen<'de>, A::Error> {
        Skip.visit_map(map).map(|Skip| Seen::Object)
    }
}

/// Reads a value and keeps nothing of it. Unlike serde's `IgnoredAny` it looks at texts and counts levels, so that
/// what was skipped here can be read later.
struct Skip;

impl<'de> Deserialize<'de> for Skip {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}
