//! The Tester: writes tests that fail first, runs the repository's tests, explains failures, joins subtasks.
//!
//! May edit test files and run the repository's test command in the sandbox. May not edit source files, nor skip or loosen a
//! test. What passes and what fails is decided by reports, never by a model.
//!
//! Three kinds of step: `reproduce` before the change, `test` after it, `merge` when all subtasks are done.

mod ids;
mod judge;
mod merge;
mod reproduce;
mod test;

use crate::tools::Tools;
use async_trait::async_trait;
use std::sync::Arc;
use toryo_domain::{Output, Role, StepKind};
use toryo_engine::{Agent, Failure, StepContext};

/// The agent.
pub struct Tester(pub Arc<Tools>);

#[async_trait]
impl Agent for Tester {
    fn role(&self) -> Role {
        Role::Tester
    }

    async fn run(&self, ctx: &StepContext) -> Result<Output, Failure> {
        let tools = &*self.0;
        match ctx.step_key.kind {
            StepKind::Reproduce => reproduce::run(ctx, tools).await.map(Output::Reproduce),
            StepKind::Test => test::run(ctx, tools).await.map(Output::Test),
            StepKind::Merge => merge::run(ctx, tools).await.map(Output::Merge),
            kind @ (StepKind::Spec
            | StepKind::Plan
            | StepKind::Retrieve
            | StepKind::Code
            | StepKind::Critic
            | StepKind::Integrate
            | StepKind::Draft) => Err(Failure::bug(format!("the Tester was given a step of kind `{kind}`"))),
        }
    }
}
