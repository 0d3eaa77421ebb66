//! Outputs: what a step leaves on the blackboard for the steps after it.
//!
//! An output is small and typed; anything large (a report, a context pack, a diff) is an artifact and the
//! output holds its digest.

use crate::{ChangeSet, CommitId, Digest, Finding, Plan, PullRequest, RepoPath, StepKind, text_enum};
use serde::{Deserialize, Serialize};

/// The output of a step; its `kind` is that of the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Output {
    /// Of `spec`.
    Spec(SpecOutput),
    /// Of `plan`.
    Plan(PlanOutput),
    /// Of `retrieve`.
    Retrieve(RetrieveOutput),
    /// Of `reproduce`.
    Reproduce(ReproduceOutput),
    /// Of `code`.
    Code(CodeOutput),
    /// Of `test`.
    Test(TestOutput),
    /// Of `critic`.
    Critic(CriticOutput),
    /// Of `merge`.
    Merge(MergeOutput),
    /// Of `integrate`.
    Integrate(IntegrateOutput),
    /// Of `draft`.
    Draft(DraftOutput),
}

impl Output {
    /// The kind of step that leaves it.
    #[must_use]
    pub const fn kind(&self) -> StepKind {
        match self {
            Self::Spec(_) => StepKind::Spec,
            Self::Plan(_) => StepKind::Plan,
            Self::Retrieve(_) => StepKind::Retrieve,
            Self::Reproduce(_) => StepKind::Reproduce,
            Self::Code(_) => StepKind::Code,
            Self::Test(_) => StepKind::Test,
            Self::Critic(_) => StepKind::Critic,
            Self::Merge(_) => StepKind::Merge,
            Self::Integrate(_) => StepKind::Integrate,
            Self::Draft(_) => StepKind::Draft,
        }
    }

    /// The working tree the step leaves, where it leaves one.
    #[must_use]
    pub const fn changes(&self) -> Option<&ChangeSet> {
        match self {
            Self::Reproduce(output) => Some(&output.changes),
            Self::Code(output) => Some(&output.changes),
            Self::Merge(output) => Some(&output.changes),
            Self::Spec(_)
            | Self::Plan(_)
            | Self::Retrieve(_)
            | Self::Test(_)
            | Self::Critic(_)
            | Self::Integrate(_)
            | Self::Draft(_) => None,
        }
    }
}

text_enum! {
    /// How much an open question weighs.
    pub enum Weight {
        /// The answer would be nice; an assumption is made and stated.
        Minor = "minor",
        /// The answer changes the work; an assumption is made, stated, and shown in the pull request.
        Major = "major",
        /// Without the answer nobody can act: the run stops and asks.
        Blocking = "blocking",
    }
}

/// Something the Spec-Refiner would like to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The question.
    pub text: String,
    /// How much it weighs.
    pub weight: Weight,
    /// What is assumed while nobody answers; empty for a blocking question.
    pub assumption: String,
}

/// A goal that can be acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecOutput {
    /// The commit the run starts from.
    pub base_commit: CommitId,
    /// The branch it was the tip of.
    pub base_branch: String,
    /// One line for people; the pull request's title grows out of it.
    pub title: String,
    /// The goal in the Spec-Refiner's words.
    pub summary: String,
    /// What has to hold in the end, each checkable.
    pub acceptance_criteria: Vec<String>,
    /// What belongs to it.
    pub in_scope: Vec<String>,
    /// What does not.
    pub out_of_scope: Vec<String>,
    /// What has to be respected.
    pub constraints: Vec<String>,
    /// Open questions; the run stops where one is blocking.
    pub questions: Vec<Question>,
}

impl SpecOutput {
    /// Whether a person has to answer before anything else happens.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.questions.iter().any(|question| question.weight == Weight::Blocking)
    }
}

/// A plan whose order and files were checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanOutput {
    /// The plan.
    pub plan: Plan,
}

/// What the Coder will see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrieveOutput {
    /// The context pack as the Coder reads it.
    pub pack: Digest,
    /// Files in the pack, most important first.
    pub files: Vec<RepoPath>,
    /// What was left out and why.
    pub omitted: Vec<String>,
    /// Test files related to the subtask.
    pub related_tests: Vec<RepoPath>,
    /// Estimated size of the pack in tokens.
    pub tokens: u32,
}

