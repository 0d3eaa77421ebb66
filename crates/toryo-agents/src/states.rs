//! Which working tree a step starts from.
//!
//! A subtask starts from the joined end states of the subtasks it depends on; a join takes over, subtask by subtask in the
//! plan's order, what each one changed (a three-way merge a file: base = where that subtask started, ours = joined so
//! far, theirs = where it ended). Nothing is stored for it: the outputs on the blackboard say everything.

use crate::failures::{forge, missing};
use crate::tools::Tools;
use crate::tree::{File, Tree};
use std::collections::BTreeMap;
use toryo_domain::output::Conflict;
use toryo_domain::plan::MERGED;
use toryo_domain::{FailureClass, Plan, RepoPath};
use toryo_engine::{Failure, StepContext};

/// The tree of the commit the run started from.
///
/// # Errors
/// There is no specification yet, or the commit cannot be read.
pub async fn base(ctx: &StepContext, tools: &Tools) -> Result<Tree, Failure> {
    let spec = ctx.outputs.spec().ok_or_else(|| missing("specification"))?;
    let mirror =
        tools.forge.mirror(&ctx.task.wish.repo_url, &spec.base_commit, &ctx.cancel).await.map_err(forge)?;
    Tree::of_commit(mirror, spec.base_commit.clone()).await
}

/// The run's plan.
///
/// # Errors
/// There is none yet.
pub fn plan(ctx: &StepContext) -> Result<&Plan, Failure> {
    ctx.outputs.plan().map(|output| &output.plan).ok_or_else(|| missing("plan"))
}

/// Where a subtask starts: its ancestors joined. For [`MERGED`] all subtasks joined, as the latest join left them.
///
/// # Errors
/// A tree cannot be read, or the ancestors disagree on a file.
pub async fn start(ctx: &StepContext, base: &Tree, subtask: &str) -> Result<Tree, Failure> {
    if subtask == MERGED {
        let merge = ctx.outputs.merge().ok_or_else(|| missing("join"))?;
        return base.with_changes(&merge.changes, &*ctx.blobs).await;
    }
    let plan = plan(ctx)?;
    let wanted: Vec<&str> = plan.ancestors(subtask);
    join(ctx, base, &wanted).await?.without_conflicts(subtask)
}

/// Where the Coder goes on: the latest edits of the subtask, else its tests, else its start.
///
/// # Errors
/// A tree cannot be read.
pub async fn current(ctx: &StepContext, base: &Tree, subtask: &str) -> Result<Tree, Failure> {
    let latest = match subtask {
        // What a join left is newer than the repair before it, and the same.
        MERGED => None,
        _ => ctx.outputs.code(subtask).map(|output| &output.changes),
    };
    let tests = || ctx.outputs.reproduce(subtask).map(|output| &output.changes);
    match latest.or_else(tests) {
        Some(changes) => base.with_changes(changes, &*ctx.blobs).await,
        None => start(ctx, base, subtask).await,
    }
}

/// The subtask with its tests and without its change.
///
/// # Errors
/// A tree cannot be read.
pub async fn before_change(ctx: &StepContext, base: &Tree, subtask: &str) -> Result<Tree, Failure> {
    match ctx.outputs.reproduce(subtask) {
        Some(output) => base.with_changes(&output.changes, &*ctx.blobs).await,
        None => start(ctx, base, subtask).await,
    }
}

/// Several subtasks in one tree.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The tree; where subtasks disagree it holds the earlier one's side of the file.
    pub tree: Tree,
    /// Where they disagree.
    pub conflicts: Vec<Conflict>,
}

impl Joined {
    /// The tree, for a subtask that starts from it: nothing may be dropped silently below what is built on it.
    fn without_conflicts(self, subtask: &str) -> Result<Tree, Failure> {
        if self.conflicts.is_empty() {
            return Ok(self.tree);
        }
        let place = |conflict: &Conflict| format!("`{}` on {}", conflict.subtask, conflict.path);
        let places: Vec<String> = self.conflicts.iter().map(place).collect();
        let text = format!(
            "`{subtask}` cannot start: the subtasks it depends on disagree with those joined before them: {}",
            places.join(", ")
        );
        Err(Failure::new(FailureClass::Policy, text))
    }
}

/// Joins the end states of these subtasks, which are in the plan's order and hold each one's ancestors.
///
/// # Errors
/// A subtask has no edits yet, its ancestors disagree, or a tree cannot be read.
pub async fn join(ctx: &StepContext, base: &Tree, subtasks: &[&str]) -> Result<Joined, Failure> {
    let plan = plan(ctx)?;
    // Start and end of each subtask, found once: each needs those of its ancestors only.
    let mut ends: BTreeMap<&str, (Tree, Tree)> = BTreeMap::new();
    for id in subtasks {
        let start = fold(base, &plan.ancestors(id), &ends).await?.without_conflicts(id)?;
        let code = ctx.outputs.code(id).ok_or_else(|| missing(&format!("change of `{id}`")))?;
        let end = base.with_changes(&code.changes, &*ctx.blobs).await?;
        ends.insert(id, (start, end));
    }
    fold(base, subtasks, &ends).await
}

async fn fold(
    base: &Tree,
    subtasks: &[&str],
    ends: &BTreeMap<&str, (Tree, Tree)>,
) -> Result<Joined, Failure> {
    let mut joined = Joined { tree: base.base(), conflicts: Vec::new() };
    for id in subtasks {
        let (start, end) = ends.get(id).ok_or_else(|| missing(&format!("change of `{id}`")))?;
        for path in end.paths_differing(start) {
            let (before, after) = (start.read(&path).await?, end.read(&path).await?);
            if before == after {
                continue;
            }
            let ours = joined.tree.read(&path).await?;
            match merge_file(&path, before.as_ref(), ours.as_ref(), after.as_ref()) {
                Ok(file) => joined.tree.set(path, file),
                Err(text) => joined.conflicts.push(Conflict { path, subtask: (*id).to_owned(), text }),
            }
        }
    }
    Ok(joined)
}

/// Takes over one file's change; where that cannot be done, both sides as text.
fn merge_file(
    path: &RepoPath,
    before: Option<&File>,
    ours: Option<&File>,
    theirs: Option<&File>,
) -> Result<Option<File>, String> {
    let bytes = |file: Option<&File>| file.map(|file| file.bytes.to_vec());
    let (base, our, their) = (bytes(before), bytes(ours), bytes(theirs));
    let merged = toryo_code::merge::merge(path, base.as_deref(), our.as_deref(), their.as_deref());
    let merged = merged.map_err(|conflict| shown(&conflict))?;
    // A side that changed the bit wins over the one that did not.
    let bit = |file: Option<&File>| file.is_some_and(|file| file.executable);
    let executable = if bit(ours) == bit(before) { bit(theirs) } else { bit(ours) };
    Ok(merged.map(|bytes| File { bytes: bytes.into(), executable }))
}

fn shown(conflict: &toryo_code::merge::Conflict) -> String {
    let side = |text: &Option<String>| text.clone().unwrap_or_else(|| "(the file is gone)\n".to_owned());
    let place = |clash: &toryo_code::merge::Clash| {
        let (ours, theirs) = (side(&clash.ours), side(&clash.theirs));
        format!(
            "line {} of the file before: {}\nin the tree:\n{ours}\nnot taken over:\n{theirs}\n",
            clash.line, clash.reason
        )
    };
    conflict.places.iter().map(place).collect()
}
