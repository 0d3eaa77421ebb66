//! `cargo xtask bench`: measures speed and quality beside named baselines, in one run on one machine.
//!
//! One file a benchmark. What they share is here: which machine it was, and medians.

mod code;
mod engine;
mod gateway;
mod history;
mod index;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::Value;

use crate::{
    child::{self, Signals},
    workspace,
};

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Measures AST patches: time and correctness of each edit, beside LibCST and Python's `ast`
    ///
    /// Replaces the bodies of functions of real Python files, or of generated ones where none are given, with each
    /// contender in turn. Python's `ast` decides which results are right: it parses them, and they differ from the
    /// original only in the one body. Needs python3; LibCST comes from PyPI and is left out where that is away.
    Code(code::Arguments),
    /// Measures the run engine: steps, commits, syncs and processor time, streams of events, tasks at a steady rate
    ///
    /// Starts a Postgres with fsync on and a NATS of its own under the target folder. Floor (single-row commits), baseline
    /// (bare SQL that claims and completes under a fence) and engine take turns, so that a busy hour meets all alike.
    Engine(engine::Arguments),
    /// Measures the model gateway: processor time of a call, whole and streamed, beside a minimal pass-through
    ///
    /// The contender runs on core 0, everything else on core 1; keys, limits, budgets and ledger are on. Starts a Postgres
    /// and a NATS of its own under the target folder. Needs two cores and taskset.
    Gateway(gateway::Arguments),
    /// Measures code search: recall and mean reciprocal rank on bug-fix commits of repositories, beside plain BM25
    ///
    /// A message says what was wrong, its commit shows which files and functions were put right. Names of what was
    /// changed are hidden in the messages; users' words are the messages without any name of the code.
    Ranking(history::Arguments),
    /// Measures the code index: cold builds, refreshes, queries and memory, beside Python's `ast` with BM25
    ///
    /// The parser alone is shown as the floor. Needs python3, and git where repositories are given.
    Index(index::Arguments),
}

/// Runs one benchmark.
pub(crate) async fn run(bench: Bench, signals: &mut Signals) -> Result<ExitCode> {
    match bench {
        Bench::Code(arguments) => code::run(arguments, signals).await,
        Bench::Engine(arguments) => engine::run(arguments, signals).await,
        Bench::Gateway(arguments) => gateway::run(arguments, signals).await,
        Bench::Index(arguments) => index::run(arguments, signals).await,
        Bench::Ranking(arguments) => {
            // A thread of its own: Ctrl-C ends the program without waiting for it.
            let (done, result) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || done.send(history::run(&arguments)));
            signals.guard(async { result.await.context("the benchmark broke off")? }).await
        }
    }
}

/// Builds a crate's benchmark with all optimisations. The program itself is started, not cargo, so that nothing is
/// built again meanwhile.
async fn built(package: &str, bench: &str, signals: &mut Signals) -> Result<PathBuf> {
    let json = "--message-format=json-render-diagnostics";
    let arguments = ["bench", "--package", package, "--bench", bench, "--no-run", json];
    let mut program = None;
    let build = child::run_reading(workspace::cargo(&arguments), signals, |line| {
        let message: Value = serde_json::from_str(line).unwrap_or_default();
        if message["target"]["name"] == bench {
            program = message["executable"].as_str().map(PathBuf::from).or(program.take());
        }
    });
    build.await?.succeeded("building the benchmark")?;
    program.context("cargo names no program for the benchmark")
}

/// The processor and how many of it there are: figures mean nothing without them.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cores} cores, {}", std::env::consts::OS)
}

/// The value below which this share (0 to 1) of the values lies: the nearest one that was measured.
pub(crate) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share.clamp(0.0, 1.0)).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(
            [0.0, 0.5, 0.99, 2.0].map(|share| quantile(&values, share)),
            [1.0, 3.0, 5.0, 5.0].map(Some)
        );
        assert_eq!(quantile(&[], 0.5), None);
    }
}
