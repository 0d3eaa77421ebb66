//! `cargo xtask bench code`: AST patches beside LibCST and Python's `ast`.
//!
//! Python chooses the edits and judges the results, so that no contender decides what is asked of it. Each edit is
//! done by each contender in turn, so that a busy moment of the machine meets all of them alike.

mod contender;
mod corpus;
mod libcst;
mod report;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    child::{self, Signals},
    workspace,
};
use contender::Contender;
use report::{Outcome, Reading, Report, Series};

/// What is measured, and on what.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A folder with Python files; may be given several times. Without one, files are generated
    #[arg(long = "repo", value_name = "PATH")]
    repos: Vec<PathBuf>,
    /// How many functions are edited
    #[arg(long, value_name = "N", default_value_t = 330)]
    edits: usize,
    /// Prints JSON in place of the table
    #[arg(long)]
    json: bool,
}

/// New bodies; the second holds a string whose inside is content.
const BODIES: [&str; 3] = [
    "value = {\"edit\": 17}\nif value:\n    return value[\"edit\"]\nreturn None\n",
    "text = \"\"\"\nfirst\n    second\n\"\"\"\nfor line in text.splitlines():\n    print(line)\n",
    "pass\n",
];
/// How many edits of one file make a set.
const SET: usize = 10;
/// How many sets are measured.
const SETS: usize = 30;
/// How often all files are read; the median counts.
const ROUNDS: usize = 3;
/// The most bytes that are read in one round.
const MOST_READ: u64 = 64 * 1024 * 1024;

/// A file that Python can parse.
struct File {
    path: String,
    lines: u64,
    bytes: u64,
    functions: Vec<String>,
}

/// A function that gets a new body.
struct Edit<'a> {
    file: &'a File,
    symbol: &'a str,
}

