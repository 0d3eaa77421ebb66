//! Every form of an answer and of an error.

use super::{ALL, facts};
use crate::chat::{Completion, Event, Output, Stop, ToolCall};
use crate::dialect::{Refused, RefusedKind, Writer, whole};
use crate::inbound::Dialect;
use crate::provider::Native;
use crate::reply::Usage;
use bytes::Bytes;
use serde_json::{Value, json};
use std::fmt::Write as _;

const USAGE: Usage = Usage { input: 100, cached_input: 60, cache_write: 10, output: 40, reasoning: 15 };

fn thinking() -> Value {
    json!({"type": "thinking", "thinking": "hm", "signature": "sig"})
}

/// Everything that can be said.
fn answer() -> Completion {
    Completion {
        id: "prov".into(),
        model: "gpt".into(),
        output: vec![
            Output::Reasoning { text: "hm".into(), native: Some(thinking()) },
            Output::Text("Héllo\n\"you\"".into()),
            Output::ToolCall(ToolCall {
                id: "c1".into(),
                name: "f".into(),
                arguments: "{\"b\": 12345678901234567890123, \"a\": 1}".into(),
            }),
            Output::ToolCall(ToolCall { id: "c2".into(), name: "g".into(), arguments: String::new() }),
        ],
        stop: Stop::ToolUse,
        usage: Some(USAGE),
    }
}

fn events() -> Vec<Event> {
    let call = |index, id: &str, name: &str| Event::ToolCall { index, id: id.into(), name: name.into() };
    let more = |index, json: &str| Event::Arguments { index, json: json.into() };
    vec![
        Event::Begin { id: "prov".into(), model: "gpt".into() },
        Event::Reasoning("h".into()),
        Event::Reasoning("m".into()),
        Event::ReasoningDone(thinking()),
        Event::Text("Héllo\n".into()),
        Event::Text("\"you\"".into()),
        call(0, "c1", "f"),
        more(0, "{\"a\":"),
        more(0, "1}"),
        call(1, "c2", "g"),
        more(1, "{}"),
        Event::Stop(Stop::ToolUse),
        Event::Usage(USAGE),
    ]
}

fn stream(dialect: Dialect, events: &[Event]) -> String {
    let mut writer = Writer::new(dialect, &facts(), true);
    events.iter().for_each(|event| writer.push(event));
    writer.finish();
    String::from_utf8(writer.take().to_vec()).unwrap()
}

#[test]
fn whole_answers() {
    for dialect in ALL {
        let json: Value = serde_json::from_slice(&whole(dialect, &answer(), &facts())).unwrap();
        insta::assert_json_snapshot!(format!("whole_{}", dialect.as_str()), json);
    }
}

