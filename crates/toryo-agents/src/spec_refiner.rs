//! The Spec-Refiner: turns a goal into acceptance criteria, scope, constraints and open questions.
//!
//! May read the goal, what people wrote, README, AGENTS.md and the list of files. May not choose files, write code, or widen
//! the goal. Stops the run with questions only where nobody could act; a person who answered is not asked again.
//!
//! In: the task. Out: [`SpecOutput`], with the commit the run starts from.

use crate::ask::Conversation;
use crate::failures::forge;
use crate::prompt::Variables;
use crate::replies::RefinedSpec;
use crate::texts;
use crate::tools::Tools;
use crate::tree::Tree;
use async_trait::async_trait;
use std::sync::Arc;
use toryo_domain::output::{Question, SpecOutput, Weight};
use toryo_domain::{CommitId, FailureClass, Output, Role};
use toryo_engine::{Agent, Failure, StepContext};

/// The agent.
pub struct SpecRefiner(pub Arc<Tools>);

#[async_trait]
impl Agent for SpecRefiner {
    fn role(&self) -> Role {
        Role::SpecRefiner
    }

    async fn run(&self, ctx: &StepContext) -> Result<Output, Failure> {
        let tools = &*self.0;
        let start = start(ctx, tools).await?;
        refuse_foreign_recording(tools, start.tree.commit())?;
        let wish = &ctx.task.wish;
        let answered = !ctx.messages.is_empty();
        let variables = Variables::new()
            .with("goal", wish.goal.as_str())
            .with("criteria", wish.acceptance_criteria.clone())
            .with("constraints", wish.constraints.clone())
            .with("answered", answered)
            .with_some("messages", texts::messages(&ctx.messages))
            .with("files", texts::files(&start.tree.paths()))
            .with_some("readme", texts::readme(&start.tree).await?)
            .with_some("guidance", texts::guidance(&start.tree).await?);
        let mut conversation = Conversation::begin(ctx, tools, "spec", variables)?;
        let mut spec: RefinedSpec = conversation.ask().await?;
        if spec.acceptance_criteria.is_empty() && !spec.questions.iter().any(is_blocking) {
            conversation.object(
                "The specification has no acceptance criterion. Name at least one that can be checked, or ask a blocking question.",
            );
            spec = conversation.ask().await?;
        }
        if answered {
            spec.questions.iter_mut().filter(|question| is_blocking(question)).for_each(unblock);
        }
        Ok(Output::Spec(SpecOutput {
            base_commit: start.tree.commit().clone(),
            base_branch: start.branch,
            title: spec.title,
            summary: spec.summary,
            acceptance_criteria: spec.acceptance_criteria,
            in_scope: spec.in_scope,
            out_of_scope: spec.out_of_scope,
            constraints: spec.constraints,
            questions: spec.questions,
        }))
    }
}

/// A recording answers for the repository it was made on, and for no other.
fn refuse_foreign_recording(tools: &Tools, commit: &CommitId) -> Result<(), Failure> {
    let Some(manifest) = tools.assets.manifest(Role::SpecRefiner) else { return Ok(()) };
    let facts =
        tools.gateway.facts(&manifest.route).map_err(|error| Failure::from_error(error.class(), &error))?;
    match facts.recording_of {
        Some(recorded) if recorded != commit.as_str() => Err(Failure::new(
            FailureClass::Input,
            "no model key is set, and recorded replies exist for the sample repository only; set a key \
             (TORYO__MODELS__PROVIDERS__OPENAI__API_KEY), restart and retry the run",
        )),
        _ => Ok(()),
    }
}

fn is_blocking(question: &Question) -> bool {
    question.weight == Weight::Blocking
}

/// A person has answered once; what is still open must not stop the run again.
fn unblock(question: &mut Question) {
    question.weight = Weight::Major;
    if question.assumption.is_empty() {
        question.assumption = "What the goal and the answers suggest.".to_owned();
    }
}

struct Start {
    tree: Tree,
    branch: String,
}

/// Where the run starts. A second round keeps the first one's commit, so that answers meet the code they were about.
async fn start(ctx: &StepContext, tools: &Tools) -> Result<Start, Failure> {
    let wish = &ctx.task.wish;
    if let Some(spec) = ctx.outputs.spec() {
        let tree = crate::states::base(ctx, tools).await?;
        return Ok(Start { tree, branch: spec.base_branch.clone() });
    }
    ctx.progress("fetching the repository").await?;
    let checkout =
        tools.forge.fetch(&wish.repo_url, wish.base_branch.as_deref(), &ctx.cancel).await.map_err(forge)?;
    let commit: CommitId = checkout.commit;
    let tree = Tree::of_commit(checkout.mirror, commit).await?;
    Ok(Start { tree, branch: checkout.base_branch })
}
