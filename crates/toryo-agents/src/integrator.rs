//! The Integrator: makes branch, commit and pull request.
//!
//! May create one branch `toryo/…`, one commit and one pull request. May not change the diff or touch other branches. The model
//! writes the words; figures, trailers and names are the program's.
//!
//! In: the sound join. Out: [`IntegrateOutput`]. A repeated attempt makes the same commit and finds the same pull request.
//!
//! Where a limit stops the run it makes a draft of the best state instead: `draft`, with the same branch and pull request.

mod best;
mod draft;

use crate::ask::Conversation;
use crate::failures::{forge, missing};
use crate::prompt::Variables;
use crate::replies::PullRequestText;
use crate::states;
use crate::texts;
use crate::tools::Tools;
use crate::tree::Tree;
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;
use toryo_domain::output::{IntegrateOutput, MergeOutput, SpecOutput, Weight};
use toryo_domain::plan::MERGED;
use toryo_domain::{CommitId, EventType, NewPullRequest, Output, Role, StepKind};
use toryo_engine::{Agent, Failure, StepContext};
use toryo_forge::{CommitType, ConventionalCommit, NewCommit, Opened, PullRequestBody, naming};

/// What stands above a pull request that was made from recorded replies.
const REPLAY_NOTICE: &str =
    "This is a replay: the replies of the models were recorded earlier. Tests and commit are real.";

/// The agent.
pub struct Integrator(pub Arc<Tools>);

#[async_trait]
impl Agent for Integrator {
    fn role(&self) -> Role {
        Role::Integrator
    }

    async fn run(&self, ctx: &StepContext) -> Result<Output, Failure> {
        if ctx.step_key.kind == StepKind::Draft {
            return Ok(Output::Draft(draft::run(ctx, &self.0).await?));
        }
        Ok(Output::Integrate(self.integrate(ctx).await?))
    }
}

impl Integrator {
    async fn integrate(&self, ctx: &StepContext) -> Result<IntegrateOutput, Failure> {
        let tools = &*self.0;
        let spec = ctx.outputs.spec().ok_or_else(|| missing("specification"))?;
        let plan = states::plan(ctx)?;
        let merge =
            ctx.outputs.merge().filter(|merge| merge.is_sound()).ok_or_else(|| missing("sound join"))?;
        let base = states::base(ctx, tools).await?;
        let tree = base.with_changes(&merge.changes, &*ctx.blobs).await?;
        let findings = findings(ctx);
        let variables = Variables::new()
            .with("spec", texts::spec(spec))
            .with("plan", texts::plan(plan))
            .with("diff", tree.diff_from(&base, |_| true).await?)
            .with("tests", tests(merge).join("\n"))
            .with("findings", findings.clone());
        let mut conversation = Conversation::begin(ctx, tools, "pull_request", variables)?;
        let text: PullRequestText = conversation.ask().await?;

        let (branch, commit) = publish(ctx, tools, spec, &tree, message(&text)).await?;
        let request = NewPullRequest {
            run_id: ctx.run_id,
            repo_url: ctx.task.wish.repo_url.clone(),
            title: text.title.clone(),
            body: with_link(
                body(&text, spec, merge, findings, conversation.recorded()).render(ctx.run_id),
                ctx,
                tools,
            ),
            head_branch: branch.clone(),
            head_commit: commit.clone(),
            base_branch: spec.base_branch.clone(),
            draft: false,
        };
        let opened = tools.forge.open_pull_request(&request).await.map_err(forge)?;
        announce(ctx, &request, &opened, conversation.recorded()).await?;
        Ok(IntegrateOutput { branch, commit, pull_request: opened.pull_request })
    }
}

