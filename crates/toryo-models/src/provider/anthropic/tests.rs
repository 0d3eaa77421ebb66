//! Over the real wire, against a server that is strict about it.

use super::*;
use crate::chat::{
    Chat, Completion, Effort, Image, Output, Part, Reasoning, Sampling, Stop, Tool, ToolCall, ToolChoice,
    Turn,
};
use crate::inbound::Head;
use crate::provider::faults::{ask_of, chat, provider_at, read};
use crate::reply::Usage;
use futures::StreamExt;
use serde_json::{Map, Value, json};
use toryo_testkit::openai::Usage as Claimed;
use toryo_testkit::upstream::{Call, Reply, Said, Stop as Says, Thinking, Upstream, Wire};

const CLAIMED: Claimed = Claimed { input: 20, cached_input: 5, output: 7, reasoning: 0 };
const COUNTED: Usage = Usage { input: 20, cached_input: 5, cache_write: 2, output: 7, reasoning: 0 };

async fn server(said: Said) -> Upstream {
    Upstream::start(Wire::Anthropic, [Reply::Says(said)]).await
}

fn weather() -> Said {
    let call = |id: &str, arguments: Value| Call { id: id.into(), name: "weather".into(), arguments };
    Said {
        thinking: Some(Thinking { text: "Hm.".into(), signature: "c2ln".into() }),
        text: vec!["Let ".into(), "me look \"é\".".into()],
        calls: vec![call("c1", json!({"city": "Bergen op Zoom"})), call("c2", json!({}))],
        stop: Says::ToolUse,
        usage: Some(CLAIMED),
        cache_write: 2,
    }
}

fn rich() -> Chat {
    let text = |text: &str| Part::Text(text.into());
    let call = |id: &str, arguments: &str| ToolCall {
        id: id.into(),
        name: "weather".into(),
        arguments: arguments.into(),
    };
    let url = Image::Url { url: "https://host/a.png".into(), detail: Some("low".into()) };
    let inline = || Image::Inline { media_type: "image/png".into(), data: "AAAA".into(), detail: None };
    let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"});
    Chat {
        turns: vec![
            Turn::System(vec![text("Be brief."), Part::CachePoint]),
            Turn::System(vec![text("Be kind.")]),
            Turn::User(vec![text("What is this?"), Part::Image(url)]),
            Turn::User(vec![Part::Image(inline()), text(""), Part::CachePoint]),
            Turn::Assistant {
                parts: vec![Part::Reasoning(thought), text("Let me look.")],
                tool_calls: vec![call("c1", "{\"city\":\"Ulm\"}"), call("c2", "")],
            },
            Turn::Tool { call_id: "c1".into(), parts: vec![text("rain"), Part::CachePoint], failed: false },
            Turn::User(vec![text("Quick!")]),
            Turn::Tool { call_id: "c2".into(), parts: vec![Part::Image(inline())], failed: true },
            Turn::Assistant { parts: vec![Part::Refusal("I won't.".into())], tool_calls: vec![] },
            Turn::User(vec![
                text("Go on."),
                Part::Other(json!({"type": "document", "source": {"type": "text"}})),
            ]),
        ],
        tools: vec![
            Tool {
                name: "weather".into(),
                description: Some("Of a city.".into()),
                parameters: json!({}),
                strict: None,
            },
            Tool {
                name: "time".into(),
                description: None,
                parameters: json!({"type": "object"}),
                strict: Some(true),
            },
        ],
        tool_choice: ToolChoice::Required,
        parallel_tool_calls: Some(false),
        sampling: Sampling {
            temperature: Some(0.1),
            top_p: Some(0.9),
            top_k: Some(40),
            stop: vec!["END".into()],
            presence_penalty: Some(0.0),
            ..Sampling::default()
        },
        user: Some("u-1".into()),
        extra: Map::from_iter([
            ("service_tier".to_owned(), json!("standard_only")),
            (write::BETA_FIELD.to_owned(), json!(["files-api-2025-04-14", "context-1m-2025-08-07"])),
            ("store".to_owned(), json!(false)),
        ]),
        dialect: Some(Dialect::Messages),
        ..Chat::default()
    }
}

#[tokio::test]
async fn neutral_words_are_written_in_full() {
    let server = server(Said::text("ok")).await;
    provider_at(&server, Wire::Anthropic).send(ask_of(&rich(), true)).await.unwrap();
    let call = &server.calls()[0];
    assert_eq!(call.header("anthropic-beta"), Some("files-api-2025-04-14,context-1m-2025-08-07"));
    insta::assert_json_snapshot!(call.body);
}

