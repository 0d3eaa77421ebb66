//! Agents that leave what a test tells them to, for tests of the engine alone.

use async_trait::async_trait;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use toryo_domain::{Output, Role, StepKey, Subtask, SubtaskKind};
use toryo_engine::{Agent, Failure, StepContext};
use toryo_testkit::samples::{good, subtask};

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
        Self {
            subtasks: ids.iter().map(|id| subtask(id, SubtaskKind::Refactoring, &[])).collect(),
            acts: BTreeMap::new(),
        }
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
