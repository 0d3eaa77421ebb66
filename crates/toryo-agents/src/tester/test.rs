//! The step `test`: all tests on the edited tree, and what a failure means.

use super::judge::{Judgement, Measure};
use crate::ask::Conversation;
use crate::prompt::Variables;
use crate::states;
use crate::suite::{self, Selection, SuiteRun};
use crate::texts;
use crate::tools::Tools;
use crate::tree::Tree;
use toryo_domain::output::{FailureAnalysis, ReproduceOutput, TestOutput, TestSummary};
use toryo_domain::{FailureClass, RepoPath, Subtask, TestReport};
use toryo_engine::{Failure, StepContext};

/// Most lost tests that a digest names.
const MOST_LOST: usize = 20;

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
    let rewritten = rewritten(ctx.outputs.reproduce(&subtask.id));
    let name = "tests";
    let measured = Measured { ran, must_pass, rewritten, without: &start, subtask: &subtask, diff, name };
    measured.conclude(ctx, tools).await
}

/// The test files that these proofs touched.
pub(super) fn rewritten<'a>(proofs: impl IntoIterator<Item = &'a ReproduceOutput>) -> Vec<RepoPath> {
    let paths = proofs.into_iter().flat_map(|proof| proof.changes.files.keys());
    paths.filter(|path| is_test(path)).cloned().collect()
}

/// A test run with what it takes to judge it.
pub(super) struct Measured<'a> {
    pub(super) ran: SuiteRun,
    pub(super) must_pass: Vec<String>,
    /// Test files that `reproduce` wrote.
    pub(super) rewritten: Vec<RepoPath>,
    /// The tree in which a failure is an old one.
    pub(super) without: &'a Tree,
    pub(super) subtask: &'a Subtask,
    pub(super) diff: String,
    /// What log and report are called.
    pub(super) name: &'a str,
}

impl Measured<'_> {
    /// Judges the run, tells everybody, and asks for an analysis where it is not good.
    pub(super) async fn conclude(mut self, ctx: &StepContext, tools: &Tools) -> Result<TestOutput, Failure> {
        let baseline = suite::baseline(ctx, tools, self.without).await?;
        let measure = Measure {
            baseline: &baseline,
            must_pass: &self.must_pass,
            planned: &self.subtask.target_files,
            rewritten: &self.rewritten,
        };
        let judgement = Judgement::of(&self.ran.report, &measure);
        self.ran.lost = judgement.new_failures.iter().chain(&judgement.lost).cloned().collect();
        let summary = suite::publish(ctx, tools, &self.ran, self.name).await?;
        if judgement.known.iter().any(|id| id == suite::COMMAND_ID) {
            return Err(unprovable(&self.ran));
        }
        if judgement.is_good() {
            let digest = tools.mask(&good_news(&summary, &self.must_pass, &judgement));
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
    if judgement.nothing_passes {
        text.push_str(if summary.passed == 0 {
            "\nNO TEST PASSES, neither with the change nor without it: no test speaks for this change."
        } else {
            "\nNO TEST IS REPORTED, neither with the change nor without it: the test command ended well, and \
             that is all that is known."
        });
    }
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
    if judgement.new_failures.iter().any(|id| id == suite::COMMAND_ID) && !failing.contains(suite::COMMAND_ID)
    {
        text.push_str(
            "No test passed: the test command ran none, or skipped all. Without the change tests passed.\n",
        );
    }
    text.push_str(&toryo_sandbox::report::failure_digest(Some(&news), &ran.text));
    if !judgement.lost.is_empty() {
        text.push_str("\nThese tests passed without the change and are missing or skipped now:\n");
    }
    for id in judgement.lost.iter().take(MOST_LOST) {
        text.push_str(&format!("- {}\n", toryo_sandbox::clip(id, 300, 0)));
    }
    if let Some(more) = judgement.lost.len().checked_sub(MOST_LOST).filter(|more| *more > 0) {
        text.push_str(&format!("- and {more} more\n"));
    }
    text
}

/// Whether a path may be written by the Tester.
pub(super) fn is_test(path: &RepoPath) -> bool {
    texts::is_test_path(path)
}
