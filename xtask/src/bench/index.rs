//! `cargo xtask bench index`: the code index beside a Python tool and beside the parser alone.
//!
//! Every figure is processor time of one thread, so that a busy machine changes it little; each part runs in a
//! process of its own, so that the peak of memory is its own too.

mod generated;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::{built, machine, quantile};
use crate::{child::Signals, workspace};

/// What is measured, and on what.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A Git repository, bare or not; its HEAD is indexed. May be given several times. Without one, 500,000 lines
    /// are generated
    #[arg(long = "repo", value_name = "PATH")]
    repos: Vec<PathBuf>,
    /// How many lines are generated where no repository is given
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    lines: usize,
    /// Prints JSON in place of the table
    #[arg(long)]
    json: bool,
}

/// How often a cold build and the baseline are measured; the median counts.
const ROUNDS: usize = 3;
/// How many files are changed one after the other.
const CHANGES: usize = 20;
/// How many questions are asked.
const QUESTIONS: usize = 200;
const BASELINE: &str = include_str!("index/baseline.py");

/// Measures each repository and prints.
pub(crate) async fn run(arguments: Arguments, signals: &mut Signals) -> Result<ExitCode> {
    let program = built("toryo-index", "index", signals).await?;
    let folder = workspace::target_dir()?.join("bench").join("index");
    let (done, result) = tokio::sync::oneshot::channel();
    let as_json = arguments.json;
    // A thread of its own: Ctrl-C ends the program without waiting for it.
    std::thread::spawn(move || done.send(all(&arguments, &program, &folder)));
    let reports = signals.guard(async { result.await.context("the benchmark broke off")? }).await?;
    if as_json {
        println!("{:#}", json!({ "machine": machine(), "repositories": reports }));
    } else {
        println!("{}", machine());
        reports.iter().for_each(|report| print!("{}", table(report)));
    }
    Ok(ExitCode::SUCCESS)
}

fn all(arguments: &Arguments, program: &Path, folder: &Path) -> Result<Vec<Value>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let baseline = folder.join("baseline.py");
    fs::write(&baseline, BASELINE)?;
    let mut reports = Vec::new();
    for (number, repository) in arguments.repos.iter().enumerate() {
        let files = folder.join(format!("files-{number}"));
        let from = format!("file://{}", fs::canonicalize(repository)?.display());
        let clone = ["clone", "--quiet", "--depth", "1", &from];
        answer(Command::new("git").args(clone).arg(&files))?;
        let name = repository.file_name().unwrap_or_default().to_string_lossy().into_owned();
        reports.push(one(&name, &Measured { program, baseline: &baseline, files: &files, folder })?);
    }
    if arguments.repos.is_empty() {
        let files = folder.join("generated");
        generated::write(&files, arguments.lines)?;
        reports.push(one("generated", &Measured { program, baseline: &baseline, files: &files, folder })?);
    }
    Ok(reports)
}

/// A repository's files and who measures them.
struct Measured<'a> {
    program: &'a Path,
    baseline: &'a Path,
    files: &'a Path,
    folder: &'a Path,
}

impl Measured<'_> {
    fn toryo(&self, task: &str, rest: &[&Path]) -> Result<Value> {
        let text = answer(Command::new(self.program).arg(task).arg(self.files).args(rest))?;
        serde_json::from_str(&text).context("our own program gave no JSON")
    }

    fn python(&self, task: &str, rest: &[&Path]) -> Result<String> {
        answer(Command::new("python3").arg(self.baseline).arg(task).arg(self.files).args(rest))
    }
}

