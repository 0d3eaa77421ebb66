//! What `cargo xtask bench gateway` measures. It prints one JSON object and ends.
//!
//! | arguments | what it does |
//! | --- | --- |
//! | `measure FOLDER ROUNDS TORYO` | everything, on a Postgres and a NATS of its own under `FOLDER` |
//! | `upstream` | a provider that answers at once; started by `measure` |
//! | `passthrough URL` | the least that a gateway could do: a key looked up, a budget counted in memory, bytes passed on |
//!
//! The contender under test runs on core 0, everything else on core 1: upstream, load, Postgres, NATS. Direct upstream,
//! pass-through and Toryo take turns in every round, so that a busy hour meets all of them alike.
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on has to fail loudly")]

mod load;
mod passthrough;
mod site;
mod upstream;

use load::Kind;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Seconds that each contender is measured, each time.
const SECONDS: u64 = 5;
/// Clients at once: one for what a call is delayed, many for what a core can carry.
const CONCURRENCY: [usize; 2] = [1, 32];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let answer = match words.as_slice() {
        ["upstream"] => return on_core(1, upstream::run()),
        ["passthrough", url] => return on_core(0, passthrough::run(url.parse().expect("an address"))),
        ["measure", folder, rounds, toryo] => {
            let rounds = rounds.parse().expect("a number of rounds");
            on_core(1, measure(PathBuf::from(folder), rounds, Path::new(toryo)))
        }
        _ => {
            json!({ "note": "`cargo xtask bench gateway` runs this; there is nothing to measure without it" })
        }
    };
    writeln!(std::io::stdout().lock(), "{answer}").expect("standard output");
}

/// Runs on one core with one thread: children inherit it, so that servers started from here stay off the other core.
fn on_core<T>(core: usize, work: impl Future<Output = T>) -> T {
    let mut cores = CpuSet::new();
    cores.set(core).expect("a core");
    sched_setaffinity(Pid::from_raw(0), &cores).expect("a machine of at least two cores");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

async fn measure(folder: PathBuf, rounds: usize, toryo: &Path) -> Value {
    let site = site::Site::start(&folder, toryo).await;
    let mut rows = Vec::new();
    for round in 1..=rounds {
        for kind in [Kind::Whole, Kind::Stream] {
            for concurrency in CONCURRENCY {
                for contender in site.contenders() {
                    let measured = load::measure(contender, kind, concurrency, SECONDS).await;
                    writeln!(
                        std::io::stderr(),
                        "round {round}, {}, {kind:?}, {concurrency} at a time: {measured}",
                        contender.name
                    )
                    .expect("an error stream");
                    rows.push(json!({
                        "round": round, "contender": contender.name, "kind": kind.name(),
                        "concurrency": concurrency, "measured": measured,
                    }));
                }
            }
        }
    }
    let checked = site.checked().await;
    json!({ "rows": rows, "memory_mib": site.memory(), "ledger": checked })
}
