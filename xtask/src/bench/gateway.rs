//! `cargo xtask bench gateway`: what a call through the gateway costs beside the upstream alone and beside the least
//! that a gateway could do.
//!
//! Processor time a request is the figure to trust; tail latencies on a busy machine are not.

use std::{fmt::Write, fs, process::Command, process::ExitCode};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use super::{built, machine, quantile};
use crate::{
    child::{self, Signals},
    workspace,
};

/// How much is measured.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How often the contenders take their turns; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Prints JSON in place of the tables
    #[arg(long)]
    json: bool,
}

/// What is shown of a row: heading, field, digits after the point.
const COLUMNS: [(&str, &str, usize); 6] = [
    ("CPU us", "cpu_us", 1),
    ("req/s", "per_second", 0),
    ("req/s a core", "per_core_second", 0),
    ("first p50 us", "first_p50_us", 0),
    ("p50 us", "p50_us", 0),
    ("p99 us", "p99_us", 0),
];

/// Builds, measures and prints.
pub(crate) async fn run(arguments: Arguments, signals: &mut Signals) -> Result<ExitCode> {
    let build = ["build", "--release", "--package", "toryo", "--bin", "toryo"];
    child::run(workspace::cargo(&build), signals).await?.succeeded("building toryo")?;
    let program = built("toryo-models", "gateway", signals).await?;
    let target = workspace::target_dir()?;
    let folder = target.join("bench").join("gateway");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut command = Command::new(program);
    command.arg("measure").arg(&folder).arg(arguments.rounds.to_string()).arg(target.join("release/toryo"));
    let mut answer = Value::Null;
    let measured = child::run_reading(command, signals, |line| {
        answer = serde_json::from_str(line).unwrap_or(Value::Null);
    });
    measured.await?.succeeded("the benchmark")?;
    if arguments.json {
        println!("{:#}", json!({ "machine": machine(), "measured": answer }));
    } else {
        print!("{}\n{}", machine(), tables(&answer, arguments.rounds));
    }
    Ok(ExitCode::SUCCESS)
}

fn tables(answer: &Value, rounds: u32) -> String {
    let mut out = format!(
        "Authentication, limits, budgets and ledger on; upstream of 0 ms on the other core. Medians of {rounds} rounds.\n"
    );
    for (kind, what) in [("json", "JSON"), ("stream", "stream of 20 tokens")] {
        for concurrency in [1, 32] {
            let _ = write!(out, "\n{:<28}", format!("{what}, {concurrency} at a time"));
            for (heading, ..) in COLUMNS {
                let _ = write!(out, "{heading:>14}");
            }
            for contender in ["upstream", "pass-through", "toryo"] {
                let _ = write!(out, "\n{contender:<28}");
                for (_, field, digits) in COLUMNS {
                    let _ = match median(answer, contender, kind, concurrency, field) {
                        Some(value) => write!(out, "{value:>14.digits$}"),
                        None => write!(out, "{:>14}", "–"),
                    };
                }
            }
            out.push('\n');
        }
    }
    let _ = writeln!(
        out,
        "\nMost memory: pass-through {:.0} MiB, Toryo {:.0} MiB. Ledger: {} calls, every token paid once.",
        answer["memory_mib"]["pass-through"].as_f64().unwrap_or(f64::NAN),
        answer["memory_mib"]["toryo"].as_f64().unwrap_or(f64::NAN),
        answer["ledger"]["calls"],
    );
    out
}

fn median(answer: &Value, contender: &str, kind: &str, concurrency: u32, field: &str) -> Option<f64> {
    let rows = answer["rows"].as_array()?;
    let ours = rows.iter().filter(|row| {
        row["contender"] == contender && row["kind"] == kind && row["concurrency"] == concurrency
    });
    let values: Vec<f64> = ours.filter_map(|row| row["measured"][field].as_f64()).collect();
    quantile(&values, 0.5)
}
