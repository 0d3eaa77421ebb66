//! Tests of masking a question and of restoring its answer.

use super::*;
use crate::chat::{Completion, Event, Output, Stop, Tool};
use proptest::prelude::*;
use serde_json::json;

/// Finds words that begin with `ann` or `key`, and eight digits.
#[derive(Debug)]
struct Toy;

impl Mask for Toy {
    fn find(&self, text: &str) -> Vec<Found> {
        let mut found = Vec::new();
        let mut at = 0;
        for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && !"@.\\".contains(c)) {
            let end = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len();
            let digits = end == 8 && word[..end].bytes().all(|byte| byte.is_ascii_digit());
            let kinds =
                [("EMAIL", word.starts_with("ann")), ("SECRET", word.starts_with("key")), ("CARD", digits)];
            if let Some((kind, _)) = kinds.iter().find(|(_, is)| *is) {
                found.push(Found { range: at..at + end, kind });
            }
            at += word.len();
        }
        found
    }
}

fn user(text: &str) -> Turn {
    Turn::User(vec![Part::Text(text.into())])
}

fn words(chat: &Chat) -> Vec<String> {
    let mut said = Vec::new();
    texts(&mut chat.clone(), &mut |text| {
        said.push(match text {
            Text::Words(text) | Text::Json(text) => text.clone(),
            Text::Value(value) => value.to_string(),
        });
    });
    said
}

fn asked(texts: &[&str]) -> Chat {
    Chat { turns: texts.iter().map(|text| user(text)).collect(), ..Chat::default() }
}

#[test]
fn every_text_of_a_question_is_masked() {
    let call = ToolCall {
        id: "c".into(),
        name: "mail".into(),
        arguments: r#"{"to":"ann@x.org","card":12345678}"#.into(),
    };
    let chat = Chat {
        turns: vec![
            Turn::System(vec![Part::Text("serve ann@x.org".into())]),
            user("I am ann@x.org, not ann@y.org; key1234"),
            Turn::Assistant {
                parts: vec![
                    Part::Refusal("not ann@x.org".into()),
                    Part::Reasoning(json!({"thinking": "key1234"})),
                ],
                tool_calls: vec![call],
            },
            Turn::Tool {
                call_id: "c".into(),
                parts: vec![Part::Text("sent to ann@y.org".into())],
                failed: false,
            },
            Turn::User(vec![Part::Other(json!({"type": "document", "text": "about ann@x.org"}))]),
        ],
        tools: vec![Tool {
            name: "mail".into(),
            description: Some("for ann@x.org".into()),
            parameters: json!({"default": "ann@y.org"}),
            strict: None,
        }],
        user: Some("ann@x.org".into()),
        extra: [("metadata".to_owned(), json!({"who": "\u{61}nn@y.org"}))].into_iter().collect(),
        ..Chat::default()
    };
    let (masked, restorer) = masked(&chat, &Toy);
    assert_eq!(
        words(&masked),
        [
            "serve [EMAIL_1]",
            "I am [EMAIL_1], not [EMAIL_2]; [SECRET_1]",
            "not [EMAIL_1]",
            r#"{"to":"[EMAIL_1]","card":"[CARD_1]"}"#,
            "sent to [EMAIL_2]",
            r#"{"type":"document","text":"about [EMAIL_1]"}"#,
            "for [EMAIL_1]",
            r#"{"default":"[EMAIL_2]"}"#,
            "[EMAIL_1]",
            r#"{"who":"[EMAIL_2]"}"#,
        ]
    );
    assert!(
        matches!(&masked.turns[2], Turn::Assistant { parts, .. } if parts.len() == 1),
        "signed reasoning stays out"
    );
    assert_eq!(restorer.count(), 4);
    assert!(!format!("{restorer:?}").contains("ann@"));
}

