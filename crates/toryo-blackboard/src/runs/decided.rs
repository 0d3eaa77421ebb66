//! What people decided about a run, and where a fork comes from.

use serde::{Deserialize, Serialize};
use toryo_domain::{Limits, RunId, StepKey, Stopping, Usd, Variant};

/// What people decided about a run; the graph follows from it and from the outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
// Unknown fields are passed over: in a rolling upgrade an older process reads what a newer one wrote.
#[serde(default)]
pub struct Control {
    /// Rounds of `spec` asked for: one more with each answer to open questions.
    pub spec_rounds: u32,
    /// Rounds of `plan` asked for: one more with each rejected plan.
    pub plan_rounds: u32,
    /// Rounds of `merge` asked for by rejecting the change.
    pub merge_rounds: u32,
    /// The plan of this round is approved.
    pub approved_plan: Option<u32>,
    /// The join of this round is approved.
    pub approved_merge: Option<u32>,
    /// Repairs a subtask granted on top of the limit.
    pub extra_repairs: u32,
    /// Minutes granted on top of the limit.
    pub extra_minutes: u32,
    /// Money granted on top of the limit.
    pub extra_usd: Usd,
    /// Tokens granted on top of the limit.
    pub extra_tokens: u64,
    /// The limits that a person set in place of the task's.
    pub limits: Option<Limits>,
    /// A limit was hit, and the best state so far becomes a draft.
    pub stopping: Option<Stopping>,
    /// Rounds of `draft` asked for: one more with each limit that was hit.
    pub drafts: u32,
    /// A person paused it.
    pub paused: bool,
}

/// Where a fork comes from, and what it does otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The run it shares its beginning with.
    pub run_id: RunId,
    /// The first step that is not shared.
    pub at: StepKey,
    /// What it does otherwise.
    #[serde(default)]
    pub variant: Variant,
    /// The caller's key that makes a repeated request harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            spec_rounds: 1,
            plan_rounds: 1,
            merge_rounds: 1,
            approved_plan: None,
            approved_merge: None,
            extra_repairs: 0,
            extra_minutes: 0,
            extra_usd: Usd::ZERO,
            extra_tokens: 0,
            limits: None,
            stopping: None,
            drafts: 1,
            paused: false,
        }
    }
}
