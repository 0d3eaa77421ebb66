//! What `cargo xtask bench engine` measures. It prints one JSON object and ends.
//!
//! | arguments | what it does |
//! | --- | --- |
//! | `steps FOLDER ROUNDS DELAY_MS RUNS@CONCURRENCY…` | steps, on a Postgres and a NATS of its own under `FOLDER`, each of whose syncs takes `DELAY_MS` longer |
//! | `api FOLDER TORYO` | streams and tasks of this program, on servers of its own |
//! | `worker CAPACITY` | one worker with agents that do nothing; started by `steps`, with the servers in its environment |
//!
//! Floor, baseline and engine take turns in every round on one server, so that a busy hour meets all of them alike.
//! The engine's own part is this program started again: a process of its own, so that its processor time is known apart
//! from that of whoever asks for runs.
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on has to fail loudly")]

mod agents;
mod api;
mod bare;
mod http;
mod load;
mod processes;
mod readers;
mod servers;

use serde_json::{Value, json};
use servers::{Delay, Servers};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Seconds that floor and baseline are measured, each, in each round.
const SECONDS: u64 = 4;

/// How many runs are executed, and how many of them at a time.
struct Series {
    runs: usize,
    concurrency: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let answer = match words.as_slice() {
        ["worker", capacity] => {
            runtime.block_on(load::work(capacity.parse().expect("a number")));
            return;
        }
        ["steps", folder, rounds, delay_ms, series @ ..] => {
            let series: Vec<Series> = series.iter().map(|text| parse(text)).collect();
            let rounds = rounds.parse().expect("a number of rounds");
            let delay = Duration::from_millis(delay_ms.parse().expect("milliseconds"));
            runtime.block_on(steps(PathBuf::from(folder), rounds, delay, &series))
        }
        ["api", folder, toryo] => runtime.block_on(of_the_api(PathBuf::from(folder), Path::new(toryo))),
        _ => {
            json!({ "note": "`cargo xtask bench engine` runs this; there is nothing to measure without it" })
        }
    };
    writeln!(std::io::stdout().lock(), "{answer}").expect("standard output");
}

/// `40@32`: forty runs, 32 at a time.
fn parse(text: &str) -> Series {
    let (runs, concurrency) = text.split_once('@').expect("RUNS@CONCURRENCY");
    Series { runs: runs.parse().expect("runs"), concurrency: concurrency.parse().expect("concurrency") }
}

async fn steps(folder: PathBuf, rounds: usize, delay: Duration, series: &[Series]) -> Value {
    let slow = match delay {
        Duration::ZERO => None,
        delay => match Delay::build(&folder, delay) {
            None => return json!({ "skipped": "there is no C compiler (cc) to build a slower disk with" }),
            built => built,
        },
    };
    let servers = Servers::start(folder, slow.as_ref()).await;
    let mut rows = Vec::new();
    for round in 1..=rounds {
        for one in series {
            let concurrency = one.concurrency;
            for (what, measured) in [
                ("floor", bare::floor(&servers, concurrency, SECONDS).await),
                ("bare", bare::claim_and_complete(&servers, concurrency, SECONDS).await),
                ("engine", load::runs(&servers, one.runs, concurrency).await),
            ] {
                writeln!(std::io::stderr(), "round {round}, {what}, {concurrency} at a time: {measured}")
                    .expect("an error stream");
                rows.push(json!({
                    "round": round, "what": what, "concurrency": concurrency, "measured": measured,
                }));
            }
        }
    }
    json!({ "postgres": servers.version().await, "rows": rows })
}

async fn of_the_api(folder: PathBuf, toryo: &Path) -> Value {
    let servers = Servers::start(folder.clone(), None).await;
    api::measure(&servers, toryo, &folder).await
}