/// Measures and prints. Status 1 when one of our own edits is not right.
pub(crate) async fn run(arguments: Arguments, signals: &mut Signals) -> Result<ExitCode> {
    let program = built(signals).await?;
    let folder = workspace::target_dir()?.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let libcst = libcst::prepare(&folder, signals).await?;
    let report = signals.guard(measure(&arguments, &folder, &program, libcst)).await?;
    if arguments.json {
        println!("{:#}", report.json());
    } else {
        print!("{}", report.table());
    }
    Ok(if report.every_edit_is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds our own contender with all optimisations. The program itself is started, not cargo, so that nothing is
/// built again meanwhile.
async fn built(signals: &mut Signals) -> Result<PathBuf> {
    let arguments = [
        "bench",
        "--package",
        "toryo-code",
        "--bench",
        "edits",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ];
    let mut program = None;
    let build = child::run_reading(workspace::cargo(&arguments), signals, |line| {
        let message: Value = serde_json::from_str(line).unwrap_or_default();
        if message["target"]["name"] == "edits" {
            program = message["executable"].as_str().map(PathBuf::from).or(program.take());
        }
    });
    build.await?.succeeded("building the benchmark")?;
    program.context("cargo names no program for the benchmark")
}

/// All measurements, one after the other.
async fn measure(
    arguments: &Arguments,
    folder: &Path,
    program: &Path,
    libcst: Result<PathBuf, libcst::NotInstalled>,
) -> Result<Report> {
    let mut judge =
        Contender::python(Path::new("python3")).context("python3 chooses and judges the edits")?;
    let mut racers = vec![Racer::toryo(program)?];
    let mut missing = Vec::new();
    match &libcst {
        Ok(interpreter) => racers.push(Racer::python("libcst", "LibCST", interpreter).await?),
        Err(why) => missing.push(("LibCST", why.to_string())),
    }
    let interpreter = libcst.as_deref().unwrap_or(Path::new("python3"));
    racers.push(Racer::python("ast", "ast + splice, Python", interpreter).await?);

    let (source, roots) = roots(arguments, folder)?;
    let files = files(&mut judge, &roots).await?;
    let edits = chosen(&files, arguments.edits);
    ensure!(!edits.is_empty(), "there is no Python function to edit in {roots:?}");
    for (number, edit) in edits.iter().enumerate() {
        let body = BODIES[number % BODIES.len()];
        // The first edit is done twice: loading a contender's modules is no part of an edit.
        for round in if number == 0 { 0..2 } else { 1..2 } {
            for turn in 0..racers.len() {
                let at = (number + turn) % racers.len();
                let outcome = racers[at].edit(&mut judge, folder, edit.file, &[edit.symbol], body).await?;
                if round == 1 {
                    racers[at].series.outcomes.push(outcome);
                }
            }
        }
    }
    let sets = sets(&mut racers[0], &mut judge, folder, &files).await?;
    let reading = reading(&mut racers, &files).await?;
    Ok(Report {
        source,
        files: edits.iter().map(|edit| edit.file.lines).collect(),
        series: racers.into_iter().map(|racer| racer.series).collect(),
        missing,
        sets,
        reading,
    })
}

/// A contender with what it did so far.
struct Racer {
    tool: &'static str,
    program: Contender,
    series: Series,
}

impl Racer {
    /// This workspace's own: the benchmark `edits` of `toryo-code`.
    fn toryo(program: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("serve");
        let series = Series { name: "toryo-code".to_owned(), outcomes: Vec::new() };
        Ok(Self { tool: "toryo", program: Contender::start(command)?, series })
    }

    async fn python(tool: &'static str, name: &str, interpreter: &Path) -> Result<Self> {
        let mut program = Contender::python(interpreter)?;
        let reply = program.ask(&json!({ "do": "version", "tool": tool })).await?;
        let name = format!("{name} {}", reply["version"].as_str().unwrap_or_default());
        Ok(Self { tool, program, series: Series { name, outcomes: Vec::new() } })
    }

    /// Lets it give functions of a file a new body, and judges the result.
    async fn edit(
        &mut self,
        judge: &mut Contender,
        folder: &Path,
        file: &File,
        symbols: &[&str],
        body: &str,
    ) -> Result<Outcome> {
        let out = folder.join(format!("{}.out", self.tool));
        let mut request = json!({
            "do": "edit", "tool": self.tool, "path": file.path, "symbols": symbols, "body": body, "out": out,
        });
        let reply = self.program.ask(&request).await?;
        let cpu_ms = reply["cpu_ms"].as_f64().context("a contender measured no time")?;
        let mut fault = reply["error"].as_str().map(str::to_owned);
        if fault.is_none() {
            request["do"] = json!("check");
            let verdict = judge.ask(&request).await?;
            if verdict["right"] != true {
                fault = Some(verdict["why"].as_str().unwrap_or_default().to_owned());
            }
        }
        let fault = fault.map(|why| format!("{} {}: {why}", file.path, symbols.join(", ")));
        Ok(Outcome { cpu_ms, fault })
    }
}

/// The folders with files, and a word for them.
fn roots(arguments: &Arguments, folder: &Path) -> Result<(String, Vec<PathBuf>)> {
    if arguments.repos.is_empty() {
        let generated = folder.join("generated");
        corpus::write(&generated)?;
        return Ok(("generated files".to_owned(), vec![generated]));
    }
    let absolute =
        |path: &PathBuf| path.canonicalize().with_context(|| format!("no folder {}", path.display()));
    let roots = arguments.repos.iter().map(absolute).collect::<Result<Vec<PathBuf>>>()?;
    let names: BTreeSet<String> =
        roots.iter().filter_map(|root| Some(root.file_name()?.to_string_lossy().into_owned())).collect();
    Ok((names.into_iter().collect::<Vec<_>>().join(", "), roots))
}

/// The files below these folders that Python can parse.
async fn files(judge: &mut Contender, roots: &[PathBuf]) -> Result<Vec<File>> {
    let reply = judge.ask(&json!({ "do": "list", "roots": roots })).await?;
    let file = |file: &Value| {
        let functions = file["functions"].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned);
        Some(File {
            path: file["path"].as_str()?.to_owned(),
            lines: file["lines"].as_u64()?,
            bytes: file["bytes"].as_u64()?,
            functions: functions.collect(),
        })
    };
    Ok(reply["files"].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(file).collect())
}

/// Functions by lot, each with the same chance: larger files are edited more often, as they are in life.
fn chosen(files: &[File], most: usize) -> Vec<Edit<'_>> {
    let mut all: Vec<Edit<'_>> = files
        .iter()
        .flat_map(|file| file.functions.iter().map(move |symbol| Edit { file, symbol }))
        .collect();
    let mut dice = corpus::Dice::new(1);
    for at in 0..all.len().min(most) {
        let other = at + dice.roll(all.len() - at);
        all.swap(at, other);
    }
    all.truncate(most);
    all
}

