//! What people and programs meet at the queue: gates that open once, messages that count once, dead letters, and streams
//! with many readers.

use crate::engine::CONNECTING;
use crate::harness::{PATIENCE, Toryo};
use crate::scripted::Script;
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_agents::sample;
use toryo_api::sse::{Feeds, HEARTBEAT, Stored, follow};
use toryo_blackboard::{
    BlobStore, Db, Idempotency, MemoryBlobs, Run, db, dead_letters, events, outbox, runs, workers,
};
use toryo_bus::{Bus, Subjects};
use toryo_domain::{
    Approval, Digest, EventType, FailureClass, Gate, Limits, NewEvent, NewTask, Priority, RunId, RunStatus,
    Usd,
};
use toryo_engine::control::{self, Seen};
use toryo_engine::{Config, Engine, Failure, Worker, relay, retention, submit, sweep};
use toryo_testkit::openai::Script as Replies;
use toryo_testkit::stack::Services;

struct Site {
    engine: Engine,
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Site {
    async fn new() -> Self {
        Self::on(&Services::shared().await).await
    }

    async fn on(services: &Services) -> Self {
        let db = Db::connect_within(&services.database_url, 12, CONNECTING).await.unwrap();
        db.migrate().await.unwrap();
        let subjects = Subjects::new(&services.nats_prefix).unwrap();
        let bus = Bus::connect(&services.nats_url, subjects).await.unwrap();
        let config = Config {
            lease_seconds: 2,
            watch_ms: 50,
            poll_ms: 200,
            backoff_ms: 20,
            attempts: 2,
            drain_seconds: 1,
            ..Config::default()
        };
        let engine = Engine::new(db, bus, config);
        let stop = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(relay::run(engine.clone(), stop.clone())),
            tokio::spawn(sweep::run(engine.clone(), stop.clone())),
        ];
        Self { engine, stop, tasks }
    }

    fn worker(&mut self, script: &Script) -> CancellationToken {
        let stop = self.stop.child_token();
        let worker = Worker::new(self.engine.clone(), script.agents(), Arc::new(MemoryBlobs::default()));
        let stopped = stop.clone();
        self.tasks.push(tokio::spawn(async move { worker.run("test", "0", stopped).await }));
        stop
    }

    async fn submit(&self, approval: Approval) -> RunId {
        submit(&self.engine, &wish(approval), None).await.unwrap().run_id
    }

