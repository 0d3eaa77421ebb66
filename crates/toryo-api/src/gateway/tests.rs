//! The face alone: a door that lets one key in and remembers what came.

use super::{Caller, Door, router};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use toryo_domain::{Priority, Usd};
use toryo_models::allowance::RateLimits;
use toryo_models::dialect::embeddings::{EmbeddingAnswer, EmbeddingQuestion};
use toryo_models::dialect::{Refused, RefusedKind};
use toryo_models::front::{About, Body as Answer, Listed, Options, Served};
use toryo_models::inbound::{Dialect, Inbound};
use toryo_models::ledger::CacheState;
use tower::ServiceExt;

const LIMIT: usize = 1000;

#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<(Inbound, Options)>>,
    refuses: Mutex<Option<Refused>>,
}

struct Known(Arc<Fake>);

#[async_trait]
impl Door for Arc<Fake> {
    async fn enter(&self, secret: &str) -> Result<Arc<dyn Caller>, Refused> {
        if secret == "tk-good" {
            return Ok(Arc::new(Known(Self::clone(self))));
        }
        Err(Refused::new(RefusedKind::KeyRefused, "the key is not known"))
    }
}

fn about() -> About {
    About {
        call: "0198f2b0-0000-7000-8000-000000000007".parse().unwrap(),
        deployment: "openai/big".into(),
        cost: Some(Usd::from_nanos(1_002_000_003)),
        cache: CacheState::None,
        guardrail: None,
    }
}

#[async_trait]
impl Caller for Known {
    async fn ask(&self, inbound: Inbound, options: &Options) -> Result<Served, Refused> {
        if let Some(refused) = self.0.refuses.lock().unwrap().clone() {
            return Err(refused);
        }
        let stream = inbound.head.stream;
        self.0.asked.lock().unwrap().push((inbound, options.clone()));
        let body = if stream {
            let frames = ["data: 1\n\n", "data: 2\n\n"].map(|frame| Bytes::from_static(frame.as_bytes()));
            Answer::Events(futures::stream::iter(frames).boxed())
        } else {
            Answer::Whole(Bytes::from_static(b"{\"the\":\"answer\"}"))
        };
        let cost = about().cost.filter(|_| !stream);
        Ok(Served { about: About { cost, ..about() }, body })
    }

    async fn count_tokens(&self, body: Bytes) -> Result<u64, Refused> {
        Ok(body.len() as u64)
    }

    fn rate_limits(&self) -> RateLimits {
        RateLimits::default()
    }

    async fn embed(
        &self,
        question: EmbeddingQuestion,
        _: &Options,
    ) -> Result<(EmbeddingAnswer, About), Refused> {
        let vectors = question.texts.iter().map(|_| vec![0.5]).collect();
        Ok((EmbeddingAnswer { vectors, input_tokens: 2 }, about()))
    }

    fn routes(&self) -> Vec<Listed> {
        let listed = |alias: &str| Listed {
            alias: alias.into(),
            providers: vec!["bedrock".into(), "openai".into()],
            context_tokens: Some(1000),
            max_output_tokens: 100,
        };
        vec![listed("coder"), listed("light/fast")]
    }
}

fn face() -> (Arc<Fake>, Router) {
    let fake = Arc::new(Fake::default());
    let routes = router::<()>(Arc::new(Arc::clone(&fake)), LIMIT).with_state(());
    (fake, routes)
}

async fn send(routes: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let response = routes.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap())
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header("authorization", "Bearer tk-good");
    request.header("content-type", "application/json").body(body.into()).unwrap()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

const CHAT: &str = r#"{"model":"coder","messages":[{"role":"user","content":"x"}],"max_tokens":5}"#;

