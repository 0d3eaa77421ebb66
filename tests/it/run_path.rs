//! From `POST /tasks` to the branch, and what happens when a process dies on the way.

use crate::harness::{Toryo, git, line};
use std::cell::RefCell;
use std::collections::BTreeSet;
use toryo_agents::sample;
use toryo_domain::EventType;
use toryo_testkit::openai::Script;

fn recorded() -> Script {
    Script::from_recording(sample::RECORDING).unwrap()
}

#[tokio::test]
async fn a_task_becomes_a_tested_pull_request() {
    let toryo = Toryo::start(recorded()).await;
    let repository = toryo.sample();
    let (branch_before, head_before) =
        (git(&repository, &["branch", "--show-current"]), git(&repository, &["rev-parse", "HEAD"]));
    std::fs::write(repository.join("uncommitted.txt"), "mine").unwrap();

    let run = toryo.submit_sample(&repository).await;
    let done = toryo.until_status(&run, "succeeded").await;

    // The branch stands in the repository, one commit on top of what was there, and says whose it is.
    let branch = done.text("/result/branch");
    assert!(branch.starts_with("toryo/"), "{branch}");
    assert_eq!(git(&repository, &["rev-parse", &branch]), done.text("/result/commit"));
    assert_eq!(git(&repository, &["rev-parse", &format!("{branch}^")]), head_before);
    let message = git(&repository, &["log", "-1", "--format=%B", &branch]);
    assert!(message.contains(&format!("Toryo-Run: {run}")), "{message}");
    // What the person was doing is as it was.
    assert_eq!(git(&repository, &["branch", "--show-current"]), branch_before);
    assert_eq!(git(&repository, &["status", "--porcelain"]), "?? uncommitted.txt");

    // The change does what was asked for, by the repository's own tests and by the new ones.
    let changed = git(&repository, &["diff", "--name-only", &head_before, &branch]);
    insta::assert_snapshot!("changed_files", changed);
    let events = toryo.events(&run).await;
    let reports: Vec<_> = events.iter().filter(|event| event.kind == EventType::TestReport).collect();
    let of_base = |report: &&&toryo_domain::Event| report.data["name"] == "tests-on-base";
    let last = reports.iter().rfind(|report| !of_base(report)).unwrap();
    let proof = reports.iter().rfind(of_base).unwrap();
    assert_eq!(proof.data["failed"], 4, "the new tests fail on the base commit: {}", proof.data);
    assert_eq!(last.data["failed"], 0, "{}", last.data);
    assert!(last.data["passed"].as_u64().unwrap() > 20, "{}", last.data);
    assert!(
        reports.iter().any(|report| report.data["failed"].as_u64().unwrap_or(0) > 0),
        "a first attempt failed"
    );

    // A person reads it.
    let page = toryo.http.get(done.text("/result/pull_request/url")).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(page.contains(&branch), "the pull request's page names the branch");
    let diff = toryo.http.get(format!("{}/runs/{run}/diff", toryo.base)).header("accept", "text/x-diff");
    let diff = diff.send().await.unwrap().text().await.unwrap();
    assert!(diff.starts_with("diff --git"), "{diff}");

    // The order of what happened; steps of parallel subtasks are each compared for themselves.
    let mut lanes = std::collections::BTreeMap::<String, Vec<String>>::new();
    for event in &events {
        let lane = event.step_key.as_ref().and_then(|key| key.subtask.clone()).unwrap_or_default();
        if event.kind != EventType::StepProgress && event.kind != EventType::StepLog {
            lanes.entry(lane).or_default().push(line(event));
        }
    }
    insta::assert_json_snapshot!("events", lanes);

    // A second reader who comes back after half of it sees the same.
    let all = toryo.stream(&run, None, |_| false).await;
    assert_eq!(all, events);
    let half = events.len() as u64 / 2;
    let rest = toryo.stream(&run, Some(half), |_| false).await;
    assert_eq!(rest, events[half as usize..]);

    assert_eq!(toryo.model.paid_twice(), vec![]);
    toryo.close().await;
}

#[tokio::test]
async fn a_killed_worker_costs_no_reply_no_event_and_no_second_pull_request() {
    let mut toryo = Toryo::start(recorded()).await;
    let repository = toryo.sample();
    let run = toryo.submit_sample(&repository).await;
    // The reply is journalled when its event is seen; what the step does with it is still to come. Both subtasks have to
    // be so far: a reply that is on its way when the worker dies is asked for again, and rightly so.
    let asked = RefCell::new(BTreeSet::new());
    let seen = toryo
        .until_event(&run, "model calls of both steps that go on in the sandbox", |event| {
            let step = event.step_key.as_ref().filter(|key| key.kind == toryo_domain::StepKind::Reproduce);
            let Some(step) = step.filter(|_| event.kind == EventType::ModelCall) else { return false };
            asked.borrow_mut().insert(step.to_string());
            asked.borrow().len() == 2
        })
        .await;
    toryo.worker_process(0).kill9().await;
    toryo.worker().await;
    let done = toryo.until_status(&run, "succeeded").await;

    let events = toryo.events(&run).await;
    let key = seen.step_key.unwrap().to_string();
    let of_step = |kind: EventType| {
        events
            .iter()
            .filter(|it| {
                it.kind == kind && it.step_key.as_ref().map(ToString::to_string).as_deref() == Some(&key)
            })
            .count()
    };
    assert_eq!(of_step(EventType::StepStarted), 2, "the step was taken up again");
    assert_eq!(of_step(EventType::StepSucceeded), 1);
    assert_eq!(events.iter().filter(|event| event.kind == EventType::PullRequestOpened).count(), 1);
    assert_eq!(events.iter().filter(|event| event.kind == EventType::RunSucceeded).count(), 1);
    assert_eq!(toryo.model.paid_twice(), vec![], "no reply was paid for twice");
    let branches = git(&repository, &["branch", "--list", "toryo/*", "--format=%(refname:short)"]);
    assert_eq!(branches, done.text("/result/branch"));
    let all = toryo.stream(&run, None, |_| false).await;
    assert_eq!(all, events);
    toryo.close().await;
}
