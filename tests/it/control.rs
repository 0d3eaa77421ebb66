//! Human control over the wire, on real servers: every route with good and bad input, once and twice, and what it does to
//! work that is under way in another process.

use crate::engine::{Site, wish};
use crate::faults::{recorded, refusing};
use crate::harness::{PATIENCE, Toryo};
use crate::scripted::Script;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use toryo_domain::{EventType, RunId, RunStatus};
use toryo_engine::{Config, Failure, StepContext, control};
use toryo_testkit::openai::{Answer, Gate, Script as Replies};
use toryo_testkit::stack::Services;

/// A look at the leases by the timer would come far too late.
fn by_signal_only() -> Config {
    Config { lease_seconds: 100, watch_ms: 60_000, poll_ms: 200, ..Config::default() }
}

#[tokio::test]
async fn a_worker_in_another_process_hears_of_a_cancel_at_once() {
    let services = Services::shared().await;
    let (mut worker, server) =
        (Site::on(&services, by_signal_only()).await, Site::on(&services, by_signal_only()).await);
    worker.listen();
    let (begun, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, end) = (begun.clone(), ended.clone());
    worker.worker(&Script::with_subtasks(&["a"]).on("spec", move |ctx: StepContext| {
        let (begin, end) = (begin.clone(), end.clone());
        async move {
            begin.notify_one();
            ctx.cancel.cancelled().await;
            end.notify_one();
            Err(Failure::cancelled())
        }
    }));
    let run: RunId = server.submit(&wish()).await;
    begun.notified().await;
    let asked = Instant::now();
    let status = control::cancel(&server.engine, run, "tester", None).await.unwrap();
    assert_eq!(status, RunStatus::Cancelled);
    ended.notified().await;
    assert!(asked.elapsed() < Duration::from_secs(1), "it took {:?}", asked.elapsed());
    worker.close().await;
    server.close().await;
}

/// A specification without open questions.
fn spec() -> Value {
    let mut spec = recorded("spec");
    spec["questions"] = json!([]);
    spec
}

#[tokio::test]
async fn a_message_is_read_at_the_next_call_of_a_running_step_and_again_by_the_attempt_after_a_crash() {
    let (first, second) = (Gate::new(), Gate::new());
    let script = Replies::new()
        .on("spec", Answer::text("Let me think about it.").held_by(&first))
        .on("spec", Answer::json(&spec()).held_by(&second))
        .on("spec", Answer::json(&spec()));
    let mut toryo = Toryo::start(refusing(script)).await;
    let run = toryo.submit_sample(&toryo.sample()).await;
    let say = async |toryo: &Toryo, body: &str| {
        let (path, body) = (format!("/runs/{run}/messages"), json!({ "body": body, "author": "aya" }));
        assert_eq!(toryo.post(&path, &body).await.0, 200);
    };
    toryo.model.until_requests(1).await;
    say(&toryo, "Only the lunar calendar matters.").await;
    first.open();
    toryo.model.until_requests(2).await;
    say(&toryo, "And leave the printing alone.").await;
    toryo.worker_process(0).kill9().await;
    toryo.worker().await;
    toryo.until(&run, "the plan is refused", |view| view.status() == "needs_human").await;
    second.open();

    let asked: Vec<String> = toryo.model.requests_of("spec").iter().map(|it| it.prompt()).collect();
    assert_eq!(asked.len(), 3, "the first call was paid once, the second one died unanswered");
    assert!(!asked[0].contains("lunar"));
    assert!(asked[1].contains("A person wrote this to the run just now."), "{}", asked[1]);
    assert!(asked[1].contains("aya: Only the lunar calendar matters."));
    assert_eq!(asked[2], asked[1], "the same messages at the same call");
    let plan = toryo.model.requests_of("plan")[0].prompt();
    assert!(plan.contains("And leave the printing alone.") && plan.contains("lunar"), "{plan}");
    assert!(toryo.model.paid_twice().is_empty());
    let events = toryo.events(&run).await;
    let read = |event: &toryo_domain::Event| event.data["text"] == "reading what aya wrote";
    assert!(events.iter().any(|event| event.kind == EventType::StepProgress && read(event)));
    toryo.close().await;
}

