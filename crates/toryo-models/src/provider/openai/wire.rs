//! An answer, read leniently: compatible servers leave out or add much, so only what is used is asked for.

use super::failure;
use crate::provider::{ProviderError, ProviderReply};
use crate::reply::{Finish, Usage};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The body of a successful answer.
#[derive(Debug, Deserialize)]
pub(super) struct Completion {
    choices: Vec<Choice>,
    #[serde(default, deserialize_with = "null_is_default")]
    model: String,
    #[serde(default, deserialize_with = "null_is_default")]
    usage: Tokens,
}

#[derive(Debug, Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Value,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    tool_calls: Vec<ToolCall>,
}

#[derive(Debug, Deserialize)]
struct ToolCall {
    function: Function,
}

#[derive(Debug, Deserialize)]
struct Function {
    #[serde(default)]
    arguments: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    prompt_tokens: u64,
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
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    #[serde(deserialize_with = "null_is_default")]
    reasoning_tokens: u64,
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    value: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// The first choice of an answer.
pub(super) fn reply(completion: Completion, asked_model: &str) -> Result<ProviderReply, ProviderError> {
    let Some(choice) = completion.choices.into_iter().next() else {
        return Err(failure::not_an_answer("without a choice"));
    };
    let finish = finish(&choice);
    let content = match finish {
        Finish::Refusal(_) => String::new(),
        Finish::Stop | Finish::Length | Finish::ContentFilter => content(choice.message),
    };
    let model = if completion.model.is_empty() { asked_model.to_owned() } else { completion.model };
    Ok(ProviderReply { content, finish, usage: usage(&completion.usage), model })
}

fn finish(choice: &Choice) -> Finish {
    if let Some(words) = choice.message.refusal.as_ref().filter(|words| !words.is_empty()) {
        return Finish::Refusal(words.clone());
    }
    match choice.finish_reason.as_deref() {
        Some("length") => Finish::Length,
        Some("content_filter") => Finish::ContentFilter,
        // `stop`, `tool_calls`, `function_call`, and whatever servers invent: the content decides.
        _ => Finish::Stop,
    }
}

/// The forced function's arguments where there are some, else the text.
fn content(message: Message) -> String {
    let called = message.tool_calls.into_iter().next().map(|call| call.function.arguments);
    match called.unwrap_or(message.content) {
        Value::Null => String::new(),
        Value::String(text) => text,
        // Some servers send text in parts.
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        // Some send arguments as an object instead of as its text.
        value => value.to_string(),
    }
}

fn usage(tokens: &Tokens) -> Usage {
    Usage {
        input: tokens.prompt_tokens,
        cached_input: tokens.prompt_tokens_details.cached_tokens,
        cache_write: 0,
        output: tokens.completion_tokens,
        reasoning: tokens.completion_tokens_details.reasoning_tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(body: Value) -> Result<ProviderReply, ProviderError> {
        reply(serde_json::from_value(body).unwrap(), "asked")
    }

    #[test]
    fn the_least_that_a_server_may_send_is_enough() {
        let reply = read(json!({"choices": [{"message": {"content": "{}"}}]})).unwrap();
        assert_eq!((reply.content.as_str(), reply.model.as_str()), ("{}", "asked"));
        assert_eq!((reply.finish, reply.usage), (Finish::Stop, Usage::default()));
    }

    #[test]
    fn nulls_and_unknown_fields_do_not_matter() {
        let reply = read(json!({
            "choices": [{"message": {"role": "assistant", "content": null, "tool_calls": null, "refusal": null,
                "reasoning_content": "hm"}, "finish_reason": "length", "logprobs": null}],
            "model": "other", "service_tier": "brand-new", "usage": {"prompt_tokens": 5, "completion_tokens": 3,
                "prompt_tokens_details": null, "completion_tokens_details": {"reasoning_tokens": null}}
        }))
        .unwrap();
        assert_eq!(
            (reply.content.as_str(), &reply.finish, reply.model.as_str()),
            ("", &Finish::Length, "other")
        );
        assert_eq!(reply.usage.total(), 8);
    }

    #[test]
    fn parts_and_arguments_are_put_together() {
        let parts = json!([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]);
        assert_eq!(read(json!({"choices": [{"message": {"content": parts}}]})).unwrap().content, "ab");
        for arguments in [json!({"a": 1}), json!("{\"a\":1}")] {
            let calls = json!([{"function": {"name": "plan", "arguments": arguments}}]);
            let reply =
                read(json!({"choices": [{"message": {"content": "", "tool_calls": calls}}]})).unwrap();
            assert_eq!(reply.content, "{\"a\":1}");
        }
    }

    #[test]
    fn a_refusal_has_no_content() {
        let message = json!({"content": "part of", "refusal": "I will not."});
        let reply = read(json!({"choices": [{"message": message, "finish_reason": "stop"}]})).unwrap();
        assert_eq!((reply.content.as_str(), reply.finish), ("", Finish::Refusal("I will not.".into())));
        assert!(read(json!({"choices": []})).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = serde_json::from_slice::<Completion>(&bytes);
        }
    }
}
