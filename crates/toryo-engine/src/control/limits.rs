//! Other limits for a run that is under way or stopped.

use super::{Error, finish};
use crate::engine::Engine;
use serde::{Deserialize, Serialize};
use serde_json::json;
use toryo_blackboard::{Run, events, runs};
use toryo_domain::{EventType, Limits, NewEvent, RunId, RunStatus, Usd};

/// New limits of a run as a whole; what is not named stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitChange {
    /// Cost of all model calls.
    pub usd: Option<Usd>,
    /// Tokens of all model calls, in and out.
    pub tokens: Option<u64>,
    /// Minutes of work.
    pub minutes: Option<u32>,
    /// Repairs and revisions of one subtask.
    pub repair_loops: Option<u32>,
}

impl LimitChange {
    /// Whether nothing is named.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.usd.is_none() && self.tokens.is_none() && self.minutes.is_none() && self.repair_loops.is_none()
    }

    /// Puts the new limits in place of the task's and of all that was granted on top of them.
    pub(super) fn apply(&self, run: &mut Run) -> Result<(), Error> {
        let now = run.allowance();
        let limits = Limits {
            usd: self.usd.unwrap_or(now.usd),
            tokens: self.tokens.unwrap_or(now.tokens),
            minutes: self.minutes.unwrap_or(now.minutes),
            repair_loops: self.repair_loops.unwrap_or(now.repair_loops),
        };
        let used = run.tokens_in.saturating_add(run.tokens_out);
        if self.usd.is_some_and(|usd| usd < run.cost) {
            return Err(Error::NotPossible(format!("{} are spent already", run.cost)));
        }
        if self.tokens.is_some_and(|tokens| tokens < used) {
            return Err(Error::NotPossible(format!("{used} tokens are used already")));
        }
        let control = &mut run.control;
        (control.extra_usd, control.extra_tokens) = (Usd::ZERO, 0);
        (control.extra_minutes, control.extra_repairs) = (0, 0);
        control.limits = Some(limits);
        run.limits = limits;
        Ok(())
    }
}

/// Sets other limits. They hold from the next model call and the next look at the clock on; a run that stopped goes on
/// only when it is resumed.
///
/// # Errors
/// The run has ended, or a limit is below what is used already.
pub async fn set_limits(
    engine: &Engine,
    run: RunId,
    by: &str,
    change: &LimitChange,
) -> Result<RunStatus, Error> {
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
    if run.status.is_final() {
        return Err(Error::NotPossible(format!("the run is {}: nothing is limited any more", run.status)));
    }
    change.apply(&mut run)?;
    runs::set_control(&mut tx, run.id, &run.control).await?;
    let data = json!({
        "decision": "limits", "rule": "limit.changed", "by": by, "limits": run.limits,
        "text": format!("{by} changed the limits"),
    });
    let event = NewEvent::of_run(EventType::PolicyDecision, data);
    let seq = events::append(&mut tx, run.id, &[event]).await?;
    finish(engine, tx, &run, seq).await
}
