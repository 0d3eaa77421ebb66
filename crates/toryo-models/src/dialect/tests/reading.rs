//! Questions of each dialect, and what is wrong with wrong ones.

use super::read;
use crate::chat::{Chat, Part, Turn};
use crate::inbound::Dialect::{self, Completions, Messages, Responses};
use insta::assert_debug_snapshot;
use serde_json::{Value, json};

#[test]
fn chat_completions_are_read() {
    let chat = read(
        Completions,
        &json!({
            "model": "coder", "n": 1, "store": false, "logprobs": null,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [
                    {"type": "text", "text": "The rules.", "cache_control": {"type": "ephemeral"}},
                ]},
                {"role": "user", "content": [
                    {"type": "text", "text": "Look."},
                    {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "file", "file": {"file_id": "f"}},
                ], "name": "ann"},
                {"role": "assistant", "content": null, "refusal": null, "reasoning_content": "hm",
                 "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
                 "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
                {"role": "tool", "tool_call_id": "c1", "name": "f", "content": "done"},
                {"role": "assistant", "content": "No.", "refusal": "I cannot."},
            ],
            "tools": [
                {"type": "function", "function": {"name": "f", "description": "d",
                    "parameters": {"type": "object"}, "strict": true}},
                {"type": "function", "function": {"name": "g"}},
                {"type": "custom", "custom": {"name": "h"}},
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": false,
            "response_format": {"type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}},
            "max_tokens": 20, "max_completion_tokens": 10, "temperature": 0.7, "top_p": 0.9, "seed": 7, "stop": "END",
            "presence_penalty": 0.5, "frequency_penalty": -0.5, "reasoning_effort": "low",
            "user": "u", "safety_identifier": "opaque", "logit_bias": {"1": 2}, "vendor": {"x": 1},
        }),
    );
    assert_debug_snapshot!(chat.unwrap());
}

#[test]
fn responses_are_read() {
    let chat = read(
        Responses,
        &json!({
            "model": "coder", "store": false, "background": false, "truncation": "disabled",
            "input": [
                {"role": "developer", "content": "The rules."},
                {"type": "message", "role": "user", "content": [
                    {"type": "input_text", "text": "Look."},
                    {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
                    {"type": "input_file", "file_id": "f"},
                ]},
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "toryo1:{\"type\":\"x\"}"},
                {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"},
                {"type": "reasoning", "id": "rs_3", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [
                    {"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []},
                ]},
                {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}",
                 "status": "completed"},
                {"type": "function_call_output", "call_id": "c1", "output": "done"},
                {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "too"}]},
            ],
            "instructions": "Be brief.",
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": false}],
            "tool_choice": {"type": "function", "name": "f"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
            "reasoning": {"effort": "xhigh", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "max_output_tokens": 10, "temperature": 0, "top_p": 1, "prompt_cache_key": "k", "max_tool_calls": 3,
        }),
    );
    assert_debug_snapshot!(chat.unwrap());
}

#[test]
fn messages_are_read() {
    let chat = read(
        Messages,
        &json!({
            "model": "coder", "max_tokens": 10,
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "Look.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                    {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                    {"type": "image", "source": {"type": "file", "file_id": "f"}},
                    {"type": "document", "source": {"type": "text", "data": "d"}, "cache_control": {"type": "ephemeral"}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "sig"},
                    {"type": "thinking", "thinking": "unsigned", "signature": ""},
                    {"type": "thinking", "thinking": "hm", "signature": "toryo1:{\"type\":\"x\"}"},
                    {"type": "redacted_thinking", "data": "r"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": [2.5]}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "failed", "is_error": true},
                    {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": "two"}],
                     "cache_control": {"type": "ephemeral"}},
                    {"type": "text", "text": "Go on."},
                ]},
            ],
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "tools": [
                {"name": "f", "description": "d", "input_schema": {"type": "object"},
                 "cache_control": {"type": "ephemeral"}},
                {"type": "web_search_20250305", "name": "web_search"},
            ],
            "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
            "thinking": {"type": "enabled", "budget_tokens": 2048},
            "metadata": {"user_id": "u"}, "stop_sequences": ["END"], "temperature": 1.0, "top_k": 5, "top_p": 0.5,
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "max"},
            "context_management": {"edits": []},
        }),
    );
    assert_debug_snapshot!(chat.unwrap());
}

#[test]
fn adaptive_thinking_is_effort() {
    let ask = |more: Value| {
        let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let chat = read(Messages, &body).unwrap();
        (chat.reasoning, chat.extra.len())
    };
    assert_debug_snapshot!([
        ask(json!({"thinking": {"type": "adaptive"}})),
        ask(json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}})),
        ask(json!({"thinking": {"type": "disabled"}})),
        ask(json!({"output_config": {"effort": "medium"}})),
    ], @"
    [
        (
            Some(
                Effort(
                    High,
                ),
            ),
            0,
        ),
        (
            Some(
                Effort(
                    Low,
                ),
            ),
            0,
        ),
        (
            Some(
                Off,
            ),
            0,
        ),
        (
            Some(
                Effort(
                    Medium,
                ),
            ),
            0,
        ),
    ]
    ");
}

