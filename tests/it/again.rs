//! What is lost with a container, and whether a finished run can be executed again: real processes, real Docker.

use crate::harness::{Toryo, git};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toryo_agents::sample;
use toryo_domain::EventType;
use toryo_testkit::openai::{Answer, Gate, Script};
use toryo_testkit::stack::Services;

/// A repository with one test that takes a few seconds, so that there is time to kill its container.
fn slow_repository(folder: &Path) -> PathBuf {
    let repository = folder.join("slow");
    std::fs::create_dir_all(repository.join("tests")).unwrap();
    std::fs::write(repository.join("calc.py"), "def add(a, b):\n    return a - b\n").unwrap();
    let test = "import time\n\n\ndef test_it():\n    time.sleep(4)\n";
    std::fs::write(repository.join("tests/test_calc.py"), test).unwrap();
    git(&repository, &["init", "--quiet", "--initial-branch=main"]);
    git(&repository, &["add", "."]);
    let who = ["-c", "user.name=T", "-c", "user.email=t@example.org"];
    git(&repository, &[&who[..], &["commit", "--quiet", "-m", "first"]].concat());
    repository
}

fn reply(name: &str) -> Value {
    let recording: Value = serde_json::from_str(sample::RECORDING).unwrap();
    let replies = recording["replies"].as_array().unwrap();
    replies.iter().find(|reply| reply["name"] == name).unwrap()["reply"].clone()
}

fn refactoring() -> Script {
    let mut spec = reply("refined_spec");
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
    Script::new()
        .on("spec", Answer::json(&spec))
        .on("plan", Answer::json(&plan))
        .on("retrieve:calc", Answer::json(&reply("retrieval_query")))
        .on("code:calc", Answer::json(&edits))
        .otherwise(|_, _| Some(Answer::refusal("no")))
}

