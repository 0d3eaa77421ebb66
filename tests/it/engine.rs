//! The engine alone, on real servers, with scripted agents: every road a run may take, and what happens when
//! something on the road breaks.

use crate::scripted::Script;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use toryo_blackboard::{Db, Error, Idempotency, MemoryBlobs, Run, db, events, outbox, runs, steps};
use toryo_bus::{Bus, Subjects};
use toryo_domain::{
    Approval, Digest, EventType, FailureClass, Limits, NewTask, Output, Priority, RunId, RunSignal,
    RunStatus, StepStatus, Usd, WorkerId,
};
use toryo_engine::{Config, Engine, Failure, Worker, commit, control, relay, submit, sweep};
use toryo_testkit::samples::{self, tested};
use toryo_testkit::stack::{OwnServers, Services};

/// Longest wait for a state; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest wait for a connection. Without optimisation a password alone takes a while to prove, and a test has one thread.
pub const CONNECTING: Duration = Duration::from_secs(60);

pub fn quick() -> Config {
    Config {
        lease_seconds: 2,
        watch_ms: 50,
        poll_ms: 200,
        backoff_ms: 50,
        drain_seconds: 1,
        ..Config::default()
    }
}

pub struct Site {
    pub engine: Engine,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Site {
    pub async fn on(services: &Services, config: Config) -> Self {
        let db = Db::connect_within(&services.database_url, 8, CONNECTING).await.unwrap();
        db.migrate().await.unwrap();
        let bus =
            Bus::connect(&services.nats_url, Subjects::new(&services.nats_prefix).unwrap()).await.unwrap();
        let engine = Engine::new(db, bus, config);
        let stop = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(relay::run(engine.clone(), stop.clone())),
            tokio::spawn(sweep::run(engine.clone(), stop.clone())),
        ];
        Self { engine, stop, tasks }
    }

    pub async fn shared() -> Self {
        Self::on(&Services::shared().await, quick()).await
    }

    pub fn worker(&mut self, script: &Script) -> CancellationToken {
        let stop = self.stop.child_token();
        let worker = Worker::new(self.engine.clone(), script.agents(), Arc::new(MemoryBlobs::default()));
        let stopped = stop.clone();
        self.tasks.push(tokio::spawn(async move { worker.run("test", "0", stopped).await }));
        stop
    }

    /// Hears what other processes say.
    pub fn listen(&mut self) {
        let (bus, stop) = (self.engine.bus.clone(), self.stop.clone());
        self.tasks.push(tokio::spawn(async move { bus.listen(stop).await }));
    }

    pub async fn submit(&self, wish: &NewTask) -> RunId {
        submit(&self.engine, wish, None).await.unwrap().run_id
    }

    pub async fn until(&self, run: RunId, status: RunStatus) -> Run {
        self.until_run(run, &format!("run is {status}"), |run| run.status == status).await
    }

    pub async fn until_step(&self, run: RunId, status: StepStatus) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while steps::of_run(&self.engine.db, run).await.unwrap().iter().all(|step| step.status != status)
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        waited.await.expect("the step gets there in time");
    }

    pub async fn until_run(&self, run: RunId, what: &str, wanted: impl Fn(&Run) -> bool) -> Run {
        let mut bell = self.engine.bus.bell().watch(run);
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                match runs::get(&self.engine.db, run).await {
                    Ok(run) if wanted(&run) => return run,
                    _ => {
                        let _rung = tokio::time::timeout(Duration::from_millis(100), bell.changed()).await;
                    }
                }
            }
        })
        .await;
        match waited {
            Ok(run) => run,
            Err(_) => panic!("never: {what}; events: {:#?}", self.event_names(run).await),
        }
    }

    pub async fn event_names(&self, run: RunId) -> Vec<String> {
        let events = events::after(&self.engine.db, run, 0, 10_000).await.unwrap();
        for (n, event) in events.iter().enumerate() {
            assert_eq!(event.seq, n as u64 + 1, "event numbers have no gap");
        }
        events
            .iter()
            .map(|event| match &event.step_key {
                Some(key) => format!("{} {key}", event.kind),
                None => event.kind.to_string(),
            })
            .collect()
    }

    /// Stops everything, and makes sure that nothing is left behind.
    pub async fn close(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        self.engine.db.close().await;
    }
}

pub fn wish() -> NewTask {
    NewTask {
        repo_url: "/srv/repository".into(),
        goal: "make it right".into(),
        issue_id: None,
        base_branch: None,
        constraints: vec![],
        acceptance_criteria: vec![],
        priority: Priority::Normal,
        approval: Approval::None,
        limits: Limits { usd: Usd::from_nanos(1), tokens: 1, minutes: 10, repair_loops: 2 },
        labels: vec![],
        source: "api".into(),
    }
}

