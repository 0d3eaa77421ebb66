//! What limits and people do to a run on its way: drafts, circles, pause, going back, other limits, forks. On real
//! servers, with scripted agents.

use crate::engine::{Site, wish};
use crate::scripted::Script;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use toryo_blackboard::{Run, steps};
use toryo_domain::{
    Approval, FailureClass, FileState, Gate, Limit, Limits, NewTask, Output, RunId, RunStatus, StepKey,
    StepStatus, Variant,
};
use toryo_engine::control::{self, Fork, LimitChange};
use toryo_engine::{Failure, StepContext};
use toryo_testkit::samples::tested;

fn key(text: &str) -> StepKey {
    text.parse().unwrap()
}

/// What `code` leaves where it changed something.
fn changed(script: &Script, step: &StepKey) -> Output {
    let mut output = script.good(step);
    if let Output::Code(code) = &mut output {
        code.changes.files.insert("a.py".parse().unwrap(), FileState::Deleted);
    }
    output
}

/// A plan of one subtask whose first edits change something.
fn with_change() -> Script {
    let script = Script::with_subtasks(&["a"]);
    let good = script.clone();
    script.on("code:a", move |ctx: StepContext| {
        let good = good.clone();
        async move { Ok(changed(&good, &ctx.step_key)) }
    })
}

/// A run that was stopped with a draft.
fn drafted(run: &Run) -> bool {
    run.pull_request.as_ref().is_some_and(|pull| pull.draft) && run.branch.is_some()
}

async fn count(site: &Site, run: RunId, event: &str) -> usize {
    site.event_names(run).await.iter().filter(|name| *name == event).count()
}

#[tokio::test]
async fn at_a_loop_limit_the_best_state_becomes_a_draft_and_a_resumed_run_makes_it_ready() {
    let mut site = Site::shared().await;
    let seen = Arc::new(Mutex::new(None));
    let (heard, good) = (seen.clone(), Script::with_subtasks(&["a"]));
    let failing = async |_| Ok(Output::Test(tested(false)));
    let script = with_change().on("test:a", failing).on("test:a#2", failing).on("test:a#3", failing).on(
        "draft",
        move |ctx: StepContext| {
            *heard.lock().unwrap() = ctx.orders.stopping.clone();
            let good = good.clone();
            async move { Ok(good.good(&ctx.step_key)) }
        },
    );
    site.worker(&script);
    let run = site.submit(&wish()).await;
    let stopped = site.until(run, RunStatus::NeedsHuman).await;
    assert!(drafted(&stopped), "{stopped:?}");
    assert_eq!(seen.lock().unwrap().as_ref().unwrap().limit, Limit::Loops);
    let names = site.event_names(run).await;
    assert_eq!(
        names[names.len() - 5..],
        [
            "policy.decision",
            "step.ready draft",
            "step.started draft",
            "step.succeeded draft",
            "run.needs_human"
        ]
    );
    // The same circle a fourth time would be one more draft; this time the tests pass.
    control::resume(&site.engine, run, "tester").await.unwrap();
    let done = site.until(run, RunStatus::Succeeded).await;
    assert!(!drafted(&done), "the pull request is ready now");
    let names = site.event_names(run).await;
    assert!(names.contains(&"step.succeeded retrieve:a#4".to_owned()), "another course was taken: {names:?}");
    site.close().await;
}

#[tokio::test]
async fn a_used_up_budget_keeps_what_there_is_and_waits_for_what_runs() {
    let mut site = Site::shared().await;
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, wait) = (begun.clone(), go.clone());
    let good = Script::with_subtasks(&["a", "b"]);
    let (first, second) = (good.clone(), good.clone());
    let script = good
        .on("code:a", move |ctx: StepContext| {
            let good = first.clone();
            async move { Ok(changed(&good, &ctx.step_key)) }
        })
        .on("test:a", {
            let begun = begun.clone();
            move |_| {
                let begun = begun.clone();
                async move {
                    begun.notified().await;
                    Err(Failure::new(FailureClass::Budget, "no money is left"))
                }
            }
        })
        .on("code:b", move |ctx: StepContext| {
            let (begin, wait, good) = (begin.clone(), wait.clone(), second.clone());
            async move {
                begin.notify_one();
                wait.notified().await;
                Ok(changed(&good, &ctx.step_key))
            }
        });
    site.worker(&script);
    let run = site.submit(&wish()).await;
    site.until_run(run, "it stops", |run| run.control.stopping.is_some()).await;
    go.notify_one();
    let stopped = site.until(run, RunStatus::NeedsHuman).await;
    assert!(drafted(&stopped));
    assert_eq!(stopped.status_reason.as_deref(), Some("step `test:a`: no money is left"));
    let rows = steps::of_run(&site.engine.db, run).await.unwrap();
    let status = |text: &str| rows.iter().find(|row| row.key == key(text)).unwrap().status;
    assert_eq!(status("code:b"), StepStatus::Succeeded, "what ran came to its end");
    assert_eq!(status("test:b"), StepStatus::Pending, "nothing new began");
    site.close().await;
}

