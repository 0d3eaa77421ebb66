//! The step `test`: all tests on the edited tree, and what a failure means.

use super::judge::Judgement;
use crate::ask::Conversation;
use crate::prompt::Variables;
use crate::states;
use crate::suite::{self, Selection, SuiteRun};
use crate::texts;
use crate::tools::Tools;
use crate::tree::Tree;
use std::collections::BTreeSet;
use toryo_domain::output::{FailureAnalysis, TestOutput, TestSummary};
use toryo_domain::{FailureClass, RepoPath, Subtask, TestReport};
use toryo_engine::{Failure, StepContext};

pub(super) async fn run(ctx: &StepContext, tools: &Tools) -> Result<TestOutput, Failure> {
    let subtask = texts::subtask_of(ctx)?;
    let base = states::base(ctx, tools).await?;
    let start = states::start(ctx, &base, &subtask.id).await?;
    let before = states::before_change(ctx, &base, &subtask.id).await?;
    let tree = states::current(ctx, &base, &subtask.id).await?;
    let must_pass =
        ctx.outputs.reproduce(&subtask.id).map(|output| output.must_pass.clone()).unwrap_or_default();
    let ran = suite::run(ctx, tools, &tree, &Selection::All, false).await?;
    let diff = tree.diff_from(&before, |_| true).await?;
    let measured = Measured { ran, must_pass, without: &start, subtask: &subtask, diff, name: "tests" };
    measured.conclude(ctx, tools).await
}

/// A test run with what it takes to judge it.
pub(super) struct Measured<'a> {
    pub(super) ran: SuiteRun,
    pub(super) must_pass: Vec<String>,
    /// The tree in which a failure is an old one.
    pub(super) without: &'a Tree,
    pub(super) subtask: &'a Subtask,
    pub(super) diff: String,
    /// What log and report are called.
    pub(super) name: &'a str,
}

impl Measured<'_> {
    /// Judges the run, tells everybody, and asks for an analysis where it is not good.
    pub(super) async fn conclude(self, ctx: &StepContext, tools: &Tools) -> Result<TestOutput, Failure> {
        let known = known_failures(ctx, tools, &self.ran, &self.must_pass, self.without).await?;
        let judgement = Judgement::of(&self.ran.report, &known, &self.must_pass);
        let summary = suite::publish(ctx, tools, &self.ran, self.name).await?;
        if judgement.known.iter().any(|id| id == suite::COMMAND_ID) {
            return Err(unprovable(&self.ran));
        }
        if judgement.is_good() {
            let digest = good_news(&summary, &self.must_pass, &judgement);
            return Ok(TestOutput { passed: true, summary, analysis: None, digest });
        }
        let digest = tools.mask(&bad_news(&self.ran, &judgement));
        let analysis = self.analyse(ctx, tools, &digest, &judgement).await?;
        Ok(TestOutput { passed: false, summary, analysis: Some(analysis), digest })
    }

    async fn analyse(
        &self,
        ctx: &StepContext,
        tools: &Tools,
        digest: &str,
        judgement: &Judgement,
    ) -> Result<FailureAnalysis, Failure> {
        let variables = Variables::new()
            .with("subtask", texts::subtask(self.subtask))
            .with("diff", self.diff.as_str())
            .with("failures", digest)
            .with("known", judgement.known.clone());
        Conversation::begin(ctx, tools, "failure_analysis", variables)?.ask().await
    }
}

/// The tests that fail without the change. They are looked up only where something fails that nobody promised to mend.
async fn known_failures(
    ctx: &StepContext,
    tools: &Tools,
    ran: &SuiteRun,
    must_pass: &[String],
    without: &Tree,
) -> Result<BTreeSet<String>, Failure> {
    let promised = |id: &String| must_pass.contains(id);
    if ran.failing().iter().all(promised) {
        return Ok(BTreeSet::new());
    }
    Ok(suite::failing(&*suite::baseline(ctx, tools, without).await?))
}

/// Where the tests do not run to their end even without the change, nothing can be proved and no repair helps.
fn unprovable(ran: &SuiteRun) -> Failure {
    let text = format!(
        "the repository's tests do not run to their end, with the change and without it ({}); mend them, raise the \
         time limit, or name a test command in .toryo.toml",
        ran.exit
    );
    Failure::new(FailureClass::Policy, text)
}

fn good_news(summary: &TestSummary, must_pass: &[String], judgement: &Judgement) -> String {
    let mut text = texts::summary(summary);
    for id in must_pass {
        text.push_str(&format!("\n{id}: passes now"));
    }
    for id in &judgement.known {
        text.push_str(&format!("\n{id}: fails as it did without the change"));
    }
    text
}

/// Only what is new: old failures would lead the repair astray.
fn bad_news(ran: &SuiteRun, judgement: &Judgement) -> String {
    let cases = ran.report.cases.iter().filter(|case| !judgement.known.contains(&case.id())).cloned();
    let news = TestReport { cases: cases.collect() };
    let mut text = String::new();
    let failing = suite::failing(&news);
    for id in judgement.unproved.iter().filter(|id| !failing.contains(*id)) {
        text.push_str(&format!("{id}: has to pass, and was not run or did not pass\n"));
    }
    text.push_str(&toryo_sandbox::report::failure_digest(Some(&news), &ran.text));
    text
}

/// Whether a path may be written by the Tester.
pub(super) fn is_test(path: &RepoPath) -> bool {
    texts::is_test_path(path)
}
