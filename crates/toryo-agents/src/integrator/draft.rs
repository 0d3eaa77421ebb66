//! The step `draft`: where a limit stops a run, its best state becomes a branch and a draft pull request that says what is
//! missing. No model is asked: there may be nothing left to pay one with.

use super::best::{Best, Progress, best, latest_test, progress};
use crate::failures::{forge, missing};
use crate::states;
use crate::texts;
use crate::tools::Tools;
use crate::tree::Tree;
use toryo_domain::output::{Conflict, DraftOutput, SpecOutput, TestSummary};
use toryo_domain::plan::MERGED;
use toryo_domain::{Limit, NewPullRequest, Plan, Severity};
use toryo_engine::{Failure, StepContext};
use toryo_forge::{CommitType, ConventionalCommit, PullRequestBody};

/// Most failing tests that a line names.
const MOST_FAILING: usize = 10;

pub(super) async fn run(ctx: &StepContext, tools: &Tools) -> Result<DraftOutput, Failure> {
    let spec = ctx.outputs.spec().ok_or_else(|| missing("specification"))?;
    let plan = states::plan(ctx)?;
    let base = states::base(ctx, tools).await?;
    let state = State::of(ctx, &base, plan).await?;
    if state.tree.digest() == base.digest() {
        return Err(missing("change"));
    }
    let missing = what_is_missing(ctx, plan, &state);
    let message = ConventionalCommit {
        kind: CommitType::Chore,
        scope: None,
        breaking: false,
        subject: format!("keep the unfinished state of: {}", spec.title),
        body: String::new(),
    };
    let (branch, commit) = super::publish(ctx, tools, spec, &state.tree, message).await?;
    let request = NewPullRequest {
        run_id: ctx.run_id,
        repo_url: ctx.task.wish.repo_url.clone(),
        title: format!("Unfinished: {}", spec.title),
        body: super::with_link(body(ctx, spec, &state, &missing).render(ctx.run_id), ctx, tools),
        head_branch: branch.clone(),
        head_commit: commit.clone(),
        base_branch: spec.base_branch.clone(),
        draft: true,
    };
    let opened = tools.forge.open_pull_request(&request).await.map_err(forge)?;
    super::announce(ctx, &request, &opened, false).await?;
    Ok(DraftOutput { branch, commit, pull_request: opened.pull_request, holds: state.holds, missing })
}

/// The best state as a tree.
struct State {
    tree: Tree,
    /// The subtasks in it.
    holds: Vec<String>,
    conflicts: Vec<Conflict>,
    summary: Option<TestSummary>,
}

impl State {
    async fn of(ctx: &StepContext, base: &Tree, plan: &Plan) -> Result<Self, Failure> {
        let alone = |tree, holds| Self { tree, holds, conflicts: vec![], summary: None };
        match best(plan, &ctx.outputs) {
            Best::Join(join) => {
                let tree = base.with_changes(&join.changes, &*ctx.blobs).await?;
                let holds = plan.subtasks.iter().map(|subtask| subtask.id.clone()).collect();
                let summary = join.test.as_ref().map(|test| test.summary.clone());
                Ok(Self { summary, ..alone(tree, holds) })
            }
            Best::Accepted(ids) => {
                let joined = states::join(ctx, base, &ids).await?;
                let holds = ids.into_iter().map(str::to_owned).collect();
                Ok(Self { conflicts: joined.conflicts, ..alone(joined.tree, holds) })
            }
            Best::Furthest(id) => {
                let tree = states::current(ctx, base, id).await?;
                let summary = latest_test(&ctx.outputs, id).map(|test| test.summary.clone());
                Ok(Self { summary, ..alone(tree, vec![id.to_owned()]) })
            }
            Best::Nothing => Ok(alone(base.base(), vec![])),
        }
    }
}

/// What keeps the change from being done, most important first.
fn what_is_missing(ctx: &StepContext, plan: &Plan, state: &State) -> Vec<String> {
    let mut lines: Vec<String> = ctx.orders.stopping.iter().map(|stopping| stopping.reason.clone()).collect();
    for subtask in &plan.subtasks {
        let id = &subtask.id;
        let held = if state.holds.contains(id) { "" } else { "; not part of this draft" };
        let standing = match progress(&ctx.outputs, id) {
            Progress::Done => "done: its tests pass and the review accepts it".to_owned(),
            Progress::Passing => "its tests pass; the review does not accept it yet".to_owned(),
            Progress::Edited => match latest_test(&ctx.outputs, id) {
                Some(test) => format!("its tests fail: {}", failing(&test.summary)),
                None => "edited, not tested".to_owned(),
            },
            Progress::Untouched => "not begun".to_owned(),
        };
        lines.push(format!("`{id}` ({}): {standing}{held}", subtask.title));
    }
    for conflict in &state.conflicts {
        lines.push(format!("`{}` does not fit with the others in {}", conflict.subtask, conflict.path));
    }
    if let Some(test) = ctx.outputs.merge().and_then(|merge| merge.test.as_ref()).filter(|test| !test.passed)
    {
        lines.push(format!("the tests of all subtasks joined fail: {}", failing(&test.summary)));
    }
    let ids = plan.subtasks.iter().map(|subtask| subtask.id.as_str()).chain([MERGED]);
    let reviews = ids.filter_map(|id| ctx.outputs.critic(id)).filter(|review| !review.approved);
    let open = reviews.flat_map(|review| &review.findings).filter(|it| it.severity == Severity::Blocking);
    lines.extend(open.map(|finding| format!("open finding: {}", texts::finding(finding))));
    lines
}

fn failing(summary: &TestSummary) -> String {
    if summary.failing.is_empty() {
        return format!("{} of them", summary.failed);
    }
    let named: Vec<&str> = summary.failing.iter().take(MOST_FAILING).map(String::as_str).collect();
    let more = summary.failing.len().saturating_sub(MOST_FAILING);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", named.join(", "))
}

fn body(ctx: &StepContext, spec: &SpecOutput, state: &State, missing: &[String]) -> PullRequestBody {
    let limit = ctx.orders.stopping.as_ref().map(|stopping| match stopping.limit {
        Limit::Budget => "the run's money or tokens are used up",
        Limit::Time => "the run's time is used up",
        Limit::Loops => "the run made no progress any more",
    });
    let changes = state.holds.iter().filter_map(|id| ctx.outputs.code(id));
    let mut open_points = missing.to_vec();
    open_points.push(format!(
        "To go on: `toryo resume {}`, or the button on the run's page. This pull request becomes ready then.",
        ctx.run_id
    ));
    PullRequestBody {
        purpose: format!("{}\n\n{}", spec.title, spec.summary),
        changes: changes.map(|code| code.summary.clone()).collect(),
        tests: vec![],
        summary: state.summary.clone(),
        risk: "high: this is not finished; merge nothing of it without a look of your own.".to_owned(),
        rollback: "Close the pull request and delete its branch.".to_owned(),
        open_points,
        notice: Some(format!(
            "This is a draft of unfinished work: {}.",
            limit.unwrap_or("the run was stopped")
        )),
    }
}
