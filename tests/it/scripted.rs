//! Agents that leave what a test tells them to, for tests of the engine alone.

use async_trait::async_trait;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
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

type Act = Arc<dyn Fn(StepContext) -> BoxFuture<'static, Result<Output, Failure>> + Send + Sync>;

/// What the agents do; a step without an entry ends well.
#[derive(Clone, Default)]
pub struct Script {
    subtasks: Vec<Subtask>,
    acts: BTreeMap<String, Act>,
}

impl Script {
    /// A plan of independent subtasks.
    pub fn with_subtasks(ids: &[&str]) -> Self {
        Self { subtasks: ids.iter().map(|id| subtask(id)).collect(), acts: BTreeMap::new() }
    }

    /// What happens in one step instead.
    pub fn on<F>(mut self, key: &str, act: impl Fn(StepContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Output, Failure>> + Send + 'static,
    {
        self.acts.insert(key.to_owned(), Arc::new(move |ctx| Box::pin(act(ctx))));
        self
    }

    /// One agent for each role.
    pub fn agents(&self) -> Vec<Arc<dyn Agent>> {
        let agent = |role: &Role| Arc::new(Scripted { role: *role, script: self.clone() }) as Arc<dyn Agent>;
        Role::ALL.iter().map(agent).collect()
    }

    /// What a step leaves where it ends well.
    pub fn good(&self, key: &StepKey) -> Output {
        good(key, &self.subtasks)
    }
}

struct Scripted {
    role: Role,
    script: Script,
}

#[async_trait]
impl Agent for Scripted {
    fn role(&self) -> Role {
        self.role
    }

    async fn run(&self, ctx: &StepContext) -> Result<Output, Failure> {
        match self.script.acts.get(&ctx.step_key.to_string()) {
            Some(act) => act(ctx.clone()).await,
            None => Ok(self.script.good(&ctx.step_key)),
        }
    }
}

fn subtask(id: &str) -> Subtask {
    Subtask {
        id: id.into(),
        kind: SubtaskKind::Refactoring,
        title: format!("do {id}"),
        description: String::new(),
        target_files: vec![],
        new_files: vec![],
        target_symbols: vec![],
        acceptance_criteria: vec![],
        depends_on: vec![],
    }
}

pub fn tested(passed: bool) -> TestOutput {
    TestOutput { passed, summary: TestSummary::default(), analysis: None, digest: String::new() }
}

fn commit() -> CommitId {
    "ab".repeat(20).parse().unwrap()
}

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
            pull_request: PullRequest {
                number: 1,
                url: "http://127.0.0.1/ui/pulls/1".into(),
                head_branch: "toryo/x".into(),
                state: PullRequestState::Open,
                draft: false,
            },
        }),
        StepKind::Draft => Output::Draft(DraftOutput {
            branch: "toryo/x".into(),
            commit: commit(),
            pull_request: PullRequest {
                number: 1,
                url: "http://127.0.0.1/ui/pulls/1".into(),
                head_branch: "toryo/x".into(),
                state: PullRequestState::Open,
                draft: true,
            },
            holds: vec![],
            missing: vec![],
        }),
    }
}
