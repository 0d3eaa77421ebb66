//! A whole answer, read leniently.

use crate::chat::{Completion, Output, Stop, ToolCall};
use crate::provider::{ProviderError, failure};
use crate::reply::Usage;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    content: Vec<Value>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    usage: Option<Tokens>,
}

/// Cached tokens are counted beside the others: the prompt is the sum of the three.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) cache_read_input_tokens: Option<u64>,
    pub(super) cache_creation_input_tokens: Option<u64>,
}

impl Tokens {
    /// The last word counts; what a later report leaves out stays.
    pub(super) fn then(self, later: Self) -> Self {
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            output_tokens: later.output_tokens.or(self.output_tokens),
            cache_read_input_tokens: later.cache_read_input_tokens.or(self.cache_read_input_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
        }
    }
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        let cached_input = tokens.cache_read_input_tokens.unwrap_or(0);
        let cache_write = tokens.cache_creation_input_tokens.unwrap_or(0);
        let input = tokens.input_tokens.unwrap_or(0);
        Self {
            input: input.saturating_add(cached_input).saturating_add(cache_write),
            cached_input,
            cache_write,
            output: tokens.output_tokens.unwrap_or(0),
            // Hidden reasoning is among the output and not told apart.
            reasoning: 0,
        }
    }
}

pub(super) fn completion(body: &[u8], asked_model: &str) -> Result<Completion, ProviderError> {
    let message: Message =
        serde_json::from_slice(body).map_err(|_| failure::not_an_answer("not a message in JSON"))?;
    let reason =
        message.stop_reason.ok_or_else(|| failure::not_an_answer("without a reason why it ended"))?;
    let model = if message.model.is_empty() { asked_model.to_owned() } else { message.model };
    Ok(Completion {
        id: message.id,
        model,
        output: message.content.into_iter().filter_map(output).collect(),
        stop: stop(&reason, message.stop_sequence)?,
        usage: message.usage.map(Usage::from),
    })
}

/// Blocks of tools that run at the provider are not told: their results are in the text.
fn output(mut block: Value) -> Option<Output> {
    let text = |block: &Value, name: &str| block[name].as_str().unwrap_or_default().to_owned();
    match block["type"].as_str()? {
        "text" => Some(Output::Text(text(&block, "text"))),
        "thinking" => Some(Output::Reasoning { text: text(&block, "thinking"), native: Some(block) }),
        "redacted_thinking" => Some(Output::Reasoning { text: String::new(), native: Some(block) }),
        "tool_use" => {
            let (id, name) = (text(&block, "id"), text(&block, "name"));
            let arguments = block["input"].take();
            let arguments = if arguments.is_null() { json!({}) } else { arguments };
            Some(Output::ToolCall(ToolCall { id, name, arguments: arguments.to_string() }))
        }
        _ => None,
    }
}

/// Why an answer ended, from "Handling stop reasons".
pub(super) fn stop(reason: &str, sequence: Option<String>) -> Result<Stop, ProviderError> {
    Ok(match reason {
        "max_tokens" => Stop::Length,
        "stop_sequence" => Stop::Sequence(sequence),
        "tool_use" => Stop::ToolUse,
        "refusal" => Stop::Refusal,
        "model_context_window_exceeded" => Stop::Length,
        // A long turn with the provider's own tools was cut and would have to be continued.
        "pause_turn" => {
            return Err(ProviderError::unsupported("a turn that the provider paused"));
        }
        _ => Stop::End,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cached_tokens_are_part_of_the_prompt() {
        let first: Tokens = serde_json::from_value(
            json!({"input_tokens": 3, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 4, "output_tokens": 1}),
        )
        .unwrap();
        let later: Tokens = serde_json::from_value(json!({"output_tokens": 9, "new": {}})).unwrap();
        let expected = Usage { input: 17, cached_input: 10, cache_write: 4, output: 9, reasoning: 0 };
        assert_eq!(Usage::from(first.then(later)), expected);
    }

    #[test]
    fn every_reason_to_stop_has_its_word() {
        let of = |reason: &str| stop(reason, Some("END".into())).ok();
        assert_eq!(of("end_turn"), Some(Stop::End));
        assert_eq!(of("stop_sequence"), Some(Stop::Sequence(Some("END".into()))));
        assert_eq!(of("max_tokens"), Some(Stop::Length));
        assert_eq!(of("refusal"), Some(Stop::Refusal));
        assert_eq!(of("brand_new"), Some(Stop::End));
        assert_eq!(of("pause_turn"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = completion(&bytes, "m");
        }
    }
}
