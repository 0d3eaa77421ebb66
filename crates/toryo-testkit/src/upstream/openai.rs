//! OpenAI's chat completions, from its API reference and its error messages.

use super::http::{Refusal, SeenCall, check_key};
use super::said::{Said, Stop, pieces_of};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The parameters of the API, and those that vLLM adds.
const KNOWN: [&str; 33] = [
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "min_p",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
];

/// Whether a stream is wanted.
pub(super) fn check(call: &SeenCall) -> Result<bool, Refusal> {
    if (call.method.as_str(), call.path.as_str()) != ("POST", "/v1/chat/completions") {
        return Err(Refusal { status: 404, message: "no route of the API".into(), wrong: true });
    }
    check_key(call.header("authorization").and_then(|value| value.strip_prefix("Bearer ")))?;
    if call.header("content-type") != Some("application/json") {
        return Err("content-type is not application/json".into());
    }
    let body = call.body.as_object().ok_or("the body is not a JSON object")?;
    if let Some(unknown) = body.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("Unrecognized request argument supplied: {unknown}").into());
    }
    if call.body["model"].as_str().is_none_or(str::is_empty) {
        return Err("you must provide a model parameter".into());
    }
    if body.contains_key("max_tokens") && body.contains_key("max_completion_tokens") {
        return Err("`max_tokens` and `max_completion_tokens` are both set".into());
    }
    let messages =
        call.body["messages"].as_array().filter(|all| !all.is_empty()).ok_or("`messages` is empty")?;
    let mut open = BTreeSet::new();
    for message in messages {
        check_message(message, &mut open)?;
    }
    check_tools(&call.body)?;
    let stream = call.body["stream"] == true;
    if body.contains_key("stream_options") && !stream {
        return Err("`stream_options` is only allowed when `stream` is enabled".into());
    }
    Ok(stream)
}

fn check_message<'a>(message: &'a Value, open: &mut BTreeSet<&'a str>) -> Result<(), Refusal> {
    let role = message["role"].as_str().unwrap_or_default();
    let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    if role == "tool" {
        let id = message["tool_call_id"].as_str().unwrap_or_default();
        if !open.remove(id) {
            return Err(format!("the tool message `{id}` answers no call").into());
        }
    } else if !open.is_empty() {
        return Err(format!("tool calls without an answer: {open:?}").into());
    }
    for call in calls {
        let whole = call["id"].is_string() && call["type"] == "function";
        if !whole || !call["function"]["name"].is_string() || !call["function"]["arguments"].is_string() {
            return Err("a tool call lacks id, type, name or arguments".into());
        }
        open.extend(call["id"].as_str());
    }
    let kinds: &[&str] = match role {
        "system" | "developer" | "tool" => &["text"],
        "user" => &["text", "image_url", "input_audio", "file"],
        "assistant" => &["text", "refusal"],
        other => return Err(format!("a message has the role `{other}`").into()),
    };
    match &message["content"] {
        Value::String(_) => Ok(()),
        Value::Null if role == "assistant" && !calls.is_empty() => Ok(()),
        Value::Array(parts) if !parts.is_empty() => {
            let wrong = parts.iter().find(|part| !kinds.contains(&part["type"].as_str().unwrap_or_default()));
            wrong.map_or(Ok(()), |part| Err(format!("a part of a {role} message: {part}").into()))
        }
        other => Err(format!("the content of a {role} message: {other}").into()),
    }
}

fn check_tools(body: &Value) -> Result<(), Refusal> {
    let tools = body["tools"].as_array().map(Vec::as_slice);
    if tools.is_some_and(<[Value]>::is_empty) {
        return Err("`tools` is empty".into());
    }
    let tools = tools.unwrap_or_default();
    let name_of = |tool: &Value| tool["function"]["name"].as_str().map(str::to_owned);
    if tools.iter().any(|tool| tool["type"] != "function" || name_of(tool).is_none()) {
        return Err("a tool without type or name".into());
    }
    let choice = &body["tool_choice"];
    let fits = match choice {
        Value::Null => true,
        Value::String(word) => !tools.is_empty() && ["auto", "none", "required"].contains(&word.as_str()),
        object => {
            let name = object["function"]["name"].as_str();
            name.is_some() && tools.iter().any(|tool| name_of(tool).as_deref() == name)
        }
    };
    if !fits {
        return Err(format!("`tool_choice` {choice} fits no tool").into());
    }
    if !body["parallel_tool_calls"].is_null() && tools.is_empty() {
        return Err("`parallel_tool_calls` is only allowed when `tools` are specified".into());
    }
    Ok(())
}

const fn finish(stop: Stop) -> &'static str {
    match stop {
        Stop::End => "stop",
        Stop::Length => "length",
        Stop::ToolUse => "tool_calls",
        Stop::Filter => "content_filter",
    }
}

fn usage(said: &Said) -> Value {
    said.usage.map_or(Value::Null, |usage| {
        json!({
            "prompt_tokens": usage.input, "completion_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cached_input, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0}
        })
    })
}

pub(super) fn whole(said: &Said, request: &Value) -> String {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    if !said.text.is_empty() {
        message["content"] = said.text.concat().into();
    }
    if let Some(thinking) = &said.thinking {
        message["reasoning_content"] = thinking.text.as_str().into();
    }
    if !said.calls.is_empty() {
        let call = |call: &super::Call| {
            let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
            json!({"id": call.id, "type": "function", "function": function})
        };
        message["tool_calls"] = said.calls.iter().map(call).collect();
    }
    let mut body = json!({
        "id": "chatcmpl-upstream", "object": "chat.completion", "created": 1_760_000_000, "model": request["model"],
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish(said.stop)}]
    });
    if said.usage.is_some() {
        body["usage"] = usage(said);
    }
    body.to_string()
}

pub(super) fn events(said: &Said, request: &Value) -> Vec<Vec<u8>> {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "chatcmpl-upstream", "object": "chat.completion.chunk", "created": 1_760_000_000,
            "model": request["model"], "choices": choices, "usage": usage
        });
        format!("data: {chunk}\n\n").into_bytes()
    };
    let delta =
        |delta: Value| chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]), Value::Null);
    let mut events = vec![delta(json!({"role": "assistant", "content": ""}))];
    if let Some(thinking) = &said.thinking {
        events.push(delta(json!({"reasoning_content": thinking.text})));
    }
    events.extend(said.text.iter().map(|piece| delta(json!({"content": piece}))));
    for (index, call) in said.calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        events.push(delta(
            json!({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]}),
        ));
        events.extend(
            pieces_of(&call.arguments).iter().map(|piece| {
                delta(json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
            }),
        );
    }
    events.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": finish(said.stop)}]), Value::Null));
    if said.usage.is_some() && request["stream_options"]["include_usage"] == true {
        events.push(chunk(json!([]), usage(said)));
    }
    events.push(b"data: [DONE]\n\n".to_vec());
    events
}

pub(super) fn failure(status: u16, message: &str) -> Vec<u8> {
    let kind = if status == 429 { "rate_limit_exceeded" } else { "scripted_error" };
    json!({"error": {"message": message, "type": kind, "param": null, "code": null}}).to_string().into_bytes()
}
