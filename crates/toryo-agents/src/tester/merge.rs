//! The step `merge`: all subtasks in one tree, all tests on it, and the proof that the new ones failed before.

use super::ids;
use super::test::{Measured, is_test, rewritten};
use crate::guard;
use crate::states;
use crate::suite::{self, Selection};
use crate::texts;
use crate::tools::Tools;
use crate::tree::Tree;
use std::collections::BTreeSet;
use toryo_domain::output::{Conflict, MergeOutput, ReproduceOutput};
use toryo_domain::plan::MERGED;
use toryo_domain::{FailureClass, RepoPath, Subtask, TestReport};
use toryo_engine::{Failure, StepContext};

pub(super) async fn run(ctx: &StepContext, tools: &Tools) -> Result<MergeOutput, Failure> {
    let base = states::base(ctx, tools).await?;
    let (tree, conflicts) = joined(ctx, &base).await?;
    let changes = tree.to_change_set(&*ctx.blobs).await?;
    let text = tree.diff_from(&base, |_| true).await?;
    let diff = ctx.keep("diff", "run.diff", "text/x-diff; charset=utf-8", text.clone()).await?;
    if !conflicts.is_empty() {
        let paths: Vec<&str> = conflicts.iter().map(|conflict| conflict.path.as_str()).collect();
        ctx.progress(format!("subtasks disagree on {}", paths.join(", "))).await?;
        return Ok(MergeOutput { changes, conflicts, test: None, reproduced: vec![], diff });
    }
    // Each subtask kept to the guardrails; together they may not.
    let verdict = guard::decide(ctx, tools, &base, &tree).await?;
    if !verdict.refused.is_empty() {
        let text = format!("the guardrails refuse the joined change: {}", verdict.refused.join("; "));
        return Err(Failure::new(FailureClass::Policy, text));
    }
    ctx.progress("running all tests on the joined change").await?;
    let ran = suite::run(ctx, tools, &tree, &Selection::All, true).await?;
    let must_pass = must_pass(ctx)?;
    let report = ran.report.clone();
    let subtask = whole(ctx)?;
    let measured = Measured {
        ran,
        must_pass: must_pass.clone(),
        rewritten: rewritten(proofs(ctx)?),
        without: &base,
        subtask: &subtask,
        diff: text,
        name: "all-tests",
    };
    let mut test = measured.conclude(ctx, tools).await?;
    let reproduced =
        if test.passed { reproduced(ctx, tools, &base, &tree, &must_pass, &report).await? } else { vec![] };
    let unproved: Vec<&String> = must_pass.iter().filter(|id| !reproduced.contains(id)).collect();
    if test.passed && !unproved.is_empty() {
        test.passed = false;
        test.digest = tools.mask(&no_proof(&unproved));
    }
    Ok(MergeOutput { changes, conflicts, test: Some(test), reproduced, diff })
}

/// The first join is computed; later ones are what the repair of the one before left.
async fn joined(ctx: &StepContext, base: &Tree) -> Result<(Tree, Vec<Conflict>), Failure> {
    if ctx.step_key.round > 1
        && let Some(code) = ctx.outputs.code(MERGED)
    {
        return Ok((base.with_changes(&code.changes, &*ctx.blobs).await?, vec![]));
    }
    let plan = states::plan(ctx)?;
    let order = plan.order().map_err(|_| Failure::bug("a plan with a defect was accepted"))?;
    let joined = states::join(ctx, base, &order).await?;
    Ok((joined.tree, joined.conflicts))
}

fn must_pass(ctx: &StepContext) -> Result<Vec<String>, Failure> {
    let all: BTreeSet<String> = proofs(ctx)?.flat_map(|output| output.must_pass.iter().cloned()).collect();
    Ok(all.into_iter().collect())
}

/// What `reproduce` left for each subtask that has it.
fn proofs(ctx: &StepContext) -> Result<impl Iterator<Item = &ReproduceOutput>, Failure> {
    let subtasks = &states::plan(ctx)?.subtasks;
    Ok(subtasks.iter().filter_map(|subtask| ctx.outputs.reproduce(&subtask.id)))
}

/// What is said of tests that prove nothing any more.
fn no_proof(ids: &[&String]) -> String {
    let mut text =
        "These tests have to fail on the commit the run started from, with only the tests of this change \
                    taken over, and do not: they prove nothing.\n"
            .to_owned();
    for id in ids {
        text.push_str(&format!("- {}\n", toryo_sandbox::clip(id, 300, 0)));
    }
    text
}

/// The whole goal as one piece of work, for the analysis of a failure.
fn whole(ctx: &StepContext) -> Result<Subtask, Failure> {
    texts::subtask_named(ctx, MERGED)
}

/// Tests that pass now and do not pass on the base commit with only the tests taken over: the proof that the change, and
/// nothing else, mended them.
async fn reproduced(
    ctx: &StepContext,
    tools: &Tools,
    base: &Tree,
    tree: &Tree,
    must_pass: &[String],
    now: &TestReport,
) -> Result<Vec<String>, Failure> {
    if must_pass.is_empty() {
        return Ok(vec![]);
    }
    let mut before = base.base();
    let test_paths: Vec<RepoPath> = tree.changed_paths().filter(|path| is_test(path)).cloned().collect();
    for path in &test_paths {
        before.set(path.clone(), tree.read(path).await?);
    }
    ctx.progress("running the new tests on the base commit: they have to fail there").await?;
    let present: Vec<RepoPath> =
        test_paths.into_iter().filter(|path| before.has(path) && path.extension() == Some("py")).collect();
    let ran = suite::run(ctx, tools, &before, &Selection::Files(present), false).await?;
    suite::publish(ctx, tools, &ran, "tests-on-base").await?;
    let proved = |id: &&String| ids::passes(now, id) && !ids::passes(&ran.report, id);
    Ok(must_pass.iter().filter(proved).cloned().collect())
}