#[tokio::test]
async fn each_route_speaks_its_dialect() {
    let (fake, routes) = face();
    let input = r#"{"model":"coder","input":"x"}"#;
    for (path, body) in [("/v1/chat/completions", CHAT), ("/v1/messages", CHAT), ("/v1/responses", input)] {
        let (status, headers, answer) = send(&routes, post(path, body)).await;
        assert_eq!((status, answer.as_ref()), (StatusCode::OK, b"{\"the\":\"answer\"}".as_ref()));
        assert_eq!(header(&headers, "content-type"), "application/json");
        assert_eq!(header(&headers, "x-toryo-deployment"), "openai/big");
        assert_eq!(header(&headers, "x-toryo-cost-usd"), "1.002000003");
        assert_eq!(header(&headers, "x-toryo-cache"), "none");
        assert_eq!(header(&headers, "x-toryo-call-id"), about().call.to_string());
    }
    let dialects: Vec<_> = fake.asked.lock().unwrap().iter().map(|(inbound, _)| inbound.dialect).collect();
    assert_eq!(dialects, [Dialect::Completions, Dialect::Messages, Dialect::Responses]);
}

#[tokio::test]
async fn a_stream_is_passed_on_frame_by_frame() {
    let (_, routes) = face();
    let body = CHAT.replacen('{', "{\"stream\":true,", 1);
    let (status, headers, answer) = send(&routes, post("/v1/chat/completions", body)).await;
    assert_eq!((status, answer.as_ref()), (StatusCode::OK, b"data: 1\n\ndata: 2\n\n".as_ref()));
    assert_eq!(header(&headers, "content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(header(&headers, "x-toryo-cost-usd"), "", "nobody knows yet");
}

#[tokio::test]
async fn the_key_comes_in_either_header_and_before_the_body() {
    let (_, routes) = face();
    let ask = async |headers: &[(&'static str, &'static str)]| {
        let mut request = Request::post("/v1/messages");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // A body that never comes: who has no key is not asked for it.
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        tokio::time::timeout(Duration::from_secs(5), send(&routes, request.body(never).unwrap()))
            .await
            .unwrap()
    };
    for headers in [
        &[][..],
        &[("authorization", "Bearer tk-bad")],
        &[("authorization", "Basic tk-good")],
        &[("authorization", "Bearer ")],
        &[("x-api-key", "tk-bad")],
    ] {
        let (status, headers, body) = ask(headers).await;
        assert_eq!((status, header(&headers, "x-should-retry")), (StatusCode::UNAUTHORIZED, "false"));
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["type"], "authentication_error");
    }
    let request =
        Request::post("/v1/messages").header("x-api-key", "tk-good").body(Body::from(CHAT)).unwrap();
    assert_eq!(send(&routes, request).await.0, StatusCode::OK);
    let request = Request::post("/v1/messages").header("authorization", "bearer tk-good");
    assert_eq!(send(&routes, request.body(Body::from(CHAT)).unwrap()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn bodies_have_a_limit_whether_announced_or_not() {
    let (_, routes) = face();
    let long = CHAT.replace("\"x\"", &format!("{:?}", "x".repeat(LIMIT)));
    let (status, _, body) = send(&routes, post("/v1/messages", long.clone())).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(std::str::from_utf8(&body).unwrap().contains("request_too_large"));
    let parts = |text: &str, size: usize| {
        let parts: Vec<_> =
            text.as_bytes().chunks(size).map(|part| Ok::<_, std::io::Error>(part.to_vec())).collect();
        Body::from_stream(futures::stream::iter(parts))
    };
    let (status, _, _) = send(&routes, post("/v1/messages", parts(&long, 100))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, _, _) = send(&routes, post("/v1/messages", parts(CHAT, 7))).await;
    assert_eq!(status, StatusCode::OK);
    let mut packed = post("/v1/messages", CHAT);
    packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(send(&routes, packed).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn errors_speak_the_dialect_and_say_when_to_come_again() {
    let (fake, routes) = face();
    let (status, _, body) = send(&routes, post("/v1/chat/completions", "{\"model\":\"coder\"}")).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &body["error"]["param"]), (StatusCode::BAD_REQUEST, &Value::from("messages")));
    let limited = Refused {
        retry_after: Some(Duration::from_millis(1200)),
        ..Refused::new(RefusedKind::RateLimited, "slower")
    };
    *fake.refuses.lock().unwrap() = Some(limited);
    for (path, kind) in [("/v1/chat/completions", "rate_limit_error"), ("/v1/messages", "rate_limit_error")] {
        let (status, headers, body) = send(&routes, post(path, CHAT)).await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, &body["error"]["type"]), (StatusCode::TOO_MANY_REQUESTS, &Value::from(kind)));
        assert_eq!((header(&headers, "retry-after"), header(&headers, "retry-after-ms")), ("2", "1200"));
        assert_eq!(header(&headers, "x-should-retry"), "");
    }
    *fake.refuses.lock().unwrap() = Some(Refused::new(RefusedKind::OverBudget, "spent"));
    let (status, headers, _) = send(&routes, post("/v1/chat/completions", CHAT)).await;
    assert_eq!((status, header(&headers, "x-should-retry")), (StatusCode::TOO_MANY_REQUESTS, "false"));
    let (status, _, _) = send(&routes, Request::get("/v1/messages").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let (status, _, body) = send(&routes, post("/v1/messages/batches", CHAT)).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let text = "this gateway does not serve `/v1/messages/batches`";
    assert_eq!((status, &body["error"]["message"]), (StatusCode::NOT_FOUND, &Value::from(text)));
}

#[tokio::test]
async fn headers_say_what_the_body_cannot() {
    let (fake, routes) = face();
    let mut request = post("/v1/messages", CHAT);
    for (name, value) in [
        ("x-toryo-priority", "high"),
        ("x-toryo-tags", "eu, fast"),
        ("x-toryo-region", "eu-central-1"),
        ("cache-control", "no-cache, max-age=0"),
        ("x-toryo-complexity", "0.9"),
        ("x-toryo-work", "code_generation"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(send(&routes, request).await.0, StatusCode::OK);
    let (_, options) = fake.asked.lock().unwrap().pop().unwrap();
    assert_eq!((options.priority, options.complexity), (Priority::High, Some(0.9)));
    assert!(options.cache.no_cache && !options.cache.no_store);
    assert_eq!(
        (options.tags, options.region),
        (vec!["eu".into(), "fast".into()], Some("eu-central-1".into()))
    );
    for (name, value) in
        [("x-toryo-priority", "urgent"), ("x-toryo-complexity", "NaN"), ("x-toryo-complexity", "2")]
    {
        let mut request = post("/v1/messages", CHAT);
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(send(&routes, request).await.0, StatusCode::BAD_REQUEST, "{name}: {value}");
    }
}

#[tokio::test]
async fn models_are_the_routes_that_a_key_may_use() {
    let (_, routes) = face();
    let get = |path: &str| Request::get(path).header("x-api-key", "tk-good").body(Body::empty()).unwrap();
    let (status, _, list) = send(&routes, get("/v1/models")).await;
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(status, StatusCode::OK);
    insta::assert_json_snapshot!(list);
    let (_, _, one) = send(&routes, get("/v1/models/light/fast")).await;
    let one: Value = serde_json::from_slice(&one).unwrap();
    assert_eq!(one, list["data"][1]);
    let (status, _, body) = send(&routes, get("/v1/models/none")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(std::str::from_utf8(&body).unwrap().contains("model_not_found"));
    let (status, _, _) = send(&routes, Request::get("/v1/models").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn texts_become_vectors() {
    let (_, routes) = face();
    let body = r#"{"model":"embed","input":["a","b"],"encoding_format":"base64"}"#;
    let (status, headers, answer) = send(&routes, post("/v1/embeddings", body)).await;
    assert_eq!((status, header(&headers, "x-toryo-cost-usd")), (StatusCode::OK, "1.002000003"));
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(
        (&answer["data"][1]["embedding"], &answer["model"]),
        (&Value::from("AAAAPw=="), &Value::from("embed"))
    );
    let (status, _, _) = send(&routes, post("/v1/embeddings", r#"{"model":"embed","input":[1]}"#)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
