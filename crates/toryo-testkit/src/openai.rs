//! A model provider for tests: it speaks OpenAI's chat completions over HTTP, answers from a [`Script`], and is
//! strict about the protocol, as the real one is.
//!
//! A request that breaks the protocol gets a 400 of OpenAI's shape *and* is remembered: the server panics when it
//! is dropped, so that the test fails even where the client under test recovered from the 400.
//!
//! It does **not** look at the answers it is told to give: wrong ones are what many tests are about.

mod answer;
mod check;
mod recorded;
mod script;
mod serve;
mod wire;

pub use answer::{Answer, Gate, Usage};
pub use check::{OUTPUT_NAMES, REQUIRED_HEADERS};
pub use recorded::SeenRequest;
pub use script::Script;

use recorded::State;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The key that the server accepts.
pub const API_KEY: &str = "test-key-51f0c8";

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub struct ScriptedModel {
    base_url: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl ScriptedModel {
    /// Starts on a free port of the loopback interface.
    ///
    /// # Panics
    /// Where no port can be bound.
    pub async fn start(script: Script) -> Self {
        let state = Arc::new(State::new(script));
        let (port, task) = serve::start(Arc::clone(&state)).await;
        Self { base_url: format!("http://127.0.0.1:{port}/v1"), state, task }
    }

    /// What a client is configured with, such as `http://127.0.0.1:40001/v1`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Every request that reached an answer of the script, oldest first, those answered with a failure included.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.state.requests()
    }

    /// The requests of one step, oldest first.
    #[must_use]
    pub fn requests_of(&self, step: &str) -> Vec<SeenRequest> {
        self.requests().into_iter().filter(|request| request.step == step).collect()
    }

    /// Requests that were answered in full more than once: each would be paid twice.
    #[must_use]
    pub fn paid_twice(&self) -> Vec<SeenRequest> {
        self.state.paid_twice()
    }

    /// What clients did wrong so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.state.violations()
    }

    /// Forgets the violations so far and returns them: for tests of what a wrong client sees.
    pub fn take_violations(&self) -> Vec<String> {
        self.state.take_violations()
    }

    /// Answers of the script that nobody asked for, as `step (call n)`.
    #[must_use]
    pub fn unused(&self) -> Vec<String> {
        self.state.unused()
    }

    /// Requests whose client went away before the answer was complete.
    #[must_use]
    pub fn abandoned(&self) -> usize {
        self.state.abandoned()
    }

    /// Waits until that many requests have come in.
    ///
    /// # Panics
    /// After ten seconds.
    pub async fn until_requests(&self, count: usize) {
        self.state.until("requests", || self.state.requests().len() >= count).await;
    }

    /// Waits until that many clients went away before their answer was complete.
    ///
    /// # Panics
    /// After ten seconds.
    pub async fn until_abandoned(&self, count: usize) {
        self.state.until("abandoned requests", || self.state.abandoned() >= count).await;
    }

    /// Checks that no client broke the protocol and that every answer of the script was asked for.
    ///
    /// # Panics
    /// Where that is not so.
    pub fn assert_clean(&self) {
        let (violations, unused) = (self.violations(), self.unused());
        assert!(violations.is_empty(), "the model's clients broke the protocol: {violations:#?}");
        assert!(unused.is_empty(), "the script has answers that nobody asked for: {unused:?}");
    }
}

impl Drop for ScriptedModel {
    fn drop(&mut self) {
        self.task.abort();
        let violations = self.violations();
        // A second panic would abort the process and hide the first.
        if !std::thread::panicking() {
            assert!(violations.is_empty(), "the model's clients broke the protocol: {violations:#?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    /// Sends one request over a plain socket and returns status line, headers and body as one text.
    async fn send(server: &ScriptedModel, method: &str, path: &str, headers: &str, body: &str) -> String {
        let address = server.base_url().trim_start_matches("http://").trim_end_matches("/v1");
        let mut socket = TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\
             {headers}\r\n{body}"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn headers() -> String {
        format!(
            "authorization: Bearer {API_KEY}\r\nx-toryo-run: r\r\nx-toryo-step: plan\r\nx-toryo-agent: planner\r\n"
        )
    }

    fn request(stream: bool) -> String {
        let schema =
            json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false});
        json!({
            "model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": stream,
            "stream_options": {"include_usage": true},
            "response_format": {"type": "json_schema",
                "json_schema": {"name": "plan", "strict": true, "schema": schema}}
        })
        .to_string()
    }

    async fn post(server: &ScriptedModel, headers: &str, body: &str) -> String {
        send(server, "POST", "/v1/chat/completions", headers, body).await
    }

    #[tokio::test]
    async fn a_request_gets_its_steps_answers_in_order_and_is_remembered() {
        let script = Script::new()
            .on("plan", Answer::rate_limited("7"))
            .on("plan", Answer::json(&json!({"a": 1})))
            .on("spec", Answer::text("never asked for"));
        let server = ScriptedModel::start(script).await;
        let first = post(&server, &headers(), &request(false)).await;
        assert!(first.starts_with("HTTP/1.1 429") && first.contains("retry-after: 7\r\n"), "{first}");
        let second = post(&server, &headers(), &request(false)).await;
        let body: Value = serde_json::from_str(second.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(body["choices"][0]["message"]["content"], r#"{"a":1}"#);
        assert_eq!(body["usage"]["total_tokens"], 1100);
        let seen = server.requests_of("plan");
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].output.as_str(), seen[0].prompt().as_str()), ("plan", "hello"));
        assert_eq!(server.unused(), ["spec (call 1)"]);
        assert!(server.paid_twice().is_empty(), "the first answer was not paid");
    }