#[test]
fn what_escapes_hide_in_json_is_found() {
    let call =
        ToolCall { id: "c".into(), name: "mail".into(), arguments: r#"{"to":"\u0061nn@x.org"}"#.into() };
    let chat = Chat {
        turns: vec![Turn::Assistant { parts: vec![], tool_calls: vec![call] }, user("ann@x.org")],
        ..Chat::default()
    };
    assert_eq!(words(&masked(&chat, &Toy).0), [r#"{"to":"[EMAIL_1]"}"#, "[EMAIL_1]"]);
}

#[test]
fn placeholders_that_the_client_wrote_stand_for_themselves() {
    let (masked, restorer) = masked(&asked(&["what is [EMAIL_1] and [SECRET_9]?", "ann@x.org"]), &Toy);
    assert_eq!(words(&masked), ["what is [EMAIL_1] and [SECRET_9]?", "[EMAIL_2]"]);
    let mut out = Vec::new();
    let mut restorer = restorer;
    restorer.event(Event::Text("[EMAIL_1] is not [EMAIL_2]".into()), &mut out);
    assert_eq!(out, [Event::Text("[EMAIL_1] is not ann@x.org".into())]);
}

#[test]
fn a_value_in_json_is_written_as_json_writes_it() {
    let restorer = Restorer::new([("[SECRET_1]".to_owned(), "a\"b\n".to_owned())].into(), false);
    let call = ToolCall { id: "c".into(), name: "f".into(), arguments: r#"{"k":"[SECRET_1]"}"#.into() };
    let mut completion = Completion {
        id: String::new(),
        model: String::new(),
        output: vec![Output::Text("[SECRET_1][SECR".into()), Output::ToolCall(call)],
        stop: Stop::End,
        usage: None,
    };
    restorer.completion(&mut completion);
    assert_eq!(completion.output[0], Output::Text("a\"b\n[SECR".into()));
    let Output::ToolCall(call) = &completion.output[1] else { panic!("no call") };
    assert_eq!(serde_json::from_str::<Value>(&call.arguments).unwrap(), json!({"k": "a\"b\n"}));
    // An answer in JSON is JSON after it as well.
    let chat = Chat { format: Format::JsonObject, ..asked(&["key\\1"]) };
    let (_, restorer) = masked(&chat, &Toy);
    let mut completion =
        Completion { output: vec![Output::Text(r#"{"k":"[SECRET_1]"}"#.into())], ..completion };
    restorer.completion(&mut completion);
    assert_eq!(serde_json::from_str::<Value>(&completion.text()).unwrap(), json!({"k": "key\\1"}));
}

#[test]
fn different_words_are_not_mixed() {
    let (_, mut restorer) = masked(&asked(&["ann@x.org"]), &Toy);
    let mut out = Vec::new();
    for event in [
        Event::Reasoning("see [EM".into()),
        Event::Text("AIL_1] [".into()),
        Event::ToolCall { index: 0, id: "a".into(), name: "f".into() },
        Event::ToolCall { index: 1, id: "b".into(), name: "f".into() },
        Event::Arguments { index: 0, json: "\"[EMAIL".into() },
        Event::Arguments { index: 1, json: "\"[".into() },
        Event::Arguments { index: 0, json: "_1]\"".into() },
        Event::Arguments { index: 1, json: "EMAIL_1".into() },
        Event::Stop(Stop::ToolUse),
    ] {
        restorer.event(event, &mut out);
    }
    let whole = Completion::from_events(out).unwrap();
    let said: Vec<String> = whole
        .output
        .iter()
        .map(|output| match output {
            Output::Text(text) | Output::Refusal(text) | Output::Reasoning { text, .. } => text.clone(),
            Output::ToolCall(call) => call.arguments.clone(),
        })
        .collect();
    assert_eq!(said, ["see [EM", "AIL_1] [", "\"ann@x.org\"", "\"[EMAIL_1"]);
}

/// The pieces of a text, streamed and put together again.
fn streamed(mut restorer: Restorer, pieces: &[&str], arguments: bool) -> String {
    let mut out = Vec::new();
    for piece in pieces {
        let piece = (*piece).to_owned();
        let event = if arguments { Event::Arguments { index: 0, json: piece } } else { Event::Text(piece) };
        restorer.event(event, &mut out);
    }
    restorer.event(Event::Stop(Stop::End), &mut out);
    let pieces = out.into_iter().filter_map(|event| match event {
        Event::Text(text) | Event::Arguments { json: text, .. } => Some(text),
        _ => None,
    });
    pieces.collect()
}

#[test]
fn one_cut_anywhere_changes_nothing() {
    let questions = asked(&["ann@1.org ann@2.org ann@3.org ann@4.org key1"]);
    let (_, restorer) = masked(&questions, &Toy);
    let answer = "[[EMAIL_1] é [EMAIL_4][SECRET_1] [EMAIL_9] [EMAIL_ [日[";
    let whole = streamed(restorer.clone(), &[answer], false);
    assert_eq!(whole, "[ann@1.org é ann@4.orgkey1 [EMAIL_9] [EMAIL_ [日[");
    for at in (0..=answer.len()).filter(|at| answer.is_char_boundary(*at)) {
        for arguments in [false, true] {
            let (first, second) = answer.split_at(at);
            assert_eq!(streamed(restorer.clone(), &[first, second], arguments), whole, "{first}|{second}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn pieces_say_what_the_whole_says(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "[", "]", "EMAIL", "[EMAIL_", "1", "2", "[EMAIL_1]", "[EMAIL_12]", "[SECRET_1]", "é", " ", "x", "[[", "_1]",
        ]), 0..24),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
        arguments in any::<bool>(),
    ) {
        let people: Vec<String> = (1..=12).map(|n| format!("ann@{n}.org")).collect();
        let people = people.join(" ") + " key1";
        let (_, restorer) = masked(&asked(&[&people]), &Toy);
        let answer = parts.concat();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(answer.len() + 1)).collect();
        places.retain(|at| answer.is_char_boundary(*at));
        places.extend([0, answer.len()]);
        places.sort_unstable();
        let pieces: Vec<&str> = places.windows(2).map(|pair| &answer[pair[0]..pair[1]]).collect();
        let whole = streamed(restorer.clone(), &[&answer], arguments);
        prop_assert_eq!(streamed(restorer.clone(), &pieces, arguments), whole.clone());
        // The reference: each placeholder replaced, the longest first, as no value looks like one.
        let mut names: Vec<(String, String)> = (1..=12).map(|n| (format!("[EMAIL_{n}]"), format!("ann@{n}.org"))).collect();
        names.push(("[SECRET_1]".into(), "key1".into()));
        let expected = names.iter().fold(answer.clone(), |text, (name, value)| text.replace(name, value));
        prop_assert_eq!(whole, expected);
    }

    #[test]
    fn nothing_sensitive_leaves_and_everything_comes_back(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "ann@x.org", "key12", "12345678", " ", ",", "[EMAIL_1]", "[", "]", "\"", "é",
        ]), 0..16),
    ) {
        let text = parts.join(" ");
        let (question, restorer) = masked(&asked(&[&text]), &Toy);
        let sent = words(&question).concat();
        prop_assert!(Toy.find(&sent).is_empty(), "{}", sent);
        prop_assert_eq!(streamed(restorer, &[&sent], false), text);
    }
}
