//! The fault suite: runs with parallel subtasks, a repair and a pull request, by the real agents, engine, gateway and
//! forge, while worker processes are killed and stopped at every boundary of the engine, and servers, networks, disks
//! and clocks fail. Afterwards every run has left exactly what an undisturbed one leaves, and nothing else is anywhere.
//!
//! `cargo xtask test faults` runs the short form, `--long` the long one. The program starts itself again for every
//! process of the suite. What is not real here: the model (a scripted server that speaks the wire protocol) and the
//! sandbox, which reads the code instead of running it; tests with containers are in `tests/it`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test program talks to whoever runs it")]

mod child;
mod fleet;
#[path = "../../crates/toryo/src/keeper.rs"]
#[expect(dead_code, reason = "the suite looks when it wants to, not regularly")]
mod keeper;
mod model;
mod ports;
#[path = "../../crates/toryo/src/adapters/pulls.rs"]
mod pulls;
mod replies;
mod sandbox;
mod site;
mod state;
mod suite;
mod trouble;

use std::process::ExitCode;
use suite::Plan;
use tokio::signal::unix::{SignalKind, signal};

/// The name that a filter is compared with.
const NAME: &str = "faults";
const SHORT_RUNS: usize = 60;
const LONG_RUNS: usize = 500;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.first().is_some_and(|first| first == "child") {
        return match runtime.block_on(child::run(&arguments[1..])) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let Some(plan) = plan(&arguments) else {
        println!("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out");
        return ExitCode::SUCCESS;
    };
    println!("faults: at least {} runs, seed {} (TORYO_FAULTS_SEED repeats it)", plan.runs, plan.seed);
    match runtime.block_on(until_interrupted(suite::run(plan))) {
        Ok(figures) => {
            let replies = &figures.replies;
            println!(
                "faults: {} runs, {} boundaries armed, {} troubles, {} processes killed or stopped, {} s; \
                 {} model calls, {} answered again because their process was lost with the reply, 0 paid twice",
                figures.runs,
                figures.pairs,
                figures.troubles,
                figures.disturbed,
                figures.seconds,
                replies.calls,
                figures.answered_again,
            );
            let passed = figures.pairs + figures.troubles;
            println!("test result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("faults failed: {error:#}");
            println!("test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out");
            ExitCode::FAILURE
        }
    }
}

/// Gives up at the first signal, so that disks are unmounted and servers stopped.
async fn until_interrupted<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        done = work => done,
        _ = terminate.recv() => anyhow::bail!("interrupted"),
        _ = interrupt.recv() => anyhow::bail!("interrupted"),
    }
}

/// What to do; `None` where a filter asks for other tests.
fn plan(arguments: &[String]) -> Option<Plan> {
    let long = arguments.iter().any(|argument| argument == "--long");
    let filter = arguments.iter().find(|argument| !argument.starts_with('-')).cloned();
    let known = toryo_engine::Boundary::ALL.iter().map(|boundary| boundary.as_str());
    let only = match filter {
        Some(filter) if NAME.contains(filter.as_str()) => None,
        Some(filter) if known.into_iter().any(|name| name.contains(filter.as_str())) => Some(filter),
        Some(_) => return None,
        None => None,
    };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let runs = if long { LONG_RUNS } else { SHORT_RUNS };
    let seed = number("TORYO_FAULTS_SEED").unwrap_or_else(|| clock().as_secs());
    let runs = number("TORYO_FAULTS_RUNS").and_then(|runs| usize::try_from(runs).ok()).unwrap_or(runs);
    Some(Plan { runs: if only.is_some() { 8 } else { runs }, seed, long, only })
}
