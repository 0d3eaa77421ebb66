//! The state machine of a run.

use crate::{IllegalTransition, text_enum};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

text_enum! {
    /// Where a run stands.
    pub enum RunStatus {
        /// Stored; no worker has begun.
        Queued = "queued",
        /// Steps are executed.
        Running = "running",
        /// The Spec-Refiner asked questions that only a person can answer.
        WaitingForInput = "waiting_for_input",
        /// A person has to approve the plan or the pull request.
        WaitingForApproval = "waiting_for_approval",
        /// A limit or a guardrail stopped it; everything so far is kept and shown.
        NeedsHuman = "needs_human",
        /// A pull request stands.
        Succeeded = "succeeded",
        /// It cannot be done, for the reason stored with the run.
        Failed = "failed",
        /// Somebody ended it.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// What moves a run from one status to another.
    pub enum RunSignal {
        /// A worker claimed its first step.
        Start = "start",
        /// The Spec-Refiner cannot go on without answers.
        AskInput = "ask_input",
        /// Policy or the task wants a person's approval.
        AskApproval = "ask_approval",
        /// A limit or a guardrail was hit.
        HitGuardrail = "hit_guardrail",
        /// A person answered, approved or told it to go on.
        Resume = "resume",
        /// A person wants a failed step tried again, or goes back to a step.
        Retry = "retry",
        /// A person wants it to stand still.
        Pause = "pause",
        /// The pull request stands.
        Succeed = "succeed",
        /// A step failed for good.
        Fail = "fail",
        /// A person ended it.
        Cancel = "cancel",
    }
}

text_enum! {
    /// What a person is asked to approve.
    pub enum Gate {
        /// The plan, before any code is written.
        Plan = "plan",
        /// The merged and tested change, before the pull request is opened.
        PullRequest = "pull_request",
    }
}

text_enum! {
    /// What a run has used up.
    pub enum Limit {
        /// Money or tokens.
        Budget = "budget",
        /// Minutes.
        Time = "time",
        /// Repairs of a subtask, or rounds that lead nowhere.
        Loops = "loops",
    }
}

/// A limit was hit: what runs comes to its end, the best state so far becomes a draft, then a person decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {
    /// Which one.
    pub limit: Limit,
    /// Words for people.
    pub reason: String,
}

/// What a run does otherwise than the settings say: what a fork was made for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Variant {
    /// Model routes in place of others: by the route's alias or by the agent's role.
    pub routes: BTreeMap<String, String>,
    /// Prompt files in place of others, by the prompt's name.
    pub prompts: BTreeMap<String, String>,
}

impl Variant {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.prompts.is_empty()
    }
}

impl RunStatus {
    /// The only place that says which status follows which.
    ///
    /// # Errors
    /// The signal is not possible in this status.
    pub fn after(self, signal: RunSignal) -> Result<Self, IllegalTransition<Self, RunSignal>> {
        use RunSignal as On;
        use RunStatus::{
            Cancelled, Failed, NeedsHuman, Queued, Running, Succeeded, WaitingForApproval, WaitingForInput,
        };
        match (self, signal) {
            (Queued, On::Start) => Ok(Running),
            (Running, On::AskInput) => Ok(WaitingForInput),
            (Running, On::AskApproval) => Ok(WaitingForApproval),
            (Running, On::HitGuardrail) => Ok(NeedsHuman),
            (Running, On::Succeed) => Ok(Succeeded),
            (Running, On::Fail) => Ok(Failed),
            (WaitingForInput | WaitingForApproval | NeedsHuman, On::Resume) => Ok(Running),
            // A failed run keeps its graph, so that what is upstream of the failure is not paid twice.
            (NeedsHuman | Failed | WaitingForInput | WaitingForApproval, On::Retry) => Ok(Running),
            (Queued | Running, On::Pause) => Ok(NeedsHuman),
            (Queued | Running | WaitingForInput | WaitingForApproval | NeedsHuman, On::Cancel) => {
                Ok(Cancelled)
            }
            (Queued | Running | WaitingForInput | WaitingForApproval | NeedsHuman, _)
            | (Succeeded | Failed | Cancelled, _) => Err(IllegalTransition { from: self, signal }),
        }
    }

    /// Whether nothing follows by itself any more: the stream of events ends here.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
            Self::Queued
            | Self::Running
            | Self::WaitingForInput
            | Self::WaitingForApproval
            | Self::NeedsHuman => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn the_whole_table() {
        let mut table = String::new();
        for from in RunStatus::ALL {
            for signal in RunSignal::ALL {
                if let Ok(to) = from.after(*signal) {
                    let _ = writeln!(table, "{from:>20} --{signal}--> {to}");
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn a_cancelled_or_succeeded_run_stays_so() {
        for signal in RunSignal::ALL {
            assert!(RunStatus::Cancelled.after(*signal).is_err());
            assert!(RunStatus::Succeeded.after(*signal).is_err());
        }
    }
}