#[tokio::test]
async fn a_run_goes_its_way_to_the_pull_request() {
    let mut site = Site::shared().await;
    let script = Script::with_subtasks(&["a"]).on("test:a", async |_| Ok(Output::Test(tested(false))));
    site.worker(&script);
    let run = site.submit(&wish()).await;
    let done = site.until(run, RunStatus::Succeeded).await;
    assert_eq!(done.branch.as_deref(), Some("toryo/x"));
    assert_eq!(done.title.as_deref(), Some("Do it"));
    insta::assert_snapshot!(site.event_names(run).await.join("\n"));
    assert_eq!(outbox::len(&site.engine.db).await.unwrap(), 0, "everything announced was sent");
    site.close().await;
}

#[tokio::test]
async fn an_idempotency_key_gives_one_run_however_often_it_comes() {
    let site = Site::shared().await;
    let key = Idempotency { key: "k-1".into(), digest: Digest::of("body") };
    let (wish, engine) = (wish(), site.engine.clone());
    let all = futures::future::join_all((0..20).map(|_| submit(&engine, &wish, Some(&key)))).await;
    let mut made: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(made.iter().filter(|it| it.created).count(), 1);
    made.dedup_by_key(|it| it.run_id);
    assert_eq!(made.len(), 1);
    let other = Idempotency { digest: Digest::of("another body"), ..key };
    assert!(matches!(submit(&engine, &wish, Some(&other)).await, Err(submit::Error::KeyReused)));
    site.close().await;
}

#[tokio::test]
async fn a_cancelled_step_stops_within_a_second_and_stays_cancelled() {
    let mut site = Site::shared().await;
    let begun = Arc::new(Notify::new());
    let ended = Arc::new(Notify::new());
    let (begin, end) = (begun.clone(), ended.clone());
    let script = Script::with_subtasks(&["a"]).on("code:a", move |ctx| {
        let (begin, end) = (begin.clone(), end.clone());
        async move {
            begin.notify_one();
            ctx.cancel.cancelled().await;
            end.notify_one();
            Err(Failure::cancelled())
        }
    });
    site.worker(&script);
    let run = site.submit(&wish()).await;
    begun.notified().await;
    assert_eq!(
        control::cancel(&site.engine, run, "tester", Some("enough")).await.unwrap(),
        RunStatus::Cancelled
    );
    tokio::time::timeout(Duration::from_secs(1), ended.notified())
        .await
        .expect("the step stopped within a second");
    let names = site.event_names(run).await;
    assert_eq!(names.last().map(String::as_str), Some("run.cancelled"));
    let left = steps::of_run(&site.engine.db, run).await.unwrap();
    assert!(left.iter().all(|step| matches!(step.status, StepStatus::Succeeded | StepStatus::Cancelled)));
    assert!(control::cancel(&site.engine, run, "tester", None).await.is_err(), "a second cancel says so");
    site.close().await;
}

#[tokio::test]
async fn a_transient_failure_is_tried_again_and_a_wrong_input_is_not() {
    let mut site = Site::shared().await;
    let tries = Arc::new(AtomicU32::new(0));
    let counter = tries.clone();
    let script = Script::with_subtasks(&["a"]);
    let good = script.clone();
    let script = script
        .on("plan", move |ctx| {
            let (counter, good) = (counter.clone(), good.clone());
            async move {
                match counter.fetch_add(1, Ordering::SeqCst) {
                    0 | 1 => Err(Failure::new(FailureClass::Transient, "not now")),
                    _ => Ok(good.good(&ctx.step_key)),
                }
            }
        })
        .on("retrieve:a", async |_| Err(Failure::new(FailureClass::Policy, "not further than this")))
        .on("spec", async |ctx| match ctx.task.wish.goal.as_str() {
            "nonsense" => Err(Failure::new(FailureClass::Input, "the repository does not exist")),
            _ => Ok(samples::good(&ctx.step_key, &[])),
        });
    site.worker(&script);
    let run = site.submit(&wish()).await;
    let stopped = site.until(run, RunStatus::NeedsHuman).await;
    assert_eq!(stopped.status_reason.as_deref(), Some("step `retrieve:a`: not further than this"));
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    let names = site.event_names(run).await;
    assert_eq!(names.iter().filter(|name| *name == "step.retrying plan").count(), 2);
    let wrong = site.submit(&NewTask { goal: "nonsense".into(), ..wish() }).await;
    let failed = site.until(wrong, RunStatus::Failed).await;
    assert_eq!(failed.status_reason.as_deref(), Some("step `spec`: the repository does not exist"));
    site.close().await;
}

