//! `cargo xtask bench engine`: durable steps beside the machine's own floor and beside bare SQL, the stream of events, and
//! tasks at a steady rate.
//!
//! Wall-clock figures depend on the disk and on neighbours: processor time, commits and syncs of the log a step, and
//! ratios of what was measured in turns say more.

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
    /// How many runs of nine steps are executed at each concurrency and in each round; an eighth where there is only one
    /// at a time
    #[arg(long, value_name = "N", default_value_t = 320, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How many runs at a time; may be given several times
    #[arg(long, value_name = "N", default_values_t = [1, 32], value_parser = clap::value_parser!(u32).range(1..=64))]
    concurrency: Vec<u32>,
    /// How often floor, baseline and engine take their turns; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How much longer every sync takes in the second series, as on a slower disk; 0 leaves that series out. Needs `cc`
    #[arg(long, value_name = "MS", default_value_t = 2)]
    sync_delay: u32,
    /// Measures steps only, no streams and no tasks
    #[arg(long)]
    steps_only: bool,
    /// Prints JSON in place of the tables
    #[arg(long)]
    json: bool,
}

/// Builds, measures and prints.
pub(crate) async fn run(arguments: Arguments, signals: &mut Signals) -> Result<ExitCode> {
    let program = built("toryo-engine", "engine", signals).await?;
    let target = workspace::target_dir()?;
    let folder = target.join("bench").join("engine");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let series: Vec<String> = arguments
        .concurrency
        .iter()
        .map(|at_once| {
            let runs = if *at_once == 1 { arguments.runs.div_ceil(8) } else { arguments.runs };
            format!("{runs}@{at_once}")
        })
        .collect();
    let mut delays = vec![0, arguments.sync_delay];
    delays.dedup();
    let mut steps = Vec::new();
    for delay in delays {
        let mut command = Command::new(&program);
        command
            .arg("steps")
            .arg(&folder)
            .arg(arguments.rounds.to_string())
            .arg(delay.to_string())
            .args(&series);
        steps.push(json!({ "sync_delay_ms": delay, "measured": answer(command, signals).await? }));
    }
    let mut api = Value::Null;
    if !arguments.steps_only {
        let build = ["build", "--release", "--package", "toryo", "--bin", "toryo"];
        child::run(workspace::cargo(&build), signals).await?.succeeded("building toryo")?;
        let mut command = Command::new(&program);
        command.arg("api").arg(&folder).arg(target.join("release/toryo"));
        api = answer(command, signals).await?;
    }
    if arguments.json {
        println!("{:#}", json!({ "machine": machine(), "steps": steps, "api": api }));
    } else {
        print!("{}\n{}", machine(), tables(&steps, &api, &arguments));
    }
    Ok(ExitCode::SUCCESS)
}

/// The last line that a program prints, as JSON.
async fn answer(command: Command, signals: &mut Signals) -> Result<Value> {
    let mut answer = Value::Null;
    let measured = child::run_reading(command, signals, |line| {
        answer = serde_json::from_str(line).unwrap_or(Value::Null);
    });
    measured.await?.succeeded("the benchmark")?;
    Ok(answer)
}

/// What is shown of a series: heading, field, digits after the point.
const COLUMNS: [(&str, &str, usize); 9] = [
    ("steps/s", "per_second", 0),
    ("runs/s", "runs_per_second", 1),
    ("p50 ms", "step_p50_ms", 1),
    ("p99 ms", "step_p99_ms", 1),
    ("CPU ms", "cpu_ms", 3),
    ("Postgres", "postgres_ms", 3),
    ("worker", "worker_ms", 3),
    ("commits", "commits", 2),
    ("syncs", "syncs", 2),
];

