//! Tiny clients: they read what we write into a form that compares across dialects.

use crate::chat::{Completion, Output, Stop};
use crate::dialect::thinking::unseal;
use crate::inbound::Dialect;
use crate::reply::Usage;
use serde_json::{Map, Value, json};

/// What an answer says, without what a dialect cannot say: where one text ends and the next begins.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Said {
    text: String,
    refusal: String,
    reasoning: String,
    natives: Vec<Value>,
    calls: Vec<(String, String, Value)>,
    stop: &'static str,
    usage: Option<Usage>,
}

fn arguments(text: &str) -> Value {
    if text.is_empty() { json!({}) } else { serde_json::from_str(text).unwrap() }
}

impl Said {
    /// What a client of the dialect has to find in an answer.
    pub(super) fn expected(dialect: Dialect, answer: &Completion) -> Self {
        let mut said = Self { usage: answer.usage, ..Self::default() };
        for output in &answer.output {
            match output {
                Output::Text(text) => said.text += text,
                Output::Refusal(text) if dialect == Dialect::Messages => said.text += text,
                Output::Refusal(text) => said.refusal += text,
                Output::Reasoning { text, native } => {
                    said.reasoning += text;
                    said.natives.extend(native.clone());
                }
                Output::ToolCall(call) => {
                    said.calls.push((call.id.clone(), call.name.clone(), arguments(&call.arguments)));
                }
            }
        }
        let calls = !said.calls.is_empty();
        said.stop = match (dialect, &answer.stop) {
            (Dialect::Completions, Stop::Length) => "length",
            (Dialect::Completions, Stop::ContentFilter | Stop::Guardrail(_)) => "content_filter",
            (Dialect::Completions, Stop::ToolUse) => "tool_calls",
            (Dialect::Completions, Stop::End) if calls => "tool_calls",
            (Dialect::Completions, _) => "stop",
            (Dialect::Messages, Stop::Length) => "max_tokens",
            (Dialect::Messages, Stop::ContentFilter | Stop::Guardrail(_) | Stop::Refusal) => "refusal",
            (Dialect::Messages, Stop::ToolUse) => "tool_use",
            (Dialect::Messages, Stop::Sequence(_)) => "stop_sequence",
            (Dialect::Messages, Stop::End) => {
                if calls {
                    "tool_use"
                } else {
                    "end_turn"
                }
            }
            (Dialect::Responses, Stop::Length | Stop::ContentFilter | Stop::Guardrail(_)) => "incomplete",
            (Dialect::Responses, _) => "completed",
        };
        if let Some(usage) = &mut said.usage {
            match dialect {
                Dialect::Completions => {}
                Dialect::Responses => usage.cache_write = 0,
                Dialect::Messages => usage.reasoning = 0,
            }
        } else if dialect == Dialect::Messages {
            said.usage = Some(Usage::default());
        }
        said
    }

    /// Reads a whole answer.
    pub(super) fn whole(dialect: Dialect, body: &Value) -> Self {
        match dialect {
            Dialect::Completions => Self::completion(body),
            Dialect::Responses => Self::response(body),
            Dialect::Messages => Self::message(body),
        }
    }

    /// Reads a stream.
    pub(super) fn stream(dialect: Dialect, text: &str) -> Self {
        let mut frames = frames(text);
        match dialect {
            Dialect::Completions => {
                assert_eq!(frames.pop(), Some((String::new(), Value::from("[DONE]"))));
                Self::completion(&chunks(frames))
            }
            Dialect::Responses => Self::response(&responses(frames)),
            Dialect::Messages => Self::message(&messages(frames)),
        }
    }

    fn completion(body: &Value) -> Self {
        let message = &body["choices"][0]["message"];
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        let usage = &body["usage"];
        Self {
            text: string(&message["content"]),
            refusal: string(&message["refusal"]),
            reasoning: string(&message["reasoning_content"]),
            natives: message["thinking_blocks"].as_array().cloned().unwrap_or_default(),
            calls: calls.iter().map(|call| called(&call["id"], &call["function"])).collect(),
            stop: word(&body["choices"][0]["finish_reason"]),
            usage: usage.is_object().then(|| {
                assert_eq!(
                    usage["total_tokens"],
                    number(&usage["prompt_tokens"]) + number(&usage["completion_tokens"])
                );
                Usage {
                    input: number(&usage["prompt_tokens"]),
                    cached_input: number(&usage["prompt_tokens_details"]["cached_tokens"]),
                    cache_write: number(&usage["prompt_tokens_details"]["cache_creation_tokens"]),
                    output: number(&usage["completion_tokens"]),
                    reasoning: number(&usage["completion_tokens_details"]["reasoning_tokens"]),
                }
            }),
        }
    }

