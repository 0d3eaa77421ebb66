//! `cargo xtask test`: the whole test suite with all its set-up.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::{
    bed::{self, TestBed},
    check,
    child::{self, Interrupted, Signals},
    evidence::Before,
    faults, workspace,
};

/// The arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Runs only tests whose names contain this; then formatting, lints and the proof of use are left out
    ///
    /// `faults` runs the fault suite alone: workers and servers are killed, stopped and starved while runs go on
    filter: Option<String>,
    /// With `faults`: 500 runs instead of 60, every boundary for every kind of step, and blows at random; about a quarter of an hour
    #[arg(long, requires = "filter")]
    long: bool,
}

/// Runs it all; what was started is stopped in any case.
pub(crate) async fn run(arguments: Arguments, signals: &mut Signals) -> Result<ExitCode> {
    if arguments.filter.as_deref() == Some(faults::NAME) {
        return faults::run(arguments.long, signals).await;
    }
    if arguments.filter.is_none() {
        check::format(signals).await?;
        check::lints(signals).await?;
    }
    build(signals).await?;
    let bed = TestBed::start(signals).await?;
    let tested = run_tests(&bed, arguments.filter.as_deref(), signals).await;
    let stopped = bed.stop().await;
    let totals = tested?;
    stopped?;
    println!("{} passed, {} failed", totals.passed, totals.failed);
    Ok(ExitCode::SUCCESS)
}

/// Builds the tests, and with them the program that they start. Also for `services`.
pub(crate) async fn build(signals: &mut Signals) -> Result<()> {
    let tests = workspace::cargo(&["test", "--workspace", "--no-run"]);
    child::run(tests, signals).await?.succeeded("building the tests")?;
    if bed::toryo().is_err() {
        let program = workspace::cargo(&["build", "--workspace", "--bin", "toryo"]);
        child::run(program, signals).await?.succeeded("building toryo")?;
    }
    Ok(())
}

async fn run_tests(bed: &TestBed, filter: Option<&str>, signals: &mut Signals) -> Result<Totals> {
    let before = Before::the_tests(bed).await?;
    let mut command = workspace::cargo(&["test", "--workspace", "--no-fail-fast"]);
    command.args(filter).envs(bed.variables());
    let mut totals = Totals::default();
    let ended = child::run_reading(command, signals, |line| {
        println!("{line}");
        totals.add(line);
    })
    .await?;
    if ended.interrupted {
        return Err(Interrupted.into());
    }
    let counts = before.until_now(bed).await?;
    println!("{}", counts.line());
    ensure!(
        ended.status.success() && totals.failed == 0,
        "the tests failed: {} passed, {} failed",
        totals.passed,
        totals.failed
    );
    ensure!(totals.passed > 0, "no test ran");
    if filter.is_none() {
        ensure!(totals.ignored == 0, "{} tests are switched off; none may be", totals.ignored);
        counts.all_used()?;
    }
    Ok(totals)
}

/// The sum of what the test programs report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Totals {
    /// Adds a line such as `test result: ok. 16 passed; 0 failed; 0 ignored; …`; other lines count nothing.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let (_, counts) = result.split_once(". ").unwrap_or_default();
        for part in counts.split("; ") {
            let Some((number, what)) = part.split_once(' ') else { continue };
            let number = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_programs_add_up() {
        let mut totals = Totals::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 16 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.06s",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1s",
        ] {
            totals.add(line);
        }
        assert_eq!(totals, Totals { passed: 18, failed: 3, ignored: 1 });
    }
}
