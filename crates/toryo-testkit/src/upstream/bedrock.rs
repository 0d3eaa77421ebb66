//! Amazon Bedrock's Converse and ConverseStream, from its API reference, and the form of AWS Signature Version 4.
//! The signature itself is not computed again: its scope, its date and what it covers are checked.

use super::http::{Refusal, SeenCall};
use super::said::{Said, Stop, pieces_of};
use super::{ACCESS_KEY_ID, eventstream};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const KNOWN: [&str; 11] = [
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "inferenceConfig",
    "messages",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
    "system",
    "toolConfig",
];

/// Whether a stream is wanted.
pub(super) fn check(call: &SeenCall) -> Result<bool, Refusal> {
    check_signature(call, "bedrock")?;
    let operation = call.path.strip_prefix("/model/").and_then(|rest| rest.rsplit_once('/'));
    let (model, operation) = operation.ok_or("no operation of the API")?;
    if call.method != "POST" || model.is_empty() || model.contains('/') {
        return Err("the model is not one escaped segment of the path".into());
    }
    let stream = match operation {
        "converse" => false,
        "converse-stream" => true,
        "invoke" => return Ok(false),
        other => return Err(format!("no operation `{other}`").into()),
    };
    let body = call.body.as_object().ok_or("the body is not a JSON object")?;
    if let Some(unknown) = body.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("extraneous key [{unknown}] is not permitted").into());
    }
    check_messages(&call.body["messages"])?;
    let tools = call.body["toolConfig"]["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let points = |value: &Value| value.get("cachePoint").is_some();
    if tools.iter().any(|tool| !points(tool) && !tool["toolSpec"]["inputSchema"]["json"].is_object()) {
        return Err("a tool without inputSchema.json".into());
    }
    if call.body["requestMetadata"].as_object().is_some_and(|pairs| pairs.len() > 16) {
        return Err("requestMetadata has more than 16 pairs".into());
    }
    let guardrail = &call.body["guardrailConfig"];
    let named = ["guardrailIdentifier", "guardrailVersion"].iter().all(|name| guardrail[name].is_string());
    if !guardrail.is_null() && !named {
        return Err("guardrailConfig lacks identifier or version".into());
    }
    Ok(stream)
}

/// `AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request, SignedHeaders=…, Signature=…`.
pub(super) fn check_signature(call: &SeenCall, service: &str) -> Result<String, Refusal> {
    let broken = |what: &str| Refusal { status: 403, message: format!("signature: {what}"), wrong: true };
    let given = call.header("authorization").ok_or_else(|| broken("no authorization"))?;
    let fields = given.strip_prefix("AWS4-HMAC-SHA256 ").ok_or_else(|| broken("not AWS4-HMAC-SHA256"))?;
    let field = |name: &str| {
        let found = fields.split(", ").find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        found.ok_or_else(|| broken(&format!("no {name}")))
    };
    let scope: Vec<&str> = field("Credential")?.split('/').collect();
    let [id, day, region, signed_service, "aws4_request"] = scope.as_slice() else {
        return Err(broken("the scope has not five parts"));
    };
    let date = call.header("x-amz-date").ok_or_else(|| broken("no x-amz-date"))?;
    let dated =
        date.len() == 16 && date.ends_with('Z') && date.as_bytes()[8] == b'T' && date.starts_with(day);
    if !dated || *signed_service != service || region.is_empty() {
        return Err(broken("date, region or service do not fit"));
    }
    let signed: BTreeSet<&str> = field("SignedHeaders")?.split(';').collect();
    let mut needed = vec!["host", "x-amz-date"];
    // Credentials that STS handed out are worth nothing without their token.
    if *id != ACCESS_KEY_ID {
        needed.push("x-amz-security-token");
    }
    if let Some(missing) = needed.iter().find(|name| !signed.contains(**name) || call.header(name).is_none())
    {
        return Err(broken(&format!("{missing} is not signed")));
    }
    let signature = field("Signature")?;
    if signature.len() != 64 || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(broken("not 64 hexadecimal digits"));
    }
    Ok((*id).to_owned())
}

fn check_messages(messages: &Value) -> Result<(), Refusal> {
    let messages =
        messages.as_array().filter(|all| !all.is_empty()).ok_or("messages: at least one is required")?;
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for (n, message) in messages.iter().enumerate() {
        if message["role"] != ["user", "assistant"][n % 2] {
            return Err("roles must alternate between \"user\" and \"assistant\"".into());
        }
        let blocks = message["content"].as_array().filter(|blocks| !blocks.is_empty());
        let blocks = blocks.ok_or("the content field is empty")?;
        if blocks.iter().any(|block| block["text"] == "") {
            return Err("the text field in the ContentBlock object is blank".into());
        }
        let given: BTreeSet<&str> =
            blocks.iter().filter_map(|block| block["toolResult"]["toolUseId"].as_str()).collect();
        if n % 2 == 0 && given != open {
            return Err(format!("toolUse {open:?} is answered by toolResult {given:?}").into());
        }
        open = blocks.iter().filter_map(|block| block["toolUse"]["toolUseId"].as_str()).collect();
    }
    Ok(())
}

