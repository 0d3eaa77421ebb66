//! Every provider against every fault, whole and streamed: what becomes of it is the table in the doc of
//! [`provider`](super). No exchange may hang, and no half answer may be called whole.

use super::{Answer, Ask, ModelProvider, ProviderError, anthropic, bedrock, openai};
use crate::chat::{Chat, Completion, Event, Part, Turn};
use crate::config::{Aws, Provider, StructuredOutput};
use futures::StreamExt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use toryo_testkit::upstream::{ACCESS_KEY_ID, API_KEY, Fault, Reply, Upstream, Wire};

/// A provider of this protocol at this server.
pub(super) fn provider_at(server: &Upstream, wire: Wire) -> Arc<dyn ModelProvider> {
    let config = Provider {
        base_url: server.base_url().parse().unwrap(),
        api_key: Some(API_KEY.to_owned().into()),
        ..Provider::default()
    };
    match wire {
        Wire::OpenAi => Arc::new(openai::OpenAi::new("p", &config).unwrap()),
        Wire::Anthropic => Arc::new(anthropic::Anthropic::new("p", &config).unwrap()),
        Wire::Bedrock => {
            let region = Aws { region: Some("us-east-1".into()), ..Aws::default() };
            Arc::new(
                bedrock::Bedrock::new(&config).with_default(region).with_credentials(ACCESS_KEY_ID, "secret"),
            )
        }
    }
}

pub(super) fn chat(words: &str) -> Chat {
    Chat { turns: vec![Turn::User(vec![Part::Text(words.into())])], ..Chat::default() }
}

pub(super) fn ask_of(chat: &Chat, stream: bool) -> Ask<'_> {
    Ask {
        model: "model-1",
        chat,
        native: None,
        stream,
        max_output_tokens: 4_000,
        structured_output: StructuredOutput::JsonSchema,
        takes_temperature: true,
        aws: None,
        step: None,
    }
}

/// Reads an answer to its end: the events before a failure, and the failure.
pub(super) async fn read(answer: Result<Answer, ProviderError>) -> (Vec<Event>, Option<ProviderError>) {
    match answer {
        Err(error) => (Vec::new(), Some(error)),
        Ok(Answer::Whole(whole)) => (super::asking::events_of(whole.completion), None),
        Ok(Answer::Stream(mut stream)) => {
            let mut events = Vec::new();
            while let Some(piece) = stream.next().await {
                match piece {
                    Ok(piece) => events.extend(piece.events),
                    Err(error) => {
                        assert!(stream.next().await.is_none(), "an error is the end");
                        return (events, Some(error));
                    }
                }
            }
            (events, None)
        }
    }
}

fn told(events: Vec<Event>, error: Option<ProviderError>) -> String {
    let half = events.iter().any(|event| matches!(event, Event::Text(_)));
    let Some(error) = error else {
        let whole = Completion::from_events(events).expect("a stream without an error is whole");
        assert!(
            whole.text().starts_with("a text") && whole.text().ends_with("into pieces"),
            "{}",
            whole.text()
        );
        let more = if whole.text().len() > 46 { ", a piece twice" } else { "" };
        let usage = if whole.usage.is_some() { "counted" } else { "not counted" };
        return format!("answer{more}, {usage}");
    };
    assert!(Completion::from_events(events).is_none(), "an answer that failed is not whole");
    let after = if half { "text, then " } else { "" };
    let wait = error.retry_after().map(|wait| format!(", wait {wait:?}")).unwrap_or_default();
    let kind = match &error {
        ProviderError::Unavailable { status: Some(status), .. } => format!("unavailable ({status})"),
        ProviderError::Unavailable { status: None, .. } => "unavailable".to_owned(),
        ProviderError::RateLimited { .. } => "rate limited".to_owned(),
        other => format!("{other:?}"),
    };
    format!("{after}{kind}{wait}")
}

async fn outcome(wire: Wire, fault: &Fault, stream: bool) -> String {
    let server = Upstream::start(wire, [Reply::Fails(fault.clone())]).await;
    let provider = provider_at(&server, wire);
    let chat = chat("hello");
    let asking = async { read(provider.send(ask_of(&chat, stream)).await).await };
    let waits = matches!(fault, Fault::SlowHeader(_) | Fault::SlowFirst(_) | Fault::Stall(_));
    let outcome = tokio::select! {
        (events, error) = asking => told(events, error),
        () = server.until_waiting(1), if waits => "waits for its caller's limit".to_owned(),
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("{wire:?} {fault:?} stream: {stream} hangs"),
    };
    if waits {
        // The exchange was dropped: the server sees it.
        server.until_abandoned(1).await;
    }
    assert!(server.calls().len() <= 1, "nothing is sent twice");
    outcome
}

async fn table(wire: Wire) -> String {
    let mut table = String::new();
    for fault in Fault::all() {
        let [whole, streamed] = [outcome(wire, &fault, false).await, outcome(wire, &fault, true).await];
        let name = match &fault {
            Fault::SlowHeader(_) | Fault::SlowFirst(_) | Fault::Stall(_) => {
                format!("{fault:?}").split('(').next().unwrap_or_default().to_owned()
            }
            other => format!("{other:?}"),
        };
        let _ = writeln!(table, "{name:<22} | {whole:<30} | {streamed}");
    }
    table
}

#[tokio::test]
async fn every_fault_of_an_openai_endpoint_ends_as_documented() {
    insta::assert_snapshot!(table(Wire::OpenAi).await);
}

#[tokio::test]
async fn every_fault_of_an_anthropic_endpoint_ends_as_documented() {
    insta::assert_snapshot!(table(Wire::Anthropic).await);
}

#[tokio::test]
async fn every_fault_of_bedrock_ends_as_documented() {
    insta::assert_snapshot!(table(Wire::Bedrock).await);
}