fn tables(steps: &[Value], api: &Value, arguments: &Arguments) -> String {
    let mut out = format!(
        "Postgres {}, fsync on. Medians of {} rounds. CPU: Postgres, NATS, worker and caller together, a step.\n",
        steps.first().and_then(|first| first["measured"]["postgres"].as_str()).unwrap_or("?"),
        arguments.rounds,
    );
    for one in steps {
        let (delay, measured) = (&one["sync_delay_ms"], &one["measured"]);
        if *delay != 0 {
            let _ = writeln!(out, "\nEvery sync takes {delay} ms longer.");
        }
        match measured["skipped"].as_str() {
            Some(why) => drop(writeln!(out, "Skipped: {why}.")),
            None => of_steps(&mut out, measured, &arguments.concurrency),
        }
    }
    if !api.is_null() {
        of_api(&mut out, api);
    }
    out.push_str("\nNot measured: several workers, a network between the parts.\n");
    out
}

fn of_steps(out: &mut String, answer: &Value, concurrency: &[u32]) {
    for at_once in concurrency {
        let _ = write!(out, "\n{:<28}", format!("{at_once} at a time"));
        for (heading, ..) in COLUMNS {
            let _ = write!(out, "{heading:>10}");
        }
        for (what, name) in
            [("floor", "single-row commits"), ("bare", "bare SQL, claim and complete"), ("engine", "Toryo")]
        {
            let _ = write!(out, "\n{name:<28}");
            for (_, field, digits) in COLUMNS {
                let _ = match median(answer, what, *at_once, field) {
                    Some(value) => write!(out, "{value:>10.digits$}"),
                    None => write!(out, "{:>10}", "–"),
                };
            }
        }
        out.push('\n');
    }
}

fn of_api(out: &mut String, api: &Value) {
    out.push_str("\nFrom commit to the reader of the stream\n");
    for stream in api["streams"].as_array().into_iter().flatten() {
        let _ = writeln!(
            out,
            "{:>6} readers: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms; {} of {} events received; server: {:.1} ms CPU \
             an event, {:.0} MiB at most, {} open files",
            stream["readers"],
            number(&stream["p50_ms"]),
            number(&stream["p99_ms"]),
            number(&stream["most_ms"]),
            stream["received"],
            number(&stream["readers"]) * number(&stream["events"]),
            number(&stream["server_cpu_ms_an_event"]),
            number(&stream["memory_peak_mib"]),
            stream["open_files"],
        );
    }
    let tasks = &api["tasks"];
    let _ = writeln!(
        out,
        "\nPOST /tasks, {} of {} a second asked for: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms; CPU a request: server \
         {:.2} ms, Postgres {:.2} ms",
        number(&tasks["per_second"]).round(),
        tasks["asked_per_second"],
        number(&tasks["p50_ms"]),
        number(&tasks["p99_ms"]),
        number(&tasks["most_ms"]),
        number(&tasks["server_cpu_ms_a_request"]),
        number(&tasks["postgres_cpu_ms_a_request"]),
    );
}

fn median(answer: &Value, what: &str, at_once: u32, field: &str) -> Option<f64> {
    let rows = answer["rows"].as_array()?;
    let ours = rows.iter().filter(|row| row["what"] == what && row["concurrency"] == at_once);
    let values: Vec<f64> = ours.filter_map(|row| row["measured"][field].as_f64()).collect();
    quantile(&values, 0.5)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_round_of_each_series_counts() {
        let row = |what: &str, concurrency: u32, steps: f64| {
            json!({
                "what": what, "concurrency": concurrency, "measured": { "per_second": steps },
            })
        };
        let answer = json!({ "rows": [
            row("engine", 32, 900.0), row("engine", 32, 100.0), row("engine", 32, 800.0), row("engine", 1, 5.0),
            row("floor", 32, 7.0),
        ] });
        assert_eq!(median(&answer, "engine", 32, "per_second"), Some(800.0));
        assert_eq!(median(&answer, "floor", 32, "per_second"), Some(7.0));
        assert_eq!(median(&answer, "floor", 32, "runs_per_second"), None);
    }
}
