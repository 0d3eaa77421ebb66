//! What arrives at an OTLP receiver when models are called: real calls through the gateway, real HTTP, the real
//! protobuf. A process of its own, as logging starts once a process.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use futures::StreamExt;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;
use toryo_blackboard::Db;
use toryo_domain::{Limits, Role, RunId, StepId, StepKey, StepKind};
use toryo_models::accounts::{self, Accounts};
use toryo_models::chat::{Chat, Part, Sampling, Turn};
use toryo_models::config::CacheBytes;
use toryo_models::front::{Embedders, Front};
use toryo_models::journal::memory::MemoryJournal;
use toryo_models::provider::fake::{Answer, FakeProvider};
use toryo_models::provider::{Answer as Answered, ModelProvider, ProviderError};
use toryo_models::route::{Question, Router, Wanted, Work, trace};
use toryo_models::{Caller, Config, Gateway, Message, OutputSchema, Providers, Request};
use toryo_telemetry::{Format, Logs, Traces};
use toryo_testkit::embeddings::{self, EmbeddingServer};
use toryo_testkit::stack::Services;
use toryo_testkit::upstream::{API_KEY, Reply, Said, Upstream, Wire};

/// Words of prompts, answers and errors: no span may hold them.
const WORDS: &str = "the-words-of-a-prompt";

type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

async fn receive(State(received): State<Received>, headers: HeaderMap, body: Bytes) {
    received.lock().unwrap().push((headers, body));
}

/// Two deployments of one model at 1 and 2 dollars a million.
fn config() -> Config {
    toml::from_str(
        "[retry]\nfirst_delay_ms = 1\n[routes.coder]\nmodel = \"gpt-4.1\"\nattempts = 2\nstrategy = \"round_robin\"\n\
         price = { input = 1, cached_input = 0.5, output = 2 }\n\
         deployments = [{ region = \"eu\" }, { region = \"us\" }]\n",
    )
    .unwrap()
}

fn caller() -> Caller {
    Caller {
        run_id: RunId::generate(),
        step_id: StepId::generate(),
        step_key: StepKey::of_subtask(StepKind::Code, "parse-dates", 1),
        attempt: 1,
        fence: 7,
        agent: Role::Coder,
        call_no: 1,
        limits: Limits::default(),
    }
}

fn request() -> Request {
    Request {
        route: "coder".into(),
        output: OutputSchema { name: "edit_set".into(), schema: json!({"type": "object"}) },
        messages: vec![Message::user(WORDS)],
        max_output_tokens: 1000,
        temperature: Some(0.5),
    }
}

fn failing() -> Answer {
    Answer::Fail(ProviderError::Unavailable { status: Some(503), retry_after: None, message: WORDS.into() })
}

/// An agent's call whose first request fails.
async fn agents_call(caller: &Caller) {
    let provider = FakeProvider::in_order([failing(), Answer::text(WORDS)]);
    let providers = Providers::new().with("openai", provider as Arc<dyn ModelProvider>);
    let gateway = Gateway::new(&config(), providers, Arc::new(MemoryJournal::new())).unwrap();
    gateway.complete(caller, &request(), &CancellationToken::new()).await.unwrap();
}

/// A streamed call of a client.
async fn clients_call(answer: Answer) -> bool {
    let provider = FakeProvider::in_order([answer]);
    let providers = Providers::new().with("openai", provider as Arc<dyn ModelProvider>);
    let router = Router::new(&config().in_force().unwrap(), &providers);
    let sampling = Sampling { temperature: Some(0.25), seed: Some(7), ..Sampling::default() };
    let turns = vec![Turn::User(vec![Part::Text(WORDS.into())])];
    let chat = Chat { turns, sampling, ..Chat::default() };
    let question = Question {
        route: "coder",
        wanted: &Wanted::Chat(&chat),
        stream: true,
        max_output_tokens: Some(50),
        input_tokens: 10,
        step: None,
        work: Work::Unknown,
        complexity: 0.5,
        tags: &[],
        region: Some("us"),
    };
    match router.ask(&question).await {
        Ok(routed) => {
            let Answered::Stream(pieces) = routed.answer else { panic!("not a stream") };
            pieces.collect::<Vec<_>>().await.into_iter().all(|piece| piece.is_ok())
        }
        Err(_) => false,
    }
}

/// The span of a client that calls over HTTP.
const CLIENT: ([u8; 16], [u8; 8]) = ([0x0a; 16], [0x0b; 8]);
const KEY: &str = "the-operators-own-key";