/// A request with any method; its status, its `Location` and its body.
async fn call(
    toryo: &Toryo,
    method: &str,
    path: &str,
    body: Value,
    key: Option<&str>,
) -> (u16, String, Value) {
    let mut request =
        toryo.http.request(method.parse().unwrap(), format!("{}{path}", toryo.base)).json(&body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let location = response.headers().get("location").map(|it| it.to_str().unwrap().to_owned());
    let text = response.text().await.unwrap();
    (status, location.unwrap_or_default(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn a_run_is_steered_over_the_wire_and_each_order_counts_once() {
    let gate = Gate::new();
    let script = Replies::new()
        .on("spec", Answer::json(&spec()).held_by(&gate))
        .on("spec", Answer::json(&spec()))
        .on("plan", Answer::json(&recorded("plan")))
        .on("plan#2", Answer::json(&recorded("plan")));
    let toryo = Toryo::start(refusing(script)).await;
    let goal = json!({ "repo_url": toryo.sample(), "goal": "Count the last day", "approval": "plan" });
    let run = toryo.submit(&goal).await;
    let order = async |method: &str, route: &str, body: Value| {
        let (status, _, body) = call(&toryo, method, &format!("/runs/{run}/{route}"), body, None).await;
        (status, body["status"].clone(), body)
    };
    toryo.model.until_requests(1).await;

    let (status, now, _) = order("POST", "pause", json!({ "reason": "lunch" })).await;
    assert_eq!((status, now), (200, json!("needs_human")));
    toryo.model.until_abandoned(1).await;
    let (status, _, problem) = order("POST", "pause", json!({})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/conflict")), "{problem}");
    let (status, _, body) = order("PATCH", "limits", json!({ "minutes": 50, "repair_loops": 1 })).await;
    assert_eq!(status, 200, "{body}");
    let (status, _, problem) = order("POST", "resume", json!({ "limits": { "minutes": 0 } })).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/limits/minutes")), "{problem}");
    let (status, _, body) = order("POST", "resume", json!({ "limits": { "tokens": 1_000_000 } })).await;
    assert_eq!(status, 200, "{body}");
    gate.open();
    let waiting = toryo.until_status(&run, "waiting_for_approval").await;
    let limits = &waiting.0["limits"];
    assert_eq!((&limits["minutes"], &limits["tokens"]), (&json!(50), &json!(1_000_000)), "{limits}");
    assert_eq!(order("POST", "resume", json!({})).await.0, 409, "it waits for an approval");

    for (wrong, text) in [(json!({ "gate": "pull_request" }), "gate"), (json!({ "round": 2 }), "round")] {
        for what in ["approve", "reject"] {
            assert_eq!(order("POST", what, wrong.clone()).await.0, 409, "{what}: another {text}");
        }
    }
    let smaller = json!({ "gate": "plan", "round": 1, "comment": "Make it smaller." });
    assert_eq!(order("POST", "reject", smaller.clone()).await.0, 200);
    let again = |view: &crate::runs::RunView| view.0["gate_round"] == 2;
    toryo.until(&run, "it waits with another plan", again).await;
    assert!(toryo.model.requests_of("plan#2")[0].prompt().contains("Make it smaller."));
    assert_eq!(order("POST", "reject", smaller).await.0, 409, "that plan was rejected already");
    assert_eq!(order("POST", "approve", json!({ "gate": "plan", "round": 1 })).await.0, 409);

    let forks = format!("/runs/{run}/forks");
    let at = json!({ "at": "plan", "routes": { "planner": "coder" }, "message": "Try it otherwise." });
    let (status, location, fork) = call(&toryo, "POST", &forks, at.clone(), Some("k")).await;
    assert_eq!((status, fork["fork_of"].as_str()), (202, Some(run.as_str())), "{fork}");
    let forked = fork["run_id"].as_str().unwrap();
    assert_eq!(location, format!("/runs/{forked}"));
    assert_eq!(call(&toryo, "POST", &forks, at, Some("k")).await.2["run_id"], forked, "it is made once");
    let other = json!({ "at": "spec" });
    assert_eq!(call(&toryo, "POST", &forks, other, Some("k")).await.0, 422, "the key names another fork");
    let nowhere = call(&toryo, "POST", &forks, json!({ "at": "code:nothing" }), None).await;
    assert_eq!(nowhere.0, 409, "{}", nowhere.2);
    let listed = toryo.get(&forks).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["run_id"].as_str().or(listed["items"][0]["id"].as_str()), Some(forked));
    let page = call(&toryo, "GET", fork["links"]["compare"].as_str().unwrap(), Value::Null, None).await;
    assert_eq!(page.0, 200);
    assert!(
        page.2.as_str().is_some_and(|page| page.contains(forked) && page.contains(&run)),
        "both are named"
    );
    let none = "0190a000-0000-7000-8000-000000000000";
    for path in [format!("/ui/runs/{run}/compare/{none}"), format!("/runs/{none}/forks")] {
        assert_eq!(call(&toryo, "GET", &path, Value::Null, None).await.0, 404, "{path}");
    }
    toryo.until(forked, "the fork ends", |view| view.status() == "needs_human").await;

    assert_eq!(order("POST", "retry", json!({ "from": "code:nothing" })).await.0, 409);
    assert_eq!(order("POST", "retry", json!({})).await.0, 409, "nothing failed");
    assert_eq!(order("POST", "retry", json!({ "from": "plan#2" })).await.0, 200);
    toryo.until(&run, "the plan is refused now", |view| view.status() == "needs_human").await;
    assert_eq!(order("POST", "cancel", json!({ "reason": "enough" })).await.0, 200);
    for (method, route, body) in [
        ("POST", "cancel", json!({})),
        ("POST", "pause", json!({})),
        ("POST", "resume", json!({})),
        ("POST", "approve", json!({})),
        ("POST", "messages", json!({ "body": "too late" })),
        ("PATCH", "limits", json!({ "tokens": 5 })),
    ] {
        let (status, _, problem) = order(method, route, body).await;
        assert_eq!(status, 409, "{route}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("cancelled"), "{route}: {problem}");
    }
    toryo.close().await;
}

#[tokio::test]
async fn tenants_repositories_and_dead_letters_answer_over_the_wire() {
    let toryo = Toryo::start(Replies::new()).await;
    let put = async |path: &str, body: Value| {
        let (status, _, body) = call(&toryo, "PUT", path, body, None).await;
        (status, body)
    };
    assert_eq!(toryo.get("/tenants").await["items"], json!([]));
    let (status, tenant) = put("/tenants", json!({ "name": "Local", "max_steps": 0 })).await;
    let stopped = json!({ "name": "local", "max_steps": 0, "ready": 0, "running": 0 });
    assert_eq!((status, &tenant), (200, &stopped));
    assert_eq!(put("/tenants", json!({ "name": "local", "max_steps": 0 })).await.1, stopped, "twice is once");
    assert_eq!(toryo.get("/tenants").await["items"], json!([stopped]));
    // A tenant that is stopped keeps its work ready; a limit of its own gives it back.
    let run = toryo.submit(&json!({ "repo_url": toryo.sample(), "goal": "Count the last day" })).await;
    assert_eq!(toryo.get("/tenants").await["items"][0]["ready"], 1);
    assert_eq!(toryo.post(&format!("/runs/{run}/cancel"), &json!({})).await.0, 200);
    assert_eq!(put("/tenants", json!({ "name": "local" })).await.1["max_steps"], Value::Null);
    assert_eq!(toryo.get("/tenants").await["items"], json!([]), "it has neither work nor a limit");

    let repository = toryo.get("/repos").await["items"][0].clone();
    let address = format!("/repos/{}", repository["id"].as_str().unwrap());
    let (status, problem) = put(&address, json!({ "settings": { "max_steps": "3" } })).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/settings/max_steps")));
    let (status, stored) = put(&address, json!({ "settings": { "max_steps": 3 } })).await;
    assert_eq!((status, &stored["settings"]["max_steps"]), (200, &json!(3)));

    let none = "/dead-letters/0190a000-0000-7000-8000-000000000000";
    assert_eq!(toryo.get("/dead-letters").await["items"], json!([]));
    assert_eq!(toryo.post(&format!("{none}/replay"), &json!({})).await.0, 404);
    assert_eq!(call(&toryo, "DELETE", none, Value::Null, None).await.0, 404);
    toryo.close().await;
}

async fn toryo(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_toryo"));
    command.args(arguments).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends in time").unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_run_is_steered_from_the_command_line() {
    let gate = Gate::new();
    let script = Replies::new()
        .on("spec", Answer::json(&spec()).held_by(&gate))
        .on("spec", Answer::json(&spec()))
        .on("plan", Answer::json(&recorded("plan")))
        .on("plan#2", Answer::json(&recorded("plan")));
    let stack = Toryo::start(refusing(script)).await;
    let goal = json!({ "repo_url": stack.sample(), "goal": "Count the last day", "approval": "plan" });
    let run = stack.submit(&goal).await;
    let server = ["--server", stack.base.as_str()];
    let of_run = async |command: &str, more: &[&str]| {
        toryo(&[&[command, run.as_str()], more, &server[..]].concat()).await
    };
    stack.model.until_requests(1).await;

    let (code, _, said) = of_run("pause", &["--reason", "lunch"]).await;
    assert_eq!((code, said), (Some(0), format!("run {run} is needs_human\n")));
    let (code, _, said) = of_run("pause", &[]).await;
    assert_eq!((code, said.contains("does not run")), (Some(1), true), "{said}");
    assert_eq!(of_run("limits", &[]).await.0, Some(2), "no limit is named");
    assert_eq!(of_run("limits", &["--max-minutes", "0"]).await.0, Some(1));
    assert_eq!(of_run("limits", &["--max-minutes", "50"]).await.0, Some(0));
    let (code, _, said) = of_run("resume", &["--max-tokens", "1000000"]).await;
    assert_eq!(code, Some(0), "{said}");
    gate.open();
    let view = stack.until_status(&run, "waiting_for_approval").await;
    assert_eq!((&view.0["limits"]["minutes"], &view.0["limits"]["tokens"]), (&json!(50), &json!(1_000_000)));
    let (code, _, said) = of_run("replay", &[]).await;
    assert_eq!((code, said.contains("ended")), (Some(1), true), "{said}");

    assert_eq!(of_run("approve", &["--gate", "garden"]).await.0, Some(2));
    assert_eq!(of_run("approve", &["--gate", "pull_request"]).await.0, Some(1));
    let round = ["--gate", "plan", "--round", "1", "--comment", "Make it smaller."];
    assert_eq!(of_run("reject", &round).await.0, Some(0));
    stack.until(&run, "it waits with another plan", |view| view.0["gate_round"] == 2).await;
    assert_eq!(of_run("reject", &round).await.0, Some(1), "that plan was rejected already");
    assert_eq!(of_run("message", &["Mind the leap years."]).await.0, Some(0));
    let (code, _, said) = of_run("message", &["  "]).await;
    assert_eq!((code, said.contains("blank")), (Some(1), true), "{said}");

    assert_eq!(of_run("fork", &[]).await.0, Some(2), "no step is named");
    assert_eq!(of_run("fork", &["--at", "code:nothing"]).await.0, Some(1));
    let (code, forked, said) = of_run("fork", &["--at", "plan", "--route", "planner=coder"]).await;
    assert_eq!((code, said.contains("/compare/")), (Some(0), true), "{said}");
    stack.until(forked.trim(), "the fork ends", |view| view.status() == "needs_human").await;
    let (code, shown, _) = toryo(&[&["fork", forked.trim(), "--show"][..], &server].concat()).await;
    assert_eq!((code, shown.contains("needs_human")), (Some(1), true), "the fork did not succeed: {shown}");

    assert_eq!(of_run("retry", &["--from", "nothing"]).await.0, Some(2), "no step key");
    assert_eq!(of_run("retry", &["--step", "plan", "--from", "plan"]).await.0, Some(2));
    assert_eq!(of_run("retry", &["--from", "code:nothing"]).await.0, Some(1));
    assert_eq!(of_run("retry", &["--from", "plan#2"]).await.0, Some(0));
    stack.until(&run, "the plan is refused now", |view| view.status() == "needs_human").await;
    assert_eq!(of_run("cancel", &["--reason", "enough"]).await.0, Some(0));
    for command in ["cancel", "resume", "approve", "pause"] {
        assert_eq!(of_run(command, &[]).await.0, Some(1), "{command}: the run has ended");
    }

    let tenants = async |more: &[&str]| toryo(&[&["tenants"], more, &server[..]].concat()).await;
    assert_eq!(tenants(&["limit", "github.com/acme", "many"]).await.0, Some(2));
    assert_eq!(tenants(&["limit", "github.com/acme", "2"]).await.0, Some(0));
    let (code, listed, _) = tenants(&["list", "--json"]).await;
    let listed: Value = serde_json::from_str(listed.trim()).unwrap();
    assert_eq!(
        (code, &listed["name"], &listed["max_steps"]),
        (Some(0), &json!("github.com/acme"), &json!(2))
    );
    assert_eq!(tenants(&["limit", "github.com/acme"]).await.0, Some(0));
    assert_eq!(
        tenants(&["list"]).await,
        (Some(0), String::new(), "no tenant has work or a limit\n".to_owned())
    );
    stack.close().await;
}
