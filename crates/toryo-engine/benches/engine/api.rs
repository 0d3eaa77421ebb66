//! The API in a process of its own, over HTTP on loopback: tasks at a steady rate, and events on their way to browsers.

use crate::http::Http;
use crate::load::{Duty, Site, wish};
use crate::processes::{cpu_ms, memory_mib, open_files};
use crate::readers::Readers;
use crate::servers::Servers;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use toryo_blackboard::{Db, db, events};
use toryo_domain::{EventType, NewEvent};
use toryo_engine::{Config, submit};
use toryo_testkit::stack::Services;

/// Readers of one run, how many events they get, and the time between two of these.
const AUDIENCES: [(usize, u64, Duration); 3] = [
    (1, 500, Duration::from_millis(20)),
    (100, 200, Duration::from_millis(50)),
    (5000, 40, Duration::from_millis(1000)),
];
/// Tasks a second, and for how many seconds.
const RATE: u32 = 200;
const SECONDS: u32 = 20;
/// Connections that tasks come over.
const CALLERS: usize = 32;
/// Longest wait for the server, and for an event.
const PATIENCE: Duration = Duration::from_secs(60);

/// `toryo serve`; it ends with its owner.
struct Server {
    child: tokio::process::Child,
    address: SocketAddr,
}

impl Server {
    async fn start(toryo: &Path, folder: &Path, services: &Services) -> Self {
        let settings = folder.join("toryo.toml");
        let text = format!(
            "data_dir = {:?}\n[server]\nlisten = \"127.0.0.1:0\"\n[database]\nurl = {:?}\n[queue]\nurl = {:?}\nprefix = {:?}\n",
            folder.join("data"),
            services.database_url,
            services.nats_url,
            services.nats_prefix,
        );
        std::fs::write(&settings, text).expect("settings");
        let mut command = tokio::process::Command::new(toryo);
        command.arg("--config").arg(&settings).arg("serve").env("NO_COLOR", "1").kill_on_drop(true);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let started = async {
            while let Some(line) = lines.next_line().await.expect("a line") {
                if let Some(at) = line.find("Toryo serves on http://") {
                    let address = &line[at + "Toryo serves on http://".len()..];
                    return address.trim_end_matches('/').parse().expect("an address");
                }
            }
            panic!("the server ended");
        };
        let address = tokio::time::timeout(PATIENCE, started).await.expect("the server starts in time");
        // What it says further is read, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, address }
    }

    fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }
}

/// All of it, on a database of its own.
pub async fn measure(servers: &Servers, toryo: &Path, folder: &Path) -> Value {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("a limit");
    let services = servers.fresh().await;
    let db = Db::connect(&services.database_url, 2).await.expect("a database");
    db.migrate().await.expect("migrations");
    db.close().await;
    let site = Site::open(&services, Config::default(), Duty::Ask).await;
    let server = Server::start(toryo, folder, &services).await;
    let mut streams = Vec::new();
    for (readers, count, pause) in AUDIENCES {
        streams.push(stream(&site, &server, readers, count, pause).await);
    }
    let repository = repository(folder);
    let tasks = tasks(servers, &server, &repository).await;
    let answer = json!({ "streams": streams, "tasks": tasks });
    site.close().await;
    answer
}

