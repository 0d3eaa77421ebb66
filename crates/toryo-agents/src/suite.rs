//! Running a tree's tests in the sandbox.

mod command;
mod stable;

use crate::failures::sandbox;
use crate::repository::{RepositorySettings, requirement_files};
use crate::tools::Tools;
use crate::tree::Tree;
use bytes::Bytes;
use command::{COVERAGE, TestCommand};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use toryo_domain::output::TestSummary;
use toryo_domain::{Digest, EventType, RepoPath, TestCase, TestOutcome, TestReport};
use toryo_engine::{Failure, StepContext};
use toryo_sandbox::{Exit, Job, JobReport, Labels, Preparation, Progress, Update};

/// pytest's status for a usage error: here an option of a plugin that the image does not have.
const USAGE_ERROR: i32 = 4;
/// pytest's status where it found no tests.
const NO_TESTS: i32 = 5;
/// Most failing ids in an output or event.
const MOST_FAILING: usize = 50;

/// Most characters of an id in an output or event.
const ID_CAP: usize = 300;

/// The id of the case that stands for the test command itself.
pub const COMMAND_ID: &str = "toryo::test-command";

/// Which tests to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    All,
    /// Those of these files, where the repository's test command can be told so.
    Files(Vec<RepoPath>),
}

/// What a test command said.
#[derive(Debug, Clone)]
pub struct SuiteRun {
    /// Every case. Where the command broke in a way that no case shows, one case stands for the command itself.
    pub report: TestReport,
    /// How the command ended.
    pub exit: Exit,
    /// Its output, with the first and last part kept, without durations and addresses.
    pub text: String,
    /// Its output for an artifact.
    pub log: Bytes,
    /// How long it ran.
    pub duration: Duration,
    /// Line coverage, 0 to 1.
    pub coverage: Option<f64>,
    /// Ids that count as failing though no case of the report does: tests that are lost, a command that ran none.
    pub lost: Vec<String>,
}

impl SuiteRun {
    /// Ids of the cases that failed or broke.
    #[must_use]
    pub fn failing(&self) -> BTreeSet<String> {
        failing(&self.report)
    }
}

/// Ids of the cases of a report that failed or broke.
#[must_use]
pub fn failing(report: &TestReport) -> BTreeSet<String> {
    report.failures().map(TestCase::id).collect()
}

/// Runs tests of a tree, showing the output as it comes.
///
/// # Errors
/// The sandbox's failures; a test command that fails is no error.
pub async fn run(
    ctx: &StepContext,
    tools: &Tools,
    tree: &Tree,
    selection: &Selection,
    coverage: bool,
) -> Result<SuiteRun, Failure> {
    let settings = RepositorySettings::of(tree).await?;
    let files = tree.workspace_files().await?;
    let labels = Labels { run: ctx.run_id.to_string(), step: ctx.step_key.to_string() };
    let preparation = Preparation {
        files: requirement_files(tree).await?,
        setup: settings.sandbox.setup.clone(),
        offline: false,
        labels: labels.clone(),
    };
    let image = watched(ctx, tools, |progress| async move {
        tools.sandbox.prepare(&preparation, &progress, &ctx.cancel).await
    })
    .await?;
    let job = |command: TestCommand| Job {
        image: image.clone(),
        // What lies in the tree where a report is to come proves nothing.
        files: files.iter().filter(|file| !command.collect.contains(&file.path)).cloned().collect(),
        commands: vec![command.command],
        collect: command.collect,
        limits: tools.sandbox_limits.clone(),
        labels: labels.clone(),
    };
    let command = TestCommand::of(&settings, tools, &files, selection, coverage)?;
    let junit = command.junit.clone();
    let mut report = execute(ctx, tools, job(command)).await?;
    if coverage && exit_of(&report) == Some(Exit::Code(USAGE_ERROR)) {
        let plain = TestCommand::of(&settings, tools, &files, selection, false)?;
        report = execute(ctx, tools, job(plain)).await?;
    }
    Ok(read(&report, &junit))
}

/// The report of a tree without a change, from the process' memory where it is there.
///
/// # Errors
/// As [`run`].
pub async fn baseline(ctx: &StepContext, tools: &Tools, tree: &Tree) -> Result<Arc<TestReport>, Failure> {
    let key = Digest::of_parts([ctx.task.wish.repo_url.as_bytes(), tree.digest().to_string().as_bytes()]);
    if let Some(report) = tools.baselines.get(&key) {
        return Ok(report);
    }
    ctx.progress("running the tests without the change, to know which failed before").await?;
    let report = Arc::new(run(ctx, tools, tree, &Selection::All, false).await?.report);
    tools.baselines.put(key, Arc::clone(&report));
    Ok(report)
}

