//! What the router answers before anything is read from the database: problems, guards, headers, documents. No server
//! is needed; one that is asked for all the same answers 503 after the time limit.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use toryo_api::{
    App, Check, Config, IndexError, Indexer, Ports, Readiness, RepositoryCheck, RepositoryError, openapi,
    router,
};
use toryo_blackboard::{Db, MemoryBlobs, Repo};
use toryo_bus::{Bus, Subjects};
use toryo_engine::Engine;
use tower::ServiceExt;

struct Fake;

#[async_trait]
impl RepositoryCheck for Fake {
    async fn check(&self, repo_url: &str, base_branch: Option<&str>) -> Result<(), RepositoryError> {
        match (repo_url, base_branch) {
            ("/nowhere", _) => Err(RepositoryError::Refused("there is no repository at `/nowhere`".into())),
            ("/away", _) => Err(RepositoryError::Unavailable("the forge does not answer".into())),
            (_, Some("nothing")) => Err(RepositoryError::NoBranch("there is no branch `nothing`".into())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Indexer for Fake {
    async fn start(&self, _: &Repo) -> Result<(), IndexError> {
        Ok(())
    }
}

#[async_trait]
impl Readiness for Fake {
    async fn checks(&self) -> Vec<Check> {
        let check = |name: &str, ok, required| Check { name: name.into(), ok, required, detail: None };
        vec![check("queue", true, true), check("sandbox", false, false), check("database", false, true)]
    }
}

async fn served() -> Router {
    // Port 9 is that of the discard service, which nobody runs: both clients go on trying in the background.
    let db = Db::lazy("postgres://toryo@127.0.0.1:9/toryo", 2).unwrap();
    let bus = Bus::connect("nats://127.0.0.1:9", Subjects::new("test").unwrap()).await.unwrap();
    let engine = Engine::new(db, bus, toryo_engine::Config::default());
    let fake = Arc::new(Fake);
    let ports = Ports {
        repositories: fake.clone(),
        indexer: fake.clone(),
        replayer: None,
        readiness: fake,
        agents: Arc::new([]),
    };
    let config = Config { timeout_seconds: 1, max_body_bytes: 100_000, ..Config::default() };
    router(App::new(engine, Arc::new(MemoryBlobs::default()), ports, config))
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 10_000_000).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(bytes.to_vec()).unwrap() }
}

fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "localhost:8080")
}

async fn get(router: &Router, path: &str) -> Answer {
    ask(router, request(Method::GET, path).body(Body::empty()).unwrap()).await
}

