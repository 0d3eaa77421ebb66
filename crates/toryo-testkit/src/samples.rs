//! What steps leave where they end well: one sample of each kind of output, for tests and benchmarks of the engine.

#![expect(clippy::expect_used, reason = "a sample that does not read has to fail loudly")]

use toryo_domain::output::{
    CodeOutput, CriticOutput, DraftOutput, IntegrateOutput, MergeOutput, PlanOutput, ReproduceOutput,
    RetrieveOutput, SpecOutput, TestOutput, TestSummary,
};
use toryo_domain::{
    ChangeSet, CommitId, Digest, Output, Plan, PullRequest, PullRequestState, StepKey, StepKind, Subtask,
    SubtaskKind,
};

/// What a step leaves; a plan has these subtasks.
///
/// # Panics
/// Never: the sample commit reads.
#[must_use]
pub fn good(key: &StepKey, subtasks: &[Subtask]) -> Output {
    let digest = Digest::of(key.to_string());
    match key.kind {
        StepKind::Spec => Output::Spec(SpecOutput {
            base_commit: commit(),
            base_branch: "main".into(),
            title: "Do it".into(),
            summary: String::new(),
            acceptance_criteria: vec!["it is done".into()],
            in_scope: vec![],
            out_of_scope: vec![],
            constraints: vec![],
            questions: vec![],
        }),
        StepKind::Plan => {
            Output::Plan(PlanOutput { plan: Plan { summary: String::new(), subtasks: subtasks.to_vec() } })
        }
        StepKind::Retrieve => Output::Retrieve(RetrieveOutput {
            pack: digest,
            files: vec![],
            omitted: vec![],
            related_tests: vec![],
            tokens: 0,
        }),
        StepKind::Reproduce => Output::Reproduce(ReproduceOutput {
            changes: ChangeSet::default(),
            must_pass: vec![],
            failed_before: true,
            note: String::new(),
            log: None,
        }),
        StepKind::Code => Output::Code(CodeOutput {
            changes: ChangeSet::default(),
            summary: String::new(),
            diff: digest,
            edits: 1,
        }),
        StepKind::Test => Output::Test(tested(true)),
        StepKind::Critic => Output::Critic(CriticOutput {
            approved: true,
            patch_verdict: String::new(),
            test_verdict: String::new(),
            findings: vec![],
        }),
        StepKind::Merge => Output::Merge(MergeOutput {
            changes: ChangeSet::default(),
            conflicts: vec![],
            test: Some(tested(true)),
            reproduced: vec![],
            diff: digest,
        }),
        StepKind::Integrate => Output::Integrate(IntegrateOutput {
            branch: "toryo/x".into(),
            commit: commit(),
            pull_request: pull_request(false),
        }),
        StepKind::Draft => Output::Draft(DraftOutput {
            branch: "toryo/x".into(),
            commit: commit(),
            pull_request: pull_request(true),
            holds: vec![],
            missing: vec![],
        }),
    }
}

/// A subtask that depends on these others. A bug fix has a step that reproduces it, a refactoring has none.
#[must_use]
pub fn subtask(id: &str, kind: SubtaskKind, depends_on: &[&str]) -> Subtask {
    Subtask {
        id: id.into(),
        kind,
        title: format!("do {id}"),
        description: String::new(),
        target_files: vec![],
        new_files: vec![],
        target_symbols: vec![],
        acceptance_criteria: vec![],
        depends_on: depends_on.iter().map(|id| (*id).to_owned()).collect(),
    }
}

/// A test run.
#[must_use]
pub fn tested(passed: bool) -> TestOutput {
    TestOutput { passed, summary: TestSummary::default(), analysis: None, digest: String::new() }
}

fn commit() -> CommitId {
    "ab".repeat(20).parse().expect("a commit")
}

fn pull_request(draft: bool) -> PullRequest {
    PullRequest {
        number: 1,
        url: "http://127.0.0.1/ui/pulls/1".into(),
        head_branch: "toryo/x".into(),
        state: PullRequestState::Open,
        draft,
    }
}
