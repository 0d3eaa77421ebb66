//! A provider of embeddings for tests: it speaks OpenAI's `POST /v1/embeddings` over HTTP and is strict about it.
//!
//! A vector counts the words of its text, folded into a few dimensions: texts that share words are near each
//! other, equal texts have equal vectors.

use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use axum::{Router, http::Uri};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The key that the server accepts.
pub const API_KEY: &str = "test-key-e3a7d1";

/// Numbers of a vector.
pub const DIMENSIONS: u32 = 64;

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub struct EmbeddingServer {
    base_url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Texts that were embedded, in order.
    texts: Vec<String>,
    /// Statuses with which the next requests fail.
    failures: VecDeque<u16>,
    violations: Vec<String>,
}

impl EmbeddingServer {
    /// Starts on a free port of the loopback interface.
    ///
    /// # Panics
    /// Where no port can be bound.
    #[expect(clippy::expect_used, reason = "a test without its server cannot go on")]
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let routes = Router::new()
            .route("/v1/embeddings", post(embed))
            .fallback(unknown)
            .with_state(Arc::clone(&state));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        Self { base_url: format!("http://{address}/v1"), state, task }
    }

    /// What a client is configured with.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The texts that were embedded so far, in order; a text that was paid twice is there twice.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        lock(&self.state).texts.clone()
    }

    /// Fails the next request with this HTTP status.
    pub fn fail_next(&self, status: u16) {
        lock(&self.state).failures.push_back(status);
    }
}

impl Drop for EmbeddingServer {
    fn drop(&mut self) {
        self.task.abort();
        let violations = lock(&self.state).violations.clone();
        // A second panic would abort the process and hide the first.
        if !std::thread::panicking() {
            assert!(violations.is_empty(), "the client of embeddings broke the protocol: {violations:#?}");
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn unknown(Shared(state): Shared<Arc<Mutex<State>>>, uri: Uri) -> Response {
    lock(&state).violations.push(format!("{} is no route of the API", uri.path()));
    refuse(404, "unknown request URL")
}

async fn embed(Shared(state): Shared<Arc<Mutex<State>>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut state = lock(&state);
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if authorization.and_then(|value| value.strip_prefix("Bearer ")) != Some(API_KEY) {
        return refuse(401, "Incorrect API key provided.");
    }
    if let Some(status) = state.failures.pop_front() {
        return refuse(status, "scripted to fail");
    }
    match texts_of(&body) {
        Ok((model, texts)) => {
            let data: Vec<Value> = (texts.iter().enumerate())
                .map(
                    |(index, text)| json!({"object": "embedding", "index": index, "embedding": vector(text)}),
                )
                .collect();
            let tokens: usize = texts.iter().map(|text| text.len().div_ceil(4)).sum();
            state.texts.extend(texts);
            let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
            Json(json!({"object": "list", "model": model, "data": data, "usage": usage})).into_response()
        }
        Err(wrong) => {
            state.violations.push(wrong.clone());
            refuse(400, &wrong)
        }
    }
}

/// The model and the texts of a request that follows the protocol.
fn texts_of(body: &[u8]) -> Result<(String, Vec<String>), String> {
    let body: Value = serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
    let known = ["model", "input", "encoding_format", "dimensions", "user"];
    if let Some(field) =
        body.as_object().and_then(|body| body.keys().find(|key| !known.contains(&key.as_str())))
    {
        return Err(format!("unknown field `{field}`"));
    }
    let model = body["model"].as_str().ok_or("`model` is no text")?;
    let input = body["input"].as_array().ok_or("`input` is no list")?;
    if input.is_empty() || input.len() > 2_048 {
        return Err(format!("`input` has {} texts, not 1 to 2,048", input.len()));
    }
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let texts: Option<Vec<String>> = input.iter().map(text).collect();
    Ok((model.to_owned(), texts.ok_or("`input` holds something other than texts with content")?))
}

/// How often words fall into each of the dimensions; never all zero.
fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0_f32; DIMENSIONS as usize];
    vector[0] = 0.01;
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let hash =
            word.to_lowercase().bytes().fold(17_usize, |hash, byte| hash * 31 % 1_000_003 + byte as usize);
        vector[hash % DIMENSIONS as usize] += 1.0;
    }
    vector
}

fn refuse(status: u16, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({"error": {"message": message, "type": "invalid_request_error"}}))).into_response()
}
