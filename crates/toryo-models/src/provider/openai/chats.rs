//! Chats over the real wire: the client's own bytes and neutral words, whole and streamed.

use super::*;
use crate::chat::{
    Chat, Completion, Effort, Event, Format, Image, Output, Part, Reasoning, Sampling, Stop, Tool, ToolCall,
    ToolChoice, Turn,
};
use crate::inbound::{Head, Inbound};
use crate::provider::faults::{ask_of, chat, provider_at, read};
use crate::provider::{Native, Piece};
use crate::reply::Usage;
use futures::StreamExt;
use serde_json::{Map, Value, json};
use toryo_testkit::openai::{Gate, Usage as Claimed};
use toryo_testkit::upstream::{Call, Reply, Said, Stop as Says, Thinking, Upstream, Wire};

const CLAIMED: Claimed = Claimed { input: 20, cached_input: 5, output: 7, reasoning: 3 };
const COUNTED: Usage = Usage { input: 20, cached_input: 5, cache_write: 0, output: 7, reasoning: 3 };

fn inbound(body: &str, stream: bool, include_usage: bool) -> Inbound {
    let head = Head { model: "alias".into(), stream, include_usage, max_output_tokens: None, choices: 1 };
    Inbound { dialect: Dialect::Completions, body: body.to_owned().into(), head, betas: None }
}

async fn server(said: Said) -> Upstream {
    Upstream::start(Wire::OpenAi, [Reply::Says(said)]).await
}

fn weather() -> Said {
    let call = |id: &str, city: &str| Call {
        id: id.into(),
        name: "weather".into(),
        arguments: json!({"city": city}),
    };
    Said {
        thinking: Some(Thinking { text: "Hm.".into(), signature: String::new() }),
        text: vec!["Let ".into(), "me look \"é\".".into()],
        calls: vec![call("c1", "Bergen op Zoom"), call("c2", "Ulm")],
        stop: Says::ToolUse,
        usage: Some(CLAIMED),
        cache_write: 0,
    }
}

#[tokio::test]
async fn a_clients_own_bytes_pass_with_four_fields_replaced() {
    let server = server(Said::text("Hello!").with_usage(CLAIMED)).await;
    let body = r#"{"model":"alias","messages": [ {"role":"user","content":"hi"} ],"top_p":0.10,
        "max_tokens":999999,"seed":9007199254740993,"store":true,"stream":false}"#;
    let inbound = inbound(body, false, false);
    let nothing = Chat::default();
    let ask = Ask { native: Some(&inbound), ..ask_of(&nothing, false) };
    let Answer::Whole(whole) = provider_at(&server, Wire::OpenAi).send(ask).await.unwrap() else {
        panic!("a stream")
    };
    let sent = String::from_utf8(server.calls()[0].raw.clone()).unwrap();
    insta::assert_snapshot!(sent, @r#"{"model":"model-1","max_completion_tokens":4000,"store":false,"messages":[ {"role":"user","content":"hi"} ],"top_p":0.10,"seed":9007199254740993}"#);
    assert_eq!(whole.completion.text(), "Hello!");
    assert_eq!((whole.completion.usage, whole.completion.stop), (Some(COUNTED), Stop::End));
    let native: Value = serde_json::from_slice(&whole.native.unwrap()).unwrap();
    assert_eq!(native["choices"][0]["message"]["content"], "Hello!");
}

async fn stream_natively(wants_usage: bool) -> (Vec<Piece>, Value) {
    let server = server(Said::text("Hello, you there!").with_usage(CLAIMED)).await;
    let body = r#"{"model":"alias","messages":[{"role":"user","content":"hi"}],"stream":true,
        "stream_options":{"include_obfuscation":false}}"#;
    let inbound = inbound(body, true, wants_usage);
    let nothing = Chat::default();
    let ask = Ask { native: Some(&inbound), ..ask_of(&nothing, true) };
    let Answer::Stream(stream) = provider_at(&server, Wire::OpenAi).send(ask).await.unwrap() else {
        panic!("a whole answer")
    };
    let pieces = stream.map(|piece| piece.unwrap()).collect().await;
    (pieces, server.calls()[0].body.clone())
}

