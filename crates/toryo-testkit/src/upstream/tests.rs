//! The doubles are strict, and say what they were told to say.

use super::*;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends one request over a plain socket and returns what comes back until the connection ends or says nothing more.
async fn send(server: &Upstream, path: &str, headers: &str, body: &str) -> String {
    let address = server.base_url();
    let address = address.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let mut socket = TcpStream::connect(&address).await.unwrap();
    let length = body.len();
    let request =
        format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
    socket.write_all(request.as_bytes()).await.unwrap();
    // The server closes after this client does.
    socket.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const JSON: &str = "content-type: application/json\r\n";

fn openai_headers() -> String {
    format!("{JSON}authorization: Bearer {API_KEY}\r\n")
}

fn anthropic_headers() -> String {
    format!("{JSON}x-api-key: {API_KEY}\r\nanthropic-version: 2023-06-01\r\n")
}

fn aws_headers() -> String {
    let scope = format!("{ACCESS_KEY_ID}/20261121/eu-central-1/bedrock/aws4_request");
    let signature = "a".repeat(64);
    format!(
        "x-amz-date: 20261121T200000Z\r\nauthorization: AWS4-HMAC-SHA256 Credential={scope}, \
         SignedHeaders=host;x-amz-date, Signature={signature}\r\n"
    )
}

async fn violations(wire: Wire, path: &str, requests: &[(String, serde_json::Value)]) -> String {
    let server = Upstream::start(wire, [Reply::Says(Said::text("never"))]).await;
    for (headers, body) in requests {
        let answer = send(&server, path, headers, &body.to_string()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{body} got {answer}");
    }
    assert!(server.calls().is_empty(), "what breaks the protocol gets no reply of the script");
    server.take_violations().join("\n")
}

#[tokio::test]
async fn openai_refuses_what_breaks_its_protocol() {
    let good = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    let with = |name: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[name] = value;
        (openai_headers(), body)
    };
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let said = violations(
        Wire::OpenAi,
        "/v1/chat/completions",
        &[
            (JSON.to_owned(), good.clone()),
            (format!("{JSON}authorization: Bearer wrong\r\n"), good.clone()),
            with("model", json!("")),
            with("thinking", json!({})),
            with("messages", json!([])),
            with("messages", json!([{"role": "wizard", "content": "x"}])),
            with("messages", json!([{"role": "tool", "tool_call_id": "c", "content": "x"}])),
            with(
                "messages",
                json!([{"role": "assistant", "tool_calls": [call]}, {"role": "user", "content": "x"}]),
            ),
            with("messages", json!([{"role": "system", "content": [{"type": "image_url"}]}])),
            with("tool_choice", json!("required")),
            with("stream_options", json!({"include_usage": true})),
        ],
    )
    .await;
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn anthropic_refuses_what_breaks_its_protocol() {
    let good = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]});
    let with = |name: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[name] = value;
        (anthropic_headers(), body)
    };
    let user = json!({"role": "user", "content": "x"});
    let calls =
        json!({"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]});
    let said = violations(
        Wire::Anthropic,
        "/v1/messages",
        &[
            (anthropic_headers().replace("anthropic-version", "x-version"), good.clone()),
            (JSON.to_owned(), good.clone()),
            with("max_tokens", json!(0)),
            with("seed", json!(1)),
            with("temperature", json!(1.5)),
            with("thinking", json!({"type": "enabled", "budget_tokens": 1_024})),
            with("system", json!([{"type": "text", "text": ""}])),
            with("messages", json!([user, user])),
            with("messages", json!([user, calls, user])),
            with("messages", json!([{"role": "user", "content": []}])),
            with("tools", json!([{"name": "f", "input_schema": {}}])),
            with("tool_choice", json!({"type": "any"})),
        ],
    )
    .await;
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn bedrock_refuses_what_breaks_its_protocol() {
    let good = json!({"messages": [{"role": "user", "content": [{"text": "x"}]}]});
    let with = |name: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[name] = value;
        (aws_headers(), body)
    };
    let said = violations(
        Wire::Bedrock,
        "/model/m/converse",
        &[
            (String::new(), good.clone()),
            (aws_headers().replace("20261121T", "20261122T"), good.clone()),
            (aws_headers().replace("/bedrock/", "/s3/"), good.clone()),
            (aws_headers().replace("host;", ""), good.clone()),
            (aws_headers().replace(ACCESS_KEY_ID, "ASIA1"), good.clone()),
            (aws_headers().replace("Signature=a", "Signature=z"), good.clone()),
            with("temperature", json!(1)),
            with("messages", json!([{"role": "assistant", "content": [{"text": "x"}]}])),
            with("messages", json!([{"role": "user", "content": [{"text": ""}]}])),
            with("guardrailConfig", json!({"guardrailIdentifier": "g"})),
        ],
    )
    .await;
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_violation_fails_the_test_that_drops_the_server() {
    let server = Upstream::start(Wire::OpenAi, []).await;
    send(&server, "/v1/poems", &openai_headers(), "{}").await;
    let dropped = tokio::task::spawn_blocking(move || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(server)))
    });
    assert!(dropped.await.unwrap().is_err());
}

#[tokio::test]
async fn replies_come_in_order_and_the_last_one_stays() {
    let replies = [Reply::Fails(Fault::RateLimited(Some(3))), Reply::Says(Said::text("at last"))];
    let server = Upstream::start(Wire::OpenAi, replies).await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let answer = send(&server, "/v1/chat/completions", &openai_headers(), &body).await;
        seen.push((answer.contains("retry-after: 3"), answer.contains("at last")));
    }
    assert_eq!(seen, [(true, false), (false, true), (false, true)]);
    assert_eq!(server.calls().len(), 3);
}
