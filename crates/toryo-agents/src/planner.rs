//! The Planner: cuts the specification into subtasks with files, symbols, criteria and dependencies.
//!
//! May search the code index. May not write code or name files that are not there: a cycle, an unknown file or an unknown
//! dependency goes back to the model with what would be right.
//!
//! In: the specification. Out: [`PlanOutput`], whose order and files were checked.

use crate::ask::Conversation;
use crate::prompt::Variables;
use crate::search;
use crate::states;
use crate::texts;
use crate::tools::Tools;
use crate::tree::Tree;
use async_trait::async_trait;
use std::sync::Arc;
use toryo_domain::output::PlanOutput;
use toryo_domain::{FailureClass, Output, Plan, RepoPath, Role};
use toryo_engine::{Agent, Failure, StepContext};
use toryo_index::PackRequest;

/// Tokens of code shown; the prompt allows a little more.
const CODE_TOKENS: usize = 8_500;
/// Most names that are proposed for one that is wrong.
const MOST_NEAR: usize = 3;

/// The agent.
pub struct Planner(pub Arc<Tools>);

#[async_trait]
impl Agent for Planner {
    fn role(&self) -> Role {
        Role::Planner
    }

    async fn run(&self, ctx: &StepContext) -> Result<Output, Failure> {
        let tools = &*self.0;
        let tree = states::base(ctx, tools).await?;
        let spec = ctx.outputs.spec().ok_or_else(|| crate::failures::missing("specification"))?;
        let index = search::index(tools, &tree).await?;
        let query =
            format!("{}\n\n{}\n\n{}", ctx.task.wish.goal, spec.summary, spec.acceptance_criteria.join("\n"));
        let request = PackRequest {
            budget_tokens: CODE_TOKENS,
            max_files: tools.config.pack_files,
            ..PackRequest::new(query)
        };
        let code = search::pack(&index, &tree, request).await?.render();
        let previous = ctx.outputs.plan().map(|output| serde_json::to_string_pretty(&output.plan));
        let previous = previous.transpose().map_err(|error| Failure::bug(error.to_string()))?;
        let variables = Variables::new()
            .with("spec", texts::spec(spec))
            .with_some("messages", texts::messages(&ctx.messages))
            .with_some("previous", previous)
            .with("files", texts::files(&tree.paths()))
            .with_some("guidance", texts::guidance(&tree).await?)
            .with("code", code);
        let mut conversation = Conversation::begin(ctx, tools, "plan", variables)?;
        let mut defects = Vec::new();
        for _ in 0..conversation.manifest().limits.rounds {
            let plan: Plan = conversation.ask().await?;
            defects = defects_of(&plan, &tree);
            if defects.is_empty() {
                return Ok(Output::Plan(PlanOutput { plan }));
            }
            conversation.object(&format!(
                "That plan cannot be carried out:\n* {}\n\nAnswer again with the whole corrected plan.",
                defects.join("\n* ")
            ));
        }
        let text = format!("the plan stays impossible: {}", defects.join("; "));
        Err(Failure::new(FailureClass::InvalidOutput, text))
    }
}

/// What is wrong with a plan, worded for the model.
fn defects_of(plan: &Plan, tree: &Tree) -> Vec<String> {
    let mut defects: Vec<String> =
        plan.order().err().unwrap_or_default().iter().map(ToString::to_string).collect();
    let paths = tree.paths();
    for subtask in &plan.subtasks {
        if subtask.acceptance_criteria.is_empty() {
            defects.push(format!("subtask `{}` has no acceptance criterion", subtask.id));
        }
        for path in subtask.target_files.iter().filter(|path| !tree.has(path)) {
            let created = plan.subtasks.iter().any(|other| {
                other.new_files.contains(path) && plan.ancestors(&subtask.id).contains(&other.id.as_str())
            });
            if !created {
                let near = nearest(path, &paths).join(", ");
                defects.push(format!(
                    "subtask `{}` changes `{path}`, which is not in the repository; near: {near}; a file to be made belongs \
                     into new_files",
                    subtask.id
                ));
            }
        }
        for path in subtask.new_files.iter().filter(|path| tree.has(path)) {
            defects.push(format!(
                "subtask `{}` makes `{path}`, which is there already; it belongs into target_files",
                subtask.id
            ));
        }
    }
    defects
}

/// The paths most like one that does not exist: the same file name first, then the most letters in common.
fn nearest<'a>(wrong: &RepoPath, paths: &'a [RepoPath]) -> Vec<&'a str> {
    let mut ranked: Vec<(usize, &str)> = paths
        .iter()
        .map(|path| {
            let same_name = usize::from(path.file_name() == wrong.file_name()) * 1_000;
            (same_name + likeness(path.as_str(), wrong.as_str()), path.as_str())
        })
        .collect();
    ranked.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
    ranked.into_iter().take(MOST_NEAR).map(|(_, path)| path).collect()
}

/// How many pairs of neighbouring letters of one text the other one holds.
fn likeness(one: &str, other: &str) -> usize {
    let pairs = |text: &str| text.as_bytes().windows(2).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let known = pairs(other);
    pairs(one).iter().filter(|pair| known.contains(pair)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        let paths: Vec<RepoPath> = ["src/hirelog/spans.py", "src/hirelog/money.py", "tests/test_spans.py"]
            .iter()
            .map(|path| path.parse().unwrap())
            .collect();
        let wrong = "hirelog/spans.py".parse().unwrap();
        assert_eq!(nearest(&wrong, &paths)[0], "src/hirelog/spans.py");
        let wrong = "src/hirelog/span.py".parse().unwrap();
        assert_eq!(nearest(&wrong, &paths)[0], "src/hirelog/spans.py");
    }
}