    fn response(body: &Value) -> Self {
        let usage = &body["usage"];
        let mut said = Self {
            stop: word(&body["status"]),
            usage: usage.is_object().then(|| Usage {
                input: number(&usage["input_tokens"]),
                cached_input: number(&usage["input_tokens_details"]["cached_tokens"]),
                cache_write: 0,
                output: number(&usage["output_tokens"]),
                reasoning: number(&usage["output_tokens_details"]["reasoning_tokens"]),
            }),
            ..Self::default()
        };
        for item in body["output"].as_array().unwrap() {
            match item["type"].as_str().unwrap() {
                "message" => {
                    for content in item["content"].as_array().unwrap() {
                        said.text += &string(&content["text"]);
                        said.refusal += &string(&content["refusal"]);
                    }
                }
                "function_call" => said.calls.push(called(&item["call_id"], item)),
                "reasoning" => {
                    for summary in item["summary"].as_array().unwrap() {
                        said.reasoning += summary["text"].as_str().unwrap();
                    }
                    said.natives.extend(item["encrypted_content"].as_str().map(|text| unseal(text).unwrap()));
                }
                other => panic!("{other}"),
            }
        }
        said
    }

    fn message(body: &Value) -> Self {
        let usage = &body["usage"];
        let (read, written) =
            (number(&usage["cache_read_input_tokens"]), number(&usage["cache_creation_input_tokens"]));
        let mut said = Self {
            stop: word(&body["stop_reason"]),
            usage: Some(Usage {
                input: number(&usage["input_tokens"]) + read + written,
                cached_input: read,
                cache_write: written,
                output: number(&usage["output_tokens"]),
                reasoning: 0,
            }),
            ..Self::default()
        };
        for block in body["content"].as_array().unwrap() {
            match block["type"].as_str().unwrap() {
                "text" => said.text += block["text"].as_str().unwrap(),
                "tool_use" => {
                    said.calls.push((string(&block["id"]), string(&block["name"]), block["input"].clone()));
                }
                "redacted_thinking" => said.natives.push(block.clone()),
                "thinking" => {
                    said.reasoning += block["thinking"].as_str().unwrap();
                    let signature = block["signature"].as_str().unwrap();
                    if !signature.is_empty() {
                        said.natives.push(unseal(signature).unwrap_or_else(|| block.clone()));
                    }
                }
                other => panic!("{other}"),
            }
        }
        said
    }
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn word(value: &Value) -> &'static str {
    value.as_str().unwrap().to_owned().leak()
}

fn called(id: &Value, function: &Value) -> (String, String, Value) {
    (string(id), string(&function["name"]), arguments(function["arguments"].as_str().unwrap()))
}