#[tokio::test]
async fn reasoning_becomes_a_budget_within_the_limit() {
    let server = server(Said::text("ok")).await;
    let provider = provider_at(&server, Wire::Anthropic);
    for (reasoning, budget) in [
        (Reasoning::Effort(Effort::Minimal), None),
        (Reasoning::Off, None),
        (Reasoning::Effort(Effort::Low), Some(1_024)),
        (Reasoning::Effort(Effort::High), Some(3_999)),
        (Reasoning::Tokens(5), Some(1_024)),
        (Reasoning::Tokens(2_000), Some(2_000)),
    ] {
        let sampling = Sampling { temperature: Some(0.5), ..Sampling::default() };
        let chat = Chat { reasoning: Some(reasoning), sampling, ..chat("x") };
        provider.send(ask_of(&chat, false)).await.unwrap();
        let body = server.calls().pop().unwrap().body;
        assert_eq!(body["thinking"]["budget_tokens"].as_u64(), budget, "{reasoning:?}");
        assert_eq!(body["temperature"].is_null(), budget.is_some(), "{reasoning:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_carried_is_refused_and_nothing_is_sent() {
    let server = server(Said::text("ok")).await;
    let provider = provider_at(&server, Wire::Anthropic);
    let user = |part: Part| Chat { turns: vec![Turn::User(vec![part])], ..Chat::default() };
    let sampled = |sampling: Sampling| Chat { sampling, ..chat("x") };
    let call = ToolCall { id: "c".into(), name: "f".into(), arguments: "{half".into() };
    let schema = Format::JsonSchema {
        name: "s".into(),
        description: None,
        schema: json!({"type": "object"}),
        strict: None,
    };
    let mut said = String::new();
    for chat in [
        user(Part::Other(json!({"type": "input_audio"}))),
        Chat { turns: vec![Turn::Assistant { parts: vec![], tool_calls: vec![call] }], ..Chat::default() },
        Chat { format: Format::JsonObject, ..chat("x") },
        Chat { format: schema.clone(), tools: rich().tools, ..chat("x") },
        Chat { format: schema, reasoning: Some(Reasoning::Tokens(2_000)), ..chat("x") },
        sampled(Sampling { temperature: Some(1.5), ..Sampling::default() }),
        sampled(Sampling { seed: Some(1), ..Sampling::default() }),
        sampled(Sampling { presence_penalty: Some(0.1), ..Sampling::default() }),
        Chat { extra: Map::from_iter([("n".into(), json!(3))]), ..chat("x") },
        Chat { extra: Map::from_iter([(write::BETA_FIELD.into(), json!("a\nb"))]), ..chat("x") },
    ] {
        let refused = provider.send(ask_of(&chat, false)).await.unwrap_err();
        assert!(matches!(refused, ProviderError::Unsupported { .. }), "{refused:?}");
        said += &format!("{refused}\n");
    }
    insta::assert_snapshot!(said);
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn whole_and_streamed_answers_say_the_same() {
    let server = server(weather()).await;
    let provider = provider_at(&server, Wire::Anthropic);
    let chat = chat("And the weather?");
    let Answer::Whole(whole) = provider.send(ask_of(&chat, false)).await.unwrap() else { panic!("a stream") };
    let (events, error) = read(provider.send(ask_of(&chat, true)).await).await;
    assert_eq!(error, None);
    let streamed = Completion::from_events(events).unwrap();
    assert_eq!(streamed, whole.completion);
    let call = |id: &str, arguments: Value| {
        Output::ToolCall(ToolCall { id: id.into(), name: "weather".into(), arguments: arguments.to_string() })
    };
    let native = json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"});
    let expected = [
        Output::Reasoning { text: "Hm.".into(), native: Some(native) },
        Output::Text("Let me look \"é\".".into()),
        call("c1", json!({"city": "Bergen op Zoom"})),
        call("c2", json!({})),
    ];
    assert_eq!(whole.completion.output, expected);
    assert_eq!((whole.completion.stop, whole.completion.usage), (Stop::ToolUse, Some(COUNTED)));
    assert_eq!(server.connections(), 1, "the connection of a stream that ended is used again");
}

#[tokio::test]
async fn what_was_thought_can_be_sent_back_unchanged() {
    let server = server(weather()).await;
    let provider = provider_at(&server, Wire::Anthropic);
    let Answer::Whole(whole) = provider.send(ask_of(&chat("x"), false)).await.unwrap() else {
        panic!("a stream")
    };
    let mut parts = Vec::new();
    let mut tool_calls = Vec::new();
    for output in whole.completion.output {
        match output {
            Output::Reasoning { native: Some(native), .. } => parts.push(Part::Reasoning(native)),
            Output::Text(text) => parts.push(Part::Text(text)),
            Output::ToolCall(call) => tool_calls.push(call),
            other => panic!("{other:?}"),
        }
    }
    let result = |id: &str| Turn::Tool { call_id: id.into(), parts: vec![], failed: false };
    let mut chat = chat("x");
    chat.turns.extend([Turn::Assistant { parts, tool_calls }, result("c1"), result("c2")]);
    provider.send(ask_of(&chat, false)).await.unwrap();
    let sent = &server.calls()[1].body["messages"][1]["content"];
    let theirs: Value = json!([
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "text", "text": "Let me look \"é\"."},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Bergen op Zoom"}},
        {"type": "tool_use", "id": "c2", "name": "weather", "input": {}}
    ]);
    assert_eq!(sent, &theirs);
}

#[tokio::test]
async fn a_schema_by_a_forced_function_comes_back_as_text() {
    let server = server(Said::call("plan_v1", json!({"steps": [1, 2]}))).await;
    let provider = provider_at(&server, Wire::Anthropic);
    let schema = json!({"type": "object"});
    let format = Format::JsonSchema { name: "plan v1".into(), description: None, schema, strict: None };
    let chat = Chat { format, ..chat("Plan.") };
    for stream in [false, true] {
        let (events, error) = read(provider.send(ask_of(&chat, stream)).await).await;
        let whole = Completion::from_events(events).unwrap();
        let seen = (whole.text(), whole.stop, error);
        assert_eq!(seen, ("{\"steps\":[1,2]}".to_owned(), Stop::End, None), "stream: {stream}");
    }
}

#[tokio::test]
async fn a_clients_own_bytes_and_events_pass() {
    let server = server(weather()).await;
    let body = r#"{"model":"alias","max_tokens":99999,"messages":[{"role":"user","content":"hi"}],
        "temperature":0.50,"anthropic_beta":["x-1"],"stream":true}"#;
    let head = Head {
        model: "alias".into(),
        stream: true,
        include_usage: true,
        max_output_tokens: None,
        choices: 1,
    };
    let inbound = Inbound {
        dialect: Dialect::Messages,
        body: body.to_owned().into(),
        head,
        betas: Some("y-2,x-1".into()),
    };
    let nothing = Chat::default();
    let ask = Ask { native: Some(&inbound), ..ask_of(&nothing, true) };
    let answer = provider_at(&server, Wire::Anthropic).send(ask).await.unwrap();
    let Answer::Stream(stream) = answer else { panic!("a whole answer") };
    let pieces: Vec<_> = stream.map(|piece| piece.unwrap()).collect().await;
    let call = &server.calls()[0];
    assert_eq!(
        call.header("anthropic-beta"),
        Some("x-1,y-2"),
        "from the body and from the header, each once"
    );
    insta::assert_snapshot!(String::from_utf8(call.raw.clone()).unwrap(), @r#"{"model":"model-1","max_tokens":4000,"stream":true,"messages":[{"role":"user","content":"hi"}],"temperature":0.50}"#);
    let natives: Vec<_> = pieces.iter().filter_map(|piece| piece.native.as_ref()).collect();
    assert_eq!(natives[0].event, Some("message_start"));
    assert_eq!(natives.last().unwrap().event, Some("message_stop"));
    for native in natives {
        let data: Value = serde_json::from_slice(&native.data).unwrap();
        assert_eq!(data["type"].as_str(), native.event);
    }
    let whole = Completion::from_events(pieces.into_iter().flat_map(|piece| piece.events)).unwrap();
    assert_eq!(whole.usage, Some(COUNTED));
}

#[tokio::test]
async fn an_error_in_mid_stream_is_classified() {
    let start = r#"{"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":1}}}"#;
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let body = format!("event: message_start\ndata: {start}\n\nevent: error\ndata: {overloaded}\n\n");
    let reply = Reply::Raw { status: 200, content_type: "text/event-stream", body: body.into_bytes() };
    let server = Upstream::start(Wire::Anthropic, [reply]).await;
    let (_, error) = read(provider_at(&server, Wire::Anthropic).send(ask_of(&chat("x"), true)).await).await;
    assert!(matches!(error, Some(ProviderError::Unavailable { status: Some(529), .. })), "{error:?}");
}
