//! Runs of the nine-node graph: one worker in a process of its own, and here whoever asks for runs.

use crate::agents::{self, STEPS};
use crate::processes::cpu_ms;
use crate::servers::Servers;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use toryo_blackboard::{Db, MemoryBlobs, runs as stored};
use toryo_bus::{Bus, Subjects};
use toryo_domain::{Approval, Limits, NewTask, Priority, RunId, RunStatus};
use toryo_engine::{Config, Engine, Worker, relay, submit, sweep};
use toryo_testkit::stack::Services;

/// Where a worker finds its servers; not in its arguments, which everybody can read.
const ENVIRONMENT: [&str; 3] = ["TORYO_BENCH_DATABASE", "TORYO_BENCH_QUEUE", "TORYO_BENCH_PREFIX"];
/// Sessions of a process: the program's default.
const CONNECTIONS: u32 = 16;
/// Longest a run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// One worker until SIGTERM, with relay, sweeper and listener as `toryo worker` has them.
pub async fn work(capacity: u32) {
    let [database, queue, prefix] = ENVIRONMENT.map(|name| std::env::var(name).expect("started by `steps`"));
    let services = Services { database_url: database, nats_url: queue, nats_prefix: prefix };
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("a signal");
    let site = Site::open(&services, Config { capacity, ..Config::default() }, Duty::Work).await;
    let worker = Worker::new(site.engine.clone(), agents::all(), Arc::new(MemoryBlobs::default()));
    let stop = CancellationToken::new();
    tokio::join!(worker.run("bench", "0", stop.clone()), async {
        terminate.recv().await;
        stop.cancel();
    });
    site.close().await;
}

/// What a process does.
#[derive(Clone, Copy)]
pub enum Duty {
    /// Executes steps.
    Work,
    /// Asks for runs, and hears how they end.
    Ask,
}

/// The engine's servants in this process.
pub struct Site {
    pub engine: Engine,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Site {
    pub async fn open(services: &Services, config: Config, duty: Duty) -> Self {
        let db = Db::connect(&services.database_url, CONNECTIONS).await.expect("a database");
        let subjects = Subjects::new(&services.nats_prefix).expect("a prefix");
        let bus = Bus::connect(&services.nats_url, subjects).await.expect("a queue");
        let engine = Engine::new(db, bus, config);
        let stop = CancellationToken::new();
        let (hearing, ended) = (engine.bus.clone(), stop.clone());
        let tasks = vec![
            tokio::spawn(relay::run(engine.clone(), stop.clone())),
            tokio::spawn(sweep::run(engine.clone(), stop.clone())),
            tokio::spawn(async move {
                match duty {
                    Duty::Work => hearing.listen_to_orders(ended).await,
                    Duty::Ask => hearing.listen(ended).await,
                }
            }),
        ];
        Self { engine, stop, tasks }
    }

    pub async fn close(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.expect("a servant ends well");
        }
        self.engine.db.close().await;
    }
}

/// A worker's process; it ends with its owner.
struct WorkerProcess(Child);

impl WorkerProcess {
    fn start(services: &Services, capacity: usize) -> Self {
        let values = [&services.database_url, &services.nats_url, &services.nats_prefix];
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["worker", &capacity.to_string()]).envs(ENVIRONMENT.into_iter().zip(values));
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("a worker"))
    }

    fn stop(mut self) {
        let id = i32::try_from(self.0.id()).expect("a process id");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM)
            .expect("a signal");
        assert!(self.0.wait().expect("an end").success(), "the worker ends well");
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ended = self.0.kill();
    }
}

