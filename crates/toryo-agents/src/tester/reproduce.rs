//! The step `reproduce`: tests that fail now and pass when the subtask is done.

use super::ids::{self, NamedTest};
use super::test::is_test;
use crate::ask::Conversation;
use crate::edits::{self, Refusal};
use crate::guard;
use crate::prompt::Variables;
use crate::replies::TestPlan;
use crate::states;
use crate::suite::{self, Selection, SuiteRun};
use crate::texts;
use crate::tools::Tools;
use crate::tree::Tree;
use serde_json::json;
use std::collections::BTreeSet;
use toryo_code::EditSet;
use toryo_domain::output::ReproduceOutput;
use toryo_domain::{Digest, EventType, RepoPath, Subtask, SubtaskKind, TestCase, TestOutcome};
use toryo_engine::{Failure, StepContext};

/// Most test files shown whole.
const MOST_SHOWN: usize = 3;

pub(super) async fn run(ctx: &StepContext, tools: &Tools) -> Result<ReproduceOutput, Failure> {
    let subtask = texts::subtask_of(ctx)?;
    let base = states::base(ctx, tools).await?;
    let start = states::start(ctx, &base, &subtask.id).await?;
    let variables = variables(ctx, &subtask, &start).await?;
    let mut conversation = Conversation::begin(ctx, tools, "reproduce", variables)?;
    let rounds = conversation.manifest().limits.rounds;
    // The last tests that ran and proved nothing, and why nothing better came.
    let mut harmless = None;
    let mut refused = String::new();
    for round in 1..=rounds {
        let plan: TestPlan = conversation.ask().await?;
        ctx.emit(EventType::EditProposed, edits::proposed_list(&plan.edits, &plan.summary, round)).await?;
        let written = match write(ctx, tools, &base, &start, &plan).await? {
            Ok(written) => written,
            Err(refusals) => {
                ctx.emit(EventType::EditRejected, edits::rejected(&refusals, round)).await?;
                refused = edits::objection(&refusals);
                conversation.object(&refused);
                continue;
            }
        };
        let stats = edits::stats(&start, &written.tree).await?;
        let data =
            json!({ "round": round, "edits": plan.edits.len(), "summary": plan.summary, "files": stats });
        ctx.emit(EventType::EditApplied, data).await?;
        ctx.progress("running the new tests without the change: they have to fail").await?;
        let files: BTreeSet<RepoPath> = written.tests.iter().map(|test| test.file.clone()).collect();
        let selection = Selection::Files(files.into_iter().collect());
        let ran = suite::run(ctx, tools, &written.tree, &selection, false).await?;
        let log = suite::publish(ctx, tools, &ran, "tests-before").await?.log;
        match proof(&written.tests, &ran, &subtask, &plan) {
            Proof::Fails(must_pass) => {
                let changes = written.tree.to_change_set(&*ctx.blobs).await?;
                return Ok(ReproduceOutput {
                    changes,
                    must_pass,
                    failed_before: true,
                    note: tools.mask(&plan.summary),
                    log,
                });
            }
            Proof::None(reason) => {
                let seen = tools.mask(&toryo_sandbox::report::failure_digest(Some(&ran.report), &ran.text));
                conversation.object(&objection(&reason, &toryo_policy::untrusted::fence("test run", &seen)));
                if ran.failing().is_empty() {
                    harmless = Some((written.tree, log));
                }
                refused = reason;
            }
        }
    }
    give_up(ctx, &start, harmless, &tools.mask(&refused), rounds).await
}

/// No test was seen to fail. Tests that pass are kept, broken ones are not; the record says so either way.
async fn give_up(
    ctx: &StepContext,
    start: &Tree,
    harmless: Option<(Tree, Option<Digest>)>,
    reason: &str,
    rounds: u32,
) -> Result<ReproduceOutput, Failure> {
    let reason: String = reason.chars().take(500).collect();
    let note = format!("No test was seen to fail before the change, after {rounds} tries: {reason}");
    ctx.progress(note.as_str()).await?;
    let (tree, log) = harmless.unwrap_or_else(|| (start.clone(), None));
    let changes = tree.to_change_set(&*ctx.blobs).await?;
    Ok(ReproduceOutput { changes, must_pass: vec![], failed_before: false, note, log })
}

fn objection(reason: &str, seen: &str) -> String {
    format!(
        "These tests prove nothing yet: {reason}\n\nThe run, without any change to the code:\n\n{seen}\n\n\
         Nothing of your edits is kept. Answer with the whole corrected set, on the files as they were shown first."
    )
}

