//! Against a server that speaks the protocol, is strict about it, and can misbehave. Real sockets, no waits: what
//! hangs hangs until nobody waits for it, or the gate opens.

use super::*;
use crate::config::{BaseUrl, Config, Route, StructuredOutput};
use crate::gateway::Gateway;
use crate::journal::memory::MemoryJournal;
use crate::provider::{ProviderReply, ProviderRequest, Providers, asked, failure};
use crate::reply::{Finish, Usage};
use crate::request::{Caller, Message, OutputSchema, Request};
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_domain::{FailureClass, Limits, Role, RunId, StepId, StepKey, StepKind};
use toryo_testkit::openai::{self as server, API_KEY, Answer, Gate, Script, ScriptedModel};

fn caller() -> Caller {
    Caller {
        run_id: RunId::generate(),
        step_id: StepId::generate(),
        step_key: StepKey::of_subtask(StepKind::Code, "x", 2),
        attempt: 1,
        fence: 1,
        agent: Role::Coder,
        call_no: 1,
        limits: Limits::default(),
    }
}

fn output() -> OutputSchema {
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["summary"],
        "properties": {"summary": {"type": "string"}}
    });
    OutputSchema { name: "edit_set".into(), schema }
}

fn question(structured_output: StructuredOutput) -> ProviderRequest {
    ProviderRequest {
        caller: caller(),
        model: "scripted".into(),
        messages: vec![Message::system("You edit code."), Message::user("Do."), Message::assistant("Done.")],
        output: output(),
        structured_output,
        max_output_tokens: 500,
        temperature: Some(0.5),
    }
}

fn provider_of(server: &ScriptedModel, key: &str) -> Provider {
    Provider {
        base_url: server.base_url().parse().unwrap(),
        api_key: Some(key.to_owned().into()),
        ..Provider::default()
    }
}

/// One request under a script of one answer.
async fn ask(answer: Answer) -> Result<ProviderReply, ProviderError> {
    let server = ScriptedModel::start(Script::new().on("code:x#2", answer)).await;
    let reply = ask_server(&server, &question(StructuredOutput::JsonSchema)).await;
    server.assert_clean();
    reply
}

async fn ask_server(
    server: &ScriptedModel,
    question: &ProviderRequest,
) -> Result<ProviderReply, ProviderError> {
    let client = OpenAi::new("openai", &provider_of(server, API_KEY)).unwrap();
    asked::reply(&client, question).await
}

#[tokio::test]
async fn a_question_names_its_origin_its_schema_and_its_limits() {
    let usage = server::Usage { input: 20, cached_input: 5, output: 7, reasoning: 3 };
    let answer = Answer::json(&json!({"summary": "ok"})).with_usage(usage);
    let server = ScriptedModel::start(Script::new().on("code:x#2", answer)).await;
    let question = question(StructuredOutput::JsonSchema);
    let reply = ask_server(&server, &question).await.unwrap();
    assert_eq!((reply.content.as_str(), reply.finish), (r#"{"summary":"ok"}"#, Finish::Stop));
    assert_eq!(reply.usage, Usage { input: 20, cached_input: 5, cache_write: 0, output: 7, reasoning: 3 });
    let seen = &server.requests()[0];
    assert_eq!(seen.run, question.caller.run_id.to_string());
    assert_eq!((seen.step.as_str(), seen.agent.as_str()), ("code:x#2", "coder"));
    insta::assert_json_snapshot!(seen.body);
    server.assert_clean();
}

#[tokio::test]
async fn every_form_of_structured_output_gets_the_same_text() {
    for form in [StructuredOutput::JsonSchema, StructuredOutput::ToolCall, StructuredOutput::JsonObject] {
        let value = json!({"summary": form});
        let server = ScriptedModel::start(Script::new().on("code:x#2", Answer::json(&value))).await;
        let reply = ask_server(&server, &question(form)).await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&reply.content).unwrap(), value);
        assert_eq!(reply.finish, Finish::Stop);
        server.assert_clean();
        if form == StructuredOutput::JsonObject {
            assert!(
                server.requests()[0].prompt().contains("additionalProperties"),
                "the schema is in the prompt"
            );
        }
    }
}

