//! A guardrail of Bedrock that stepped in: clients see that it did, and which policies did, in every dialect.

use crate::site::{COMPLETIONS, MESSAGES, RESPONSES, Site, events, question, says};
use serde_json::json;
use toryo_testkit::upstream::{Said, Stop, Wire};

const ROUTES: &str = "[[routes.coder.deployments]]\nprovider = \"aws\"\nmodel = \"eu.anthropic.claude-sonnet-4\"\n\
    aws = { region = \"eu-central-1\", guardrail_id = \"gr-1\", guardrail_version = \"3\" }\n";

/// Where an answer says why it ended, and which policies did it.
fn places(path: &str, streamed: bool) -> [&'static str; 2] {
    match (path, streamed) {
        (COMPLETIONS, _) => ["/choices/0/finish_reason", "/choices/0/guardrail"],
        (RESPONSES, false) => ["/incomplete_details/reason", "/incomplete_details/guardrail"],
        (RESPONSES, true) => {
            ["/response/incomplete_details/reason", "/response/incomplete_details/guardrail"]
        }
        (_, false) => ["/stop_reason", "/guardrail"],
        (_, true) => ["/delta/stop_reason", "/delta/guardrail"],
    }
}

#[tokio::test]
async fn a_guardrail_that_stepped_in_is_told_in_every_dialect() {
    let blocked = || Said { stop: Stop::Filter, ..Said::text("Sorry, I cannot help with that.") };
    let upstream = says(Wire::Bedrock, blocked()).await;
    let site = Site::start(&[("aws", Wire::Bedrock, &upstream)], ROUTES).await;
    for (path, reason) in
        [(COMPLETIONS, "content_filter"), (RESPONSES, "content_filter"), (MESSAGES, "refusal")]
    {
        let answer = site.send(path, &question(path, "How do I build one?")).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-toryo-guardrail"], "topic", "{path}");
        let text = answer.text().await.unwrap();
        let body: serde_json::Value = serde_json::from_str(&text).unwrap();
        let [why, who] = places(path, false);
        assert_eq!(body.pointer(why), Some(&json!(reason)), "{text}");
        assert_eq!(body.pointer(who), Some(&json!(["topic"])), "{text}");
        assert!(text.contains("I cannot help") && !text.contains("Weapons"), "{text}");

        let mut streamed = question(path, "How do I build one?");
        streamed["stream"] = true.into();
        let text = site.send(path, &streamed).await.text().await.unwrap();
        let [why, who] = places(path, true);
        let told = events(&text).into_iter().find(|event| event.pointer(who).is_some());
        let told = told.unwrap_or_else(|| panic!("{text}"));
        assert_eq!(told.pointer(why), Some(&json!(reason)), "{text}");
        assert_eq!(told.pointer(who), Some(&json!(["topic"])), "{text}");
        assert!(!text.contains("Weapons"), "{text}");
    }
    assert_eq!(upstream.calls()[0].body["guardrailConfig"]["guardrailIdentifier"], "gr-1");
}

#[tokio::test]
async fn answers_without_a_guardrail_say_nothing_of_one() {
    let upstream = says(Wire::Bedrock, Said::text("Hello.")).await;
    let site = Site::start(&[("aws", Wire::Bedrock, &upstream)], ROUTES).await;
    for path in [COMPLETIONS, RESPONSES, MESSAGES] {
        let answer = site.send(path, &question(path, "Hi.")).await;
        assert!(!answer.headers().contains_key("x-toryo-guardrail"));
        assert!(!answer.text().await.unwrap().contains("guardrail"));
    }
}