/// Executes so many runs, so many at a time: whenever one ends, the next one is asked for.
///
/// Processor time counts everything between the first request and the last end: both servers, the worker, and this
/// process, which stores the tasks and relays their first wake-ups. Commits and syncs also count the worker's start, its
/// end and the runs that warm it up, over the steps of all of them.
pub async fn runs(servers: &Servers, count: usize, concurrency: usize) -> Value {
    let services = servers.fresh().await;
    let db = Db::connect(&services.database_url, 2).await.expect("a database");
    db.migrate().await.expect("migrations");
    db.close().await;
    let before = servers.counted(&services.database_url).await;
    let site = Site::open(&services, Config::default(), Duty::Ask).await;
    let worker = WorkerProcess::start(&services, concurrency);
    let last = first_run(&site.engine).await;
    let warm_up = 2 * concurrency;
    in_turn(&site.engine, warm_up, concurrency, last).await;

    let used = || (servers.cpu(), cpu_ms(worker.0.id()), cpu_ms(std::process::id()));
    let (cpu, began) = (used(), Instant::now());
    in_turn(&site.engine, count, concurrency, last).await;
    let (wall, then) = (began.elapsed().as_secs_f64(), used());

    worker.stop();
    site.close().await;
    let after = servers.counted(&services.database_url).await;
    let steps = (count * STEPS) as f64;
    let all_steps = ((count + warm_up + 1) * STEPS) as f64;
    let (postgres, nats) = (then.0.0 - cpu.0.0, then.0.1 - cpu.0.1);
    let (worker, asking) = (then.1 - cpu.1, then.2 - cpu.2);
    let times = times(&services.database_url, count, count + warm_up + 1).await;
    json!({
        "per_second": steps / wall, "runs_per_second": count as f64 / wall,
        "step_p50_ms": times.0, "step_p99_ms": times.1,
        "cpu_ms": (postgres + nats + worker + asking) / steps,
        "postgres_ms": postgres / steps, "nats_ms": nats / steps, "worker_ms": worker / steps, "client_ms": asking / steps,
        "commits": (after.commits - before.commits) as f64 / all_steps,
        "syncs": (after.syncs - before.syncs) as f64 / all_steps,
        "events_a_run": last,
    })
}

pub fn wish(number: usize) -> NewTask {
    NewTask {
        // Runs of one repository or of many meet in no lock of the engine; many are what a service sees.
        repo_url: format!("/srv/repository-{}", number % 8),
        goal: "make it right".into(),
        issue_id: None,
        base_branch: None,
        constraints: vec![],
        acceptance_criteria: vec![],
        priority: Priority::Normal,
        approval: Approval::None,
        limits: Limits::default(),
        labels: vec![],
        source: "api".into(),
    }
}

/// A first run, watched in the database; the number of its last event, by which the others are known to have ended.
async fn first_run(engine: &Engine) -> u64 {
    let run = submit(engine, &wish(0), None).await.expect("a run").run_id;
    let begun = Instant::now();
    loop {
        let now = stored::get(&engine.db, run).await.expect("a run");
        if now.status == RunStatus::Succeeded {
            return now.last_seq;
        }
        assert!(begun.elapsed() < PATIENCE && !now.status.is_final(), "the first run is {}", now.status);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn in_turn(engine: &Engine, count: usize, concurrency: usize, last: u64) {
    let next = Arc::new(AtomicUsize::new(0));
    let lanes: Vec<_> = (0..concurrency)
        .map(|_| {
            let (engine, next) = (engine.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let run = submit(&engine, &wish(number), None).await.expect("a run").run_id;
                    ended(&engine, run, last).await;
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.expect("a lane ends well");
    }
}

/// Waits for the bell of the run's last event; a bell may be missed, so the database is asked now and then.
async fn ended(engine: &Engine, run: RunId, last: u64) {
    let mut bell = engine.bus.bell().watch(run);
    let begun = Instant::now();
    while *bell.borrow_and_update() < last {
        if tokio::time::timeout(Duration::from_secs(1), bell.changed()).await.is_err() {
            let run = stored::get(&engine.db, run).await.expect("a run");
            assert!(begun.elapsed() < PATIENCE, "run {} is {}", run.id, run.status);
            if run.status.is_final() {
                return;
            }
        }
    }
}

/// From a step's readiness to its end, in milliseconds, of the newest runs: half of the steps took no longer than the first,
/// and 99 of 100 no longer than the second. All runs have to have succeeded.
async fn times(url: &str, newest: usize, all: usize) -> (f64, f64) {
    let mut session = PgConnection::connect(url).await.expect("a session");
    let succeeded = "select count(*) filter (where status = 'succeeded'), \
                     (select count(*) from steps where status = 'succeeded') from runs";
    let row = sqlx::query(succeeded).fetch_one(&mut session).await.expect("counts");
    let (ended, steps): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!((ended, steps), (all as i64, (all * STEPS) as i64), "every run succeeded with nine steps");
    let statement = "select percentile_cont(array[0.5, 0.99]) within group (order by \
                     extract(epoch from steps.finished_at - steps.ready_at)::float8 * 1000) from steps \
                     where run_id in (select id from runs order by id desc limit $1)";
    let found: Vec<f64> =
        sqlx::query_scalar(statement).bind(newest as i64).fetch_one(&mut session).await.expect("times");
    session.close().await.expect("an end");
    (found[0], found[1])
}
