//! What may break on the way: each ends in a clean continuation or a clear reason, with everything kept.

use crate::harness::{Toryo, git};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use toryo_agents::sample;
use toryo_domain::EventType;
use toryo_testkit::openai::{Answer, Gate, Script};
use toryo_testkit::stack::Services;

/// A recorded reply of the sample.
pub fn recorded(step: &str) -> Value {
    let recording: Value = serde_json::from_str(sample::RECORDING).unwrap();
    let replies = recording["replies"].as_array().unwrap();
    replies.iter().find(|reply| reply["step"] == step).unwrap()["reply"].clone()
}

/// Ends a run where the script has no more to say.
pub fn refusing(script: Script) -> Script {
    script.otherwise(|_, _| Some(Answer::refusal("not further than this")))
}

async fn stops(script: Script) -> (Toryo, String, String) {
    let toryo = Toryo::start(script).await;
    let run = toryo.submit_sample(&toryo.sample()).await;
    let stopped = toryo.until(&run, "a person is needed", |view| view.status() == "needs_human").await;
    let reason = stopped.text("/status_reason");
    (toryo, run, reason)
}

#[tokio::test]
async fn a_model_that_answers_prose_is_told_so_twice_and_then_a_person_is_asked() {
    let prose = Answer::text("Sure! I would start by reading the code.");
    let script = Script::new().on("spec", prose.clone()).on("spec", prose.clone()).on("spec", prose);
    let (toryo, run, reason) = stops(script).await;
    assert!(reason.contains("spec"), "{reason}");
    assert_eq!(toryo.model.requests_of("spec").len(), 3);
    assert!(
        toryo.model.requests_of("spec")[1].prompt().contains("JSON"),
        "the model was told what was wrong"
    );
    let events = toryo.events(&run).await;
    assert_eq!(events.last().unwrap().kind, EventType::RunNeedsHuman);
    toryo.close().await;
}

#[tokio::test]
async fn half_a_json_is_asked_for_again_and_the_run_goes_on() {
    let spec = recorded("spec");
    let script = refusing(Script::new().on("spec", Answer::cut(&spec)).on("spec", Answer::json(&spec)));
    let (toryo, run, reason) = stops(script).await;
    assert!(reason.contains("plan") && reason.contains("not further than this"), "{reason}");
    let events = toryo.events(&run).await;
    assert!(events.iter().any(|it| it.kind == EventType::StepSucceeded), "the spec step ended well");
    toryo.close().await;
}

#[tokio::test]
async fn a_model_that_says_nothing_until_the_timeout_is_asked_again() {
    let (spec, gate) = (recorded("spec"), Gate::new());
    let script = refusing(
        Script::new().on("spec", Answer::json(&spec).held_by(&gate)).on("spec", Answer::json(&spec)),
    );
    let toryo = Toryo::start(script).await;
    let run = toryo.submit_sample(&toryo.sample()).await;
    let stopped = toryo.until(&run, "it goes on", |view| view.status() == "needs_human").await;
    assert!(stopped.text("/status_reason").contains("plan"), "{}", stopped.0);
    assert_eq!(toryo.model.requests_of("spec").len(), 2);
    gate.open();
    toryo.close().await;
}

#[tokio::test]
async fn a_provider_that_is_busy_or_broken_is_asked_again() {
    let spec = recorded("spec");
    let script = Script::new()
        .on("spec", Answer::rate_limited("0"))
        .on("spec", Answer::status(503, "overloaded"))
        .on("spec", Answer::json(&spec));
    let (toryo, run, _) = stops(refusing(script)).await;
    assert_eq!(toryo.model.requests_of("spec").len(), 3);
    let events = toryo.events(&run).await;
    assert!(!events.iter().any(|it| it.kind == EventType::StepRetrying), "the gateway mended it by itself");
    toryo.close().await;
}

