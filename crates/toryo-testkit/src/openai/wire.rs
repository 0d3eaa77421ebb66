//! The bodies of answers, as OpenAI's API reference describes them.

use super::answer::{Answer, Usage};
use serde_json::{Value, json};

/// When the model claims to have answered: fixed, so that snapshots of bodies are stable.
const CREATED: u64 = 1_760_000_000;

/// A complete HTTP answer.
pub(super) struct Whole {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) retry_after: Option<String>,
    pub(super) body: String,
    /// A message, for which a real provider sends a bill.
    pub(super) paid: bool,
}

/// The body of a failure.
pub(super) fn failure(kind: &str, code: Option<&str>, message: &str) -> String {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
}

/// The answer to a request, without what only delays it.
pub(super) fn whole(answer: &Answer, request: &Value) -> Whole {
    match answer {
        Answer::Text { content, usage, finish_reason } => {
            message(request, content, None, *usage, finish_reason)
        }
        Answer::Refusal(words) => message(request, "", Some(words), Usage::default(), "stop"),
        Answer::Failure { status, code, message, retry_after } => Whole {
            status: *status,
            content_type: "application/json",
            retry_after: retry_after.clone(),
            body: failure("server_scripted", code.as_deref(), message),
            paid: false,
        },
        Answer::Raw { status, content_type, body } => {
            Whole { status: *status, content_type, retry_after: None, body: body.clone(), paid: false }
        }
        Answer::Held(_, inner) | Answer::SlowBody(_, inner) | Answer::BreaksOff(inner) => {
            whole(inner, request)
        }
    }
}

fn message(request: &Value, content: &str, refusal: Option<&str>, usage: Usage, finish: &str) -> Whole {
    let streamed = request["stream"] == Value::Bool(true);
    let body = if streamed {
        stream(request, content, refusal, usage, finish)
    } else {
        completion(request, content, refusal, usage, finish).to_string()
    };
    let content_type = if streamed { "text/event-stream" } else { "application/json" };
    Whole { status: 200, content_type, retry_after: None, body, paid: true }
}

fn completion(request: &Value, content: &str, refusal: Option<&str>, usage: Usage, finish: &str) -> Value {
    let mut message = json!({"role": "assistant", "content": content, "refusal": refusal});
    let mut finish = finish;
    if refusal.is_some() {
        message["content"] = Value::Null;
    } else if let Some(name) = request["tool_choice"]["function"]["name"].as_str() {
        let function = json!({"name": name, "arguments": content});
        message["content"] = Value::Null;
        message["tool_calls"] = json!([{"id": "call_1", "type": "function", "function": function}]);
        if finish == "stop" {
            finish = "tool_calls";
        }
    }
    json!({
        "id": "chatcmpl-scripted", "object": "chat.completion", "created": CREATED, "model": request["model"],
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
        "usage": tokens(usage), "service_tier": "default", "system_fingerprint": null
    })
}

fn tokens(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input, "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0}
    })
}

/// Server-sent events: the role, the text in pieces, the reason it stopped, the usage where asked for, the end.
fn stream(request: &Value, content: &str, refusal: Option<&str>, usage: Usage, finish: &str) -> String {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": CREATED,
            "model": request["model"], "choices": choices, "usage": usage
        });
        format!("data: {chunk}\n\n")
    };
    let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    let mut events = chunk(choice(json!({"role": "assistant", "content": ""}), Value::Null), Value::Null);
    let (key, text) = refusal.map_or(("content", content), |words| ("refusal", words));
    let characters: Vec<char> = text.chars().collect();
    for piece in characters.chunks(16) {
        let piece: String = piece.iter().collect();
        events += &chunk(choice(json!({key: piece}), Value::Null), Value::Null);
    }
    events += &chunk(choice(json!({}), json!(finish)), Value::Null);
    if request["stream_options"]["include_usage"] == Value::Bool(true) {
        events += &chunk(json!([]), tokens(usage));
    }
    events + "data: [DONE]\n\n"
}

/// The list of models.
pub(super) fn models() -> Value {
    let model =
        |id: &str| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "toryo-testkit"});
    json!({"object": "list", "data": [model("scripted")]})
}
