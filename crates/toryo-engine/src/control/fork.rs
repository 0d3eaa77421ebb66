//! Forks: a new run that shares another one's outcomes up to a step and goes on differently from there.

use super::Error;
use super::rewind::{decide_anew, following};
use crate::engine::Engine;
use crate::grow::grow;
use serde_json::json;
use toryo_blackboard::outcomes::Kept;
use toryo_blackboard::{Origin, db, graph, messages, runs, steps};
use toryo_domain::{EventType, NewEvent, RunId, StepKey, StepKind, StepStatus, Variant};

/// What a fork does otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The first step that is executed anew.
    pub at: StepKey,
    /// Other routes and prompts.
    pub variant: Variant,
    /// A message to its agents.
    pub message: Option<String>,
}

/// Makes a run of the same task that shares every outcome `at` does not lead to: shared steps are not executed or paid
/// again. What people decided and wrote up to there holds for it as well. A repeated `key` gives the same run.
///
/// # Errors
/// There is no such step, or the run has no outcome before it.
pub async fn fork(
    engine: &Engine,
    from: RunId,
    by: &str,
    wanted: &Fork,
    key: Option<&str>,
) -> Result<RunId, Error> {
    let mut tx = engine.db.begin().await?;
    // The lock makes forks of one run wait for each other, so a key is seen by whoever repeats it.
    let source = runs::lock(&mut tx, from).await?;
    if let Some(key) = key
        && let Some(before) = runs::fork_by_key(&mut tx, from, key).await?
    {
        return match &before.origin {
            Some(origin) if origin.at == wanted.at && origin.variant == wanted.variant => Ok(before.id),
            Some(_) | None => Err(Error::KeyReused),
        };
    }
    let rows = steps::of_run_in(&mut tx, from).await?;
    if wanted.at.kind == StepKind::Draft || !rows.iter().any(|row| row.key == wanted.at) {
        return Err(Error::NotPossible(format!("step `{}` is not part of the run", wanted.at)));
    }
    let following = following(&rows, &wanted.at);
    let shared: Vec<StepKey> = rows
        .iter()
        .filter(|row| row.status == StepStatus::Succeeded && row.key != wanted.at)
        .filter(|row| row.key.kind != StepKind::Draft && !following.contains(&row.key))
        .map(|row| row.key.clone())
        .collect();

    let id = runs::insert(&mut tx, source.task_id).await?;
    let origin = Origin {
        run_id: from,
        at: wanted.at.clone(),
        variant: wanted.variant.clone(),
        key: key.map(str::to_owned),
    };
    runs::set_origin(&mut tx, id, &origin).await?;
    let mut run = runs::lock(&mut tx, id).await?;
    graph::share(&mut tx, from, id, run.priority.rank(), &shared).await?;
    if let (Some(branch), Some(commit), true) =
        (&source.base_branch, &source.base_commit, shared.iter().any(|key| key.kind == StepKind::Spec))
    {
        let title = source.title.clone().unwrap_or_default();
        let base = Some([branch.clone(), commit.to_string(), title]);
        runs::keep(&mut tx, id, &Kept { base, ..Kept::default() }).await?;
    }
    run.control = source.control.clone();
    (run.control.stopping, run.control.paused, run.control.drafts) = (None, false, 1);
    decide_anew(&mut run.control, &wanted.at, &following);
    runs::set_control(&mut tx, id, &run.control).await?;
    messages::copy(&mut tx, from, id).await?;

    let facts = json!({
        "task_id": source.task_id, "repo_url": source.repo_url, "goal": source.goal, "priority": source.priority,
        "approval": source.approval, "limits": source.limits, "by": by,
        "fork": { "run_id": from, "at": wanted.at, "routes": wanted.variant.routes,
                  "prompts": wanted.variant.prompts.keys().collect::<Vec<_>>(), "shared": shared },
    });
    let mut happened = vec![NewEvent::of_run(EventType::RunCreated, facts)];
    if let Some(message) = &wanted.message {
        messages::insert(&mut tx, id, by, message).await?;
        let data = json!({ "author": by, "body": message });
        happened.push(NewEvent::of_run(EventType::MessageReceived, data));
    }
    let seq = grow(&mut tx, &mut run, happened).await?;
    db::commit(tx).await?;
    engine.committed(id, seq).await;
    Ok(id)
}
