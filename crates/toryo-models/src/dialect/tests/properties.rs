//! What holds for all questions and all answers.

use super::reader::Said;
use super::{ALL, facts, read};
use crate::chat::{Completion, Event, Output, Stop, ToolCall};
use crate::dialect::{Writer, read_chat, read_head, whole};
use crate::inbound::Dialect;
use crate::reply::Usage;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

fn dialect() -> impl Strategy<Value = Dialect> {
    select(&ALL[..])
}

fn text() -> impl Strategy<Value = String> {
    "[ -~\n\u{0}äß\u{1F600}]{1,12}"
}

fn output() -> impl Strategy<Value = Output> {
    let native = prop_oneof![
        Just(None),
        Just(Some(json!({"type": "redacted_thinking", "data": "r"}))),
        text().prop_map(|text| Some(json!({"type": "other", "a": [text]}))),
    ];
    let call = (text(), "[a-z]{1,8}", proptest::option::of((text(), any::<u64>())));
    prop_oneof![
        text().prop_map(Output::Text),
        text().prop_map(Output::Refusal),
        (text(), native).prop_map(|(text, native)| Output::Reasoning { text, native }),
        text().prop_map(|text| {
            let native = json!({"type": "thinking", "thinking": text, "signature": "sig"});
            Output::Reasoning { text, native: Some(native) }
        }),
        call.prop_map(|(id, name, arguments)| {
            let arguments = arguments.map_or(String::new(), |(key, value)| json!({ key: value }).to_string());
            Output::ToolCall(ToolCall { id, name, arguments })
        }),
    ]
}

fn answer() -> impl Strategy<Value = Completion> {
    let stop = select(vec![
        Stop::End,
        Stop::Sequence(None),
        Stop::Sequence(Some("END".into())),
        Stop::Length,
        Stop::ToolUse,
        Stop::Refusal,
        Stop::ContentFilter,
        Stop::Guardrail("topic, word".into()),
    ]);
    let usage = (0..1000_u64, 0..1000_u64, 0..1000_u64, 0..1000_u64, 0..1000_u64).prop_map(
        |(fresh, cached_input, cache_write, said, reasoning)| Usage {
            input: fresh + cached_input + cache_write,
            cached_input,
            cache_write,
            output: said + reasoning,
            reasoning,
        },
    );
    (vec(output(), 0..6), stop, proptest::option::of(usage)).prop_map(|(mut output, stop, usage)| {
        // In a stream unsigned reasoning goes on in what comes next.
        output.dedup_by(|next, last| {
            let goes_on = matches!(last, Output::Reasoning { native: None, .. });
            goes_on && matches!(next, Output::Reasoning { .. })
        });
        Completion { id: "p".into(), model: "m".into(), output, stop, usage }
    })
}

/// An answer in pieces of so many characters.
fn pieces(answer: &Completion, size: usize) -> Vec<Event> {
    let cut = |text: &str| -> Vec<String> {
        text.chars().collect::<Vec<_>>().chunks(size).map(|piece| piece.iter().collect()).collect()
    };
    let mut events = vec![Event::Begin { id: answer.id.clone(), model: answer.model.clone() }];
    let mut calls = 0;
    for output in &answer.output {
        match output {
            Output::Text(text) => events.extend(cut(text).into_iter().map(Event::Text)),
            Output::Refusal(text) => events.extend(cut(text).into_iter().map(Event::Refusal)),
            Output::Reasoning { text, native } => {
                events.extend(cut(text).into_iter().map(Event::Reasoning));
                events.extend(native.clone().map(Event::ReasoningDone));
            }
            Output::ToolCall(call) => {
                let index = calls;
                calls += 1;
                events.push(Event::ToolCall { index, id: call.id.clone(), name: call.name.clone() });
                events.extend(cut(&call.arguments).into_iter().map(|json| Event::Arguments { index, json }));
            }
        }
    }
    events.push(Event::Stop(answer.stop.clone()));
    events.extend(answer.usage.map(Event::Usage));
    events
}