#[tokio::test]
async fn a_native_stream_passes_its_chunks_and_hides_the_tokens_nobody_asked_for() {
    let (pieces, sent) = stream_natively(false).await;
    assert_eq!(sent["stream_options"], json!({"include_obfuscation": false, "include_usage": true}));
    let natives: Vec<&Native> = pieces.iter().filter_map(|piece| piece.native.as_ref()).collect();
    let chunks: Vec<Value> =
        natives.iter().map(|native| serde_json::from_slice(&native.data).unwrap()).collect();
    let text: String =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "Hello, you there!");
    assert!(chunks.iter().all(|chunk| chunk["usage"].is_null()));
    let events = || pieces.iter().flat_map(|piece| piece.events.clone());
    let whole = Completion::from_events(events()).unwrap();
    assert_eq!(
        (whole.text().as_str(), whole.usage, whole.stop),
        ("Hello, you there!", Some(COUNTED), Stop::End)
    );
    assert_eq!(whole.model, "model-1");
    let (with_usage, _) = stream_natively(true).await;
    let last = with_usage.last().and_then(|piece| piece.native.as_ref()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&last.data).unwrap()["usage"]["prompt_tokens"], 20);
}

#[tokio::test]
async fn a_stream_ends_with_the_last_of_its_answers() {
    let chunk = |index: u32, delta: Value, finish: Value| {
        json!({"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}).to_string()
    };
    let chunks = [
        chunk(1, json!({"content": "b"}), Value::Null),
        chunk(0, json!({"content": "a"}), Value::Null),
        chunk(0, json!({}), json!("stop")),
        chunk(1, json!({}), json!("length")),
    ];
    for (count, whole) in [(4, true), (3, false)] {
        let body: String = chunks[..count].iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        let body = (body + "data: [DONE]\n\n").into_bytes();
        let reply = Reply::Raw { status: 200, content_type: "text/event-stream", body };
        let server = Upstream::start(Wire::OpenAi, [reply]).await;
        let mut inbound =
            inbound(r#"{"messages":[{"role":"user","content":"hi"}],"n":2,"stream":true}"#, true, false);
        inbound.head.choices = 2;
        let nothing = Chat::default();
        let ask = Ask { native: Some(&inbound), ..ask_of(&nothing, true) };
        let (events, error) = read(provider_at(&server, Wire::OpenAi).send(ask).await).await;
        assert_eq!(error.is_none(), whole, "{error:?}");
        assert_eq!(Completion::from_events(events).is_some(), whole);
    }
}

#[tokio::test]
async fn calls_that_all_have_the_place_0_are_told_apart_by_their_ids() {
    let chunk = |id: Value, name: Value, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        let call = json!({"index": 0, "id": id, "type": "function", "function": function});
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}).to_string()
    };
    let stop = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}).to_string();
    let chunks = [
        chunk(json!("a"), json!("f"), "{"),
        chunk(Value::Null, Value::Null, "}"),
        chunk(json!("b"), json!("g"), "{}"),
        stop,
    ];
    let body: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let reply = Reply::Raw { status: 200, content_type: "text/event-stream", body: body.into_bytes() };
    let server = Upstream::start(Wire::OpenAi, [reply]).await;
    let (events, error) = read(provider_at(&server, Wire::OpenAi).send(ask_of(&chat("x"), true)).await).await;
    assert_eq!(error, None);
    let call = |id: &str, name: &str| {
        Output::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: "{}".into() })
    };
    assert_eq!(Completion::from_events(events).unwrap().output, [call("a", "f"), call("b", "g")]);
}

/// Everything that the dialect can carry.
fn rich() -> Chat {
    let text = |text: &str| Part::Text(text.into());
    let call =
        |id: &str| ToolCall { id: id.into(), name: "weather".into(), arguments: "{\"city\":\"Ulm\"}".into() };
    let url = Image::Url { url: "https://host/a.png".into(), detail: Some("low".into()) };
    let inline = Image::Inline { media_type: "image/png".into(), data: "AAAA".into(), detail: None };
    Chat {
        turns: vec![
            Turn::System(vec![text("Be brief."), Part::CachePoint, text("Be kind.")]),
            Turn::User(vec![text("What is this?"), Part::Image(url), Part::Image(inline)]),
            Turn::Assistant { parts: vec![], tool_calls: vec![call("c1"), call("c2")] },
            Turn::Tool { call_id: "c1".into(), parts: vec![text("rain")], failed: false },
            Turn::Tool { call_id: "c2".into(), parts: vec![text("no such city")], failed: true },
            Turn::Assistant { parts: vec![Part::Refusal("I won't.".into())], tool_calls: vec![] },
            Turn::User(vec![text("Go on.")]),
        ],
        tools: vec![Tool {
            name: "weather".into(),
            description: Some("Of a city.".into()),
            parameters: json!({"type": "object", "properties": {"city": {"type": "string"}}}),
            strict: Some(false),
        }],
        tool_choice: ToolChoice::Named("weather".into()),
        parallel_tool_calls: Some(false),
        format: Format::JsonObject,
        sampling: Sampling {
            temperature: Some(0.1),
            top_p: Some(0.9),
            stop: vec!["END".into()],
            seed: Some(7),
            presence_penalty: Some(0.5),
            frequency_penalty: Some(-0.5),
            ..Sampling::default()
        },
        reasoning: Some(Reasoning::Effort(Effort::High)),
        user: Some("u-1".into()),
        extra: [("service_tier".to_owned(), json!("flex"))].into_iter().collect(),
        dialect: Some(Dialect::Completions),
        ..Chat::default()
    }
}

