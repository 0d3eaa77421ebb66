//! The shallow reading of each dialect, and its complaints.

use super::read_head;
use crate::inbound::Dialect::{self, Completions, Messages, Responses};
use crate::inbound::Head;
use bytes::Bytes;

fn head(dialect: Dialect, body: &str) -> Result<Head, String> {
    match read_head(dialect, Bytes::copy_from_slice(body.as_bytes())) {
        Ok(inbound) => Ok(inbound.head),
        Err(bad) => Err(bad.message),
    }
}

#[test]
fn a_head_says_who_answers() {
    let body = r#" {"messages": [1], "max_tokens": 9, "n": 3, "stream": true, "deep": [{"a": [null, -1, 1e3]}],
                   "model": "c\u006fder", "max_completion_tokens": 8, "stream_options": {"include_usage": true}} "#;
    let model = || "coder".to_owned();
    let all =
        Head { model: model(), stream: true, include_usage: true, max_output_tokens: Some(8), choices: 3 };
    assert_eq!(head(Completions, body).unwrap(), all);
    // `n` and the newer name are unknown to this dialect.
    let fewer = Head { max_output_tokens: Some(9), choices: 1, ..all };
    assert_eq!(head(Messages, body).unwrap(), fewer);
    let body = r#"{"model": "coder", "input": "x", "max_output_tokens": 7, "max_tokens": "elsewhere"}"#;
    let third =
        Head { model: model(), stream: false, include_usage: true, max_output_tokens: Some(7), choices: 1 };
    assert_eq!(head(Responses, body).unwrap(), third);
}

#[test]
fn what_is_no_sound_object_is_refused() {
    let wrong = [
        "",
        "7",
        "[]",
        "null",
        "{\"model\": \"m\"",
        "{\"model\": \"m\", \"messages\": [1]} x",
        "{\"model\": \"m\", \"messages\": [1], \"x\": \"\\ud800\"}",
        "{\"model\": \"m\", \"messages\": [1], \"x\": 1e999}",
        "{\"model\": \"m\", \"messages\": [1], \"model\": \"expensive\"}",
        "{\"model\": \"m\", \"messages\": [1], \"max_tokens\": 5, \"max_tokens\": 500000}",
        "{\"model\": \"m\"}",
        "{\"messages\": [1]}",
    ];
    let said: Vec<_> = wrong.iter().map(|body| head(Completions, body).unwrap_err()).collect();
    insta::assert_debug_snapshot!(said, @r##"
    [
        "the body is not JSON: EOF while parsing a value at line 1 column 0",
        "the body is not a JSON object",
        "the body is not a JSON object",
        "the body is not a JSON object",
        "the body is not JSON: EOF while parsing an object at line 1 column 13",
        "the body is not JSON: trailing characters at line 1 column 33",
        "the body is not JSON: unexpected end of hex escape at line 1 column 45",
        "the body is not JSON: number out of range at line 1 column 42",
        "`model` is given twice",
        "`max_tokens` is given twice",
        "`messages` is required",
        "`model` is required",
    ]
    "##);
    let bytes = Bytes::from_static(b"{\"model\": \"\xff\", \"messages\": [1]}");
    assert_eq!(read_head(Completions, bytes).unwrap_err().message, "the body is not UTF-8");
}

#[test]
fn depth_has_a_limit() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        head(Completions, &format!("{{\"model\": \"m\", \"messages\": [1], \"x\": {open}{close}}}"))
    };
    assert!(nested(126).is_ok());
    assert_eq!(nested(127).unwrap_err(), "the body is nested too deeply: at most 127 levels are read");
    // Far beyond what a stack holds.
    assert!(nested(5_000_000).is_err());
}