#[tokio::test]
async fn a_blocking_question_waits_for_an_answer_and_the_answer_reaches_the_model() {
    let mut asking = recorded("spec");
    asking["questions"] =
        json!([{ "text": "Which of the two calendars?", "weight": "blocking", "assumption": "" }]);
    let script = refusing(
        Script::new().on("spec", Answer::json(&asking)).on("spec#2", Answer::json(&recorded("spec"))),
    );
    let toryo = Toryo::start(script).await;
    let run = toryo.submit_sample(&toryo.sample()).await;
    toryo.until_status(&run, "waiting_for_input").await;
    let (status, problem) = toryo.post(&format!("/runs/{run}/resume"), &json!({})).await;
    assert_eq!(status, 409, "{problem}");
    let (status, answer) =
        toryo.post(&format!("/runs/{run}/messages"), &json!({ "body": "The lunar one." })).await;
    assert!(status < 300, "{answer}");
    toryo.until(&run, "it goes on", |view| view.status() == "needs_human").await;
    assert!(toryo.model.requests_of("spec#2")[0].prompt().contains("The lunar one."));
    toryo.close().await;
}

#[tokio::test]
async fn cancel_ends_a_running_model_call_within_a_second() {
    let gate = Gate::new();
    let script = Script::new().on("spec", Answer::json(&recorded("spec")).held_by(&gate));
    let toryo = Toryo::start(script).await;
    let run = toryo.submit_sample(&toryo.sample()).await;
    toryo.model.until_requests(1).await;
    let asked = Instant::now();
    let (status, _) = toryo.post(&format!("/runs/{run}/cancel"), &json!({ "reason": "enough" })).await;
    assert!(status < 300);
    toryo.model.until_abandoned(1).await;
    assert!(asked.elapsed() < Duration::from_secs(1), "it took {:?}", asked.elapsed());
    toryo.until_status(&run, "cancelled").await;
    gate.open();
    toryo.close().await;
}

#[tokio::test]
async fn without_a_container_engine_the_run_fails_with_that_reason() {
    let script = Script::from_recording(sample::RECORDING).unwrap();
    let more = "host = \"unix:///nowhere/docker.sock\"\n";
    let toryo = Toryo::with(Services::shared().await, script, more).await;
    let run = toryo.submit_sample(&toryo.sample()).await;
    let failed = toryo.until(&run, "it fails", |view| view.status() == "failed").await;
    assert!(failed.text("/status_reason").contains("engine"), "{}", failed.text("/status_reason"));
    let events = toryo.events(&run).await;
    assert!(events.iter().any(|it| it.kind == EventType::StepRetrying && it.data["class"] == "sandbox"));
    let ready = toryo.get_any("/ready").await;
    assert!(ready.to_string().contains("sandbox"), "{ready}");
    toryo.close_unclean().await;
}

/// A repository whose only test does what `body` says.
fn hostile_repository(folder: &Path, body: &str) -> PathBuf {
    let repository = folder.join("hostile");
    std::fs::create_dir_all(repository.join("tests")).unwrap();
    std::fs::write(repository.join("calc.py"), "def add(a, b):\n    return a - b\n").unwrap();
    std::fs::write(repository.join("tests/test_calc.py"), format!("def test_it():\n{body}\n")).unwrap();
    git(&repository, &["init", "--quiet", "--initial-branch=main"]);
    git(&repository, &["add", "."]);
    let who = ["-c", "user.name=T", "-c", "user.email=t@example.org"];
    git(&repository, &[&who[..], &["commit", "--quiet", "-m", "first"]].concat());
    repository
}

/// Replies for a refactoring of `calc.py`, so that the repository's own tests are the only proof.
fn refactoring() -> Script {
    let mut spec = recorded("spec");
    spec["questions"] = json!([]);
    let plan = json!({ "summary": "one change", "subtasks": [{
        "id": "calc", "kind": "refactoring", "title": "Add", "description": "Return the sum.",
        "target_files": ["calc.py"], "new_files": [], "target_symbols": ["add"],
        "acceptance_criteria": ["it adds"], "depends_on": [],
    }] });
    let edits = json!({ "summary": "Return the sum.", "edits": [{
        "file_path": "calc.py", "edit_type": "replace",
        "locator": { "symbol": null, "line_range": [2, 2], "expect": "    return a - b", "ast_query": null,
                     "whole_file": null, "position": null },
        "patch": "    return a + b", "rationale_summary": "It subtracted.",
    }] });
    refusing(
        Script::new()
            .on("spec", Answer::json(&spec))
            .on("plan", Answer::json(&plan))
            .on("retrieve:calc", Answer::json(&recorded_retrieval()))
            .on("code:calc", Answer::json(&edits)),
    )
}

