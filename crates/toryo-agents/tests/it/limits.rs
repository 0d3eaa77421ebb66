//! Where a limit stops a run, and where work goes round in circles.

use crate::harness::{Stage, recorded};
use crate::steps::{PROOF, planned};
use serde_json::Value;
use toryo_domain::output::{CodeOutput, DraftOutput, MergeOutput, TestOutput, TestSummary};
use toryo_domain::{EventType, Limit, Output, PullRequestState, StepKey, Stopping};
use toryo_sandbox::fake::FakeSandbox;

const SUBTASK: &str = "count-last-day";

fn key(text: &str) -> StepKey {
    text.parse().unwrap()
}

async fn coded(more: Vec<(&str, Value)>) -> (Stage, CodeOutput) {
    let (one, two) = (recorded("code:count-last-day", 1), recorded("code:count-last-day", 2));
    let mut replies = vec![("code:count-last-day", one), ("code:count-last-day", two)];
    replies.extend(more);
    let mut stage = planned(replies, &FakeSandbox::new()).await;
    let Output::Code(code) = stage.run("code:count-last-day").await.unwrap() else { panic!("no edits") };
    (stage, code)
}

fn tested(passed: bool) -> TestOutput {
    let failing = if passed { vec![] } else { vec![PROOF.to_owned()] };
    let summary = TestSummary { failed: u32::from(!passed), failing, ..TestSummary::default() };
    TestOutput { passed, summary, analysis: None, digest: "assert 4 == 3".into() }
}

fn stop(stage: &mut Stage) {
    let reason = "the limit of 60 minutes is used up".to_owned();
    stage.orders.stopping = Some(Stopping { limit: Limit::Time, reason });
}

async fn draft(stage: &mut Stage, step: &str) -> DraftOutput {
    let Output::Draft(draft) = stage.run(step).await.unwrap() else { panic!("no draft") };
    draft
}

#[tokio::test]
async fn the_best_state_becomes_a_draft_that_says_what_is_missing_and_later_the_same_pull_request_is_ready() {
    let (mut stage, code) = coded(vec![("integrate", recorded("integrate", 1))]).await;
    stage.outputs.insert(key("test:count-last-day"), Output::Test(tested(false)));
    stop(&mut stage);
    let first = draft(&mut stage, "draft").await;
    assert_eq!((first.holds.as_slice(), first.pull_request.draft), (&[SUBTASK.to_owned()][..], true));
    assert_eq!(stage.events(EventType::PullRequestOpened)[0]["draft"], true);
    let (request, _) = stage.pulls.all().pop().unwrap();
    assert!(request.draft && request.title.starts_with("Unfinished: "), "{}", request.title);
    insta::assert_snapshot!("draft_body", request.body);
    let calls = stage.events(EventType::ModelCall).len();

    // A second limit makes another draft of the same pull request, and no model was asked for either.
    let second = draft(&mut stage, "draft#2").await;
    assert_eq!((&second.branch, second.pull_request.number), (&first.branch, first.pull_request.number));
    assert_eq!(stage.events(EventType::ModelCall).len(), calls);

    // The run went on and came to its end.
    stage.orders.stopping = None;
    let merge = MergeOutput {
        changes: code.changes,
        conflicts: vec![],
        test: Some(tested(true)),
        reproduced: vec![PROOF.to_owned()],
        diff: code.diff,
    };
    stage.outputs.insert(key("merge"), Output::Merge(merge));
    let Output::Integrate(end) = stage.run("integrate").await.unwrap() else { panic!("no pull request") };
    assert_eq!((&end.branch, end.pull_request.number), (&first.branch, first.pull_request.number));
    assert_eq!((end.pull_request.draft, end.pull_request.state), (false, PullRequestState::Open));
    assert_eq!(stage.pulls.all().len(), 1);
}

#[tokio::test]
async fn an_attempt_that_is_repeated_makes_the_same_draft() {
    let (mut stage, _) = coded(vec![]).await;
    stop(&mut stage);
    let first = stage.execute(&key("draft")).await.unwrap();
    assert_eq!(stage.execute(&key("draft")).await.unwrap(), first);
    assert_eq!(stage.pulls.all().len(), 1);
}

#[tokio::test]
async fn without_a_change_there_is_no_draft() {
    let mut stage = planned(vec![], &FakeSandbox::new()).await;
    stop(&mut stage);
    let failure = stage.run("draft").await.unwrap_err();
    assert!(failure.text.contains("no change"), "{}", failure.text);
}

#[tokio::test]
async fn work_that_goes_round_in_circles_is_told_so_and_asks_another_route() {
    let again = serde_json::json!({ "summary": "again", "edits": [{
        "file_path": "src/hirelog/spans.py", "edit_type": "replace", "locator": { "symbol": "parse_month" },
        "patch": "def parse_month(text):\n    \"\"\"Year and month.\"\"\"\n    day = parse_day(f\"{text.strip()}-01\")\n    return day.year, day.month\n",
        "rationale_summary": "r" }] });
    let retrieval = recorded("retrieve:count-last-day", 1);
    let more = vec![("retrieve:count-last-day#4", retrieval), ("code:count-last-day#4", again)];
    let (mut stage, code) = coded(more).await;
    for round in 1..=3 {
        let of = |kind: &str| {
            key(&if round == 1 { format!("{kind}:{SUBTASK}") } else { format!("{kind}:{SUBTASK}#{round}") })
        };
        stage.outputs.insert(of("code"), Output::Code(code.clone()));
        stage.outputs.insert(of("test"), Output::Test(tested(false)));
    }
    stage.run("retrieve:count-last-day#4").await.unwrap();
    stage.run("code:count-last-day#4").await.unwrap();
    let calls = stage.events(EventType::ModelCall);
    let last_two: Vec<&Value> = calls.iter().rev().take(2).collect();
    assert_eq!((&last_two[1]["route"], &last_two[0]["route"]), (&"retriever".into(), &"planner".into()));
    for call in last_two {
        let prompt = stage.text(&call["prompt"].as_str().unwrap().parse().unwrap()).await;
        assert!(prompt.contains("the same change failed in the same way three times"), "{prompt}");
        assert!(prompt.contains("Attempt 3: "), "{prompt}");
    }
}

#[tokio::test]
async fn a_fork_takes_its_own_route_and_prompt() {
    let (one, two) = (recorded("code:count-last-day", 1), recorded("code:count-last-day", 2));
    let replies = vec![("code:count-last-day", one), ("code:count-last-day", two)];
    let mut stage = planned(replies, &FakeSandbox::new()).await;
    let prompt = "+++\nname = \"code\"\nversion = 99\nsummary = \"Tried out.\"\n+++\nBe brief. {% include \"common\" %}\n=== user ===\nDo {{ subtask | fenced(\"subtask\", 2000) }}\n";
    stage.orders.variant.prompts.insert("code".into(), prompt.into());
    stage.orders.variant.routes.insert("coder".into(), "critic".into());
    stage.run("code:count-last-day").await.unwrap();
    let call = stage.events(EventType::ModelCall).pop().unwrap();
    assert_eq!(call["route"], "critic");
    let seen = stage.text(&call["prompt"].as_str().unwrap().parse().unwrap()).await;
    assert!(seen.contains("Be brief.") && !seen.contains("# Role: Coder"), "{seen}");
    stage.orders.variant.prompts.insert("code".into(), "no front matter".into());
    let failure = stage.execute(&key("code:count-last-day")).await.unwrap_err();
    assert!(failure.text.contains("prompts/code.md"), "{}", failure.text);
}