#[test]
fn a_text_is_the_short_form_everywhere() {
    let user = vec![Turn::User(vec![Part::Text("x".into())])];
    let messages = json!([{"role": "user", "content": "x"}]);
    for (dialect, body) in [
        (Completions, json!({"model": "m", "messages": messages})),
        (Responses, json!({"model": "m", "input": "x"})),
        (Messages, json!({"model": "m", "messages": messages, "max_tokens": 5})),
    ] {
        let max_output_tokens = (dialect == Messages).then_some(5);
        let chat = Chat { turns: user.clone(), max_output_tokens, dialect: Some(dialect), ..Chat::default() };
        assert_eq!(read(dialect, &body).unwrap(), chat);
    }
}

/// What is said about a wrong value of one parameter, and about where.
fn complaint(dialect: Dialect, name: &str, value: Value) -> String {
    let mut body = match dialect {
        Completions => json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}),
        Responses => json!({"model": "m", "input": "x"}),
        Messages => json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}),
    };
    body[name] = value;
    let bad = read(dialect, &body).unwrap_err();
    format!("{:<55} {}", bad.param.unwrap_or_default(), bad.message)
}

#[test]
fn complaints_name_the_place() {
    let wrong = [
        complaint(Completions, "model", json!(7)),
        complaint(Completions, "model", json!(null)),
        complaint(Completions, "model", json!("")),
        complaint(Completions, "messages", json!([])),
        complaint(Completions, "messages", json!("x")),
        complaint(Completions, "messages", json!([7])),
        complaint(Completions, "messages", json!([{"content": "x"}])),
        complaint(Completions, "messages", json!([{"role": "boss", "content": "x"}])),
        complaint(Completions, "messages", json!([{"role": "user"}])),
        complaint(Completions, "messages", json!([{"role": "user", "content": 1}])),
        complaint(Completions, "messages", json!([{"role": "user", "content": [{"type": "video"}]}])),
        complaint(Completions, "messages", json!([{"role": "user", "content": [{"type": "image_url"}]}])),
        complaint(
            Completions,
            "messages",
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]),
        ),
        complaint(Completions, "messages", json!([{"role": "tool", "content": "x"}])),
        complaint(Completions, "messages", json!([{"role": "function", "name": "f", "content": "x"}])),
        complaint(Completions, "messages", json!([{"role": "assistant", "function_call": {"name": "f"}}])),
        complaint(Completions, "messages", json!([{"role": "assistant", "tool_calls": [{"id": "c"}]}])),
        complaint(Completions, "functions", json!([])),
        complaint(Completions, "function_call", json!("auto")),
        complaint(Completions, "tools", json!([{"type": "function", "function": {"parameters": {}}}])),
        complaint(Completions, "tool_choice", json!("any")),
        complaint(Completions, "response_format", json!({"type": "yaml"})),
        complaint(
            Completions,
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "n"}}),
        ),
        complaint(Completions, "temperature", json!("hot")),
        complaint(Completions, "max_tokens", json!(0)),
        complaint(Completions, "max_tokens", json!(4_294_967_296_u64)),
        complaint(Completions, "max_completion_tokens", json!(1.5)),
        complaint(Completions, "n", json!(0)),
        complaint(Completions, "n", json!(129)),
        complaint(Completions, "stream", json!("yes")),
        complaint(Completions, "stream_options", json!({"include_usage": 1})),
        complaint(Completions, "stop", json!([1])),
        complaint(Responses, "input", json!(7)),
        complaint(Responses, "input", json!([])),
        complaint(Responses, "input", json!([{"type": "item_reference", "id": "x"}])),
        complaint(Responses, "input", json!([{"type": "web_search_call"}])),
        complaint(Responses, "tools", json!([{"type": "web_search"}])),
        complaint(Responses, "store", json!(true)),
        complaint(Responses, "background", json!(true)),
        complaint(Responses, "previous_response_id", json!("resp_1")),
        complaint(Responses, "conversation", json!("conv_1")),
        complaint(Responses, "prompt", json!({"id": "p"})),
        complaint(Messages, "max_tokens", json!(null)),
        complaint(Messages, "system", json!([{"type": "image"}])),
        complaint(Messages, "messages", json!([{"role": "tool", "content": "x"}])),
        complaint(
            Messages,
            "messages",
            json!([{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": "{}"}]}]),
        ),
        complaint(Messages, "thinking", json!({"type": "enabled"})),
        complaint(Messages, "tool_choice", json!({"type": "required"})),
        complaint(Messages, "tools", json!([{"name": "f"}])),
    ];
    insta::assert_snapshot!(wrong.join("\n"));
}