fn recorded_retrieval() -> Value {
    let recording: Value = serde_json::from_str(sample::RECORDING).unwrap();
    let replies = recording["replies"].as_array().unwrap();
    replies.iter().find(|reply| reply["name"] == "retrieval_query").unwrap()["reply"].clone()
}

#[tokio::test]
async fn a_test_suite_that_hangs_is_killed_and_its_run_says_so() {
    let more = "[agents]\ntest_seconds = 3\n";
    let toryo = Toryo::with(Services::shared().await, refactoring(), more).await;
    let repository = hostile_repository(toryo.folder(), "    while True: pass");
    let run = toryo.submit(&json!({ "repo_url": repository, "goal": "Make add return the sum" })).await;
    let stopped = toryo.until(&run, "it stops", |view| view.status() == "needs_human").await;
    let reason = stopped.text("/status_reason");
    assert!(reason.contains("test:calc") && reason.contains("time limit"), "{reason}");
    let events = toryo.events(&run).await;
    let report = events.iter().find(|event| event.kind == EventType::TestReport).unwrap();
    assert_eq!(report.data["failed"], 1, "{}", report.data);
    toryo.close().await;
}

#[tokio::test]
async fn cancel_ends_a_running_sandbox_command_and_its_container() {
    let toryo = Toryo::start(refactoring()).await;
    let repository = hostile_repository(toryo.folder(), "    import time; time.sleep(600)");
    let run = toryo.submit(&json!({ "repo_url": repository, "goal": "Make add return the sum" })).await;
    until(async || runs_tests(&run)).await;
    let asked = SystemTime::now();
    toryo.post(&format!("/runs/{run}/cancel"), &json!({})).await;
    until(async || containers_of(&run) == 0).await;
    let died = death_in(&run, asked);
    assert!(died < Duration::from_secs(1), "it took {died:?}");
    toryo.close().await;
}

/// Whether a container of the run executes its tests now.
fn runs_tests(run: &str) -> bool {
    let ids = docker(&["ps", "-q", "--filter", &format!("label=toryo.run={run}")]).unwrap_or_default();
    ids.lines().any(|id| docker(&["top", id]).is_some_and(|processes| processes.contains("pytest")))
}

/// What the engine's client says; nothing where it refuses, as for a container that has gone.
fn docker(arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new("docker").args(arguments).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// How long after `asked` the engine saw the run's last container die; a look from here would add the time that looking
/// takes.
fn death_in(run: &str, asked: SystemTime) -> Duration {
    let asked = asked.duration_since(UNIX_EPOCH).unwrap();
    let (since, label) = (asked.as_secs().to_string(), format!("label=toryo.run={run}"));
    // In whole seconds: those of the current one are told when it is over.
    let until = (SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 1).to_string();
    let wanted = ["--since", &since, "--until", &until, "--filter", &label, "--filter", "event=die"];
    let said = docker(&[&["events"], &wanted[..], &["--format", "{{.TimeNano}}"]].concat()).unwrap();
    let died = said.lines().filter_map(|line| line.parse().ok()).max();
    Duration::from_nanos(died.expect("its container died")).saturating_sub(asked)
}

/// Containers of a run that the engine knows, running or not.
fn containers_of(run: &str) -> usize {
    let filter = format!("label=toryo.run={run}");
    let output =
        std::process::Command::new("docker").args(["ps", "-aq", "--filter", &filter]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().count()
}

async fn until(mut wanted: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(crate::harness::PATIENCE, async {
        while !wanted().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.expect("the state is reached in time");
}
