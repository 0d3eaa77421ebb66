//! Over the real wire, against a server that checks the signature's form and frames events as AWS does.

use super::*;
use crate::chat::{
    Chat, Completion, Effort, Image, Output, Part, Reasoning, Sampling, Stop, Tool, ToolCall, ToolChoice,
    Turn,
};
use crate::config::BaseUrl;
use crate::embeddings::{EmbeddingProvider, EmbeddingRequest, TextKind};
use crate::provider::faults::{ask_of, chat, provider_at, read};
use crate::reply::Usage;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use toryo_testkit::openai::Usage as Claimed;
use toryo_testkit::upstream::{ACCESS_KEY_ID, Call, Reply, Said, Stop as Says, Thinking, Upstream, Wire};

const CLAUDE: &str =
    "arn:aws:bedrock:eu-central-1:111122223333:inference-profile/eu.anthropic.claude-sonnet-4";
const CLAIMED: Claimed = Claimed { input: 20, cached_input: 5, output: 7, reasoning: 0 };
const COUNTED: Usage = Usage { input: 20, cached_input: 5, cache_write: 2, output: 7, reasoning: 0 };

async fn server(said: Said) -> Upstream {
    Upstream::start(Wire::Bedrock, [Reply::Says(said)]).await
}

fn weather() -> Said {
    let call = |id: &str, arguments: Value| Call { id: id.into(), name: "weather".into(), arguments };
    Said {
        thinking: Some(Thinking { text: "Hm.".into(), signature: "c2ln".into() }),
        text: vec!["Let ".into(), "me look \"é\".".into()],
        calls: vec![call("c1", json!({"city": "Bergen op Zoom", "days": 3})), call("c2", json!({}))],
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
    let inline = || Image::Inline { media_type: "image/png".into(), data: "AAAA".into(), detail: None };
    let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"});
    Chat {
        turns: vec![
            Turn::System(vec![text("Be brief."), Part::CachePoint]),
            Turn::User(vec![text("What is this?"), Part::Image(inline()), Part::CachePoint]),
            Turn::Assistant {
                parts: vec![Part::Reasoning(thought), text("Let me look.")],
                tool_calls: vec![call("c1", "{\"city\":\"Ulm\",\"days\":-3,\"exact\":1.5}"), call("c2", "")],
            },
            Turn::Tool { call_id: "c1".into(), parts: vec![text("rain"), Part::CachePoint], failed: false },
            Turn::User(vec![text("Quick!")]),
            Turn::Tool { call_id: "c2".into(), parts: vec![], failed: true },
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
                parameters: json!({"type": "object", "properties": {"zone": {}, "at": {}}}),
                strict: Some(true),
            },
        ],
        tool_choice: ToolChoice::Named("time".into()),
        sampling: Sampling {
            temperature: Some(0.5),
            top_p: Some(0.25),
            top_k: Some(40),
            stop: vec!["END".into()],
            ..Sampling::default()
        },
        user: Some("u-1".into()),
        extra: Map::from_iter([
            ("store".to_owned(), json!(false)),
            ("context_management".to_owned(), json!({"edits": []})),
        ]),
        ..Chat::default()
    }
}

#[tokio::test]
async fn neutral_words_are_written_in_full() {
    let server = server(Said::text("ok")).await;
    let provider = provider_at(&server, Wire::Bedrock);
    let aws = Aws {
        region: Some("eu-central-1".into()),
        guardrail_id: Some("gr-1".into()),
        guardrail_version: Some("3".into()),
        request_metadata: BTreeMap::from([("team".into(), "payments".into())]),
        ..Aws::default()
    };
    let rich = rich();
    for stream in [false, true] {
        let ask = Ask { aws: Some(&aws), model: CLAUDE, ..ask_of(&rich, stream) };
        read(provider.send(ask).await).await;
    }
    let calls = server.calls();
    insta::assert_json_snapshot!(calls[0].body);
    let text = String::from_utf8(calls[0].raw.clone()).unwrap();
    assert_eq!(
        text,
        calls[0].body.to_string(),
        "fields stand in one order: caches of prompts live from that"
    );
    let path = "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A111122223333%3Ainference-profile%2Feu.anthropic.claude-sonnet-4";
    assert_eq!(calls[0].path, format!("{path}/converse"));
    assert_eq!(calls[1].path, format!("{path}/converse-stream"));
    let mut streamed = calls[1].body.clone();
    let mode = streamed["guardrailConfig"].as_object_mut().unwrap().remove("streamProcessingMode");
    assert_eq!((streamed, mode), (calls[0].body.clone(), Some(json!("sync"))));
    let signed = calls[0].header("authorization").unwrap();
    assert!(signed.contains(&format!("Credential={ACCESS_KEY_ID}/")), "{signed}");
    assert!(signed.contains("/eu-central-1/bedrock/aws4_request"), "{signed}");
}