#[tokio::test]
async fn a_step_that_uses_up_its_attempts_is_a_dead_letter_and_a_person_can_retry_it() {
    let services = Services::shared().await;
    let mut site = Site::on(&services, Config { attempts: 2, ..quick() }).await;
    let broken = Arc::new(AtomicU32::new(1));
    let switch = broken.clone();
    let script = Script::with_subtasks(&["a"]);
    let good = script.clone();
    let script = script.on("integrate", move |ctx| {
        let (switch, good) = (switch.clone(), good.clone());
        async move {
            match switch.load(Ordering::SeqCst) {
                1 => Err(Failure::new(FailureClass::Sandbox, "the engine is away")),
                _ => Ok(good.good(&ctx.step_key)),
            }
        }
    });
    site.worker(&script);
    let run = site.submit(&wish()).await;
    site.until(run, RunStatus::Failed).await;
    let names = site.event_names(run).await;
    assert_eq!(names[names.len() - 2..], ["step.failed integrate", "run.failed"]);
    broken.store(0, Ordering::SeqCst);
    control::retry(&site.engine, run, "tester", None).await.unwrap();
    site.until(run, RunStatus::Succeeded).await;
    let names = site.event_names(run).await;
    assert_eq!(
        names.iter().filter(|name| *name == "step.started plan").count(),
        1,
        "what is upstream is kept"
    );
    site.close().await;
}

#[tokio::test]
async fn repairs_end_at_their_limit_and_a_person_can_grant_more() {
    let mut site = Site::shared().await;
    let failing = async |_| Ok(Output::Test(tested(false)));
    let script =
        Script::with_subtasks(&["a"]).on("test:a", failing).on("test:a#2", failing).on("test:a#3", failing);
    site.worker(&script);
    let run = site.submit(&wish()).await;
    let stopped = site.until(run, RunStatus::NeedsHuman).await;
    let reason = "subtask `a` is not done after 2 repairs: its tests fail";
    assert_eq!(stopped.status_reason.as_deref(), Some(reason));
    assert!(stopped.best_diff.is_some(), "the best state so far is kept");
    control::resume(&site.engine, run, "tester").await.unwrap();
    site.until(run, RunStatus::Succeeded).await;
    site.close().await;
}

#[tokio::test]
async fn gates_open_by_hand_only() {
    let mut site = Site::shared().await;
    site.worker(&Script::with_subtasks(&["a"]));
    let run = site.submit(&NewTask { approval: Approval::All, ..wish() }).await;
    site.until(run, RunStatus::WaitingForApproval).await;
    assert!(control::resume(&site.engine, run, "tester").await.is_err(), "only an approval opens a gate");
    control::reject(&site.engine, run, "tester", Some("smaller, please")).await.unwrap();
    site.until_run(run, "the second plan waits", |run| {
        run.control.plan_rounds == 2 && run.status == RunStatus::WaitingForApproval
    })
    .await;
    control::approve(&site.engine, run, "tester", None).await.unwrap();
    site.until_run(run, "the change waits", |run| {
        run.status == RunStatus::WaitingForApproval && run.gate == Some(toryo_domain::Gate::PullRequest)
    })
    .await;
    control::approve(&site.engine, run, "tester", Some("well done")).await.unwrap();
    site.until(run, RunStatus::Succeeded).await;
    let names = site.event_names(run).await;
    assert!(names.contains(&"step.succeeded plan#2".to_owned()), "{names:?}");
    site.close().await;
}

#[tokio::test]
async fn a_worker_that_is_gone_loses_its_step_to_another() {
    let services = Services::shared().await;
    let mut site = Site::on(&services, Config { lease_seconds: 1, ..quick() }).await;
    let begun = Arc::new(Notify::new());
    let begin = begun.clone();
    let script = Script::with_subtasks(&["a"]);
    let good = script.clone();
    let stuck = script.clone().on("plan", move |ctx| {
        let (begin, good) = (begin.clone(), good.clone());
        async move {
            if ctx.attempt > 1 {
                return Ok(good.good(&ctx.step_key));
            }
            begin.notify_one();
            std::future::pending().await
        }
    });
    // The first worker lives in a runtime of its own, which ends as a killed process does: nothing is handed back.
    let process = tokio::runtime::Runtime::new().unwrap();
    let (scene, agents) = (services.clone(), stuck.clone());
    process.spawn(async move {
        let mut site = Site::on(&scene, Config { lease_seconds: 1, ..quick() }).await;
        site.worker(&agents);
        std::future::pending::<()>().await;
    });
    let run = site.submit(&wish()).await;
    begun.notified().await;
    process.shutdown_background();
    site.worker(&stuck);
    site.until(run, RunStatus::Succeeded).await;
    let names = site.event_names(run).await;
    assert_eq!(names.iter().filter(|name| *name == "step.started plan").count(), 2);
    assert_eq!(names.iter().filter(|name| *name == "step.succeeded plan").count(), 1);
    site.close().await;
}