    async fn until(&self, run: RunId, wanted: impl Fn(&Run) -> bool) -> Run {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let row = runs::get(&self.engine.db, run).await.unwrap();
                if wanted(&row) {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.expect("the run gets there in time")
    }

    async fn close(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        self.engine.db.close().await;
    }
}

fn wish(approval: Approval) -> NewTask {
    NewTask {
        repo_url: "/srv/repository".into(),
        goal: "make it right".into(),
        issue_id: None,
        base_branch: None,
        constraints: vec![],
        acceptance_criteria: vec![],
        priority: Priority::Normal,
        approval,
        limits: Limits { usd: Usd::from_nanos(1), tokens: 1, minutes: 10, repair_loops: 2 },
        labels: vec![],
        source: "api".into(),
    }
}

#[tokio::test]
async fn a_repeated_approval_never_opens_the_next_gate() {
    let mut site = Site::new().await;
    site.worker(&Script::with_subtasks(&["a"]));
    let run = site.submit(Approval::All).await;
    let plan = Seen { gate: Some(Gate::Plan), round: Some(1) };
    site.until(run, |run| run.gate == Some(Gate::Plan)).await;
    let early = Seen { gate: Some(Gate::PullRequest), round: None };
    assert!(control::approve_seen(&site.engine, run, "tester", None, early).await.is_err());
    control::approve_seen(&site.engine, run, "tester", None, plan).await.unwrap();
    site.until(run, |run| run.gate == Some(Gate::PullRequest)).await;
    for again in [plan, Seen { gate: Some(Gate::PullRequest), round: Some(2) }] {
        let refused = control::approve_seen(&site.engine, run, "tester", None, again).await;
        assert!(matches!(refused, Err(control::Error::NotPossible(_))), "{refused:?}");
        assert!(control::reject_seen(&site.engine, run, "tester", None, again).await.is_err());
    }
    let change = Seen { gate: Some(Gate::PullRequest), round: Some(1) };
    control::approve_seen(&site.engine, run, "tester", None, change).await.unwrap();
    site.until(run, |run| run.status == RunStatus::Succeeded).await;
    site.close().await;
}

#[tokio::test]
async fn runs_end_while_the_queue_takes_no_message_and_it_says_so() {
    let services = Services::shared().await;
    // Somebody else's stream has the subject, so that ours cannot be made.
    let client = jetstream(&services).await;
    let (subject, foreign) =
        (format!("{}.steps.ready", services.nats_prefix), format!("{}_x", services.nats_prefix));
    let config = async_nats::jetstream::stream::Config {
        name: foreign.clone(),
        subjects: vec![subject],
        ..Default::default()
    };
    client.create_stream(config).await.unwrap();
    let mut site = Site::on(&services).await;
    site.worker(&Script::with_subtasks(&["a", "b"]));
    let runs = [site.submit(Approval::None).await, site.submit(Approval::None).await];
    for run in runs {
        site.until(run, |run| run.status == RunStatus::Succeeded).await;
    }
    assert!(site.engine.bus.refusing_for().is_some());
    assert!(site.engine.bus.ping().await.is_err());
    assert!(outbox::len(&site.engine.db).await.unwrap() > 0, "what was not sent is kept");
    client.delete_stream(&foreign).await.unwrap();
    let healed = tokio::time::timeout(PATIENCE, async {
        while outbox::len(&site.engine.db).await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    healed.await.expect("the outbox is emptied in time");
    assert_eq!(site.engine.bus.refusing_for(), None);
    site.close().await;
}

/// A way to the queue that is not the engine's.
async fn jetstream(services: &Services) -> async_nats::jetstream::Context {
    let (login, address) = services.nats_url.trim_start_matches("nats://").rsplit_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let options = async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
    async_nats::jetstream::new(options.connect(address).await.unwrap())
}

#[tokio::test]
async fn a_repeated_message_is_written_once() {
    let site = Site::new().await;
    let run = site.submit(Approval::None).await;
    let key = |digest: &str| Idempotency { key: "k".into(), digest: Digest::of(digest) };
    let write =
        async |body: &str| control::message_once(&site.engine, run, "tester", body, Some(&key(body))).await;
    write("first").await.unwrap();
    write("first").await.unwrap();
    assert!(matches!(write("second").await, Err(control::Error::KeyReused)));
    let received = events::after(&site.engine.db, run, 0, 100).await.unwrap();
    assert_eq!(received.iter().filter(|event| event.kind == EventType::MessageReceived).count(), 1);
    site.close().await;
}

#[tokio::test]
async fn a_dead_letter_is_open_until_its_step_is_tried_again() {
    let mut site = Site::new().await;
    let broken = Arc::new(AtomicBool::new(true));
    let switch = broken.clone();
    let script = Script::with_subtasks(&["a"]);
    let good = script.clone();
    site.worker(&script.on("integrate", move |ctx| {
        let (switch, good) = (switch.clone(), good.clone());
        async move {
            if switch.load(Ordering::SeqCst) {
                return Err(Failure::new(FailureClass::Sandbox, "the engine is away"));
            }
            Ok(good.good(&ctx.step_key))
        }
    }));
    let run = site.submit(Approval::None).await;
    site.until(run, |run| run.status == RunStatus::Failed).await;
    let letters = dead_letters::list(&site.engine.db, 10, None).await.unwrap().items;
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((letter.run_id, letter.attempts, letter.class), (run, 2, FailureClass::Sandbox));
    broken.store(false, Ordering::SeqCst);
    control::retry(&site.engine, run, "tester", Some(&letter.step_key)).await.unwrap();
    assert!(dead_letters::get(&site.engine.db, letter.id).await.is_err(), "it is no longer open");
    site.until(run, |run| run.status == RunStatus::Succeeded).await;
    site.close().await;
}

#[tokio::test]
async fn a_worker_that_stops_says_so_and_takes_nothing_more() {
    let mut site = Site::new().await;
    let script = Script::with_subtasks(&["a"]).on("spec", async |ctx| {
        ctx.cancel.cancelled().await;
        Err(Failure::cancelled())
    });
    let stop = site.worker(&script);
    let run = site.submit(Approval::None).await;
    site.until(run, |run| run.status == RunStatus::Running).await;
    stop.cancel();
    let seen = tokio::time::timeout(PATIENCE, async {
        while !workers::live(&site.engine.db).await.unwrap().iter().any(|worker| worker.draining) {
            tokio::task::yield_now().await;
        }
    });
    seen.await.expect("it is seen draining");
    site.worker(&Script::with_subtasks(&["a"]));
    site.until(run, |run| run.status == RunStatus::Succeeded).await;
    site.close().await;
}

#[tokio::test]
async fn steps_in_a_row_need_no_message_and_no_claim_of_their_own() {
    let mut site = Site::new().await;
    site.worker(&Script::with_subtasks(&["a"]));
    let run = site.submit(Approval::None).await;
    site.until(run, |run| run.status == RunStatus::Succeeded).await;
    let followed = "select count(*) from steps where run_id = $1 and follows_fence is not null";
    let all = "select count(*) from steps where run_id = $1";
    let count = async |statement: &'static str| {
        let rows = sqlx_count(&site.engine.db, statement, run).await;
        usize::try_from(rows).unwrap()
    };
    assert_eq!(count(followed).await, count(all).await - 1, "only the first step was announced");
    site.close().await;
}

async fn sqlx_count(db: &Db, statement: &'static str, run: RunId) -> i64 {
    sqlx::query_scalar(statement).bind(run.uuid()).fetch_one(db.pool()).await.unwrap()
}

fn seq(frame: &Bytes) -> Option<u64> {
    std::str::from_utf8(frame).unwrap().strip_prefix("id: ")?.split('\n').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_readers_get_every_event_once_and_slow_ones_hold_up_nobody() {
    const QUICK: usize = 180;
    const SLOW: usize = 20;
    const ROUNDS: u64 = 60;
    let site = Site::new().await;
    let run = site.submit(Approval::None).await;
    let (feeds, blobs): (_, Arc<dyn BlobStore>) = (Feeds::default(), Arc::new(MemoryBlobs::default()));
    let read = |after: u64| {
        let source = Stored { db: site.engine.db.clone(), blobs: blobs.clone(), run };
        let feed = feeds.of(run, source, site.engine.bus.bell().watch(run));
        follow(feed, after, HEARTBEAT, CancellationToken::new())
    };
    let drained = |stream: futures::stream::BoxStream<'static, Bytes>| {
        tokio::spawn(async move {
            stream.filter_map(|frame| async move { seq(&frame) }).collect::<Vec<u64>>().await
        })
    };
    let quick: Vec<_> = (0..QUICK).map(|_| drained(read(0).boxed())).collect();
    // These take one event each and then none for as long as anything happens.
    let mut slow = vec![];
    for _ in 0..SLOW {
        let mut stream = read(0).boxed();
        assert_eq!(stream.next().await.as_ref().and_then(seq), Some(1));
        slow.push(stream);
    }
    let text = "x".repeat(2000);
    for round in 0..ROUNDS {
        let mut tx = site.engine.db.begin().await.unwrap();
        let many: Vec<NewEvent> = (0..50)
            .map(|n| NewEvent::of_run(EventType::StepLog, json!({ "round": round, "n": n, "text": text })))
            .collect();
        let last = events::append(&mut tx, run, &many).await.unwrap();
        db::commit(tx).await.unwrap();
        site.engine.bus.ring(run, last).await;
    }
    let status = control::cancel(&site.engine, run, "tester", None).await.unwrap();
    assert_eq!(status, RunStatus::Cancelled);
    let last = runs::get(&site.engine.db, run).await.unwrap().last_seq;
    let whole: Vec<u64> = (1..=last).collect();
    for reader in quick {
        let got = tokio::time::timeout(PATIENCE, reader).await.expect("the stream ends").unwrap();
        assert_eq!(got, whole);
    }
    for reader in slow {
        let got = tokio::time::timeout(PATIENCE, drained(reader)).await.expect("the stream ends").unwrap();
        assert_eq!(got, whole[1..]);
    }
    site.close().await;
}

#[tokio::test]
async fn an_old_run_is_archived_once_and_streams_as_before() {
    let mut site = Site::new().await;
    site.worker(&Script::with_subtasks(&["a"]));
    let run = site.submit(Approval::None).await;
    site.until(run, |run| run.status == RunStatus::Succeeded).await;
    let blobs: Arc<dyn BlobStore> = Arc::new(MemoryBlobs::default());
    let read = || {
        let source = Stored { db: site.engine.db.clone(), blobs: blobs.clone(), run };
        let feed = Feeds::default().of(run, source, site.engine.bus.bell().watch(run));
        follow(feed, 0, HEARTBEAT, CancellationToken::new()).collect::<Vec<Bytes>>()
    };
    let before = read().await;
    let days = retention::Config { days: 1, ..retention::Config::default() };
    assert_eq!(retention::keep(&site.engine, &*blobs, days).await.unwrap(), 0, "it is not old yet");
    sqlx::query("update runs set finished_at = finished_at - interval '2 days'")
        .execute(site.engine.db.pool())
        .await
        .unwrap();
    assert_eq!(retention::keep(&site.engine, &*blobs, days).await.unwrap(), 1);
    assert_eq!(retention::keep(&site.engine, &*blobs, days).await.unwrap(), 0);
    assert!(events::after(&site.engine.db, run, 0, 10).await.unwrap().is_empty());
    assert_eq!(read().await, before);
    site.close().await;
}

async fn toryo(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_toryo"));
    command.args(arguments).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends in time").unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn dead_letters_are_listed_replayed_and_dropped_from_the_command_line() {
    let script = Replies::from_recording(sample::RECORDING).unwrap();
    let more = "host = \"unix:///nowhere/docker.sock\"\n";
    let stack = Toryo::with(Services::shared().await, script, more).await;
    let run = stack.submit_sample(&stack.sample()).await;
    stack.until(&run, "it fails", |view| view.status() == "failed").await;
    let server = ["--server", stack.base.as_str()];
    let call = async |arguments: &[&str]| toryo(&[&["dead-letters"], arguments, &server].concat()).await;
    let letters = async || -> Vec<Value> {
        let (code, out, _) = call(&["list", "--json"]).await;
        assert_eq!(code, Some(0));
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let [letter] = letters().await.try_into().unwrap();
    assert_eq!((letter["run_id"].as_str(), letter["class"].as_str()), (Some(run.as_str()), Some("sandbox")));
    let first = letter["id"].as_str().unwrap();
    let (code, listed, _) = call(&["list"]).await;
    assert_eq!(code, Some(0));
    let step = letter["step_key"].as_str().unwrap();
    assert!(listed.contains(first) && listed.contains(step) && listed.lines().count() == 1, "{listed}");

    let (code, _, said) = call(&["replay", first]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, _, said) = call(&["replay", first]).await;
    assert_eq!((code, said.contains("does not exist")), (Some(1), true), "{said}");
    stack.until(&run, "it fails again", |view| view.status() == "failed").await;
    let [letter] = letters().await.try_into().unwrap();
    let second = letter["id"].as_str().unwrap();
    assert_ne!(second, first);
    assert_eq!(call(&["drop", second]).await.0, Some(0));
    assert_eq!(call(&["list"]).await.2, "no dead letters\n");
    assert_eq!(call(&["drop", second]).await.0, Some(1));
    let metrics =
        stack.http.get(format!("{}/metrics", stack.base)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("toryo_steps{state=\"ready\",priority=\"normal\"} 0"), "{metrics}");
    stack.close_unclean().await;
}