/// JSON with the names and words of the dialects in it, most of it wrong.
fn hostile() -> impl Strategy<Value = Value> {
    let word = select(vec![
        "user",
        "assistant",
        "tool",
        "system",
        "text",
        "image_url",
        "image",
        "tool_use",
        "tool_result",
        "thinking",
        "message",
        "function",
        "function_call",
        "function_call_output",
        "reasoning",
        "json_schema",
        "auto",
        "x",
        "toryo1:{",
        "data:;base64,",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((select(NAMES), inner), 0..6).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

const NAMES: &[&str] = &[
    "role",
    "content",
    "type",
    "text",
    "image_url",
    "url",
    "source",
    "data",
    "media_type",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "call_id",
    "tool_call_id",
    "tool_use_id",
    "input",
    "output",
    "signature",
    "thinking",
    "summary",
    "encrypted_content",
    "cache_control",
    "parameters",
    "input_schema",
    "schema",
    "format",
    "strict",
    "is_error",
    "refusal",
    "thinking_blocks",
    "effort",
    "budget_tokens",
    "user_id",
];

const PARAMETERS: &[&str] = &[
    "messages",
    "input",
    "system",
    "instructions",
    "tools",
    "tool_choice",
    "response_format",
    "text",
    "reasoning",
    "thinking",
    "metadata",
    "stop",
    "stop_sequences",
    "temperature",
    "seed",
    "stream",
    "stream_options",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "output_config",
    "output_format",
    "include",
    "user",
];

/// A body that may get past the head.
fn body() -> impl Strategy<Value = Value> {
    vec((select(PARAMETERS), hostile()), 0..6).prop_map(|members| {
        let mut body = json!({
            "model": "m", "max_tokens": 5, "input": "x", "messages": [{"role": "user", "content": "x"}],
        });
        for (name, value) in members {
            body[name] = value;
        }
        body
    })
}

/// The same JSON with its keys in another order and white space in between.
fn rewritten(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            out.push_str("{\n ");
            for (index, (name, value)) in map.iter().rev().enumerate() {
                out.push_str(if index == 0 { "" } else { "\t,  " });
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push_str(" : ");
                rewritten(value, out);
            }
            out.push_str(" }");
        }
        Value::Array(list) => {
            out.push_str("[ ");
            for (index, value) in list.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { " ,\r\n" });
                rewritten(value, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_whole_answer_says_the_same_in_every_dialect(dialect in dialect(), answer in answer()) {
        let body: Value = serde_json::from_slice(&whole(dialect, &answer, &facts())).unwrap();
        prop_assert_eq!(Said::whole(dialect, &body), Said::expected(dialect, &answer));
    }

    #[test]
    fn a_stream_says_the_same_as_the_whole(dialect in dialect(), answer in answer(), size in 1..9_usize) {
        let mut writer = Writer::new(dialect, &facts(), true);
        let mut text = Vec::new();
        for event in pieces(&answer, size) {
            writer.push(&event);
            text.extend(writer.take());
        }
        writer.finish();
        text.extend(writer.take());
        let text = String::from_utf8(text).unwrap();
        prop_assert_eq!(Said::stream(dialect, &text), Said::expected(dialect, &answer));
    }

    #[test]
    fn no_bytes_break_a_reader(dialect in dialect(), bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(inbound) = read_head(dialect, Bytes::from(bytes)) {
            let _ = read_chat(&inbound);
        }
    }

    #[test]
    fn no_json_breaks_a_reader_and_both_readers_agree(dialect in dialect(), body in body()) {
        let bytes = Bytes::from(body.to_string());
        match read_head(dialect, bytes) {
            Err(bad) => prop_assert!(bad.param.is_some(), "{bad}"),
            Ok(inbound) => match read_chat(&inbound) {
                Ok(chat) => prop_assert_eq!(chat.max_output_tokens, inbound.head.max_output_tokens),
                Err(bad) => prop_assert!(bad.param.is_some(), "{bad}"),
            },
        }
    }

    #[test]
    fn a_body_that_is_cut_or_damaged_is_refused_or_read(
        dialect in dialect(), body in body(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = body.to_string().into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Ok(inbound) = read_head(dialect, Bytes::from(bytes)) {
            prop_assert!(serde_json::from_slice::<Map<String, Value>>(&inbound.body).is_ok());
            let _ = read_chat(&inbound);
        }
    }

    #[test]
    fn a_digest_does_not_know_how_a_question_was_written(dialect in dialect(), body in body()) {
        let Ok(chat) = read(dialect, &body) else { return Ok(()) };
        let mut text = String::new();
        rewritten(&body, &mut text);
        let again = read_chat(&read_head(dialect, Bytes::from(text)).unwrap()).unwrap();
        prop_assert_eq!(chat.digest(), again.digest());
    }
}
