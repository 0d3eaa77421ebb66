//! Agents that do nothing: nine steps a run, one of each kind that a run without limits and repairs has, and a second test
//! run on the merged tree.

use async_trait::async_trait;
use std::sync::Arc;
use toryo_domain::output::{
    CodeOutput, CriticOutput, DraftOutput, IntegrateOutput, MergeOutput, PlanOutput, ReproduceOutput,
    RetrieveOutput, SpecOutput, TestOutput, TestSummary,
};
use toryo_domain::{
    ChangeSet, CommitId, Digest, Output, Plan, PullRequest, PullRequestState, Role, StepKey, StepKind,
    Subtask, SubtaskKind,
};
use toryo_engine::{Agent, Failure, StepContext};

/// Steps of a run.
pub const STEPS: usize = 9;

/// One agent for each role.
pub fn all() -> Vec<Arc<dyn Agent>> {
    Role::ALL.iter().map(|role| Arc::new(Idle(*role)) as Arc<dyn Agent>).collect()
}

struct Idle(Role);

#[async_trait]
impl Agent for Idle {
    fn role(&self) -> Role {
        self.0
    }

    async fn run(&self, ctx: &StepContext) -> Result<Output, Failure> {
        Ok(output(&ctx.step_key))
    }
}

fn output(key: &StepKey) -> Output {
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
            Output::Plan(PlanOutput { plan: Plan { summary: String::new(), subtasks: vec![subtask()] } })
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
        StepKind::Test => Output::Test(tested()),
        StepKind::Critic => Output::Critic(CriticOutput {
            approved: true,
            patch_verdict: String::new(),
            test_verdict: String::new(),
            findings: vec![],
        }),
        StepKind::Merge => Output::Merge(MergeOutput {
            changes: ChangeSet::default(),
            conflicts: vec![],
            test: Some(tested()),
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

fn subtask() -> Subtask {
    Subtask {
        id: "a".into(),
        kind: SubtaskKind::BugFix,
        title: "do a".into(),
        description: String::new(),
        target_files: vec![],
        new_files: vec![],
        target_symbols: vec![],
        acceptance_criteria: vec![],
        depends_on: vec![],
    }
}

fn tested() -> TestOutput {
    TestOutput { passed: true, summary: TestSummary::default(), analysis: None, digest: String::new() }
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
