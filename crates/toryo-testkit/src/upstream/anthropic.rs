//! Anthropic's messages, from its API reference: "Messages", "Streaming messages", "Extended thinking", "Errors".

use super::http::{Refusal, SeenCall, check_key};
use super::said::{Said, Stop, pieces_of};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const KNOWN: [&str; 17] = [
    "container",
    "context_management",
    "mcp_servers",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
];

/// Whether a stream is wanted.
pub(super) fn check(call: &SeenCall) -> Result<bool, Refusal> {
    if (call.method.as_str(), call.path.as_str()) != ("POST", "/v1/messages") {
        return Err(Refusal { status: 404, message: "no route of the API".into(), wrong: true });
    }
    check_key(call.header("x-api-key"))?;
    if call.header("anthropic-version") != Some("2023-06-01") {
        return Err("anthropic-version: header is required".into());
    }
    if call.header("content-type") != Some("application/json") {
        return Err("content-type is not application/json".into());
    }
    let body = call.body.as_object().ok_or("the body is not a JSON object")?;
    if let Some(unknown) = body.keys().find(|key| !KNOWN.contains(&key.as_str()) && key.as_str() != "top_p") {
        return Err(format!("{unknown}: Extra inputs are not permitted").into());
    }
    if call.body["model"].as_str().is_none_or(str::is_empty) {
        return Err("model: Field required".into());
    }
    let limit =
        call.body["max_tokens"].as_u64().filter(|limit| *limit > 0).ok_or("max_tokens: Field required")?;
    check_thinking(&call.body, limit)?;
    check_system(&call.body["system"])?;
    check_messages(&call.body["messages"])?;
    check_tools(&call.body)?;
    let points = call.body.to_string().matches("\"cache_control\"").count();
    if points > 4 {
        return Err(
            format!("A maximum of 4 blocks with cache_control may be provided. Found {points}.").into()
        );
    }
    Ok(call.body["stream"] == true)
}

fn check_thinking(body: &Value, limit: u64) -> Result<(), Refusal> {
    if body["thinking"]["type"] != "enabled" {
        let temperature = body["temperature"].as_f64();
        return match temperature.is_none_or(|value| (0.0..=1.0).contains(&value)) {
            true => Ok(()),
            false => Err("temperature: range: 0..1".into()),
        };
    }
    let budget = body["thinking"]["budget_tokens"].as_u64().unwrap_or(0);
    if budget < 1_024 || budget >= limit {
        return Err("thinking.budget_tokens: at least 1024 and less than max_tokens".into());
    }
    if body["temperature"].as_f64().is_some_and(|value| value < 1.0) || !body["top_k"].is_null() {
        return Err("`temperature` may only be set to 1 when thinking is enabled".into());
    }
    if matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool")) {
        return Err("Thinking may not be enabled when tool_choice forces tool use.".into());
    }
    Ok(())
}

fn check_system(system: &Value) -> Result<(), Refusal> {
    match system {
        Value::Null | Value::String(_) => Ok(()),
        Value::Array(blocks) if !blocks.is_empty() => {
            blocks.iter().try_for_each(|block| block_of(block, &["text"]))
        }
        _ => Err("system: Input should be a valid list".into()),
    }
}

fn check_messages(messages: &Value) -> Result<(), Refusal> {
    let messages = messages.as_array().filter(|all| !all.is_empty());
    let messages = messages.ok_or("messages: at least one message is required")?;
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for (n, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if role != ["user", "assistant"][n % 2] {
            return Err(
                format!("messages.{n}: roles must alternate between \"user\" and \"assistant\"").into()
            );
        }
        let blocks = match &message["content"] {
            Value::String(text) if !text.is_empty() => &[][..],
            Value::Array(blocks) if !blocks.is_empty() => blocks.as_slice(),
            _ => return Err(format!("messages.{n}: all messages must have non-empty content").into()),
        };
        let of_user = ["text", "image", "document", "tool_result", "search_result"];
        let of_model = ["text", "tool_use", "thinking", "redacted_thinking"];
        let kinds = if role == "user" { &of_user[..] } else { &of_model[..] };
        blocks.iter().try_for_each(|block| block_of(block, kinds))?;
        let results = blocks.iter().take_while(|block| block["type"] == "tool_result").count();
        if blocks[results..].iter().any(|block| block["type"] == "tool_result") {
            return Err(format!("messages.{n}: `tool_result` blocks come first").into());
        }
        let given: BTreeSet<&str> = blocks.iter().filter_map(|block| block["tool_use_id"].as_str()).collect();
        if role == "user" && given != open {
            return Err(
                format!("messages.{n}: `tool_use` {open:?} is answered by `tool_result` {given:?}").into()
            );
        }
        let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
        open = calls.filter_map(|block| block["id"].as_str()).collect();
    }
    Ok(())
}

