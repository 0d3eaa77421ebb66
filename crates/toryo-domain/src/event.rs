//! Events: append-only facts of a run, numbered without gaps. What SSE streams.

use crate::{RunId, StepKey, text_enum};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

text_enum! {
    /// The closed list of event types (design §5.1).
    pub enum EventType {
        /// Task and run are stored.
        RunCreated = "run.created",
        /// A worker began.
        RunStarted = "run.started",
        /// Questions are open.
        RunWaitingForInput = "run.waiting_for_input",
        /// A person has to approve.
        RunWaitingForApproval = "run.waiting_for_approval",
        /// A person let it go on.
        RunResumed = "run.resumed",
        /// A pull request stands.
        RunSucceeded = "run.succeeded",
        /// It failed for good.
        RunFailed = "run.failed",
        /// Somebody ended it.
        RunCancelled = "run.cancelled",
        /// A limit or a guardrail stopped it.
        RunNeedsHuman = "run.needs_human",
        /// A step may be claimed.
        StepReady = "step.ready",
        /// An attempt began.
        StepStarted = "step.started",
        /// A line about what the step is doing.
        StepProgress = "step.progress",
        /// Output of a command.
        StepLog = "step.log",
        /// The outcome is committed.
        StepSucceeded = "step.succeeded",
        /// No further attempt.
        StepFailed = "step.failed",
        /// Another attempt is due.
        StepRetrying = "step.retrying",
        /// A model was called: route, model, tokens, cost, latency.
        ModelCall = "model.call",
        /// The Coder proposed an edit set.
        EditProposed = "edit.proposed",
        /// It was applied whole.
        EditApplied = "edit.applied",
        /// It was refused, with the reasons.
        EditRejected = "edit.rejected",
        /// A test command's result.
        TestReport = "test.report",
        /// Something the Critic or a check found.
        ReviewFinding = "review.finding",
        /// A guardrail decided.
        PolicyDecision = "policy.decision",
        /// A budget runs low.
        BudgetAlert = "budget.alert",
        /// A pull request was opened.
        PullRequestOpened = "pull_request.opened",
        /// A pull request got new commits or a new text.
        PullRequestUpdated = "pull_request.updated",
        /// A person wrote.
        MessageReceived = "message.received",
    }
}

/// An event before it has its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEvent {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The step it belongs to, if it belongs to one.
    pub step_key: Option<StepKey>,
    /// The attempt it belongs to, counted from 1.
    pub attempt: Option<u32>,
    /// The facts; an object.
    pub data: Value,
}

impl NewEvent {
    /// An event of the run as a whole.
    #[must_use]
    pub const fn of_run(kind: EventType, data: Value) -> Self {
        Self { kind, step_key: None, attempt: None, data }
    }

    /// An event of a step; `attempt` is `None` before the first one.
    #[must_use]
    pub const fn of_step(kind: EventType, step_key: StepKey, attempt: Option<u32>, data: Value) -> Self {
        Self { kind, step_key: Some(step_key), attempt, data }
    }
}

/// An event as stored and streamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The run it belongs to.
    pub run_id: RunId,
    /// Counted from 1 for each run, without gaps.
    pub seq: u64,
    /// When it was committed, by the database's clock.
    pub at: DateTime<Utc>,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The step it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_key: Option<StepKey>,
    /// The attempt it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The facts.
    pub data: Value,
}
