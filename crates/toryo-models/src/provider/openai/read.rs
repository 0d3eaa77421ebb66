//! An answer, read leniently: compatible servers leave out or add much, so only what is used is asked for.

use crate::chat::{Completion, Output, Stop, ToolCall};
use crate::provider::{ProviderError, failure};
use crate::reply::Usage;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// The body of a successful answer.
#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    model: Text<'a>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Said<'a>,
    #[serde(borrow, default)]
    finish_reason: Text<'a>,
}

/// What a message says, or a piece of one.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    pub(super) content: Text<'a>,
    #[serde(borrow)]
    pub(super) refusal: Text<'a>,
    /// As DeepSeek and vLLM call it.
    #[serde(borrow)]
    reasoning_content: Text<'a>,
    /// As OpenRouter and newer servers call it.
    #[serde(borrow)]
    reasoning: Text<'a>,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) tool_calls: Vec<Call>,
}

impl Said<'_> {
    pub(super) fn reasoning(&self) -> &str {
        if self.reasoning_content.0.is_empty() { &self.reasoning.0 } else { &self.reasoning_content.0 }
    }
}

/// A text, borrowed where it holds no escapes. Texts in parts, as some servers send them, become one; `null` and
/// anything else is none.
#[derive(Default)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Text::default())
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Text::default())
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Text::default())
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Text::default())
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Text::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
                let mut text = String::new();
                while let Some(part) = parts.next_element::<Value>()? {
                    text.push_str(part["text"].as_str().unwrap_or_default());
                }
                Ok(Text(Cow::Owned(text)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// A function call, or a piece of one.
#[derive(Deserialize)]
pub(super) struct Call {
    pub(super) index: Option<usize>,
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) function: Function,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Function {
    pub(super) name: Option<String>,
    arguments: Value,
}

impl Function {
    /// Some servers send arguments as an object instead of as its text.
    pub(super) fn arguments(self) -> String {
        match self.arguments {
            Value::Null => String::new(),
            Value::String(text) => text,
            value => value.to_string(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    #[serde(deserialize_with = "null_is_default")]
    prompt_tokens: u64,
    #[serde(deserialize_with = "null_is_default")]
    completion_tokens: u64,
    #[serde(deserialize_with = "null_is_default")]
    prompt_tokens_details: PromptDetails,
    #[serde(deserialize_with = "null_is_default")]
    completion_tokens_details: CompletionDetails,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    #[serde(deserialize_with = "null_is_default")]
    cached_tokens: u64,
    /// Not OpenAI's, whose cache costs nothing to fill; gateways before other providers count it.
    #[serde(deserialize_with = "null_is_default")]
    cache_creation_tokens: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    #[serde(deserialize_with = "null_is_default")]
    reasoning_tokens: u64,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self {
            input: tokens.prompt_tokens,
            cached_input: tokens.prompt_tokens_details.cached_tokens,
            cache_write: tokens.prompt_tokens_details.cache_creation_tokens,
            output: tokens.completion_tokens,
            reasoning: tokens.completion_tokens_details.reasoning_tokens,
        }
    }
}

pub(super) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    value: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// JSON of a text: looking at the whole for UTF-8 once is quicker than at each piece of it.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    serde_json::from_str(std::str::from_utf8(body).ok()?).ok()
}

/// The first choice of an answer.
pub(super) fn completion(body: &[u8], asked_model: &str) -> Result<Completion, ProviderError> {
    let whole: Option<Whole<'_>> = parse(body);
    let whole = whole.ok_or_else(|| failure::not_an_answer("not a chat completion in JSON"))?;
    let choice =
        whole.choices.into_iter().next().ok_or_else(|| failure::not_an_answer("without a choice"))?;
    let mut output = Vec::new();
    let mut push = |text: &str, make: fn(String) -> Output| {
        if !text.is_empty() {
            output.push(make(text.to_owned()));
        }
    };
    let said = choice.message;
    push(said.reasoning(), |text| Output::Reasoning { text, native: None });
    push(&said.content.0, Output::Text);
    push(&said.refusal.0, Output::Refusal);
    let refused = !said.refusal.0.is_empty();
    output.extend(said.tool_calls.into_iter().map(|call| {
        let id = call.id.unwrap_or_default();
        let name = call.function.name.clone().unwrap_or_default();
        Output::ToolCall(ToolCall { id, name, arguments: call.function.arguments() })
    }));
    let model = Some(whole.model.0.into_owned()).filter(|model| !model.is_empty());
    Ok(Completion {
        id: whole.id.0.into_owned(),
        model: model.unwrap_or_else(|| asked_model.to_owned()),
        output,
        stop: stop(&choice.finish_reason.0, refused),
        usage: whole.usage.map(Usage::from),
    })
}

/// What servers invent counts as the end: the content decides.
pub(super) fn stop(reason: &str, refused: bool) -> Stop {
    match reason {
        "length" => Stop::Length,
        "content_filter" => Stop::ContentFilter,
        _ if refused => Stop::Refusal,
        "tool_calls" | "function_call" => Stop::ToolUse,
        _ => Stop::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(body: Value) -> Result<Completion, ProviderError> {
        completion(body.to_string().as_bytes(), "asked")
    }

    #[test]
    fn the_least_that_a_server_may_send_is_enough() {
        let answer = read(json!({"choices": [{"message": {"content": "{}"}}]})).unwrap();
        assert_eq!((answer.text().as_str(), answer.model.as_str()), ("{}", "asked"));
        assert_eq!((answer.stop, answer.usage), (Stop::End, None));
    }

    #[test]
    fn nulls_and_unknown_fields_do_not_matter() {
        let answer = read(json!({
            "choices": [{"message": {"role": "assistant", "content": null, "tool_calls": null, "refusal": null,
                "reasoning_content": "hm"}, "finish_reason": "length", "logprobs": null}],
            "model": "other", "service_tier": "brand-new", "usage": {"prompt_tokens": 5, "completion_tokens": 3,
                "prompt_tokens_details": null, "completion_tokens_details": {"reasoning_tokens": null}}
        }))
        .unwrap();
        assert_eq!(
            (answer.text().as_str(), &answer.stop, answer.model.as_str()),
            ("", &Stop::Length, "other")
        );
        assert_eq!(answer.output, [Output::Reasoning { text: "hm".into(), native: None }]);
        assert_eq!(answer.usage.unwrap().total(), 8);
    }

    #[test]
    fn parts_and_arguments_are_put_together() {
        let parts = json!([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]);
        assert_eq!(read(json!({"choices": [{"message": {"content": parts}}]})).unwrap().text(), "ab");
        for arguments in [json!({"a": 1}), json!("{\"a\":1}")] {
            let calls = json!([{"id": "c1", "function": {"name": "plan", "arguments": arguments}}]);
            let choice = json!({"message": {"tool_calls": calls}, "finish_reason": "tool_calls"});
            let answer = read(json!({"choices": [choice]})).unwrap();
            let call = ToolCall { id: "c1".into(), name: "plan".into(), arguments: "{\"a\":1}".into() };
            assert_eq!((answer.output, answer.stop), (vec![Output::ToolCall(call)], Stop::ToolUse));
        }
    }

    #[test]
    fn a_refusal_is_why_it_stopped() {
        let message = json!({"content": null, "refusal": "I will not."});
        let answer = read(json!({"choices": [{"message": message, "finish_reason": "stop"}]})).unwrap();
        assert_eq!(answer.output, [Output::Refusal("I will not.".into())]);
        assert_eq!(answer.stop, Stop::Refusal);
        assert!(read(json!({"choices": []})).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = completion(&bytes, "m");
        }

        #[test]
        fn no_cut_answer_is_whole(cut in 0_usize..150) {
            let body = json!({"id": "x", "choices": [{"message": {"content": "é and more words to be cut"},
                "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}).to_string();
            prop_assume!(cut < body.len());
            prop_assert!(completion(&body.as_bytes()[..cut], "m").is_err());
        }
    }
}