#[tokio::test]
async fn used_up_minutes_end_what_runs_and_keep_the_rest_as_a_draft() {
    let mut site = Site::shared().await;
    let script = with_change().on("test:a", async |ctx: StepContext| {
        ctx.cancel.cancelled().await;
        Err(Failure::cancelled())
    });
    site.worker(&script);
    let run = site.submit(&wish()).await;
    site.until_run(run, "the tests run", |run| run.last_seq > 0 && run.best_diff.is_some()).await;
    site.until_step(run, StepStatus::Running).await;
    let none = LimitChange { minutes: Some(0), ..LimitChange::default() };
    control::set_limits(&site.engine, run, "tester", &none).await.unwrap();
    let stopped = site.until(run, RunStatus::NeedsHuman).await;
    assert!(drafted(&stopped) && stopped.status_reason.as_ref().unwrap().contains("0 minutes"));
    // New limits let it go on where it stood; the clock is not over at once.
    let more = LimitChange { minutes: Some(30), ..LimitChange::default() };
    control::resume_with(&site.engine, run, "tester", &more).await.unwrap();
    let going = site.until_run(run, "it goes on", |run| run.status == RunStatus::Running).await;
    assert_eq!(going.allowance().minutes, 30);
    assert_eq!(count(&site, run, "step.started code:a").await, 1, "what was done is kept");
    control::cancel(&site.engine, run, "tester", None).await.unwrap();
    site.close().await;
}

#[tokio::test]
async fn a_draft_that_cannot_be_made_does_not_hold_up_the_stop() {
    let mut site = Site::shared().await;
    let script = with_change()
        .on("test:a", async |_| Err(Failure::new(FailureClass::Budget, "no tokens are left")))
        .on("draft", async |_| Err(Failure::new(FailureClass::Policy, "the branch is taken")));
    site.worker(&script);
    let run = site.submit(&wish()).await;
    let stopped = site.until(run, RunStatus::NeedsHuman).await;
    let reason = stopped.status_reason.unwrap();
    assert!(reason.contains("no tokens are left") && reason.contains("the branch is taken"), "{reason}");
    site.close().await;
}

#[tokio::test]
async fn a_paused_run_stands_still_within_a_second_and_goes_on_with_what_it_had_left() {
    let mut site = Site::shared().await;
    let (begun, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, end) = (begun.clone(), ended.clone());
    let tries = Arc::new(AtomicU32::new(0));
    let good = Script::with_subtasks(&["a"]);
    let script = good.clone().on("code:a", move |ctx: StepContext| {
        let (begin, end, tries, good) = (begin.clone(), end.clone(), tries.clone(), good.clone());
        async move {
            if tries.fetch_add(1, Ordering::SeqCst) > 0 {
                return Ok(good.good(&ctx.step_key));
            }
            begin.notify_one();
            ctx.cancel.cancelled().await;
            end.notify_one();
            Err(Failure::cancelled())
        }
    });
    site.worker(&script);
    let run = site.submit(&wish()).await;
    begun.notified().await;
    let asked = Instant::now();
    let status = control::pause(&site.engine, run, "tester", Some("lunch")).await.unwrap();
    assert_eq!(status, RunStatus::NeedsHuman);
    ended.notified().await;
    assert!(asked.elapsed() < Duration::from_secs(1), "it took {:?}", asked.elapsed());
    let paused = site.until(run, RunStatus::NeedsHuman).await;
    assert_eq!(paused.status_reason.as_deref(), Some("paused by tester: lunch"));
    assert!(paused.active_since.is_none(), "its clock stands still");
    assert!(control::pause(&site.engine, run, "tester", None).await.is_err(), "a second pause says so");
    control::resume(&site.engine, run, "tester").await.unwrap();
    let done = site.until(run, RunStatus::Succeeded).await;
    assert_eq!((done.control.extra_minutes, done.control.extra_repairs), (0, 0), "nothing was granted");
    site.close().await;
}