async fn post(router: &Router, path: &str, body: impl Into<Body>) -> Answer {
    let request = request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
    ask(router, request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let router = served().await;
    let task = |goal: &str| json!({ "repo_url": "/srv/git/a", "goal": goal }).to_string();
    let plain =
        request(Method::POST, "/tasks").header(header::CONTENT_TYPE, "text/plain").body(Body::from("goal=x"));
    let untyped = request(Method::POST, "/tasks").body(Body::from("{}"));
    let keyed = request(Method::POST, "/tasks")
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", "two words")
        .body(Body::from(task("g")));
    let answers = [
        ("an unknown route", get(&router, "/v1/models").await),
        ("no id", get(&router, "/runs/last").await),
        ("another method", ask(&router, request(Method::DELETE, "/runs").body(Body::empty()).unwrap()).await),
        ("no JSON", post(&router, "/tasks", "{\"goal\":").await),
        ("no body", post(&router, "/tasks", "").await),
        ("text", ask(&router, plain.unwrap()).await),
        ("no type", ask(&router, untyped.unwrap()).await),
        ("a large body", post(&router, "/tasks", "x".repeat(100_001)).await),
        ("an unknown field", post(&router, "/tasks", r#"{"repo_url":"a","goal":"g","x":1}"#).await),
        ("a missing field", post(&router, "/tasks", r#"{"repo_url":"a"}"#).await),
        ("a bare goal", post(&router, "/tasks", task(" \n ")).await),
        ("a long goal", post(&router, "/tasks", task(&"x".repeat(65_537))).await),
        ("no repository", post(&router, "/tasks", r#"{"repo_url":"/nowhere","goal":"g"}"#).await),
        (
            "no branch",
            post(&router, "/tasks", r#"{"repo_url":"/a","goal":"g","base_branch":"nothing"}"#).await,
        ),
        ("a forge that is away", post(&router, "/tasks", r#"{"repo_url":"/away","goal":"g"}"#).await),
        ("a bad key", ask(&router, keyed.unwrap()).await),
        ("a bad status", get(&router, "/runs?status=done").await),
        ("a bad time", get(&router, "/runs?since=yesterday").await),
        ("an unknown parameter", get(&router, "/runs?colour=red").await),
        ("a bad limit and cursor", get(&router, "/runs?limit=0&cursor=x").await),
        (
            "a bad step key",
            post(&router, "/runs/0190a000-0000-7000-8000-000000000000/retry", r#"{"step_key":"x"}"#).await,
        ),
        (
            "a blank message",
            post(&router, "/runs/0190a000-0000-7000-8000-000000000000/messages", r#"{"body":" "}"#).await,
        ),
        ("a blank fork", post(&router, &of_run("forks"), "{}").await),
        ("a fork at no step", post(&router, &of_run("forks"), r#"{"at":"nothing"}"#).await),
        (
            "a fork with a nameless route",
            post(&router, &of_run("forks"), r#"{"at":"code:a","routes":{"":"x"},"prompts":{"code":""}}"#)
                .await,
        ),
        ("an unknown reason", post(&router, &of_run("pause"), r#"{"why":"lunch"}"#).await),
        (
            "limits beyond the operator's",
            ask(&router, patch(&of_run("limits"), r#"{"usd":1e9,"tokens":0,"minutes":999999999}"#)).await,
        ),
        ("negative limits", ask(&router, patch(&of_run("limits"), r#"{"minutes":-1}"#)).await),
        ("new limits that are a list", post(&router, &of_run("resume"), r#"{"limits":[1,2,3,4]}"#).await),
        (
            "new limits beyond the operator's",
            post(&router, &of_run("resume"), r#"{"limits":{"tokens":0}}"#).await,
        ),
        (
            "a step and a step to go back to",
            post(&router, &of_run("retry"), r#"{"step_key":"code:a","from":"code:a"}"#).await,
        ),
        ("an unknown gate", post(&router, &of_run("approve"), r#"{"gate":"garden"}"#).await),
        ("a round below nothing", post(&router, &of_run("reject"), r#"{"round":-1}"#).await),
        (
            "a long comment",
            post(&router, &of_run("reject"), json!({ "comment": "x".repeat(20_000) }).to_string()).await,
        ),
        ("no dead letter", post(&router, "/dead-letters/last/replay", "").await),
        ("a bad limit of dead letters", get(&router, "/dead-letters?limit=0").await),
        (
            "a tenant without a name",
            ask(&router, put("/tenants", r#"{"name":" ","max_steps":1000000}"#)).await,
        ),
        ("a limit below nothing", ask(&router, put("/tenants", r#"{"name":"local","max_steps":-1}"#)).await),
        (
            "a repository's limit that is a word",
            ask(&router, put("/repos", r#"{"url":"/a","settings":{"max_steps":"three"}}"#)).await,
        ),
        ("no settings", ask(&router, put("/repos", r#"{"url":"/nowhere","settings":[]}"#)).await),
        ("no repository to register", ask(&router, put("/repos", r#"{"url":"/nowhere"}"#)).await),
    ];
    let mut table = String::new();
    for (what, answer) in answers {
        assert_eq!(
            answer.header(header::CONTENT_TYPE),
            "application/problem+json",
            "{what}: {}",
            answer.body
        );
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status.as_u16(), "{what}");
        let detail = problem["detail"].as_str().unwrap();
        table.push_str(&format!(
            "{what}: {} {}\n  {detail}\n",
            answer.status.as_u16(),
            problem["type"].as_str().unwrap()
        ));
        for error in problem["errors"].as_array().into_iter().flatten() {
            table.push_str(&format!("  - {} {}\n", error["pointer"], error["detail"].as_str().unwrap()));
        }
    }
    insta::assert_snapshot!(table);
}

/// A route of a run that is not there.
fn of_run(route: &str) -> String {
    format!("/runs/0190a000-0000-7000-8000-000000000000/{route}")
}

fn put(path: &str, body: &'static str) -> Request<Body> {
    with_body(Method::PUT, path, body)
}

fn patch(path: &str, body: &'static str) -> Request<Body> {
    with_body(Method::PATCH, path, body)
}

fn with_body(method: Method, path: &str, body: &'static str) -> Request<Body> {
    request(method, path).header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn another_method_names_those_there_are() {
    let answer = ask(&served().await, request(Method::DELETE, "/tasks").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    let allow: BTreeSet<&str> = answer.header(header::ALLOW).split(',').map(str::trim).collect();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow:?}");
}

#[tokio::test]
async fn foreign_names_and_foreign_pages_are_refused() {
    let router = served().await;
    let with = |method: Method, path: &str, pairs: &[(&str, &str)]| {
        let mut builder = Request::builder().method(method).uri(path);
        for (name, value) in pairs {
            builder = builder.header(*name, *value);
        }
        builder.body(Body::from("{}")).unwrap()
    };
    let json = ("content-type", "application/json");
    let cases = [
        (with(Method::GET, "/docs", &[("host", "evil.example")]), 421),
        (with(Method::GET, "/docs", &[]), 421),
        (with(Method::GET, "/health", &[("host", "10.0.0.7:8080")]), 200),
        (with(Method::GET, "/docs", &[("host", "127.0.0.1:8080")]), 200),
        (with(Method::POST, "/tasks", &[("host", "localhost"), json, ("sec-fetch-site", "cross-site")]), 403),
        (
            with(Method::POST, "/tasks", &[("host", "localhost"), json, ("origin", "https://evil.example")]),
            403,
        ),
        (with(Method::POST, "/tasks", &[("host", "localhost"), json, ("origin", "http://localhost")]), 422),
        (
            with(
                Method::POST,
                "/tasks",
                &[("host", "localhost"), ("content-type", "application/x-www-form-urlencoded")],
            ),
            415,
        ),
    ];
    for (request, status) in cases {
        let what = format!("{request:?}");
        assert_eq!(ask(&router, request).await.status.as_u16(), status, "{what}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let router = served().await;
    for path in ["/docs", "/health", "/nothing", "/runs?limit=0", "/problems/not-found"] {
        let answer = get(&router, path).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert_eq!(answer.header(header::REFERRER_POLICY), "no-referrer", "{path}");
        assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{path}");
    }
}

#[tokio::test]
async fn readiness_hangs_on_what_is_required() {
    let answer = get(&served().await, "/ready").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    insta::assert_json_snapshot!(answer.json());
}

#[tokio::test]
async fn a_database_that_is_away_is_a_problem_without_its_cause() {
    let answer = get(&served().await, "/runs").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.body.contains("127.0.0.1") && !answer.body.contains("postgres"), "{}", answer.body);
    assert_eq!(answer.header(header::RETRY_AFTER), "5");
}

#[tokio::test]
async fn browsers_get_pages_for_what_is_not_there() {
    let request =
        request(Method::GET, "/nowhere").header(header::ACCEPT, "text/html,*/*").body(Body::empty());
    let answer = ask(&served().await, request.unwrap()).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.body.starts_with("<!DOCTYPE html>"), "{}", answer.body);
}

#[tokio::test]
async fn pages_use_assets_that_are_kept_for_ever() {
    let router = served().await;
    for (page, count) in [("/docs", 4), ("/ui/usage", 5)] {
        let page = get(&router, page).await.body;
        let assets: Vec<&str> = page.split('"').filter(|text| text.starts_with("/assets/")).collect();
        assert_eq!(assets.len(), count, "{assets:?}");
        for path in assets {
            let answer = get(&router, path).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            assert!(answer.header(header::CACHE_CONTROL).contains("immutable"), "{path}");
            assert!(!answer.body.contains("http://") || path.ends_with(".svg"), "{path} names another site");
        }
        assert!(!page.contains("https://") && !page.contains("http://"), "the page names another site");
    }
    assert_eq!(get(&router, "/assets/toryo-000000000000.css").await.status, StatusCode::NOT_FOUND);
}

/// The routes of the contract.
const ROUTES: &[&str] = &[
    "DELETE /budgets/{id}",
    "DELETE /dead-letters/{id}",
    "DELETE /keys/{id}",
    "DELETE /teams/{id}",
    "DELETE /teams/{id}/members/{user}",
    "DELETE /users/{id}",
    "GET /agents",
    "GET /artifacts/{id}",
    "GET /budgets",
    "GET /dead-letters",
    "GET /health",
    "GET /keys",
    "GET /keys/{id}",
    "GET /metrics",
    "GET /organisations",
    "GET /ready",
    "GET /repos",
    "GET /repos/{id}",
    "GET /runs",
    "GET /runs/{id}",
    "GET /runs/{id}/artifacts",
    "GET /runs/{id}/diff",
    "GET /runs/{id}/events",
    "GET /runs/{id}/forks",
    "GET /runs/{id}/steps",
    "GET /runs/{id}/stream",
    "GET /tasks",
    "GET /tasks/{id}",
    "GET /teams",
    "GET /teams/{id}",
    "GET /tenants",
    "GET /usage",
    "GET /usage/analysis",
    "GET /usage/calls/{id}/words",
    "GET /users",
    "PATCH /keys/{id}",
    "PATCH /organisations/{id}",
    "PATCH /runs/{id}/limits",
    "PATCH /teams/{id}",
    "PATCH /users/{id}",
    "POST /dead-letters/{id}/replay",
    "POST /keys",
    "POST /keys/{id}/rotate",
    "POST /organisations",
    "POST /repos/{id}/index",
    "POST /runs/{id}/approve",
    "POST /runs/{id}/cancel",
    "POST /runs/{id}/forks",
    "POST /runs/{id}/messages",
    "POST /runs/{id}/pause",
    "POST /runs/{id}/reject",
    "POST /runs/{id}/replay",
    "POST /runs/{id}/resume",
    "POST /runs/{id}/retry",
    "POST /tasks",
    "POST /team/new",
    "POST /teams",
    "POST /users",
    "PUT /budgets",
    "PUT /repos",
    "PUT /repos/{id}",
    "PUT /teams/{id}/members",
    "PUT /tenants",
];

const ID: &str = "0190a000-0000-7000-8000-000000000000";

#[tokio::test]
async fn openapi_lists_every_route_and_every_listed_route_is_served() {
    let router = served().await;
    let document = get(&router, "/openapi.json").await.json();
    assert_eq!(document, serde_json::to_value(openapi()).unwrap());
    let mut listed = BTreeSet::new();
    let mut calls = vec![];
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            let address = path.replace("{id}", ID).replace("{user}", ID);
            let call =
                request(method.parse().unwrap(), &address).header(header::CONTENT_TYPE, "application/json");
            calls.push((format!("{method} {path}"), call.body(Body::from("{}")).unwrap()));
            listed.insert(format!("{method} {path}"));
        }
    }
    assert_eq!(listed, ROUTES.iter().map(|route| (*route).to_owned()).collect());
    let served = calls.into_iter().map(|(route, call)| {
        let router = router.clone();
        async move { (route, ask(&router, call).await) }
    });
    for (route, answer) in futures::future::join_all(served).await {
        assert!(!matches!(answer.status.as_u16(), 404 | 405), "{route}: {}", answer.status);
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = serde_json::to_value(openapi()).unwrap();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