/// A conversation in which a function was called.
fn called() -> Vec<Turn> {
    let result = Turn::Tool { call_id: "c".into(), parts: vec![], failed: false };
    vec![Turn::User(vec![Part::Text("x".into())]), result]
}

#[tokio::test]
async fn what_cannot_be_carried_is_refused_and_nothing_is_sent() {
    let server = server(Said::text("ok")).await;
    let provider = provider_at(&server, Wire::Bedrock);
    let user = |part: Part| Chat { turns: vec![Turn::User(vec![part])], ..Chat::default() };
    let sampled = |sampling: Sampling| Chat { sampling, ..chat("x") };
    let image = |media_type: &str, data: &str| {
        Part::Image(Image::Inline { media_type: media_type.into(), data: data.into(), detail: None })
    };
    let format = Format::JsonSchema {
        name: "s".into(),
        description: None,
        schema: json!({"type": "object"}),
        strict: None,
    };
    let mut said = String::new();
    for chat in [
        user(Part::Image(Image::Url { url: "https://h/x".into(), detail: None })),
        user(image("image/tiff", "AAAA")),
        user(image("image/png", "A*")),
        user(Part::Other(json!({"type": "document"}))),
        Chat { format: Format::JsonObject, ..chat("x") },
        Chat { format, tools: rich().tools, ..chat("x") },
        Chat { tool_choice: ToolChoice::None, tools: rich().tools, turns: called(), ..Chat::default() },
        Chat { parallel_tool_calls: Some(false), tools: rich().tools, ..chat("x") },
        Chat { reasoning: Some(Reasoning::Effort(Effort::High)), ..chat("x") },
        Chat { user: Some("ü".into()), ..chat("x") },
        sampled(Sampling { top_k: Some(3), ..Sampling::default() }),
        sampled(Sampling { temperature: Some(1.5), ..Sampling::default() }),
        sampled(Sampling { seed: Some(1), ..Sampling::default() }),
        sampled(Sampling { frequency_penalty: Some(0.1), ..Sampling::default() }),
    ] {
        let refused =
            provider.send(Ask { model: "meta.llama3-3-70b-instruct-v1:0", ..ask_of(&chat, false) }).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, ProviderError::Unsupported { .. }), "{refused:?}");
        said += &format!("{refused}\n");
    }
    insta::assert_snapshot!(said);
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn whole_and_streamed_answers_say_the_same() {
    let server = server(weather()).await;
    let provider = provider_at(&server, Wire::Bedrock);
    let chat = chat("And the weather?");
    let Answer::Whole(whole) = provider.send(ask_of(&chat, false)).await.unwrap() else { panic!("a stream") };
    let (events, error) = read(provider.send(ask_of(&chat, true)).await).await;
    assert_eq!(error, None);
    assert_eq!(Completion::from_events(events).unwrap(), whole.completion);
    let call = |id: &str, arguments: Value| {
        Output::ToolCall(ToolCall { id: id.into(), name: "weather".into(), arguments: arguments.to_string() })
    };
    let native = json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"});
    let expected = [
        Output::Reasoning { text: "Hm.".into(), native: Some(native) },
        Output::Text("Let me look \"é\".".into()),
        call("c1", json!({"city": "Bergen op Zoom", "days": 3})),
        call("c2", json!({})),
    ];
    assert_eq!(whole.completion.output, expected);
    assert_eq!((whole.completion.stop, whole.completion.usage), (Stop::ToolUse, Some(COUNTED)));
}