/// Sets of several edits of one file, by our own contender.
async fn sets(
    racer: &mut Racer,
    judge: &mut Contender,
    folder: &Path,
    files: &[File],
) -> Result<Vec<(usize, Outcome)>> {
    let mut outcomes = Vec::new();
    let large: Vec<&File> = files.iter().filter(|file| outermost(file).len() >= SET).collect();
    let step = (large.len() / SETS).max(1);
    for file in large.into_iter().step_by(step).take(SETS) {
        let symbols: Vec<&str> = outermost(file).into_iter().take(SET).collect();
        outcomes.push((symbols.len(), racer.edit(judge, folder, file, &symbols, BODIES[0]).await?));
    }
    Ok(outcomes)
}

/// Functions that no other function of the file holds: their edits do not meet, nor change each other's numbers.
fn outermost(file: &File) -> Vec<&str> {
    let names: BTreeSet<&str> = file.functions.iter().map(String::as_str).collect();
    let inside = |symbol: &str| symbol.match_indices('.').any(|(at, _)| names.contains(&symbol[..at]));
    file.functions.iter().map(String::as_str).filter(|symbol| !inside(symbol)).collect()
}

/// How fast all files are read: by the parsers alone, and with the outline.
async fn reading(racers: &mut [Racer], files: &[File]) -> Result<Reading> {
    let mut bytes = 0;
    let within = |file: &&File| {
        bytes += file.bytes;
        bytes <= MOST_READ
    };
    let files: Vec<&File> = files.iter().take_while(within).collect();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let request = json!({ "do": "read", "paths": paths });
    let mut reading = Reading {
        lines: files.iter().map(|file| file.lines).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        times: Vec::new(),
    };
    for _ in 0..ROUNDS {
        for racer in racers.iter_mut().filter(|racer| racer.tool != "libcst") {
            let reply = racer.program.ask(&request).await?;
            for (key, what) in [("parse_ms", "parse alone"), ("outline_ms", "outline")] {
                if let Some(cpu_ms) = reply[key].as_f64() {
                    let name = if racer.tool == "ast" {
                        "ast.parse".to_owned()
                    } else {
                        format!("{}, {what}", racer.series.name)
                    };
                    reading.note(name, cpu_ms);
                }
            }
        }
    }
    Ok(reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(functions: &[&str]) -> File {
        let functions = functions.iter().map(|symbol| (*symbol).to_owned()).collect();
        File { path: "a.py".to_owned(), lines: 1, bytes: 1, functions }
    }

    #[test]
    fn the_same_edits_are_chosen_in_each_run_and_none_twice() {
        let files = [file(&["a", "b", "c"]), file(&["d", "e"])];
        let symbols = |most| chosen(&files, most).iter().map(|edit| edit.symbol).collect::<Vec<_>>();
        assert_eq!(symbols(3), symbols(3));
        assert_eq!(symbols(9).into_iter().collect::<BTreeSet<_>>().len(), 5);
    }

    #[test]
    fn functions_of_functions_are_no_part_of_sets() {
        let file = file(&["f", "f.inner", "A.m", "A.m.inner", "g[1]", "g[2]"]);
        assert_eq!(outermost(&file), ["f", "A.m", "g[1]", "g[2]"]);
    }
}