#[tokio::test]
async fn neutral_words_are_written_in_full() {
    let server = server(Said::text("ok")).await;
    let rich = rich();
    provider_at(&server, Wire::OpenAi).send(ask_of(&rich, true)).await.unwrap();
    insta::assert_json_snapshot!(server.calls()[0].body);
}

#[tokio::test]
async fn what_cannot_be_carried_is_refused_and_nothing_is_sent() {
    let server = server(Said::text("ok")).await;
    let provider = provider_at(&server, Wire::OpenAi);
    let image = Part::Image(Image::Url { url: "https://h/x".into(), detail: None });
    let user = |part: Part| Chat { turns: vec![Turn::User(vec![part])], ..Chat::default() };
    let tool = |part: Part| Turn::Tool { call_id: "c".into(), parts: vec![part], failed: false };
    let extra =
        |name: &str, value: Value| Chat { extra: Map::from_iter([(name.into(), value)]), ..chat("x") };
    let mut said = String::new();
    for chat in [
        user(Part::Other(json!({"type": "document"}))),
        user(Part::Reasoning(json!({"type": "thinking", "signature": "s"}))),
        Chat { turns: vec![tool(image)], ..Chat::default() },
        extra("mcp_servers", json!([])),
        extra("n", json!(2)),
        extra("messages[3].name", json!("Ann")),
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
    let provider = provider_at(&server, Wire::OpenAi);
    let chat = chat("And the weather?");
    let Answer::Whole(whole) = provider.send(ask_of(&chat, false)).await.unwrap() else { panic!("a stream") };
    let (events, error) = read(provider.send(ask_of(&chat, true)).await).await;
    assert_eq!(error, None);
    let streamed = Completion::from_events(events).unwrap();
    assert_eq!(streamed, whole.completion);
    let call = |id: &str, city: &str| {
        let arguments = json!({"city": city}).to_string();
        Output::ToolCall(ToolCall { id: id.into(), name: "weather".into(), arguments })
    };
    let expected = [
        Output::Reasoning { text: "Hm.".into(), native: None },
        Output::Text("Let me look \"é\".".into()),
        call("c1", "Bergen op Zoom"),
        call("c2", "Ulm"),
    ];
    assert_eq!(whole.completion.output, expected);
    assert_eq!((whole.completion.stop, whole.completion.usage), (Stop::ToolUse, Some(COUNTED)));
    assert_eq!(server.connections(), 1, "the connection of a stream that ended is used again");
}

#[tokio::test]
async fn a_schema_by_a_forced_function_comes_back_as_text() {
    let server = server(Said::call("plan_v1", json!({"steps": [1, 2]}))).await;
    let provider = provider_at(&server, Wire::OpenAi);
    let schema = json!({"type": "object"});
    let format = Format::JsonSchema { name: "plan v1".into(), description: None, schema, strict: None };
    let mut chat = Chat { format, ..chat("Plan.") };
    for stream in [false, true] {
        let ask = Ask { structured_output: StructuredOutput::ToolCall, ..ask_of(&chat, stream) };
        let (events, error) = read(provider.send(ask).await).await;
        let whole = Completion::from_events(events).unwrap();
        let seen = (whole.text(), whole.stop, error);
        assert_eq!(seen, ("{\"steps\":[1,2]}".to_owned(), Stop::End, None), "stream: {stream}");
    }
    chat.tools = rich().tools;
    let ask = Ask { structured_output: StructuredOutput::ToolCall, ..ask_of(&chat, false) };
    let refused = provider.send(ask).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Unsupported { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_stream_that_is_dropped_closes_its_connection() {
    let gate = Gate::new();
    let fault = toryo_testkit::upstream::Fault::Stall(gate);
    let server = Upstream::start(Wire::OpenAi, [Reply::Fails(fault)]).await;
    let chat = chat("x");
    let answer = provider_at(&server, Wire::OpenAi).send(ask_of(&chat, true)).await.unwrap();
    let Answer::Stream(mut stream) = answer else { panic!("a whole answer") };
    let first = stream.next().await.unwrap().unwrap();
    assert!(matches!(first.events[0], Event::Begin { .. }));
    server.until_waiting(1).await;
    drop(stream);
    server.until_abandoned(1).await;
}