/// Keeps log and report as artifacts, emits `test.report`, and counts.
///
/// # Errors
/// The blackboard or the blob store does not answer.
pub async fn publish(
    ctx: &StepContext,
    tools: &Tools,
    run: &SuiteRun,
    name: &str,
) -> Result<TestSummary, Failure> {
    let log = tools.mask(&String::from_utf8_lossy(&run.log));
    let log = ctx.keep("log", format!("{name}.log"), "text/plain; charset=utf-8", log).await?;
    let masked = masked(&run.report, tools);
    let json = serde_json::to_vec(&masked).map_err(|error| Failure::bug(error.to_string()))?;
    let report = ctx.keep("report", format!("{name}.json"), "application/json", json).await?;
    let count = |outcome| u32::try_from(run.report.count(outcome)).unwrap_or(u32::MAX);
    let failing: BTreeSet<String> = run.failing().into_iter().chain(run.lost.iter().cloned()).collect();
    let summary = TestSummary {
        passed: count(TestOutcome::Passed),
        failed: count(TestOutcome::Failed).saturating_add(count(TestOutcome::Error)),
        skipped: count(TestOutcome::Skipped),
        failing: failing.iter().take(MOST_FAILING).map(|id| shown_id(id, tools)).collect(),
        coverage: run.coverage,
        duration_ms: u64::try_from(run.duration.as_millis()).unwrap_or(u64::MAX),
        report: Some(report),
        log: Some(log),
    };
    let data = json!({
        "name": name,
        "passed": summary.passed,
        "failed": summary.failed,
        "skipped": summary.skipped,
        "coverage": summary.coverage,
        "duration_ms": summary.duration_ms,
        "failing": summary.failing,
        "report": report,
        "log": log,
    });
    ctx.emit(EventType::TestReport, data).await?;
    Ok(summary)
}

/// A test's id as people see it: ids hold parameters, and those hold whatever the repository likes.
fn shown_id(id: &str, tools: &Tools) -> String {
    tools.mask(id).chars().take(ID_CAP).collect()
}

fn masked(report: &TestReport, tools: &Tools) -> TestReport {
    let mask = |text: &Option<String>| {
        text.as_ref().map(|text| toryo_sandbox::clip(&tools.mask(text), 4_000, 4_000))
    };
    let case = |case: &TestCase| TestCase {
        class_name: shown_id(&case.class_name, tools),
        name: shown_id(&case.name, tools),
        message: mask(&case.message),
        details: mask(&case.details),
        ..case.clone()
    };
    TestReport { cases: report.cases.iter().map(case).collect() }
}

async fn execute(ctx: &StepContext, tools: &Tools, job: Job) -> Result<JobReport, Failure> {
    let job = &job;
    watched(ctx, tools, |progress| async move { tools.sandbox.run(job, &progress, &ctx.cancel).await }).await
}

fn exit_of(report: &JobReport) -> Option<Exit> {
    report.outputs.last().map(|output| output.exit)
}

/// Runs sandbox work and turns what it shows into events, at most as many as the configuration allows.
async fn watched<T, Work>(
    ctx: &StepContext,
    tools: &Tools,
    work: impl FnOnce(Progress) -> Work,
) -> Result<T, Failure>
where
    Work: Future<Output = Result<T, toryo_sandbox::Error>>,
{
    let (progress, mut updates) = Progress::channel(64);
    let work = work(progress);
    tokio::pin!(work);
    let mut left = tools.config.log_events;
    loop {
        tokio::select! {
            biased;
            update = updates.recv(), if left > 0 => {
                left -= 1;
                match update {
                    Some(Update::Stage(text)) => ctx.progress(text).await?,
                    Some(Update::Output(line)) => {
                        let line: String = tools.mask(&line).chars().take(500).collect();
                        ctx.emit(EventType::StepLog, json!({ "line": line })).await?;
                    }
                    None => left = 0,
                }
            }
            result = &mut work => return result.map_err(sandbox),
        }
    }
}

/// What came of a job with one command.
fn read(job: &JobReport, junit: &RepoPath) -> SuiteRun {
    let Some(output) = job.outputs.last() else {
        let text = job.not_collected.clone().unwrap_or_else(|| "the test command did not start".into());
        return SuiteRun {
            report: TestReport { cases: vec![command_case(TestOutcome::Error, &text)] },
            exit: Exit::Killed,
            log: text.clone().into(),
            text,
            duration: Duration::ZERO,
            coverage: None,
            lost: Vec::new(),
        };
    };
    let parsed = job.file(junit.as_str()).map(|bytes| toryo_sandbox::report::junit::parse(bytes));
    let mut report = match parsed {
        Some(Ok(report)) => report,
        Some(Err(error)) => {
            let text = format!("its JUnit XML cannot be read: {error}");
            TestReport { cases: vec![command_case(TestOutcome::Error, &text)] }
        }
        None => TestReport::default(),
    };
    for case in &mut report.cases {
        case.message = case.message.as_deref().map(stable::stable);
        case.details = case.details.as_deref().map(stable::stable);
    }
    let silent = report.failures().next().is_none();
    match output.exit {
        Exit::Code(0) if report.cases.is_empty() => {
            report.cases.push(command_case(TestOutcome::Passed, "exit status 0, no JUnit XML"));
        }
        Exit::Code(0 | NO_TESTS) => {}
        exit if silent => {
            report
                .cases
                .push(command_case(TestOutcome::Error, &format!("the test command ended early: {exit}")));
        }
        _ => {}
    }
    SuiteRun {
        report,
        exit: output.exit,
        text: stable::stable(&output.text),
        log: output.log.clone(),
        duration: output.duration,
        coverage: job
            .file(COVERAGE)
            .and_then(|bytes| toryo_sandbox::report::cobertura::parse(bytes).ok())
            .map(|coverage| coverage.line_rate()),
        lost: Vec::new(),
    }
}

/// The case that stands for the command itself.
fn command_case(outcome: TestOutcome, message: &str) -> TestCase {
    TestCase {
        class_name: COMMAND_ID.split("::").next().unwrap_or_default().into(),
        name: COMMAND_ID.rsplit("::").next().unwrap_or_default().into(),
        file: None,
        outcome,
        duration_seconds: 0.0,
        message: Some(message.to_owned()),
        details: None,
    }
}