#[test]
fn answers_of_one_kind() {
    let of = |output: Vec<Output>, stop| Completion { output, stop, usage: None, ..answer() };
    let mut text = String::new();
    for dialect in ALL {
        for answer in [
            of(vec![], Stop::End),
            of(vec![Output::Refusal("I cannot.".into())], Stop::Refusal),
            of(vec![Output::Text("cut".into())], Stop::Length),
            of(vec![Output::Text("x".into())], Stop::Sequence(Some("END".into()))),
            of(vec![Output::Text("x".into())], Stop::ContentFilter),
            of(
                vec![Output::ToolCall(ToolCall {
                    id: "c".into(),
                    name: "f".into(),
                    arguments: "{\"cut".into(),
                })],
                Stop::End,
            ),
            of(
                vec![Output::Reasoning {
                    text: String::new(),
                    native: Some(json!({"type": "redacted_thinking", "data": "r"})),
                }],
                Stop::End,
            ),
            of(vec![Output::Reasoning { text: "hm".into(), native: None }], Stop::End),
        ] {
            writeln!(text, "{}", String::from_utf8(whole(dialect, &answer, &facts()).to_vec()).unwrap())
                .unwrap();
        }
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}

#[test]
fn streams() {
    for dialect in ALL {
        insta::assert_snapshot!(format!("stream_{}", dialect.as_str()), stream(dialect, &events()));
    }
}

#[test]
fn streams_of_other_kinds() {
    let begin = || Event::Begin { id: String::new(), model: String::new() };
    for dialect in ALL {
        let refusal = [
            begin(),
            Event::Refusal("I can".into()),
            Event::Refusal("not.".into()),
            Event::Stop(Stop::Refusal),
        ];
        let redacted = json!({"type": "redacted_thinking", "data": "r"});
        // Usage may come early, reasoning without a signature, and a limit in the middle.
        let cut = [
            begin(),
            Event::Usage(USAGE),
            Event::ReasoningDone(redacted),
            Event::Reasoning("unsigned".into()),
            Event::Text("cu".into()),
            Event::Stop(Stop::Length),
        ];
        let empty = [begin(), Event::Stop(Stop::End)];
        let text =
            [stream(dialect, &refusal), stream(dialect, &cut), stream(dialect, &empty)].join("=====\n");
        insta::assert_snapshot!(format!("streams_{}", dialect.as_str()), text);
    }
}

#[test]
fn usage_of_a_stream_comes_only_where_it_was_asked_for() {
    let mut writer = Writer::new(Dialect::Completions, &facts(), false);
    events().iter().for_each(|event| writer.push(event));
    writer.finish();
    assert!(!String::from_utf8(writer.take().to_vec()).unwrap().contains("usage"));
}

#[test]
fn a_stream_that_breaks_says_so() {
    let mut text = String::new();
    for dialect in ALL {
        let mut writer = Writer::new(dialect, &facts(), true);
        writer.push(&Event::Text("half".into()));
        writer.take();
        writer.failed(&Refused::new(RefusedKind::Unavailable, "the provider hung up"));
        text.push_str(std::str::from_utf8(&writer.take()).unwrap());
        // The same for one that ends too early.
        let mut writer = Writer::new(dialect, &facts(), true);
        writer.push(&Event::Text("half".into()));
        writer.take();
        writer.finish();
        text.push_str(std::str::from_utf8(&writer.take()).unwrap());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn calls_that_are_mixed_up_are_an_error_where_the_dialect_cannot_say_them() {
    let call = |index| Event::ToolCall { index, id: format!("c{index}"), name: "f".into() };
    let more = |index, json: &str| Event::Arguments { index, json: json.into() };
    let events = [call(0), more(0, "{"), call(1), more(1, "{}"), more(0, "}"), Event::Stop(Stop::ToolUse)];
    assert!(stream(Dialect::Completions, &events).ends_with("data: [DONE]\n\n"));
    assert!(stream(Dialect::Messages, &events).contains("\nevent: error\n"));
    assert!(stream(Dialect::Responses, &events).contains("\nevent: response.failed\n"));
}

#[test]
fn frames_of_the_same_dialect_go_through_as_they_came() {
    let mut text = String::new();
    for dialect in ALL {
        let mut writer = Writer::new(dialect, &facts(), true);
        let event = (dialect != Dialect::Completions).then_some("some.event");
        writer.native(&Native { event, data: Bytes::from_static(b"{ \"any\" :1}") });
        writer.ping();
        writer.stopped();
        writer.finish();
        writeln!(text, "{}", std::str::from_utf8(&writer.take()).unwrap()).unwrap();
        // Broken in the middle: the number goes on where the dialect counts.
        let mut writer = Writer::new(dialect, &facts(), true);
        writer.native(&Native { event, data: Bytes::from_static(b"{}") });
        writer.finish();
        writeln!(text, "{}", std::str::from_utf8(&writer.take()).unwrap()).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn errors_speak_the_dialect() {
    let mut text = String::new();
    for kind in RefusedKind::ALL {
        let refused = Refused { param: Some("model".into()), ..Refused::new(kind, "Why.") };
        writeln!(text, "{kind:?}, again: {}", kind.is_worth_repeating()).unwrap();
        for dialect in [Dialect::Completions, Dialect::Messages] {
            let (status, body) = refused.write(dialect);
            writeln!(text, "  {status} {}", std::str::from_utf8(&body).unwrap()).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}