/// Tests written before the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReproduceOutput {
    /// The tree with the new tests and without the change.
    pub changes: ChangeSet,
    /// Ids of the tests that fail now and have to pass in the end, as in
    /// [`TestCase::id`](crate::TestCase::id).
    pub must_pass: Vec<String>,
    /// Whether they were seen to fail before the change.
    pub failed_before: bool,
    /// Why there is none, or what the tests show.
    pub note: String,
    /// The test command's output before the change.
    pub log: Option<Digest>,
}

/// Edits that were applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeOutput {
    /// The tree after the edits.
    pub changes: ChangeSet,
    /// What was done and why, in the Coder's words.
    pub summary: String,
    /// The subtask's whole diff so far, its tests included, against the state it started from.
    pub diff: Digest,
    /// How many edits were applied.
    pub edits: u32,
}

/// What a failing test run means, for the next repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureAnalysis {
    /// The cause in one or two sentences.
    pub root_cause: String,
    /// Whether the code, the new test or the environment is at fault.
    pub at_fault: Fault,
    /// Where to look, most likely first.
    pub suspects: Vec<String>,
    /// What to do next.
    pub next_step: String,
}

text_enum! {
    /// What a failure is to be blamed on.
    pub enum Fault {
        /// The change.
        Code = "code",
        /// The test that was written for it.
        Test = "test",
        /// Neither: a missing tool, a missing dependency, a time limit.
        Environment = "environment",
    }
}

/// Counts of a test command.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TestSummary {
    /// Cases that passed.
    pub passed: u32,
    /// Cases that failed or broke.
    pub failed: u32,
    /// Cases not run.
    pub skipped: u32,
    /// Ids of those that failed or broke, at most 50.
    pub failing: Vec<String>,
    /// Line coverage of the whole repository, 0 to 1, where it was measured.
    pub coverage: Option<f64>,
    /// Wall time of the command in milliseconds.
    pub duration_ms: u64,
    /// Every case, as JSON of [`TestReport`](crate::TestReport).
    pub report: Option<Digest>,
    /// The command's output.
    pub log: Option<Digest>,
}

/// A test run on the edited tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestOutput {
    /// Nothing new fails and all that must pass passes.
    pub passed: bool,
    /// The counts.
    pub summary: TestSummary,
    /// Why it failed.
    pub analysis: Option<FailureAnalysis>,
    /// The clipped text that the next repair reads.
    pub digest: String,
}

/// A review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriticOutput {
    /// Whether no finding blocks.
    pub approved: bool,
    /// Judgement of the change.
    pub patch_verdict: String,
    /// Judgement of its tests.
    pub test_verdict: String,
    /// What was found; blocking ones cause a revision, others go into the pull request.
    pub findings: Vec<Finding>,
}

/// All subtasks joined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MergeOutput {
    /// The joined tree.
    pub changes: ChangeSet,
    /// Files on which subtasks disagree; the join then holds the earlier side of them.
    pub conflicts: Vec<Conflict>,
    /// The full test run on the joined tree; absent while there are conflicts.
    pub test: Option<TestOutput>,
    /// Results of the tests that had to pass: those that failed on the base commit and pass now.
    pub reproduced: Vec<String>,
    /// The diff against the base commit.
    pub diff: Digest,
}

impl MergeOutput {
    /// Whether the joined tree may become a pull request.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.conflicts.is_empty() && self.test.as_ref().is_some_and(|test| test.passed)
    }
}

/// Two subtasks changed the same lines of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The file.
    pub path: RepoPath,
    /// The subtask whose change did not fit.
    pub subtask: String,
    /// Both sides, for whoever mends it.
    pub text: String,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrateOutput {
    /// The branch.
    pub branch: String,
    /// Its tip.
    pub commit: CommitId,
    /// The pull request.
    pub pull_request: PullRequest,
}

/// What a run that hit a limit leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftOutput {
    /// The branch.
    pub branch: String,
    /// Its tip.
    pub commit: CommitId,
    /// The draft pull request.
    pub pull_request: PullRequest,
    /// The subtasks whose change is in it, in the plan's order.
    pub holds: Vec<String>,
    /// What is missing, one entry a statement.
    pub missing: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_carries_the_kind_of_its_step() {
        let output = Output::Critic(CriticOutput {
            approved: true,
            patch_verdict: "right".into(),
            test_verdict: "right".into(),
            findings: vec![],
        });
        let json = serde_json::to_value(&output).unwrap();
        assert_eq!(json["kind"], output.kind().as_str());
        assert_eq!(serde_json::from_value::<Output>(json).unwrap(), output);
    }
}