/// Commits a tree on top of the base commit and makes the run's branch point to it.
async fn publish(
    ctx: &StepContext,
    tools: &Tools,
    spec: &SpecOutput,
    tree: &Tree,
    message: ConventionalCommit,
) -> Result<(String, CommitId), Failure> {
    let commit = NewCommit {
        base: spec.base_commit.clone(),
        changes: tree.to_commit_changes().await?,
        message: message.render(ctx.run_id),
        author: tools.config.author(),
        when: ctx.task.created_at,
    };
    let commit = tree.mirror().commit(commit).await.map_err(forge)?;
    let branch = naming::branch(ctx.run_id, &spec.title);
    ctx.checkpoint()?;
    ctx.progress(format!("publishing {branch}")).await?;
    tools.forge.publish(&ctx.task.wish.repo_url, tree.mirror(), &branch, &commit).await.map_err(forge)?;
    Ok((branch, commit))
}

/// Says that the pull request stands.
async fn announce(
    ctx: &StepContext,
    request: &NewPullRequest,
    opened: &Opened,
    recorded: bool,
) -> Result<(), Failure> {
    let kind = if opened.created { EventType::PullRequestOpened } else { EventType::PullRequestUpdated };
    let data = json!({
        "number": opened.pull_request.number,
        "url": opened.pull_request.url,
        "title": request.title,
        "branch": request.head_branch,
        "commit": request.head_commit,
        "draft": request.draft,
        "recorded": recorded,
    });
    ctx.emit(kind, data).await
}

fn message(text: &PullRequestText) -> ConventionalCommit {
    ConventionalCommit {
        // The schema allows no other word than these.
        kind: text.commit.kind.parse().unwrap_or(CommitType::Chore),
        scope: text.commit.scope.clone(),
        breaking: false,
        subject: text.commit.subject.clone(),
        body: text.commit.body.clone(),
    }
}

fn body(
    text: &PullRequestText,
    spec: &SpecOutput,
    merge: &MergeOutput,
    findings: Vec<String>,
    recorded: bool,
) -> PullRequestBody {
    let mut open_points = text.open_points.clone();
    let assumed = spec.questions.iter().filter(|question| question.weight != Weight::Minor);
    open_points.extend(assumed.map(|question| format!("{} Assumed: {}", question.text, question.assumption)));
    open_points.extend(findings);
    let summary = merge.test.as_ref().map(|test| test.summary.clone());
    let mut tests: Vec<String> =
        merge.reproduced.iter().map(|id| format!("`{id}` failed before the change and passes now")).collect();
    if tests.is_empty() {
        tests.push("No test was seen to fail before the change.".to_owned());
    }
    PullRequestBody {
        purpose: text.purpose.clone(),
        changes: text.changes.clone(),
        tests,
        summary,
        risk: format!("{}: {}", text.risk.level, text.risk.text),
        rollback: text.rollback.clone(),
        open_points,
        notice: recorded.then(|| REPLAY_NOTICE.to_owned()),
    }
}

/// The text with a link to the run's page, where it is known from where people reach it.
fn with_link(body: String, ctx: &StepContext, tools: &Tools) -> String {
    match &tools.config.public_url {
        Some(url) => format!("{body}\nRun: {}/ui/runs/{}\n", url.trim_end_matches('/'), ctx.run_id),
        None => body,
    }
}

/// Findings of the last reviews, that of the join included, which did not block.
fn findings(ctx: &StepContext) -> Vec<String> {
    let subtasks = ctx.outputs.plan().map(|output| &output.plan.subtasks).into_iter().flatten();
    let ids = subtasks.map(|subtask| subtask.id.as_str()).chain([MERGED]);
    let reviews = ids.filter_map(|id| ctx.outputs.critic(id));
    reviews.flat_map(|review| review.findings.iter().map(texts::finding)).collect()
}

fn tests(merge: &MergeOutput) -> Vec<String> {
    let mut lines: Vec<String> = merge.test.iter().map(|test| texts::summary(&test.summary)).collect();
    lines.extend(merge.reproduced.iter().map(|id| format!("{id}: failed before the change, passes now")));
    lines
}