/// Calls over HTTP, below the client's span: a chat, texts to vectors, and texts that no provider takes.
async fn calls_over_http() {
    let upstream = Upstream::start(Wire::OpenAi, [Reply::Says(Said::text(WORDS))]).await;
    let vectors = EmbeddingServer::start().await;
    let text = format!(
        "[providers.p]\nbase_url = \"{}\"\napi_key = \"{API_KEY}\"\n\
         [providers.v]\nbase_url = \"{}\"\napi_key = \"{}\"\n\
         [routes.writer]\nprovider = \"p\"\nmodel = \"m\"\n\
         [routes.embed]\nprovider = \"v\"\nmodel = \"small\"\nprice = {{ input = 1, cached_input = 1, output = 0 }}\n",
        upstream.base_url(),
        vectors.base_url(),
        embeddings::API_KEY,
    );
    let config: Config = toml::from_str(&text).unwrap();
    let in_force = config.in_force().unwrap();
    let router = Arc::new(Router::new(&in_force, &Providers::from_config(&config).unwrap()));
    let db = Db::connect(&Services::shared().await.database_url, 4).await.unwrap();
    db.migrate().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let own = accounts::Config { master_key: Some(KEY.to_owned().into()), ..accounts::Config::default() };
    let accounts = Accounts::start(db, own, folder.path()).unwrap();
    let front = Front::new(router, accounts, CacheBytes::default(), None)
        .with_embedders(Embedders::of(&in_force).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let routes: axum::Router = toryo_api::gateway::router(Arc::new(front), 1024 * 1024);
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let parent = format!("00-{}-{}-01", hex(&CLIENT.0), hex(&CLIENT.1));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |path: &str, body: Value| {
        let request = http.post(format!("{base}/{path}")).bearer_auth(KEY).header("traceparent", &parent);
        request.body(body.to_string()).send().await.unwrap().status().as_u16()
    };
    let messages = json!([{ "role": "user", "content": WORDS }]);
    assert_eq!(ask("chat/completions", json!({ "model": "writer", "messages": messages })).await, 200);
    assert_eq!(ask("embeddings", json!({ "model": "embed", "input": [WORDS] })).await, 200);
    vectors.fail_next(400);
    assert_eq!(ask("embeddings", json!({ "model": "embed", "input": [WORDS] })).await, 400);
    server.abort();
}

fn plain(value: Any) -> Value {
    match value {
        Any::StringValue(text) => text.into(),
        Any::BoolValue(yes) => yes.into(),
        Any::IntValue(number) => number.into(),
        Any::DoubleValue(number) => number.into(),
        Any::ArrayValue(list) => list.values.into_iter().filter_map(|one| one.value).map(plain).collect(),
        other => panic!("an attribute is {other:?}"),
    }
}

fn attributes(span: &Span) -> BTreeMap<String, Value> {
    let value = |any: &opentelemetry_proto::tonic::common::v1::AnyValue| any.value.clone().map(plain);
    span.attributes
        .iter()
        .map(|one| (one.key.clone(), one.value.as_ref().and_then(value).unwrap_or_default()))
        .collect()
}

fn assert_holds(span: &Span, expected: &Value) {
    let found = attributes(span);
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(found.get(key).unwrap_or(&Value::Null), value, "{key} of {}: {found:#?}", span.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_arrive_at_an_otlp_receiver() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let received = Received::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new()
        .route("/v1/traces", axum::routing::post(receive))
        .with_state(Arc::clone(&received));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let traces = Traces {
        endpoint: Some(format!("http://{address}/")),
        headers: [("authorization".to_owned(), "Basic secret".into())].into(),
        version: "1.2.3".into(),
    };
    let logs =
        Logs { format: Format::Text, filter: "off", mask: Arc::new(str::to_owned), without: trace::TARGET };
    toryo_telemetry::start(logs, Some(&traces)).unwrap();

    let caller = caller();
    agents_call(&caller).await;
    assert!(clients_call(Answer::text(WORDS)).await);
    assert!(!clients_call(Answer::Fail(ProviderError::ContentPolicy { message: WORDS.into() })).await);
    calls_over_http().await;
    tokio::task::spawn_blocking(toryo_telemetry::finish).await.unwrap();
    server.abort();

    let mut spans: Vec<Span> = Vec::new();
    for (headers, body) in received.lock().unwrap().iter() {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        assert_eq!(headers["authorization"], "Basic secret");
        assert!(!body.windows(WORDS.len()).any(|bytes| bytes == WORDS.as_bytes()), "a span holds words");
        for resource in ExportTraceServiceRequest::decode(body.clone()).unwrap().resource_spans {
            let about = format!("{:?}", resource.resource);
            assert!(about.contains("toryo") && about.contains("1.2.3"), "{about}");
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let of = |parent: &[u8]| spans.iter().filter(|span| span.parent_span_id == parent).collect::<Vec<_>>();
    let [agent, client, refused] = of(&[])[..] else { panic!("{spans:#?}") };

    let [failed, answered] = of(&agent.span_id)[..] else { panic!("{spans:#?}") };
    let step = json!({
        "toryo.run": caller.run_id.to_string(), "toryo.step": "code:parse-dates", "toryo.agent": "coder",
        "toryo.route": "coder", "gen_ai.operation.name": "chat",
    });
    for span in [agent, failed, answered] {
        assert_holds(span, &step);
        assert_eq!(span.trace_id, agent.trace_id);
    }
    assert_eq!((agent.name.as_str(), agent.kind()), ("chat coder", SpanKind::Internal));
    assert_holds(
        agent,
        &json!({
            "gen_ai.request.model": "coder", "gen_ai.response.model": "gpt-4.1", "toryo.attempts": 2,
            "toryo.cost_usd": 0.00012, "error.type": null, "gen_ai.usage.input_tokens": null,
            "gen_ai.usage.output_tokens": null,
        }),
    );
    assert_eq!((failed.name.as_str(), failed.kind()), ("chat gpt-4.1", SpanKind::Client));
    assert_holds(
        failed,
        &json!({"error.type": "unavailable", "toryo.attempt": 1, "gen_ai.usage.input_tokens": null}),
    );
    assert_eq!(failed.status.as_ref().map(|status| status.code()), Some(StatusCode::Error));
    assert_holds(
        answered,
        &json!({
            "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4.1", "gen_ai.response.model": "fake",
            "gen_ai.request.max_tokens": 1000, "gen_ai.request.temperature": 0.5, "gen_ai.output.type": "json",
            "gen_ai.response.finish_reasons": ["stop"], "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 10, "server.address": "api.openai.com", "server.port": 443,
            "toryo.attempt": 2, "toryo.stream": false, "error.type": null,
        }),
    );

    let [streamed] = of(&client.span_id)[..] else { panic!("{spans:#?}") };
    assert_holds(
        streamed,
        &json!({
            "gen_ai.request.max_tokens": 50, "gen_ai.request.temperature": 0.25, "gen_ai.request.seed": 7,
            "gen_ai.output.type": "text", "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10, "toryo.stream": true,
            "toryo.region": "us", "toryo.deployment": "openai/gpt-4.1@us", "toryo.run": null, "error.type": null,
        }),
    );
    let [chat, embedded, failed] = of(&CLIENT.1)[..] else { panic!("{spans:#?}") };
    let below = |span: &Span| of(&span.span_id).into_iter().cloned().collect::<Vec<_>>();
    for span in [chat, embedded, failed] {
        assert_eq!((span.trace_id.as_slice(), below(span).len()), (&CLIENT.0[..], 1), "{}", span.name);
        assert_eq!(below(span)[0].trace_id, CLIENT.0);
    }
    assert_eq!((chat.name.as_str(), embedded.name.as_str()), ("chat writer", "embeddings embed"));
    let operation = json!({"gen_ai.operation.name": "embeddings", "toryo.route": "embed"});
    assert_holds(embedded, &operation);
    assert_holds(
        embedded,
        &json!({"gen_ai.response.model": "small", "toryo.attempts": 1, "error.type": null}),
    );
    let request = &below(embedded)[0];
    assert_eq!((request.name.as_str(), request.kind()), ("embeddings small", SpanKind::Client));
    assert_holds(request, &operation);
    assert_holds(
        request,
        &json!({
            "gen_ai.provider.name": "openai", "gen_ai.request.model": "small", "server.address": "127.0.0.1",
            "toryo.deployment": "v/small", "error.type": null,
        }),
    );
    let (tokens, cost) = (
        attributes(request)["gen_ai.usage.input_tokens"].as_f64().unwrap(),
        attributes(embedded)["toryo.cost_usd"].as_f64().unwrap(),
    );
    assert!(tokens > 0.0 && (cost - tokens / 1e6).abs() < 1e-12, "{tokens} {cost}");
    assert_holds(failed, &json!({"error.type": "rejected", "toryo.cost_usd": null}));
    assert_holds(&below(failed)[0], &json!({"error.type": "rejected", "gen_ai.usage.input_tokens": null}));

    assert_holds(
        refused,
        &json!({"error.type": "content_policy", "toryo.attempts": 1, "toryo.cost_usd": null}),
    );
}
