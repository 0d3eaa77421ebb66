//! The HTTP side: routes, checks, and answers that wait, crawl or break off.

use super::answer::{Answer, Gate};
use super::recorded::{SeenRequest, State};
use super::wire::{self, Whole};
use super::{API_KEY, check};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use futures::{StreamExt, stream};
use serde_json::Value;
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const LARGEST_REQUEST: usize = 32 * 1024 * 1024;

#[expect(clippy::expect_used, reason = "a test without its server cannot go on")]
pub(super) async fn start(state: Arc<State>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    // Without it every streamed piece waits for the acknowledgement of the one before.
    let listener = listener.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    let routes = Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(models))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .with_state(state);
    let task = tokio::spawn(async move {
        let _ = axum::serve(listener, routes).await;
    });
    (port, task)
}

async fn models(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    refused_key(&state, &headers).unwrap_or_else(|| Json(wire::models()).into_response())
}

async fn unknown(Shared(state): Shared<Arc<State>>, method: Method, uri: Uri) -> Response {
    state.violation(format!("{method} {} is no route of the API", uri.path()));
    refuse(StatusCode::NOT_FOUND, "invalid_request_error", None, "Unknown request URL")
}

async fn complete(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refused) = refused_key(&state, &headers) {
        return refused;
    }
    let request = match read(&headers, &body) {
        Ok(request) => request,
        Err(wrong) => {
            state.violation(wrong.clone());
            return refuse(StatusCode::BAD_REQUEST, "invalid_request_error", None, &wrong);
        }
    };
    let body = request.body.clone();
    match state.take(request) {
        Ok((index, answer)) => send(state, index, &answer, &body).await,
        Err(missing) => refuse(StatusCode::BAD_REQUEST, "invalid_request_error", None, &missing),
    }
}

/// A missing key is a violation, a wrong one only refused: tests give wrong keys on purpose.
fn refused_key(state: &State, headers: &HeaderMap) -> Option<Response> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = given.and_then(|value| value.strip_prefix("Bearer "));
    if key.is_none() {
        state.violation("header authorization is not `Bearer KEY`");
    }
    if key == Some(API_KEY) {
        return None;
    }
    let message = format!("Incorrect API key provided: {}.", key.unwrap_or_default());
    Some(refuse(StatusCode::UNAUTHORIZED, "invalid_request_error", Some("invalid_api_key"), &message))
}

fn read(headers: &HeaderMap, body: &Bytes) -> Result<SeenRequest, String> {
    let [run, step, agent] = check::headers(headers)?;
    let body: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let output = check::body(&body).map_err(|wrong| format!("step `{step}`: {wrong}"))?;
    Ok(SeenRequest { run, step, agent, output, body })
}

fn refuse(status: StatusCode, kind: &str, code: Option<&str>, message: &str) -> Response {
    let body = wire::failure(kind, code, message);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Notices a client that goes away: the server drops what it was working on.
struct Watch {
    state: Arc<State>,
    done: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.done {
            self.state.client_went_away();
        }
    }
}

async fn send(state: Arc<State>, index: usize, answer: &Answer, request: &Value) -> Response {
    let whole = wire::whole(answer, request);
    let mut watch = Watch { state: Arc::clone(&state), done: false };
    let mut answer = answer;
    while let Answer::Held(gate, inner) = answer {
        gate.passed().await;
        answer = inner;
    }
    let body = match answer {
        Answer::SlowBody(gate, _) => {
            slow(gate.clone(), &whole.body, Receipt { watch, index: whole.paid.then_some(index) })
        }
        Answer::BreaksOff(_) => {
            watch.done = true;
            let (first, _) = halves(&whole.body);
            Body::from_stream(stream::iter([Ok(first), Err(io::Error::other("scripted to break off"))]))
        }
        Answer::Text { .. }
        | Answer::Refusal(_)
        | Answer::Failure { .. }
        | Answer::Raw { .. }
        | Answer::Held(..) => {
            watch.done = true;
            if whole.paid {
                state.paid(index);
            }
            Body::from(whole.body.clone())
        }
    };
    respond(&whole, body)
}

/// What is left to do when the last piece goes out.
struct Receipt {
    watch: Watch,
    index: Option<usize>,
}

impl Receipt {
    fn sign(mut self) {
        self.watch.done = true;
        if let Some(index) = self.index {
            self.watch.state.paid(index);
        }
    }
}

fn slow(gate: Gate, body: &str, receipt: Receipt) -> Body {
    let (first, second) = halves(body);
    let rest = stream::once(async move {
        gate.passed().await;
        receipt.sign();
        Ok::<_, io::Error>(second)
    });
    Body::from_stream(stream::iter([Ok(first)]).chain(rest))
}

fn halves(body: &str) -> (Bytes, Bytes) {
    let mut whole = Bytes::from(body.to_owned());
    let first = whole.split_to(whole.len() / 2);
    (first, whole)
}

#[expect(clippy::expect_used, reason = "a script with an impossible header is a mistake of the test")]
fn respond(whole: &Whole, body: Body) -> Response {
    let mut response =
        Response::builder().status(whole.status).header(header::CONTENT_TYPE, whole.content_type);
    if let Some(retry_after) = &whole.retry_after {
        response = response.header(header::RETRY_AFTER, retry_after);
    }
    response.body(body).expect("the script's status and headers are valid")
}
