//! Which questions are equal.

use crate::chat::{Chat, Effort, Format, Image, Part, Reasoning, Tool, ToolCall, ToolChoice, Turn};
use serde_json::json;
use std::collections::BTreeSet;

fn base() -> Chat {
    Chat { turns: vec![Turn::User(vec![Part::Text("x".into())])], ..Chat::default() }
}

#[test]
fn the_digest_of_a_question_stays() {
    // Whoever changes these forgets every cached answer: the version has to change as well.
    insta::assert_snapshot!(base().digest(), @"b04f44e1af86ec2733287dc2554d9ed4aca0280b6847cc7a1513715be52601ec");
    let full = Chat {
        tools: vec![Tool {
            name: "f".into(),
            description: Some("d".into()),
            parameters: json!({"b": 1, "a": {"d": [1, 2.5], "c": null}}),
            strict: Some(true),
        }],
        format: Format::JsonObject,
        max_output_tokens: Some(5),
        reasoning: Some(Reasoning::Effort(Effort::Low)),
        ..base()
    };
    insta::assert_snapshot!(full.digest(), @"55830a8470046f0f2fa5aae0fc7bd2f43784f982da6dc1f0a15ab466c6cd47e6");
}

/// Every kind of difference that can change an answer.
fn different() -> Vec<Chat> {
    let turns = |turns: Vec<Turn>| Chat { turns, ..Chat::default() };
    let part = |part: Part| turns(vec![Turn::User(vec![part])]);
    let text = |text: &str| Part::Text(text.into());
    let tool = |strict, description: Option<&str>| Chat {
        tools: vec![Tool {
            name: "f".into(),
            description: description.map(Into::into),
            parameters: json!({}),
            strict,
        }],
        ..base()
    };
    let call = |arguments: &str| ToolCall { id: "c".into(), name: "f".into(), arguments: arguments.into() };
    let answered = |parts, tool_calls| turns(vec![Turn::Assistant { parts, tool_calls }]);
    let tool_turn = |failed| turns(vec![Turn::Tool { call_id: "c".into(), parts: vec![], failed }]);
    let image = |detail: Option<&str>| Image::Url { url: "u".into(), detail: detail.map(Into::into) };
    let mut all = vec![
        base(),
        turns(vec![Turn::System(vec![text("x")])]),
        turns(vec![Turn::User(vec![text("x"), text("y")])]),
        turns(vec![Turn::User(vec![text("x")]), Turn::User(vec![text("y")])]),
        turns(vec![Turn::User(vec![text("xy")])]),
        part(Part::Refusal("x".into())),
        part(Part::Reasoning("x".into())),
        part(Part::Other("x".into())),
        part(Part::Image(image(None))),
        part(Part::Image(image(Some("low")))),
        part(Part::Image(Image::Inline { media_type: "u".into(), data: String::new(), detail: None })),
        answered(vec![text("x")], vec![]),
        answered(vec![], vec![call("{}")]),
        answered(vec![], vec![call("{ }")]),
        tool_turn(true),
        tool_turn(false),
        tool(None, None),
        tool(Some(true), None),
        tool(None, Some("true")),
        Chat { tool_choice: ToolChoice::None, ..base() },
        Chat { tool_choice: ToolChoice::Required, ..base() },
        Chat { tool_choice: ToolChoice::Named("f".into()), ..base() },
        Chat { parallel_tool_calls: Some(true), ..base() },
        Chat { format: Format::JsonObject, ..base() },
        Chat { max_output_tokens: Some(1), ..base() },
        Chat { reasoning: Some(Reasoning::Off), ..base() },
        Chat { reasoning: Some(Reasoning::Tokens(1)), ..base() },
        Chat { reasoning: Some(Reasoning::Effort(Effort::High)), ..base() },
    ];
    let with = |change: fn(&mut Chat)| {
        let mut chat = base();
        change(&mut chat);
        chat
    };
    all.extend([
        with(|chat| chat.sampling.temperature = Some(1.0)),
        with(|chat| chat.sampling.top_p = Some(1.0)),
        with(|chat| chat.sampling.top_k = Some(1)),
        with(|chat| chat.sampling.seed = Some(1)),
        with(|chat| chat.sampling.presence_penalty = Some(1.0)),
        with(|chat| chat.sampling.frequency_penalty = Some(1.0)),
        with(|chat| chat.sampling.stop = vec!["1".into()]),
        with(|chat| chat.sampling.stop = vec!["1".into(), "2".into()]),
        with(|chat| drop(chat.extra.insert("a".into(), 1.into()))),
    ]);
    all
}

#[test]
fn questions_with_different_answers_have_different_digests() {
    let all = different();
    let digests: BTreeSet<_> = all.iter().map(Chat::digest).collect();
    assert_eq!(digests.len(), all.len());
}

#[test]
fn who_asks_and_what_is_cached_elsewhere_does_not_matter() {
    let mut chat = base();
    chat.user = Some("ann".into());
    chat.turns[0].parts_mut().push(Part::CachePoint);
    assert_eq!(chat.digest(), base().digest());
}