fn block_of(block: &Value, kinds: &[&str]) -> Result<(), Refusal> {
    let kind = block["type"].as_str().unwrap_or_default();
    if !kinds.contains(&kind) {
        return Err(format!("a block of the type `{kind}` is not one of {kinds:?}").into());
    }
    let fits = match kind {
        "text" => block["text"].as_str().is_some_and(|text| !text.is_empty()),
        "image" => match block["source"]["type"].as_str() {
            Some("url") => block["source"]["url"].is_string(),
            Some("base64") => {
                block["source"]["media_type"].is_string() && block["source"]["data"].is_string()
            }
            _ => false,
        },
        "tool_use" => block["id"].is_string() && block["name"].is_string() && block["input"].is_object(),
        "tool_result" => block["tool_use_id"].is_string(),
        "thinking" => block["thinking"].is_string() && block["signature"].is_string(),
        _ => true,
    };
    if fits { Ok(()) } else { Err(format!("a block is not valid: {block}").into()) }
}

fn check_tools(body: &Value) -> Result<(), Refusal> {
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    if tools.iter().any(|tool| !tool["name"].is_string() || tool["input_schema"]["type"] != "object") {
        return Err("tools: a tool lacks its name or an `input_schema` of the type object".into());
    }
    let choice = &body["tool_choice"];
    let fits = match choice["type"].as_str() {
        None => choice.is_null(),
        Some("auto" | "any" | "none") => !tools.is_empty(),
        Some("tool") => tools.iter().any(|tool| tool["name"] == choice["name"]),
        Some(_) => false,
    };
    if fits { Ok(()) } else { Err(format!("tool_choice: {choice} fits no tool").into()) }
}

const fn stop_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::ToolUse => "tool_use",
        Stop::Filter => "refusal",
    }
}

/// Anthropic counts cached tokens beside the others, not among them.
fn input_usage(said: &Said) -> Value {
    said.usage.map_or(json!({}), |usage| {
        json!({
            "input_tokens": usage.input - usage.cached_input - said.cache_write,
            "cache_read_input_tokens": usage.cached_input, "cache_creation_input_tokens": said.cache_write
        })
    })
}

pub(super) fn whole(said: &Said, request: &Value) -> String {
    let mut content = Vec::new();
    if let Some(thinking) = &said.thinking {
        content.push(json!({"type": "thinking", "thinking": thinking.text, "signature": thinking.signature}));
    }
    if !said.text.is_empty() {
        content.push(json!({"type": "text", "text": said.text.concat()}));
    }
    content.extend(
        said.calls.iter().map(
            |call| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}),
        ),
    );
    let mut usage = input_usage(said);
    said.usage.inspect(|counted| usage["output_tokens"] = counted.output.into());
    let mut body = json!({
        "id": "msg_upstream", "type": "message", "role": "assistant", "model": request["model"], "content": content,
        "stop_reason": stop_reason(said.stop), "stop_sequence": null
    });
    if said.usage.is_some() {
        body["usage"] = usage;
    }
    body.to_string()
}

pub(super) fn events(said: &Said, request: &Value) -> Vec<Vec<u8>> {
    let event = |name: &str, mut data: Value| {
        data["type"] = name.into();
        format!("event: {name}\ndata: {data}\n\n").into_bytes()
    };
    let mut usage = input_usage(said);
    said.usage.inspect(|_| usage["output_tokens"] = 1.into());
    let mut message = json!({
        "id": "msg_upstream", "type": "message", "role": "assistant", "model": request["model"], "content": [],
        "stop_reason": null, "stop_sequence": null
    });
    if said.usage.is_some() {
        message["usage"] = usage;
    }
    let mut events = vec![event("message_start", json!({"message": message}))];
    let mut index = 0;
    let mut block = |start: Value, deltas: Vec<Value>| {
        events.push(event("content_block_start", json!({"index": index, "content_block": start})));
        if index == 0 {
            events.push(event("ping", json!({})));
        }
        let delta = |delta: Value| event("content_block_delta", json!({"index": index, "delta": delta}));
        events.extend(deltas.into_iter().map(delta));
        events.push(event("content_block_stop", json!({"index": index})));
        index += 1;
    };
    if let Some(thinking) = &said.thinking {
        let words = json!({"type": "thinking_delta", "thinking": thinking.text});
        let signed = json!({"type": "signature_delta", "signature": thinking.signature});
        block(json!({"type": "thinking", "thinking": "", "signature": ""}), vec![words, signed]);
    }
    if !said.text.is_empty() {
        let deltas = said.text.iter().map(|piece| json!({"type": "text_delta", "text": piece}));
        block(json!({"type": "text", "text": ""}), deltas.collect());
    }
    for call in &said.calls {
        let first = json!({"type": "input_json_delta", "partial_json": ""});
        let pieces = pieces_of(&call.arguments);
        let deltas = pieces.iter().map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
        let start = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}});
        block(start, [vec![first], deltas.collect()].concat());
    }
    let mut end = json!({"delta": {"stop_reason": stop_reason(said.stop), "stop_sequence": null}});
    if let Some(usage) = said.usage {
        end["usage"] = json!({"output_tokens": usage.output});
    }
    events.push(event("message_delta", end));
    events.push(event("message_stop", json!({})));
    events
}

pub(super) fn failure(status: u16, message: &str) -> Vec<u8> {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let error = json!({"type": kind, "message": message});
    json!({"type": "error", "error": error, "request_id": "req_upstream"}).to_string().into_bytes()
}
