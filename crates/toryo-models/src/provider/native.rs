//! A client's own JSON object with some of its fields replaced: everything else goes on byte for byte, unknown fields
//! and the spelling of numbers included. Only the top level is parsed.

use super::ProviderError;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Fields of a request at most; the longest APIs know about 40. It bounds the search for fields that come twice.
const MOST_FIELDS: usize = 128;

/// The top level of a JSON object.
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, ProviderError> {
        let fields: Self =
            serde_json::from_slice(body).map_err(|_| refused("the body is not a JSON object"))?;
        if fields.0.len() > MOST_FIELDS {
            return Err(refused("the body has more than 128 fields"));
        }
        // Which of two would count is the endpoint's secret: a second limit of tokens could overrule ours.
        let twice = |(n, (name, _)): (usize, &(Cow<'_, str>, _))| {
            fields.0[..n].iter().any(|(other, _)| other == name)
        };
        if fields.0.iter().enumerate().any(twice) {
            return Err(refused("a field of the body comes twice"));
        }
        Ok(fields)
    }

    /// The JSON text of a field.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.get())
    }

    /// The object again, these fields in place of those of the same names and of `without`.
    pub(super) fn with(&self, own: &[(&str, Cow<'_, str>)], without: &[&str]) -> Vec<u8> {
        let kept = || {
            let ours = |name: &str| own.iter().any(|(own, _)| *own == name) || without.contains(&name);
            self.0.iter().filter(move |(name, _)| !ours(name))
        };
        let size = |name: &str, value: &str| name.len() + value.len() + 4;
        let length = own.iter().map(|(name, value)| size(name, value)).sum::<usize>()
            + kept().map(|(name, value)| size(name, value.get())).sum::<usize>();
        let mut body = Vec::with_capacity(length + 2);
        for (name, value) in own {
            push(&mut body, name, value);
        }
        for (name, value) in kept() {
            push(&mut body, name, value.get());
        }
        if body.is_empty() {
            body.push(b'{');
        }
        body.push(b'}');
        body
    }
}

fn push(body: &mut Vec<u8>, name: &str, value: &str) {
    body.push(if body.is_empty() { b'{' } else { b',' });
    body.extend_from_slice(json_text(name).as_bytes());
    body.push(b':');
    body.extend_from_slice(value.as_bytes());
}

/// A text as JSON writes it.
pub(super) fn json_text(text: &str) -> String {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        let mut quoted = String::with_capacity(text.len() + 2);
        quoted.push('"');
        quoted.push_str(text);
        quoted.push('"');
        return quoted;
    }
    serde_json::Value::from(text).to_string()
}

/// A number as people write it: 0.1 and not 0.10000000149011612.
pub(super) fn number(value: f32) -> serde_json::Value {
    value.to_string().parse::<f64>().map_or(serde_json::Value::Null, serde_json::Value::from)
}

fn refused(why: &str) -> ProviderError {
    ProviderError::Rejected { status: 400, message: why.to_owned() }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(16);
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    fields.push((name, value));
                    if fields.len() > MOST_FIELDS {
                        return Err(serde::de::Error::custom("too many fields"));
                    }
                }
                Ok(fields)
            }
        }
        Ok(Self(deserializer.deserialize_map(Read)?))
    }
}

/// Borrows where there is no escape.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn with(body: &str, own: &[(&str, &str)], without: &[&str]) -> String {
        let own: Vec<_> = own.iter().map(|(name, value)| (*name, Cow::Borrowed(*value))).collect();
        String::from_utf8(Fields::read(body.as_bytes()).unwrap().with(&own, without)).unwrap()
    }

    #[test]
    fn all_but_the_replaced_fields_stay_as_they_were_written() {
        let body = "{ \"model\" : \"a\", \"big\":123456789012345678901234567890 ,\"x\\u0041\":1.50e+1, \
                    \"max_tokens\": 7,\"nested\": {\"model\": \"stays\" , \"max_tokens\":1}}";
        let sent = with(body, &[("model", "\"b\"")], &["max_tokens"]);
        insta::assert_snapshot!(sent, @r#"{"model":"b","big":123456789012345678901234567890,"xA":1.50e+1,"nested":{"model": "stays" , "max_tokens":1}}"#);
        assert_eq!(with("{}", &[], &[]), "{}");
        assert_eq!(with(r#"{"a":1}"#, &[], &["a"]), "{}");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let many: String = (0..200).map(|n| format!("\"f{n}\":1,")).collect();
        for wrong in
            ["", "[1]", "nothing", "{\"a\":1", r#"{"a":1,"a":2}"#, r#"{"max_tokens":1,"max\u005ftokens":9}"#]
        {
            assert!(Fields::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(Fields::read(format!("{{{many}\"z\":1}}").as_bytes()).is_err());
    }

    #[test]
    fn a_text_is_quoted_as_json_wants_it() {
        for text in ["", "gpt-5", "a\"b", "a\\b", "a\nb", "é😀", "\u{0}"] {
            assert_eq!(serde_json::from_str::<String>(&json_text(text)).unwrap(), text);
        }
    }

    proptest! {
        #[test]
        fn the_rest_means_the_same(names in proptest::collection::hash_set("[a-z\"\\\\é]{0,4}", 0..8), model in ".{0,8}") {
            let object: serde_json::Map<String, Value> =
                names.into_iter().enumerate().map(|(n, name)| (name, json!([n, {"model": n}]))).collect();
            let sent = with(&Value::Object(object.clone()).to_string(), &[("model", &json_text(&model))], &[]);
            let sent: Value = serde_json::from_str(&sent).unwrap();
            let mut expected = Value::Object(object);
            expected["model"] = model.into();
            prop_assert_eq!(sent, expected);
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Fields::read(&bytes);
        }
    }
}