fn containers_of(run: &str) -> Vec<String> {
    let filter = format!("label=toryo.run={run}");
    let output =
        std::process::Command::new("docker").args(["ps", "-q", "--filter", &filter]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// The one container of a run, once the engine shows it: a command is announced before its container starts.
async fn container_of(run: &str) -> String {
    let shown = async {
        loop {
            if let [one] = containers_of(run).as_slice() {
                return one.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), shown).await.expect("one container runs the tests")
}

#[tokio::test]
async fn a_container_that_is_killed_costs_the_command_in_flight_only() {
    let toryo = Toryo::start(refactoring()).await;
    let repository = slow_repository(toryo.folder());
    let run = toryo.submit(&json!({ "repo_url": repository, "goal": "Make add return the sum" })).await;
    let running = |event: &toryo_domain::Event| {
        event.kind == EventType::StepProgress
            && event.data["text"].as_str().is_some_and(|it| it.starts_with("running "))
    };
    toryo.until_event(&run, "the tests run", running).await;
    let killed = container_of(&run).await;
    let done = std::process::Command::new("docker").args(["kill", &killed]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    toryo.until(&run, "it goes on to the review", |view| view.status() == "needs_human").await;
    let events = toryo.events(&run).await;
    let retried: Vec<_> = events.iter().filter(|event| event.kind == EventType::StepRetrying).collect();
    assert_eq!(retried.len(), 1, "{retried:?}");
    assert_eq!(
        (retried[0].step_key.as_ref().unwrap().to_string().as_str(), &retried[0].data["class"]),
        ("test:calc", &json!("sandbox"))
    );
    assert!(retried[0].data["reason"].as_str().unwrap().contains("is gone"), "{}", retried[0].data);
    let report = events.iter().find(|event| event.kind == EventType::TestReport).unwrap();
    assert_eq!(
        (&report.data["passed"], &report.data["failed"]),
        (&json!(1), &json!(0)),
        "no repair was wasted on it"
    );
    assert_eq!(toryo.model.requests_of("code:calc").len(), 1, "nothing was paid twice");
    toryo.close().await;
}

/// Whether `toryo replay` found no difference, and what it said.
async fn replayed(toryo: &Toryo, run: &str) -> (bool, String) {
    let replay = tokio::process::Command::new(env!("CARGO_BIN_EXE_toryo"))
        .args(["replay", run, "--server", &toryo.base])
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(Duration::from_secs(240), replay).await.expect("a replay ends").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), format!("{}\n{}", text(&output.stdout), text(&output.stderr)))
}

#[tokio::test]
async fn a_run_that_heard_people_in_the_midst_of_a_step_is_executed_again_and_nothing_differs() {
    let services = Services::shared().await;
    let database = services.database_url.clone();
    let (first, second) = (Gate::new(), Gate::new());
    let mut spec = reply("refined_spec");
    spec["questions"] = json!([]);
    let script = Script::new()
        .on("spec", Answer::text("Let me think about it.").held_by(&first))
        .on("spec", Answer::text("A moment, please.").held_by(&second))
        .on("spec", Answer::json(&spec))
        .otherwise(|_, _| Some(Answer::refusal("no")));
    let toryo = Toryo::with(services, script, "").await;
    let run = toryo.submit_sample(&toryo.sample()).await;
    // One message before each further call of the step.
    for (asked, gate, body) in
        [(1, &first, "Only the lunar calendar matters."), (2, &second, "And leave the printing alone.")]
    {
        toryo.model.until_requests(asked).await;
        let said = json!({ "body": body, "author": "aya" });
        assert_eq!(toryo.post(&format!("/runs/{run}/messages"), &said).await.0, 200);
        gate.open();
    }
    toryo.until(&run, "the plan is refused", |view| view.status() == "needs_human").await;
    let prompts: Vec<String> = toryo.model.requests_of("spec").iter().map(|it| it.prompt()).collect();
    let heard = |text: &str| prompts.iter().map(|prompt| prompt.contains(text)).collect::<Vec<_>>();
    assert_eq!(heard("lunar"), [false, true, true]);
    assert_eq!(heard("printing"), [false, false, true]);
    let asked = toryo.model.requests().len();
    let cost = |view: Value| (view["cost"].clone(), view["tokens_in"].clone(), view["tokens_out"].clone());
    let paid = cost(toryo.get(&format!("/runs/{run}")).await);

    let (ended_well, said) = replayed(&toryo, &run).await;
    assert!(ended_well && said.contains("1 same, 0 different"), "{said}");
    assert_eq!(toryo.model.requests().len(), asked, "no model was asked");
    assert_eq!(cost(toryo.get(&format!("/runs/{run}")).await), paid, "nothing was paid");

    // Shown another word, or the same one a call later, the step would have asked something else.
    let db = sqlx::PgPool::connect(&database).await.unwrap();
    for change in [
        "update messages_shown set call_no = call_no + 1 where call_no = 3",
        "update messages set body = 'Mind the leap years.' where body like '%printing%'",
    ] {
        assert_eq!(sqlx::query(change).execute(&db).await.unwrap().rows_affected(), 1, "{change}");
        let (ended_well, said) = replayed(&toryo, &run).await;
        assert!(!ended_well && said.contains("1 different"), "{change}: {said}");
    }
    assert_eq!(toryo.model.requests().len(), asked, "no model was asked");
    db.close().await;
    toryo.close().await;
}

#[tokio::test]
async fn a_finished_run_is_executed_again_without_a_model_and_nothing_differs() {
    let toryo = Toryo::start(Script::from_recording(sample::RECORDING).unwrap()).await;
    let repository = toryo.sample();
    let run = toryo.submit_sample(&repository).await;
    let done = toryo.until_status(&run, "succeeded").await;
    let asked = toryo.model.requests().len();
    let events = toryo.events(&run).await.len();
    let commit = done.text("/result/commit");
    // The branch that the run started from has moved since.
    let who = ["-c", "user.name=T", "-c", "user.email=t@example.org"];
    git(&repository, &[&who[..], &["commit", "--quiet", "--allow-empty", "-m", "later"]].concat());

    let (ended_well, said) = replayed(&toryo, &run).await;
    assert!(ended_well && said.contains(" 0 different, 0 skipped; no model was asked"), "{said}");
    assert_eq!(toryo.model.requests().len(), asked, "no model was asked");
    assert_eq!(toryo.events(&run).await.len(), events, "nothing was written to the run");
    let branch = done.text("/result/branch");
    assert_eq!(git(&repository, &["rev-parse", &branch]), commit, "nothing was published");
    toryo.close().await;
}