#[tokio::test]
async fn whoever_lost_the_lease_cannot_write_any_more_and_a_repeated_commit_writes_once() {
    let site = Site::shared().await;
    let run = site.submit(&wish()).await;
    let step = steps::of_run(&site.engine.db, run).await.unwrap()[0].id;
    let claim = async |lease: Duration| {
        let mut tx = site.engine.db.begin().await.unwrap();
        let mut row = runs::lock(&mut tx, run).await.unwrap();
        if row.status == RunStatus::Queued {
            runs::signal(&mut tx, &mut row, RunSignal::Start, None, None).await.unwrap();
        }
        let claim = steps::claim(&mut tx, step, WorkerId::generate(), lease).await.unwrap().unwrap();
        db::commit(tx).await.unwrap();
        claim
    };
    let lost = claim(Duration::ZERO).await;
    site.until_step(run, StepStatus::Ready).await;
    let held = claim(Duration::from_secs(60)).await;
    assert!(held.fence > lost.fence);

    let output = Script::default().good(&lost.key);
    let refused = commit::success(&site.engine, &lost, &output).await;
    assert!(matches!(refused, Err(Error::StaleFence)), "{refused:?}");
    let failure = Failure::new(FailureClass::Bug, "too late");
    assert!(matches!(commit::failure(&site.engine, &lost, &failure).await, Err(Error::StaleFence)));

    commit::success(&site.engine, &held, &output).await.unwrap();
    // The answer to the first commit may be lost with a connection.
    commit::success(&site.engine, &held, &output).await.unwrap();
    let names = site.event_names(run).await;
    assert_eq!(names.iter().filter(|name| *name == "step.succeeded spec").count(), 1, "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("run.failed")), "{names:?}");
    site.close().await;
}

#[tokio::test]
async fn a_resumed_run_may_use_as_much_again() {
    let mut site = Site::shared().await;
    let script = Script::with_subtasks(&["a"]);
    let good = script.clone();
    let script = script.on("plan", move |ctx| {
        let good = good.clone();
        async move {
            let limits = ctx.task.wish.limits;
            match limits.tokens {
                1 => Err(Failure::new(FailureClass::Budget, "the tokens are used up")),
                2 if limits.usd == Usd::from_nanos(2) => Ok(good.good(&ctx.step_key)),
                more => Err(Failure::bug(format!("{more} tokens were granted"))),
            }
        }
    });
    site.worker(&script);
    let run = site.submit(&wish()).await;
    site.until(run, RunStatus::NeedsHuman).await;
    control::resume(&site.engine, run, "tester").await.unwrap();
    site.until(run, RunStatus::Succeeded).await;
    site.close().await;
}

#[tokio::test]
async fn an_outcome_that_holds_a_nul_is_stored_without_it() {
    let mut site = Site::shared().await;
    let script = Script::with_subtasks(&["a"]);
    let good = script.clone();
    let script = script.on("code:a", move |ctx| {
        let good = good.clone();
        async move {
            let Output::Code(output) = good.good(&ctx.step_key) else { return Err(Failure::bug("not code")) };
            Ok(Output::Code(toryo_domain::output::CodeOutput { summary: "a\0b".into(), ..output }))
        }
    });
    site.worker(&script);
    let run = site.submit(&wish()).await;
    site.until(run, RunStatus::Succeeded).await;
    site.close().await;
}

#[tokio::test]
async fn a_stopping_worker_hands_its_steps_back() {
    let mut site = Site::shared().await;
    let begun = Arc::new(Notify::new());
    let begin = begun.clone();
    let script = Script::with_subtasks(&["a"]);
    let good = script.clone();
    let tries = Arc::new(AtomicU32::new(0));
    let script = script.on("plan", move |ctx| {
        let (begin, good, tries) = (begin.clone(), good.clone(), tries.clone());
        async move {
            // The attempt that was handed back is not counted.
            assert_eq!(ctx.attempt, 1);
            if tries.fetch_add(1, Ordering::SeqCst) > 0 {
                return Ok(good.good(&ctx.step_key));
            }
            begin.notify_one();
            ctx.cancel.cancelled().await;
            Err(Failure::cancelled())
        }
    });
    let first = site.worker(&script);
    let run = site.submit(&wish()).await;
    begun.notified().await;
    first.cancel();
    site.worker(&script);
    site.until(run, RunStatus::Succeeded).await;
    let names = site.event_names(run).await;
    assert!(names.contains(&"step.retrying plan".to_owned()), "{names:?}");
    site.close().await;
}

#[tokio::test]
async fn a_panic_fails_its_run_and_nothing_else() {
    let mut site = Site::shared().await;
    let script = Script::with_subtasks(&["a"]).on("spec", async |ctx| match ctx.task.wish.goal.as_str() {
        "panic" => panic!("as the test wants it"),
        _ => Ok(samples::good(&ctx.step_key, &[])),
    });
    site.worker(&script);
    let bad = site.submit(&NewTask { goal: "panic".into(), ..wish() }).await;
    site.until(bad, RunStatus::Failed).await;
    let good = site.submit(&wish()).await;
    site.until_run(good, "the other run goes on", |run| run.title.is_some()).await;
    site.close().await;
}

#[tokio::test]
async fn minutes_used_up_stop_the_run_for_a_person() {
    let mut site = Site::shared().await;
    let script = Script::with_subtasks(&["a"]).on("plan", async |ctx| {
        ctx.cancel.cancelled().await;
        Err(Failure::cancelled())
    });
    site.worker(&script);
    let limits = Limits { minutes: 0, ..wish().limits };
    let run = site.submit(&NewTask { limits, ..wish() }).await;
    let stopped = site.until(run, RunStatus::NeedsHuman).await;
    assert!(stopped.status_reason.unwrap_or_default().contains("minutes"));
    site.close().await;
}

#[tokio::test]
async fn runs_of_several_workers_never_share_a_step() {
    let mut site = Site::shared().await;
    let script = Script::with_subtasks(&["a", "b", "c", "d"]);
    for _ in 0..3 {
        site.worker(&script);
    }
    let wish = wish();
    let runs = futures::future::join_all((0..6).map(|_| site.submit(&wish))).await;
    for run in runs {
        site.until(run, RunStatus::Succeeded).await;
        let names = site.event_names(run).await;
        let mut started: Vec<_> = names.iter().filter(|name| name.starts_with("step.started")).collect();
        let count = started.len();
        started.sort();
        started.dedup();
        assert_eq!(started.len(), count, "a step was executed twice: {names:?}");
    }
    site.close().await;
}

#[tokio::test]
async fn a_run_outlives_restarts_of_queue_and_database() {
    let servers = OwnServers::start().await;
    let mut site = Site::on(&servers.services().await, quick()).await;
    let reached = Arc::new(Notify::new());
    let go = Arc::new(Notify::new());
    let (reach, wait) = (reached.clone(), go.clone());
    let script = Script::with_subtasks(&["a", "b"]);
    let good = script.clone();
    let script = script.on("code:a", move |ctx| {
        let (reach, wait, good) = (reach.clone(), wait.clone(), good.clone());
        async move {
            if ctx.attempt == 1 {
                reach.notify_one();
                wait.notified().await;
            }
            ctx.progress("after the restarts").await?;
            Ok(good.good(&ctx.step_key))
        }
    });
    site.worker(&script);
    let run = site.submit(&wish()).await;
    reached.notified().await;
    servers.stack.nats_kill9().await.unwrap();
    servers.stack.nats_restart().await.unwrap();
    servers.stack.postgres_kill9().await.unwrap();
    servers.stack.postgres_restart().await.unwrap();
    go.notify_one();
    site.until(run, RunStatus::Succeeded).await;
    let names = site.event_names(run).await;
    assert_eq!(names.iter().filter(|name| *name == "step.succeeded code:a").count(), 1);
    assert_eq!(names.iter().filter(|name| *name == EventType::RunSucceeded.as_str()).count(), 1);
    site.close().await;
}

#[tokio::test]
async fn a_run_goes_on_without_the_queue() {
    let servers = OwnServers::start().await;
    let mut site = Site::on(&servers.services().await, quick()).await;
    servers.stack.nats_stop().await.unwrap();
    site.worker(&Script::with_subtasks(&["a"]));
    let run = site.submit(&wish()).await;
    site.until(run, RunStatus::Succeeded).await;
    assert_ne!(outbox::len(&site.engine.db).await.unwrap(), 0, "what could not be announced waits");
    servers.stack.nats_restart().await.unwrap();
    let emptied = tokio::time::timeout(PATIENCE, async {
        while outbox::len(&site.engine.db).await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    });
    emptied.await.expect("the relay sends what waited once the queue is back");
    site.close().await;
}