/// Server-sent events with their names.
fn frames(text: &str) -> Vec<(String, Value)> {
    let frames = text.split_terminator("\n\n").map(|frame| {
        let (mut name, mut data) = (String::new(), Value::Null);
        for line in frame.lines() {
            match line.split_once(": ").unwrap() {
                ("event", text) => name = text.into(),
                ("data", "[DONE]") => data = "[DONE]".into(),
                ("data", json) => data = serde_json::from_str(json).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        (name, data)
    });
    frames.collect()
}

fn append(place: &mut Value, more: &Value) {
    if let Some(more) = more.as_str() {
        *place = format!("{}{more}", place.as_str().unwrap_or_default()).into();
    }
}

/// Chunks become a completion.
fn chunks(frames: Vec<(String, Value)>) -> Value {
    let mut message = json!({"tool_calls": [], "thinking_blocks": []});
    let mut whole = json!({"usage": null});
    let mut reason = Value::Null;
    for (name, chunk) in frames {
        assert_eq!((name.as_str(), &chunk["object"]), ("", &json!("chat.completion.chunk")));
        if chunk["usage"].is_object() {
            whole["usage"] = chunk["usage"].clone();
        }
        let Some(choice) = chunk["choices"].get(0) else { continue };
        assert!(reason.is_null(), "nothing follows the reason");
        reason = choice["finish_reason"].clone();
        let delta = &choice["delta"];
        for name in ["content", "refusal", "reasoning_content"] {
            append(&mut message[name], &delta[name]);
        }
        let blocks = delta["thinking_blocks"].as_array().cloned().unwrap_or_default();
        message["thinking_blocks"].as_array_mut().unwrap().extend(blocks);
        for call in delta["tool_calls"].as_array().unwrap_or(&Vec::new()) {
            let calls = message["tool_calls"].as_array_mut().unwrap();
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if call.get("id").is_some() {
                assert_eq!(calls.len(), index);
                calls.push(call.clone());
            } else {
                append(&mut calls[index]["function"]["arguments"], &call["function"]["arguments"]);
            }
        }
    }
    whole["choices"] = json!([{"message": message, "finish_reason": reason}]);
    whole
}

/// Events become a message, and are checked to come in order.
fn messages(frames: Vec<(String, Value)>) -> Value {
    let mut message = Value::Null;
    let mut json_of: Vec<String> = Vec::new();
    let mut open = None;
    let mut ended = false;
    for (name, event) in frames {
        assert!(!ended);
        assert_eq!(name, event["type"].as_str().unwrap());
        let at = event["index"].as_u64().map(|at| usize::try_from(at).unwrap());
        match name.as_str() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                assert_eq!(open, None);
                open = at;
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(Some(content.len()), at);
                content.push(event["content_block"].clone());
                json_of.push(String::new());
            }
            "content_block_delta" => {
                assert_eq!(open, at);
                let block = &mut message["content"][at.unwrap()];
                let delta = &event["delta"];
                for name in ["text", "thinking", "signature"] {
                    append(&mut block[name], &delta[name]);
                }
                json_of[at.unwrap()] += delta["partial_json"].as_str().unwrap_or_default();
            }
            "content_block_stop" => {
                assert_eq!(open.take(), at);
                if !json_of[at.unwrap()].is_empty() {
                    message["content"][at.unwrap()]["input"] = arguments(&json_of[at.unwrap()]);
                }
            }
            "message_delta" => {
                assert_eq!(open, None);
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["usage"] = event["usage"].clone();
            }
            "message_stop" => ended = true,
            other => panic!("{other}"),
        }
    }
    assert!(ended);
    strip_nulls(&mut message);
    message
}

/// Removes what reading by name put there.
fn strip_nulls(message: &mut Value) {
    for block in message["content"].as_array_mut().unwrap() {
        let block: &mut Map<String, Value> = block.as_object_mut().unwrap();
        block.retain(|_, value| !value.is_null());
    }
}

/// The last event has the whole; that its pieces say the same, and come in order, is checked.
fn responses(frames: Vec<(String, Value)>) -> Value {
    let mut items: Vec<Value> = Vec::new();
    let mut grown = String::new();
    let mut last = Value::Null;
    for (number, (name, event)) in frames.into_iter().enumerate() {
        assert_eq!(name, event["type"].as_str().unwrap());
        assert_eq!(event["sequence_number"], number);
        assert!(last.is_null());
        let kind = name.rsplit_once('.').unwrap().1;
        if name.starts_with("response.output_item") {
            assert_eq!(event["output_index"], items.len());
        }
        match (kind, name.as_str()) {
            (_, "response.output_item.added") => grown.clear(),
            (_, "response.output_item.done") => items.push(event["item"].clone()),
            ("delta", _) => grown += event["delta"].as_str().unwrap(),
            (_, "response.completed" | "response.incomplete") => last = event["response"].clone(),
            ("done", "response.content_part.done" | "response.reasoning_summary_part.done") => {}
            ("done", _) => {
                let said = ["text", "refusal", "arguments"].map(|name| string(&event[name])).concat();
                assert_eq!(said, grown);
            }
            _ => {}
        }
    }
    assert_eq!(last["output"], Value::from(items));
    last
}
