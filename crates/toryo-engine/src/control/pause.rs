//! Standing still: a person pauses a run, and resumes it later.

use super::{Error, finish};
use crate::commit::given_back;
use crate::engine::Engine;
use serde_json::json;
use toryo_blackboard::{events, runs, steps};
use toryo_domain::{EventType, NewEvent, RunId, RunSignal, RunStatus};

/// Makes a run stand still: its model calls and sandbox commands end within a second, its steps go back to the queue with
/// what was paid for, and its clock stops. [`resume`](super::resume) lets it go on.
///
/// # Errors
/// The run neither runs nor waits for a worker.
pub async fn pause(engine: &Engine, run: RunId, by: &str, reason: Option<&str>) -> Result<RunStatus, Error> {
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
    if !matches!(run.status, RunStatus::Queued | RunStatus::Running) {
        return Err(Error::NotPossible(format!("the run is {}: it does not run", run.status)));
    }
    if let Some(stopping) = &run.control.stopping {
        return Err(Error::NotPossible(format!("the run stops already: {}", stopping.reason)));
    }
    let mut text = format!("paused by {by}");
    if let Some(reason) = reason {
        text.push_str(&format!(": {reason}"));
    }
    runs::signal(&mut tx, &mut run, RunSignal::Pause, Some(&text), None).await?;
    run.control.paused = true;
    runs::set_control(&mut tx, run.id, &run.control).await?;
    let released = steps::release_all(&mut tx, run.id).await?;
    let mut happened: Vec<NewEvent> =
        released.into_iter().map(|(key, attempt)| given_back(key, attempt, "the run is paused")).collect();
    let data = json!({ "by": by, "reason": text, "paused": true });
    happened.push(NewEvent::of_run(EventType::RunNeedsHuman, data));
    let seq = events::append(&mut tx, run.id, &happened).await?;
    finish(engine, tx, &run, seq).await
}