/// Events of one run to so many readers. The clock starts when the event is committed, and stops when the reader has its
/// number.
async fn stream(site: &Site, server: &Server, readers: usize, count: u64, pause: Duration) -> Value {
    let run = submit(&site.engine, &wish(0), None).await.expect("a run").run_id;
    let idle = memory_mib(server.id(), "VmRSS");
    let path = format!("/runs/{run}/stream");
    let first = toryo_blackboard::runs::get(&site.engine.db, run).await.expect("a run").last_seq + 1;
    let mut committed = Vec::new();
    let mut connections = Vec::with_capacity(readers);
    for _ in 0..readers {
        let mut http = Http::connect(server.address).await;
        http.follow(&path, first - 1).await;
        connections.push(http);
    }
    let readers_of = Readers::of(connections, first);
    let events_each = usize::try_from(count).expect("a number");
    let reading = tokio::task::spawn_blocking(move || readers_of.read(events_each));
    let files = open_files(server.id());
    let used = cpu_ms(server.id());
    let mut clock = tokio::time::interval(pause);
    clock.tick().await;
    for number in 0..count {
        clock.tick().await;
        let mut tx = site.engine.db.begin().await.expect("a transaction");
        let event =
            NewEvent::of_run(EventType::PolicyDecision, json!({ "decision": "note", "number": number }));
        let seq = events::append(&mut tx, run, &[event]).await.expect("an event");
        db::commit(tx).await.expect("a commit");
        committed.push(Instant::now());
        site.engine.bus.ring(run, seq).await;
    }
    let arrivals = reading.await.expect("the readers end well");
    let used = cpu_ms(server.id()) - used;
    let late = |(at, committed): (&Instant, &Instant)| {
        at.saturating_duration_since(*committed).as_secs_f64() * 1000.0
    };
    let mut delays: Vec<f64> = arrivals
        .iter()
        .flat_map(|reader| reader.iter().zip(&committed).map(late).collect::<Vec<_>>())
        .collect();
    let memory = memory_mib(server.id(), "VmHWM");
    json!({
        "readers": readers, "events": count, "received": delays.len(),
        "p50_ms": quantile(&mut delays, 0.5), "p99_ms": quantile(&mut delays, 0.99), "most_ms": quantile(&mut delays, 1.0),
        "server_cpu_ms_an_event": used / count as f64,
        "memory_before_mib": idle, "memory_peak_mib": memory, "open_files": files,
    })
}

/// Tasks at a steady rate, after as many that warm the server up as it has connections to. The clock of each starts when it
/// is due, whether a connection is free then or not.
async fn tasks(servers: &Servers, server: &Server, repository: &Path) -> Value {
    let body = json!({ "repo_url": repository, "goal": "make it right" }).to_string();
    let warm = (0..CALLERS).map(|_| async {
        let mut http = Http::connect(server.address).await;
        assert_eq!(http.post("/tasks", &body).await.0, 202);
    });
    futures::future::join_all(warm).await;
    let due = Arc::new(Mutex::new(0_u32..RATE * SECONDS));
    let begun = Instant::now() + Duration::from_millis(200);
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (due, body, address) = (due.clone(), body.clone(), server.address);
            tokio::spawn(async move {
                let mut http = Http::connect(address).await;
                let mut delays = Vec::new();
                loop {
                    let Some(number) = due.lock().expect("whole").next() else { return delays };
                    let at = begun + Duration::from_secs(1) * number / RATE;
                    tokio::time::sleep_until(at.into()).await;
                    let (status, answer) = http.post("/tasks", &body).await;
                    assert_eq!(status, 202, "{answer}");
                    delays.push(at.elapsed().as_secs_f64() * 1000.0);
                }
            })
        })
        .collect();
    let used = (cpu_ms(server.id()), servers.cpu().0);
    let mut delays = Vec::new();
    for caller in callers {
        delays.extend(caller.await.expect("a caller ends well"));
    }
    let wall = begun.elapsed().as_secs_f64();
    json!({
        "asked_per_second": RATE, "per_second": delays.len() as f64 / wall, "requests": delays.len(),
        "p50_ms": quantile(&mut delays, 0.5), "p99_ms": quantile(&mut delays, 0.99), "most_ms": quantile(&mut delays, 1.0),
        "server_cpu_ms_a_request": (cpu_ms(server.id()) - used.0) / delays.len() as f64,
        "postgres_cpu_ms_a_request": (servers.cpu().0 - used.1) / delays.len() as f64,
    })
}

/// A Git repository that tasks may name.
fn repository(folder: &Path) -> PathBuf {
    let path = folder.join("repository");
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(&path).args(["-c", "user.name=Bench", "-c", "user.email=bench@localhost"]);
        let output = command.args(arguments).output().expect("git");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    std::fs::create_dir_all(&path).expect("a folder");
    git(&["init", "--quiet", "--initial-branch", "main"]);
    git(&["commit", "--quiet", "--allow-empty", "--message", "Begin"]);
    path
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}