const fn stop_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::ToolUse => "tool_use",
        Stop::Filter => "guardrail_intervened",
    }
}

fn usage(said: &Said) -> Value {
    said.usage.map_or(Value::Null, |usage| {
        let input = usage.input - usage.cached_input - said.cache_write;
        json!({
            "inputTokens": input, "outputTokens": usage.output, "totalTokens": usage.input + usage.output,
            "cacheReadInputTokens": usage.cached_input, "cacheWriteInputTokens": said.cache_write
        })
    })
}

fn trace(said: &Said) -> Value {
    if said.stop != Stop::Filter {
        return Value::Null;
    }
    let topic = json!({"name": "Weapons", "type": "DENY", "action": "BLOCKED"});
    let assessment = json!({"topicPolicy": {"topics": [topic]}});
    json!({"guardrail": {"inputAssessment": {"gr-1": assessment}}})
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}

pub(super) fn whole(said: &Said) -> String {
    let mut content = Vec::new();
    if let Some(thinking) = &said.thinking {
        let text = json!({"text": thinking.text, "signature": thinking.signature});
        content.push(json!({"reasoningContent": {"reasoningText": text}}));
    }
    if !said.text.is_empty() {
        content.push(json!({"text": said.text.concat()}));
    }
    content.extend(
        said.calls.iter().map(
            |call| json!({"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}}),
        ),
    );
    without_nulls(json!({
        "output": {"message": {"role": "assistant", "content": content}}, "stopReason": stop_reason(said.stop),
        "usage": usage(said), "metrics": {"latencyMs": 5}, "trace": trace(said)
    }))
    .to_string()
}

fn event(name: &str, data: &Value) -> Vec<u8> {
    let headers = [(":message-type", "event"), (":event-type", name), (":content-type", "application/json")];
    eventstream::message(&headers, data.to_string().as_bytes())
}

pub(super) fn exception(name: &str, message: &str) -> Vec<u8> {
    let headers =
        [(":message-type", "exception"), (":exception-type", name), (":content-type", "application/json")];
    eventstream::message(&headers, json!({"message": message}).to_string().as_bytes())
}

/// A message whose checksum is wrong.
pub(super) fn malformed() -> Vec<u8> {
    let mut message = event("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": "x"}}));
    if let Some(last) = message.last_mut() {
        *last ^= 1;
    }
    message
}

pub(super) fn events(said: &Said) -> Vec<Vec<u8>> {
    let mut events = vec![event("messageStart", &json!({"role": "assistant"}))];
    let mut index = 0;
    let mut block = |start: Option<Value>, deltas: Vec<Value>| {
        let begun = start
            .map(|start| event("contentBlockStart", &json!({"contentBlockIndex": index, "start": start})));
        events.extend(begun);
        let delta =
            |delta: Value| event("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta}));
        events.extend(deltas.into_iter().map(delta));
        events.push(event("contentBlockStop", &json!({"contentBlockIndex": index})));
        index += 1;
    };
    if let Some(thinking) = &said.thinking {
        let words = json!({"reasoningContent": {"text": thinking.text}});
        block(None, vec![words, json!({"reasoningContent": {"signature": thinking.signature}})]);
    }
    if !said.text.is_empty() {
        block(None, said.text.iter().map(|piece| json!({"text": piece})).collect());
    }
    for call in &said.calls {
        let start = json!({"toolUse": {"toolUseId": call.id, "name": call.name}});
        let deltas = pieces_of(&call.arguments).into_iter().map(|piece| json!({"toolUse": {"input": piece}}));
        block(Some(start), deltas.collect());
    }
    events.push(event("messageStop", &json!({"stopReason": stop_reason(said.stop)})));
    let metadata = json!({"usage": usage(said), "metrics": {"latencyMs": 5}, "trace": trace(said)});
    events.push(event("metadata", &without_nulls(metadata)));
    events
}

/// Headers and body of a failure.
pub(super) fn failure(status: u16, message: &str) -> (Vec<String>, Vec<u8>) {
    let kind = match status {
        400 => "ValidationException",
        403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        _ => "InternalServerException",
    };
    (vec![format!("x-amzn-errortype: {kind}")], json!({"message": message}).to_string().into_bytes())
}