#[tokio::test]
async fn the_older_name_of_the_limit_is_sent_where_it_is_configured() {
    let server = ScriptedModel::start(Script::new().on("code:x#2", Answer::text("{}"))).await;
    let config = Provider { token_limit_field: TokenLimitField::MaxTokens, ..provider_of(&server, API_KEY) };
    let client = OpenAi::new("openai", &config).unwrap();
    asked::reply(&client, &question(StructuredOutput::JsonSchema)).await.unwrap();
    let body = &server.requests()[0].body;
    assert_eq!((&body["max_tokens"], body.get("max_completion_tokens")), (&json!(500), None));
}

#[tokio::test]
async fn prose_half_a_json_and_a_refusal_are_replies() {
    let prose = ask(Answer::text("Sure! Here you go.")).await.unwrap();
    assert_eq!((prose.content.as_str(), prose.finish), ("Sure! Here you go.", Finish::Stop));
    let cut = ask(Answer::cut(&json!({"summary": "long"}))).await.unwrap();
    assert!(serde_json::from_str::<Value>(&cut.content).is_err());
    assert_eq!(cut.finish, Finish::Length);
    let refusal = ask(Answer::refusal("I can't help with that.")).await.unwrap();
    assert_eq!(refusal.finish, Finish::Refusal("I can't help with that.".into()));
}

#[tokio::test]
async fn failures_are_classified() {
    let error = ask(Answer::rate_limited("3")).await.unwrap_err();
    assert_eq!(
        (error.class(), error.retry_after()),
        (FailureClass::RateLimited, Some(Duration::from_secs(3)))
    );
    let error = ask(Answer::rate_limited("Tue, 31 Dec 2199 23:59:59 GMT")).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(24 * 60 * 60)), "a day at most");
    let quota = Answer::failure(429, "insufficient_quota", "You exceeded your current quota");
    assert_eq!(ask(quota).await.unwrap_err().class(), FailureClass::Budget);
    let long = Answer::failure(400, "context_length_exceeded", "Your input exceeds the limit");
    assert!(matches!(ask(long).await, Err(ProviderError::ContextLength { .. })));
    for status in [500, 502, 503, 529] {
        assert_eq!(ask(Answer::status(status, "oops")).await.unwrap_err().class(), FailureClass::Transient);
    }
    let redirect = Answer::Raw { status: 307, content_type: "text/plain", body: String::new() };
    assert!(matches!(ask(redirect).await, Err(ProviderError::Rejected { status: 307, .. })));
}

#[tokio::test]
async fn what_is_no_completion_is_transient() {
    for body in ["<html>welcome</html>", "", "{\"choices\": []}", "{}", "[1, 2", "{\"choices\": \"x\"}"] {
        let answer = Answer::Raw { status: 200, content_type: "text/html", body: body.into() };
        let error = ask(answer).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::Transient, "{body:?} gave {error}");
        assert!(!error.to_string().contains("welcome"), "{error}");
    }
    let broken = ask(Answer::text("{}").breaking_off()).await.unwrap_err();
    assert_eq!(broken.class(), FailureClass::Transient, "{broken}");
}

#[tokio::test]
async fn nobody_there_is_transient_and_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: BaseUrl = format!("http://{}/v1", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let config = Provider { base_url: address, keyless: true, ..Provider::default() };
    let client = OpenAi::new("openai", &config).unwrap();
    let error = asked::reply(&client, &question(StructuredOutput::JsonSchema)).await.unwrap_err();
    assert_eq!(error.class(), FailureClass::Transient);
    assert!(error.to_string().starts_with("unavailable: cannot connect: "), "{error}");
}