async fn variables(ctx: &StepContext, subtask: &Subtask, start: &Tree) -> Result<Variables, Failure> {
    let retrieved = ctx.outputs.retrieve(&subtask.id);
    let pack = match retrieved {
        Some(output) => String::from_utf8_lossy(&ctx.blobs.get(&output.pack).await?).into_owned(),
        None => String::new(),
    };
    let all: Vec<RepoPath> = start.paths().into_iter().filter(is_test).collect();
    let mut shown: Vec<RepoPath> = retrieved.map(|output| output.related_tests.clone()).unwrap_or_default();
    shown.retain(|path| start.has(path));
    shown.truncate(MOST_SHOWN);
    shown.extend(all.iter().filter(|path| path.file_name() == "conftest.py").cloned());
    let mut seen = BTreeSet::new();
    shown.retain(|path| seen.insert(path.clone()));
    let tests = texts::numbered_files(start, &shown).await?;
    Ok(Variables::new()
        .with("subtask", texts::subtask(subtask))
        .with_some("guidance", texts::guidance(start).await?)
        .with("pack", pack)
        .with("tests", if tests.is_empty() { "(there are none)".to_owned() } else { tests })
        .with("test_files", all.iter().map(ToString::to_string).collect::<Vec<_>>()))
}

struct Written {
    tree: Tree,
    tests: Vec<NamedTest>,
}

/// Puts the tests into the tree, or says what is wrong with the edits or the names.
async fn write(
    ctx: &StepContext,
    tools: &Tools,
    base: &Tree,
    start: &Tree,
    plan: &TestPlan,
) -> Result<Result<Written, Vec<Refusal>>, Failure> {
    let mut refusals = Vec::new();
    for (at, edit) in plan.edits.iter().enumerate() {
        if !edits::path_of(edit).is_some_and(|path| is_test(&path)) {
            refusals.push(Refusal::new(
                at,
                &edit.file_path,
                "it is no test file, and you edit test files only",
            ));
        }
    }
    if plan.edits.is_empty() || plan.tests.is_empty() {
        refusals.push(Refusal::of_set("there has to be at least one edit and one test that fails"));
    }
    let mut tests = Vec::new();
    for name in &plan.tests {
        match NamedTest::parse(name) {
            Ok(test) => tests.push(test),
            Err(reason) => refusals.push(Refusal::of_set(&reason)),
        }
    }
    if !refusals.is_empty() {
        return Ok(Err(refusals));
    }
    let tree =
        match edits::apply(start, EditSet { edits: plan.edits.clone(), summary: String::new() }).await? {
            Ok(tree) => tree,
            Err(refusals) => return Ok(Err(refusals)),
        };
    for test in &tests {
        if !tree.has(&test.file) {
            refusals.push(Refusal::of_set(&format!("`tests` names {}, which is not there", test.file)));
        }
    }
    let guarded = guard::decide(ctx, tools, base, &tree).await?.refused;
    refusals.extend(guarded.iter().map(|reason| Refusal::of_set(reason)));
    Ok(if refusals.is_empty() { Ok(Written { tree, tests }) } else { Err(refusals) })
}

#[derive(Debug, PartialEq, Eq)]
enum Proof {
    /// These fail, and for a reason that counts.
    Fails(Vec<String>),
    /// Why the run proves nothing.
    None(String),
}

/// What the run of the new tests on the unchanged code shows.
fn proof(tests: &[NamedTest], ran: &SuiteRun, subtask: &Subtask, plan: &TestPlan) -> Proof {
    let missing_is_fine =
        plan.expects_missing && (subtask.kind == SubtaskKind::Feature || !subtask.new_files.is_empty());
    let mut must_pass = Vec::new();
    for test in tests {
        let cases: Vec<&TestCase> = ran.report.cases.iter().filter(|case| ids::is(case, &test.id)).collect();
        if cases.is_empty() && missing_is_fine && !ran.failing().is_empty() {
            // The file could not even be imported, as it was to be expected.
            must_pass.push(test.id.clone());
            continue;
        }
        if cases.is_empty() {
            return Proof::None(format!(
                "{} was not run: its name or its file is wrong, or the file cannot be imported",
                test.id
            ));
        }
        let mut failed = cases.iter().filter(|case| case.outcome == TestOutcome::Failed).peekable();
        if failed.peek().is_none() {
            return Proof::None(match cases.iter().find(|case| case.outcome == TestOutcome::Error) {
                Some(case) => format!("{} breaks before it checks anything: {}", case.id(), first_line(case)),
                None => format!("{} passes on the unchanged code", test.id),
            });
        }
        for case in failed {
            if let Some(reason) = wrong_reason(case).filter(|_| !missing_is_fine) {
                return Proof::None(format!("{} fails for a reason of its own: {reason}", case.id()));
            }
            must_pass.push(case.id());
        }
    }
    Proof::Fails(must_pass)
}

/// Where a failure is the test's own mistake rather than the code's.
fn wrong_reason(case: &TestCase) -> Option<String> {
    let line = first_line(case);
    let own =
        ["SyntaxError", "IndentationError", "NameError", "ImportError", "ModuleNotFoundError", "fixture "];
    own.iter().any(|name| line.starts_with(name)).then_some(line)
}

fn first_line(case: &TestCase) -> String {
    let message = case.message.as_deref().or(case.details.as_deref()).unwrap_or_default();
    message.lines().next().unwrap_or_default().chars().take(300).collect()
}
