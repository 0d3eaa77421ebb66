//! Models that do not do what they are told.

use crate::harness::{Stage, recorded, refusal, script};
use serde_json::{Value, json};
use std::sync::Arc;
use toryo_domain::{EventType, FailureClass, Output};
use toryo_models::MessageRole;
use toryo_models::provider::fake::{Answer, FakeProvider};
use toryo_sandbox::fake::FakeSandbox;

fn sandbox() -> Arc<FakeSandbox> {
    Arc::new(FakeSandbox::new())
}

fn good() -> String {
    recorded("spec", 1).to_string()
}

/// Asks the Spec-Refiner; what the model saw in its last call, and how often it was asked.
async fn ask(answers: Vec<Answer>) -> (Result<Output, toryo_engine::Failure>, Vec<String>, usize) {
    let provider = FakeProvider::in_order(answers);
    let mut stage = Stage::new(provider.clone(), sandbox());
    let result = stage.run("spec").await;
    let requests = provider.requests();
    let last = requests.last().unwrap().messages.iter().map(|message| message.content.clone()).collect();
    assert_eq!(stage.events(EventType::ModelCall).len(), requests.len(), "each call is an event");
    (result, last, requests.len())
}

#[tokio::test]
async fn prose_half_json_and_nothing_go_back_with_the_reason() {
    let half = &good()[..good().len() / 2];
    for (bad, reason) in [
        ("Sure! I would start with the tests.", "the reply is not one JSON object: expected value"),
        (half, "the reply is not one JSON object: EOF while parsing"),
        ("", "the reply is empty"),
        ("[]", "(root): [] is not of type \"object\""),
        ("{\"title\": \"x\"}", "\"summary\" is a required property"),
    ] {
        let (result, last, asked) = ask(vec![Answer::text(bad), Answer::text(good())]).await;
        assert!(result.is_ok(), "{bad}");
        assert_eq!(asked, 2);
        assert!(last[3].contains(reason), "{bad:?} was answered with {}", last[3]);
        assert!(!last[2].is_empty(), "an endpoint may refuse a message without content");
    }
}

#[tokio::test]
async fn a_code_fence_around_the_json_is_taken_off() {
    for fenced in [format!("```json\n{}\n```", good()), format!("  ```\n{}\n```\n", good())] {
        let (result, _, asked) = ask(vec![Answer::text(fenced)]).await;
        assert!(result.is_ok());
        assert_eq!(asked, 1);
    }
}

#[tokio::test]
async fn after_three_invalid_replies_the_step_fails_and_says_why() {
    let mut unknown: Value = recorded("spec", 1);
    unknown["priority"] = json!("high");
    let (result, _, asked) = ask(vec![Answer::text(unknown.to_string())]).await;
    let failure = result.unwrap_err();
    assert_eq!((failure.class, asked), (FailureClass::InvalidOutput, 3));
    assert!(failure.text.contains("'priority' was unexpected"), "{}", failure.text);
}

#[tokio::test]
async fn a_refusal_is_final_and_shown() {
    let (result, _, asked) = ask(vec![refusal("I cannot help with that.")]).await;
    let failure = result.unwrap_err();
    assert_eq!((failure.class, asked), (FailureClass::InvalidOutput, 1));
    assert_eq!(failure.text, "the model refused to answer: I cannot help with that.");
}

#[tokio::test]
async fn a_cancelled_step_ends_while_the_model_is_silent() {
    let mut stage = Stage::new(FakeProvider::in_order([Answer::Hang]), sandbox());
    let cancel = stage.cancel.clone();
    let (result, ()) = tokio::join!(stage.run("spec"), async { cancel.cancel() });
    assert_eq!(result.unwrap_err().class, FailureClass::Cancelled);
}

#[tokio::test]
async fn secrets_do_not_reach_the_model() {
    let provider = FakeProvider::in_order([Answer::text(good())]);
    let mut stage = Stage::new(provider.clone(), sandbox());
    stage.task.wish.goal.push_str("\nThe key is hunter2-of-the-operator and AKIAIOSFODNN7EXAMPLE.");
    stage.run("spec").await.unwrap();
    let request = &provider.requests()[0];
    let user = request.messages.iter().find(|message| message.role == MessageRole::User).unwrap();
    assert!(user.content.contains("[masked:known]") && user.content.contains("[masked:aws_key]"));
    assert!(!format!("{request:?}").contains("hunter2"));
    let prompt = stage.recorder.artifacts().into_iter().find(|artifact| artifact.kind == "prompt").unwrap();
    assert!(!stage.text(&prompt.digest).await.contains("hunter2"));
}

fn plan(edges: &[(&str, &str, &[&str])]) -> Value {
    let subtasks: Vec<Value> = edges
        .iter()
        .map(|(id, file, needs)| {
            json!({ "id": id, "kind": "bug_fix", "title": id, "description": id, "target_files": [file],
                "new_files": [], "target_symbols": [], "acceptance_criteria": ["it works"], "depends_on": needs })
        })
        .collect();
    json!({ "summary": "s", "subtasks": subtasks })
}

#[tokio::test]
async fn a_plan_with_an_unknown_file_or_a_cycle_goes_back_with_what_would_be_right() {
    const SPANS: &str = "src/hirelog/spans.py";
    let bad = [
        (plan(&[("a", "hirelog/spans.py", &[])]), "near: src/hirelog/spans.py"),
        (
            plan(&[("a", SPANS, &["b"]), ("b", SPANS, &["a"])]),
            "these subtasks wait for each other: a -> b -> a",
        ),
        (plan(&[("a", SPANS, &["c"])]), "depends on `c`, which is not in the plan"),
        (plan(&[]), "the plan has no subtask"),
        (plan(&[("merged", SPANS, &[])]), "reserved `merged`"),
        (plan(&[("a", "../../etc/passwd", &[])]), "leaves the repository"),
    ];
    for (bad, reason) in bad {
        let provider =
            script(vec![("spec", recorded("spec", 1)), ("plan", bad), ("plan", recorded("plan", 1))]);
        let mut stage = Stage::new(provider.clone(), sandbox());
        stage.run("spec").await.unwrap();
        let Output::Plan(output) = stage.run("plan").await.unwrap() else { panic!("no plan") };
        assert_eq!(output.plan.subtasks.len(), 2);
        let said = provider.requests().last().unwrap().messages.last().unwrap().content.clone();
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn a_plan_that_stays_impossible_fails_after_three_rounds() {
    let bad = plan(&[("a", "nowhere.py", &[])]);
    let replies =
        vec![("spec", recorded("spec", 1)), ("plan", bad.clone()), ("plan", bad.clone()), ("plan", bad)];
    let mut stage = Stage::new(script(replies), sandbox());
    stage.run("spec").await.unwrap();
    let failure = stage.run("plan").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::InvalidOutput);
    assert!(failure.text.contains("`nowhere.py`, which is not in the repository"), "{}", failure.text);
}
