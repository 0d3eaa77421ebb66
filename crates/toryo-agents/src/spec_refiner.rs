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
        // A message that came before any question answers none.
        let answered = ctx.step_key.round > 1;
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
        unblock_answered(&mut spec, answered);
        if is_empty(&spec) {
            conversation.object(if answered {
                "The specification has no acceptance criterion. People have answered: name at least one criterion that can be checked."
            } else {
                "The specification has no acceptance criterion. Name at least one that can be checked, or ask a blocking question."
            });
            spec = conversation.ask().await?;
            unblock_answered(&mut spec, answered);
        }
        if is_empty(&spec) {
            return Err(Failure::new(
                FailureClass::InvalidOutput,
                "the specification has no acceptance criterion, also after a second ask; say in the goal what has to hold in the end",
            ));
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

/// Nothing to check a change by, and no question that would lead to it.
fn is_empty(spec: &RefinedSpec) -> bool {
    let blank = spec.acceptance_criteria.iter().all(|criterion| criterion.trim().is_empty());
    blank && !spec.questions.iter().any(is_blocking)
}

fn unblock_answered(spec: &mut RefinedSpec, answered: bool) {
    if answered {
        spec.questions.iter_mut().filter(|question| is_blocking(question)).for_each(unblock);
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