#[tokio::test]
async fn a_schema_by_a_forced_function_comes_back_as_text() {
    let server = server(Said::call("plan_v1", json!({"steps": [1, 2]}))).await;
    let provider = provider_at(&server, Wire::Bedrock);
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
async fn a_guardrail_is_a_filter() {
    let server = server(Said { stop: Says::Filter, ..Said::text("Sorry, blocked.") }).await;
    let provider = provider_at(&server, Wire::Bedrock);
    let chat = chat("x");
    for stream in [false, true] {
        let (events, error) = read(provider.send(ask_of(&chat, stream)).await).await;
        let whole = Completion::from_events(events).unwrap();
        assert_eq!((whole.stop, error), (Stop::Guardrail("topic".into()), None), "stream: {stream}");
    }
}

fn role(server: &Upstream, account: &str) -> Aws {
    Aws {
        region: Some("eu-central-1".into()),
        role_arn: Some(format!("arn:aws:iam::{account}:role/bedrock-role")),
        session_name: Some("team-a".into()),
        external_id: Some("ext".into()),
        sts_endpoint: Some(server.base_url().parse::<BaseUrl>().unwrap()),
        ..Aws::default()
    }
}

#[tokio::test]
async fn a_role_is_assumed_once_for_each_account_and_kept() {
    let server = server(Said::text("ok")).await;
    let provider = provider_at(&server, Wire::Bedrock);
    let (chat, one, two) = (chat("x"), role(&server, "111122223333"), role(&server, "444455556666"));
    for aws in [&one, &one, &two, &one, &two] {
        provider.send(Ask { aws: Some(aws), ..ask_of(&chat, false) }).await.unwrap();
    }
    let of = |account: &str| format!("arn:aws:iam::{account}:role/bedrock-role team-a ext");
    assert_eq!(server.assumed(), [of("111122223333"), of("444455556666")]);
    let signers: Vec<String> = server
        .calls()
        .iter()
        .map(|call| {
            let signed = call.header("authorization").unwrap();
            signed.split('=').nth(1).unwrap().split('/').next().unwrap().to_owned()
        })
        .collect();
    assert_eq!(signers, ["ASIA1", "ASIA1", "ASIA2", "ASIA1", "ASIA2"]);
}

#[tokio::test]
async fn credentials_are_renewed_before_they_expire() {
    let server = server(Said::text("ok")).await;
    // Within the time in which the SDK holds them to be as good as expired.
    server.credentials_last(Duration::from_secs(3));
    let provider = provider_at(&server, Wire::Bedrock);
    let (chat, aws) = (chat("x"), role(&server, "111122223333"));
    for _ in 0..2 {
        provider.send(Ask { aws: Some(&aws), ..ask_of(&chat, false) }).await.unwrap();
    }
    assert_eq!(server.assumed().len(), 2);
}

#[tokio::test]
async fn texts_become_vectors_in_the_way_of_each_family() {
    let raw = |body: Value| Reply::Raw {
        status: 200,
        content_type: "application/json",
        body: body.to_string().into_bytes(),
    };
    let server = Upstream::start(
        Wire::Bedrock,
        [
            raw(json!({"embedding": [1.0, 0.0], "inputTextTokenCount": 3})),
            raw(json!({"embedding": [0.0, 1.0], "inputTextTokenCount": 4})),
            raw(json!({"embeddings": [[1.0, 0.0], [0.0, 1.0]]})),
            raw(json!({"embeddings": {"float": [[1.0, 0.0]]}})),
        ],
    )
    .await;
    let provider = bedrock_at(&server);
    let request = |model: &str, shorten_to: Option<u32>| EmbeddingRequest {
        model: model.into(),
        texts: vec!["a".into(), "b".into()],
        kind: if shorten_to.is_some() { TextKind::Query } else { TextKind::Passage },
        shorten_to,
    };
    let embed = async |request: EmbeddingRequest| {
        let deadline = Instant::now() + Duration::from_secs(60);
        provider.embed(&request, deadline, &CancellationToken::new()).await
    };
    let titan = embed(request("amazon.titan-embed-text-v2:0", Some(256))).await.unwrap();
    assert_eq!((titan.vectors.as_slice(), titan.input_tokens), (&[vec![1.0, 0.0], vec![0.0, 1.0]][..], 7));
    let cohere = embed(request("cohere.embed-english-v3", None)).await.unwrap();
    assert_eq!(cohere.vectors, titan.vectors);
    let too_few = embed(request("cohere.embed-v4:0", Some(2))).await;
    assert!(too_few.is_err(), "{too_few:?}");
    let other = embed(request("meta.llama", None)).await;
    assert!(matches!(other, Err(ProviderError::Unsupported { .. })), "{other:?}");
    let bodies: Vec<Value> = server.calls().into_iter().map(|call| call.body).collect();
    insta::assert_json_snapshot!(bodies);
}

fn bedrock_at(server: &Upstream) -> Bedrock {
    let config = Provider { base_url: server.base_url().parse().unwrap(), ..Provider::default() };
    let region = Aws { region: Some("us-east-1".into()), ..Aws::default() };
    Bedrock::new(&config).with_default(region).with_credentials(ACCESS_KEY_ID, "secret")
}

#[test]
fn a_provider_of_bedrock_needs_no_key() {
    let config: crate::config::Config = toml::from_str("[providers.aws]\nkind = \"bedrock\"").unwrap();
    let providers = crate::provider::Providers::from_config(&config).unwrap();
    assert!(format!("{providers:?}").contains("aws"), "{providers:?}");
}