#[tokio::test]
async fn whoever_goes_back_to_a_step_keeps_what_is_upstream_and_decides_anew_what_follows() {
    let mut site = Site::shared().await;
    let rounds = Arc::new(AtomicU32::new(0));
    let count_tests = rounds.clone();
    let good = Script::with_subtasks(&["a"]);
    // The first time the tests fail once, so that there is a second round, which must go away.
    let script = good.clone().on("test:a", move |_| {
        let first = count_tests.fetch_add(1, Ordering::SeqCst) == 0;
        async move { Ok(Output::Test(tested(!first))) }
    });
    site.worker(&script);
    let run = site.submit(&NewTask { approval: Approval::Pr, ..wish() }).await;
    site.until(run, RunStatus::WaitingForApproval).await;
    let wrong = control::retry_from(&site.engine, run, "tester", &key("code:b")).await;
    assert!(wrong.is_err(), "a step that is not there");
    control::retry_from(&site.engine, run, "tester", &key("code:a")).await.unwrap();
    let again =
        |run: &Run| run.status == RunStatus::WaitingForApproval && run.gate == Some(Gate::PullRequest);
    site.until_run(run, "it waits again", again).await;
    assert_eq!(rounds.load(Ordering::SeqCst), 2);
    let rows = steps::of_run(&site.engine.db, run).await.unwrap();
    let later: Vec<_> = rows.iter().filter(|row| row.key.round > 1).collect();
    assert!(later.iter().all(|row| row.status == StepStatus::Cancelled && row.output.is_none()), "{later:?}");
    assert_eq!(count(&site, run, "step.started retrieve:a").await, 1);
    assert_eq!(count(&site, run, "step.started code:a").await, 2);
    assert_eq!(count(&site, run, "step.started merge").await, 2);
    control::approve(&site.engine, run, "tester", None).await.unwrap();
    site.until(run, RunStatus::Succeeded).await;
    let over = control::retry_from(&site.engine, run, "tester", &key("code:a")).await.unwrap_err();
    assert!(over.to_string().contains("fork"), "{over}");
    site.close().await;
}

#[tokio::test]
async fn a_fork_shares_what_stands_before_it_and_goes_its_own_way() {
    let mut site = Site::shared().await;
    let seen = Arc::new(Mutex::new(vec![]));
    let (heard, good) = (seen.clone(), Script::with_subtasks(&["a"]));
    let script = good.clone().on("code:a", move |ctx: StepContext| {
        heard.lock().unwrap().push((
            ctx.run_id,
            ctx.orders.variant.clone(),
            ctx.messages.len(),
            ctx.outputs.clone(),
        ));
        let good = good.clone();
        async move { Ok(good.good(&ctx.step_key)) }
    });
    site.worker(&script);
    let run = site.submit(&wish()).await;
    site.until(run, RunStatus::Succeeded).await;
    let variant = Variant { routes: [("coder".into(), "planner".into())].into(), prompts: [].into() };
    let wanted = Fork { at: key("code:a"), variant: variant.clone(), message: Some("try harder".into()) };
    let fork = control::fork(&site.engine, run, "tester", &wanted, Some("k")).await.unwrap();
    assert_eq!(
        control::fork(&site.engine, run, "tester", &wanted, Some("k")).await.unwrap(),
        fork,
        "a repeated request"
    );
    let done = site.until(fork, RunStatus::Succeeded).await;
    assert_eq!(done.origin.as_ref().map(|origin| origin.run_id), Some(run));
    assert_eq!(done.base_commit, site.until(run, RunStatus::Succeeded).await.base_commit);
    let names = site.event_names(fork).await;
    for shared in ["spec", "plan", "retrieve:a"] {
        assert!(!names.contains(&format!("step.started {shared}")), "{names:?}");
    }
    for own in ["code:a", "test:a", "critic:a", "merge", "integrate"] {
        assert!(names.contains(&format!("step.succeeded {own}")), "{names:?}");
    }
    {
        let seen = seen.lock().unwrap();
        let (first, second) = (&seen[0], &seen[1]);
        assert_eq!((second.0, &second.1, second.2), (fork, &variant, 1));
        assert_eq!(first.3, second.3, "both saw the same outcomes");
    }
    let wrong = Fork { at: key("code:b"), ..wanted };
    assert!(control::fork(&site.engine, run, "tester", &wrong, None).await.is_err());
    site.close().await;
}

#[tokio::test]
async fn limits_are_changed_under_way_but_not_below_what_is_used() {
    let mut site = Site::shared().await;
    site.worker(&Script::with_subtasks(&["a"]));
    let run = site.submit(&NewTask { approval: Approval::Plan, ..wish() }).await;
    site.until(run, RunStatus::WaitingForApproval).await;
    let change = LimitChange { tokens: Some(77), repair_loops: Some(9), ..LimitChange::default() };
    control::set_limits(&site.engine, run, "tester", &change).await.unwrap();
    let now = site.until(run, RunStatus::WaitingForApproval).await.allowance();
    assert_eq!(now, Limits { tokens: 77, repair_loops: 9, ..wish().limits });
    control::approve(&site.engine, run, "tester", None).await.unwrap();
    site.until(run, RunStatus::Succeeded).await;
    assert!(control::set_limits(&site.engine, run, "tester", &change).await.is_err(), "the run has ended");
    site.close().await;
}
