//! Agents that do nothing: nine steps a run, one of each kind that a run without limits and repairs has, and a second test
//! run on the merged tree.

use async_trait::async_trait;
use std::sync::Arc;
use toryo_domain::{Output, Role, SubtaskKind};
use toryo_engine::{Agent, Failure, StepContext};
use toryo_testkit::samples::{good, subtask};

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
        Ok(good(&ctx.step_key, &[subtask("a", SubtaskKind::BugFix, &[])]))
    }
}