    #[tokio::test]
    async fn the_same_question_answered_twice_is_paid_twice() {
        let server = ScriptedModel::start(Script::new().otherwise(|_, _| Some(Answer::text("x")))).await;
        for _ in 0..2 {
            post(&server, &headers(), &request(false)).await;
        }
        assert_eq!(server.paid_twice().len(), 1);
        post(&server, &headers().replace("run: r", "run: s"), &request(false)).await;
        assert_eq!(server.paid_twice().len(), 1, "another run pays for itself");
    }

    #[tokio::test]
    async fn a_stream_carries_the_whole_text_the_usage_and_the_end() {
        let text = "a text of more than sixteen characters";
        let server = ScriptedModel::start(Script::new().on("plan", Answer::text(text))).await;
        let answer = post(&server, &headers(), &request(true)).await;
        let events = answer.lines().filter_map(|line| line.strip_prefix("data: "));
        let chunks: Vec<Value> = events.filter_map(|data| serde_json::from_str(data).ok()).collect();
        let pieces = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
        assert_eq!(pieces.collect::<String>(), text);
        assert_eq!(chunks.last().unwrap()["usage"]["prompt_tokens"], 1000);
        assert!(answer.contains("data: [DONE]"), "{answer}");
    }

    #[tokio::test]
    async fn what_breaks_the_protocol_is_refused_and_remembered() {
        let server = ScriptedModel::start(Script::new()).await;
        let good = request(false);
        for (headers, body) in [
            (headers().replace("x-toryo-run", "x-other"), good.as_str()),
            (headers().replace("planner", " "), &good),
            (headers() + "x-toryo-run: again\r\n", &good),
            (headers(), "{"),
            (headers(), &good.replace("\"strict\":true", "\"strict\":false")),
            (headers(), &good),
        ] {
            let answer = post(&server, &headers, body).await;
            assert!(
                answer.starts_with("HTTP/1.1 400") && answer.contains("invalid_request_error"),
                "{answer}"
            );
        }
        let keyless = post(&server, &headers().replace("Bearer ", ""), &good).await;
        assert!(keyless.starts_with("HTTP/1.1 401"), "{keyless}");
        let lost = send(&server, "GET", "/v2/poems", &headers(), "").await;
        assert!(lost.starts_with("HTTP/1.1 404"), "{lost}");
        insta::assert_snapshot!(server.take_violations().join("\n"));
    }

    #[tokio::test]
    async fn a_wrong_key_is_refused_and_no_violation() {
        let server = ScriptedModel::start(Script::new()).await;
        let answer = send(&server, "GET", "/v1/models", "authorization: Bearer nonsense\r\n", "").await;
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("invalid_api_key"), "{answer}");
        let answer = send(&server, "GET", "/v1/models", &headers(), "").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"scripted\""), "{answer}");
        server.assert_clean();
    }

    #[tokio::test]
    async fn a_violation_fails_the_test_that_drops_the_server() {
        let server = ScriptedModel::start(Script::new()).await;
        post(&server, &headers(), "{").await;
        let dropped = tokio::task::spawn_blocking(move || {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(server)))
        });
        assert!(dropped.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_held_answer_waits_for_its_gate_and_notices_who_leaves() {
        let gate = Gate::new();
        let script = Script::new()
            .on("plan", Answer::text("late").held_by(&gate))
            .on("plan", Answer::text("later").held_by(&gate));
        let server = ScriptedModel::start(script).await;
        let (head, body) = (headers(), request(false));
        tokio::select! {
            _ = post(&server, &head, &body) => panic!("the gate is closed"),
            () = server.until_requests(1) => {}
        }
        server.until_abandoned(1).await;
        let (answer, ()) = tokio::join!(post(&server, &head, &body), async {
            server.until_requests(2).await;
            gate.open();
        });
        assert!(answer.contains("later"), "{answer}");
        assert_eq!(server.abandoned(), 1);
    }

    #[tokio::test]
    async fn half_an_answer_comes_at_once() {
        let gate = Gate::new();
        let script = Script::new()
            .on("plan", Answer::text("slow").slowed_by(&gate))
            .on("plan", Answer::text("broken").breaking_off());
        let server = ScriptedModel::start(script).await;
        let (body, head) = (request(false), headers());
        let (slow, ()) = tokio::join!(post(&server, &head, &body), async {
            server.until_requests(1).await;
            assert!(server.paid_twice().is_empty());
            gate.open();
        });
        assert!(slow.contains("slow") && slow.contains("total_tokens"), "{slow}");
        let broken = post(&server, &head, &body).await;
        assert!(!broken.contains("total_tokens"), "{broken}");
        assert_eq!(server.requests().len(), 2);
    }
}
