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
use toryo_domain::{Plan, RepoPath};
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
/// A tree cannot be read.
pub async fn start(ctx: &StepContext, base: &Tree, subtask: &str) -> Result<Tree, Failure> {
    if subtask == MERGED {
        let merge = ctx.outputs.merge().ok_or_else(|| missing("join"))?;
        return base.with_changes(&merge.changes, &*ctx.blobs).await;
    }
    let plan = plan(ctx)?;
    let wanted: Vec<&str> = plan.ancestors(subtask);
    Ok(join(ctx, base, &wanted).await?.tree)
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

/// Joins the end states of these subtasks, which are in the plan's order and hold each one's ancestors.
///
/// # Errors
/// A subtask has no edits yet, or a tree cannot be read.
pub async fn join(ctx: &StepContext, base: &Tree, subtasks: &[&str]) -> Result<Joined, Failure> {
    let plan = plan(ctx)?;
    // Start and end of each subtask, found once: each needs those of its ancestors only.
    let mut ends: BTreeMap<&str, (Tree, Tree)> = BTreeMap::new();
    for id in subtasks {
        let start = fold(base, &plan.ancestors(id), &ends).await?.tree;
        let code = ctx.outputs.code(id).ok_or_else(|| missing(&format!("change of `{id}`")))?;
        let end = base.with_changes(&code.changes, &*ctx.blobs).await?;
        ends.insert(id, (start, end));
    }
    fold(base, subtasks, &ends).await
}

async fn fold(base: &Tree, subtasks: &[&str], ends: &BTreeMap<&str, (Tree, Tree)>) -> Result<Joined, Failure> {
    let mut joined = Joined { tree: base.base(), conflicts: Vec::new() };
    for id in subtasks {
        let (start, end) = ends.get(id).ok_or_else(|| missing(&format!("change of `{id}`")))?;
        for path in end.paths_differing(start) {
            let (before, after) = (start.read(&path).await?, end.read(&path).await?);
            if before == after {
                continue;
            }
            let ours = joined.tree.read(&path).await?;
            match merge_file(before.as_ref(), ours.as_ref(), after.as_ref()) {
                Merged::Ours => {}
                Merged::Theirs => joined.tree.set(path, after),
                Merged::Both(file) => joined.tree.set(path, Some(file)),
                Merged::Conflict(text) => joined.conflicts.push(conflict(path, id, text)),
            }
        }
    }
    Ok(joined)
}

fn conflict(path: RepoPath, subtask: &str, text: String) -> Conflict {
    Conflict { path, subtask: subtask.to_owned(), text }
}

enum Merged {
    Ours,
    Theirs,
    Both(File),
    Conflict(String),
}

/// Takes over one file's change. `before` and `theirs` differ.
fn merge_file(before: Option<&File>, ours: Option<&File>, theirs: Option<&File>) -> Merged {
    if ours == theirs {
        return Merged::Ours;
    }
    if ours == before {
        return Merged::Theirs;
    }
    let text = |file: Option<&File>| file.and_then(|file| String::from_utf8(file.bytes.to_vec()).ok());
    let (Some(our_text), Some(their_text)) = (text(ours), text(theirs)) else {
        return Merged::Conflict("one side removed the file or holds no text; the other one changed it".into());
    };
    // Two new files of one name have nothing in common.
    let base_text = text(before).unwrap_or_default();
    match toryo_code::merge::merge(&base_text, &our_text, &their_text) {
        Ok(merged) => {
            let executable = [ours, theirs].into_iter().flatten().any(|file| file.executable);
            Merged::Both(File { bytes: merged.into(), executable })
        }
        Err(conflicts) => Merged::Conflict(conflicts.to_string()),
    }
}