/// What a program prints, where it succeeds.
fn answer(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Measures one repository.
fn one(name: &str, measured: &Measured<'_>) -> Result<Value> {
    let questions = measured.folder.join("questions");
    fs::write(&questions, measured.python("queries", &[Path::new(&QUESTIONS.to_string())])?)?;
    let (mut cold, mut python) = (Vec::new(), Vec::new());
    let mut build = Value::Null;
    for _ in 0..ROUNDS {
        build = measured.toryo("cold", &[])?;
        cold.push(number(&build["cpu_ms"]));
        let baseline: Value = serde_json::from_str(&measured.python("index", &[])?)?;
        python.push(number(&baseline["lines"]) / number(&baseline["cpu_ms"]));
    }
    let records = measured.folder.join("records");
    if records.exists() {
        fs::remove_dir_all(&records)?;
    }
    measured.toryo("stored", &[&records])?;
    let stored = measured.toryo("stored", &[&records])?;
    let refresh = measured.toryo("refresh", &[Path::new(&CHANGES.to_string())])?;
    let asked = measured.toryo("query", &[&questions])?;
    let baseline: Value = serde_json::from_str(&measured.python("query", &[&questions])?)?;
    let floor = measured.toryo("floor", &[])?;
    let (lines, bytes) = (number(&build["lines"]), number(&build["bytes"]));
    let cold = quantile(&cold, 0.5).unwrap_or_default();
    let python = quantile(&python, 0.5).unwrap_or_default();
    Ok(json!({
        "repository": name, "files": build["files"], "lines": lines, "symbols": build["symbols"],
        "cold": {
            "kloc_per_second": lines / cold, "mb_per_second": bytes / cold / 1e3,
            "peak_bytes_per_line": number(&build["peak_bytes"]) / lines,
            "python_kloc_per_second": python, "times_python": lines / cold / python,
            "parser_alone_kloc_per_second": number(&floor["lines"]) / number(&floor["cpu_ms"]),
            "outline_kloc_per_second": number(&floor["lines"]) / number(&floor["outline_ms"]),
        },
        "from_records_ms": stored["cpu_ms"],
        "refresh_ms": { "changed_file": spread(&refresh["changed"]), "new_file": spread(&refresh["added"]) },
        "query_ms": { "toryo": spread(&asked), "python": spread(&baseline["queries_ms"]) },
    }))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// The middle and the slow end of some times, in milliseconds.
fn spread(times: &Value) -> Value {
    let times: Vec<f64> = times
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|one| one.as_f64().unwrap_or_else(|| number(&one["cpu_ms"])))
        .collect();
    json!({ "p50": quantile(&times, 0.5), "p99": quantile(&times, 0.99), "count": times.len() })
}

fn table(report: &Value) -> String {
    let of = |path: &str| number(report.pointer(path).unwrap_or(&Value::Null));
    let both = |path: &str| format!("{:.1} / {:.1}", of(&format!("{path}/p50")), of(&format!("{path}/p99")));
    format!(
        "\n{}: {} files, {:.0} lines, {} symbols\n\
         cold index            {:8.0} kLOC/s a core, {:.1} MB/s, {:.1} times Python's ast + BM25 ({:.0} kLOC/s)\n\
         - of it               {:8.0} kLOC/s parser alone, {:.0} kLOC/s parser and outline (Python files)\n\
         peak memory           {:8.0} bytes a line\n\
         index from records    {:8.0} ms\n\
         refresh, changed file {:>13} ms p50 / p99\n\
         refresh, new file     {:>13} ms p50 / p99\n\
         query                 {:>13} ms p50 / p99; Python {} ms\n",
        report["repository"].as_str().unwrap_or_default(),
        report["files"],
        of("/lines"),
        report["symbols"],
        of("/cold/kloc_per_second"),
        of("/cold/mb_per_second"),
        of("/cold/times_python"),
        of("/cold/python_kloc_per_second"),
        of("/cold/parser_alone_kloc_per_second"),
        of("/cold/outline_kloc_per_second"),
        of("/cold/peak_bytes_per_line"),
        of("/from_records_ms"),
        both("/refresh_ms/changed_file"),
        both("/refresh_ms/new_file"),
        both("/query_ms/toryo"),
        both("/query_ms/python"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_bare_and_with_their_kind() {
        let times = json!([{ "cpu_ms": 3.0, "wall_ms": 9.0 }, { "cpu_ms": 1.0 }, 2.0]);
        assert_eq!(spread(&times), json!({ "p50": 2.0, "p99": 3.0, "count": 3 }));
    }
}