#[tokio::test]
async fn who_waits_no_longer_for_a_silent_or_a_crawling_answer_closes_the_connection() {
    let gate = Gate::new();
    for answer in [Answer::text("{}").held_by(&gate), Answer::text("{}").slowed_by(&gate)] {
        let server = ScriptedModel::start(Script::new().on("code:x#2", answer)).await;
        let client = OpenAi::new("openai", &provider_of(&server, API_KEY)).unwrap();
        let question = question(StructuredOutput::JsonSchema);
        tokio::select! {
            answered = asked::reply(&client, &question) => panic!("{answered:?}"),
            () = server.until_requests(1) => {}
        }
        server.until_abandoned(1).await;
    }
}

fn gateway(server: &ScriptedModel, key: &str) -> (Gateway, Config) {
    let mut config = Config::default();
    config.providers.insert("openai".into(), provider_of(server, key));
    config.routes.insert("default".into(), Route::to("scripted"));
    config.retry.first_delay_ms = 1;
    let providers = Providers::from_config(&config).unwrap();
    (Gateway::new(&config, providers, Arc::new(MemoryJournal::new())).unwrap(), config)
}

fn request() -> Request {
    Request {
        route: "coder".into(),
        output: output(),
        messages: vec![Message::user("Do.")],
        max_output_tokens: 100,
        temperature: None,
    }
}

#[tokio::test]
async fn retries_happen_once_in_the_gateway_and_not_below_it() {
    let script = Script::new()
        .on("code:x#2", Answer::status(500, "oops"))
        .on("code:x#2", Answer::rate_limited("0"))
        .on("code:x#2", Answer::json(&json!({"summary": "ok"})));
    let server = ScriptedModel::start(script).await;
    let (gateway, _) = gateway(&server, API_KEY);
    let reply = gateway.complete(&caller(), &request(), &CancellationToken::new()).await.unwrap();
    assert_eq!(reply.content, r#"{"summary":"ok"}"#);
    server.assert_clean();

    let server =
        ScriptedModel::start(Script::new().otherwise(|_, _| Some(Answer::status(503, "busy")))).await;
    let (gateway, config) = self::gateway(&server, API_KEY);
    gateway.complete(&caller(), &request(), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(server.requests().len(), config.retry.attempts as usize);
}

#[tokio::test]
async fn a_key_shows_nowhere() {
    const SECRET: &str = "sk-proj-a1b2c3d4e5f6g7h8";
    let server = ScriptedModel::start(Script::new()).await;
    let (gateway, config) = gateway(&server, SECRET);
    // The server repeats the key that it refuses.
    let refused = gateway.complete(&caller(), &request(), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(refused.class(), FailureClass::Input);
    let client = OpenAi::new("openai", &config.providers["openai"]).unwrap();
    let mut shown = format!("{config:?} {gateway:?} {client:?} {:?}", config.in_force().unwrap());
    shown += &serde_json::to_string(&config).unwrap();
    shown += &serde_json::to_string(&config.in_force().unwrap()).unwrap();
    shown +=
        &format!("{refused} {refused:?} {:?}", std::error::Error::source(&refused).map(ToString::to_string));
    for status in [400, 404, 429, 500] {
        let body = format!("{{\"error\": {{\"message\": \"bad key {SECRET}!\"}}}}");
        let error =
            failure::of_status(status, &HeaderMap::new(), body.as_bytes(), &SecretString::from(SECRET));
        shown += &format!("{error} {error:?}");
    }
    let odd = Provider { api_key: Some(format!("{SECRET}\u{7f}x").into()), ..Provider::default() };
    shown += &format!("{:?}", OpenAi::new("odd", &odd).unwrap_err());
    assert!(!shown.contains("a1b2c3d4"), "{shown}");
    assert!(shown.contains("check the key"), "{shown}");
}
