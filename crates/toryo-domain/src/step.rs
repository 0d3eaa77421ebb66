//! Steps: their keys, their roles, and their state machine.

use crate::{IllegalTransition, UnknownText, text_enum};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

text_enum! {
    /// Where a step stands.
    pub enum StepStatus {
        /// Waits for the steps it depends on.
        Pending = "pending",
        /// May be claimed, once its time has come.
        Ready = "ready",
        /// A worker holds its lease.
        Running = "running",
        /// Its outcome is committed.
        Succeeded = "succeeded",
        /// It used up its attempts or failed for good.
        Failed = "failed",
        /// Its run was cancelled before it ended, or a person went back to a step before it.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// What moves a step.
    pub enum StepSignal {
        /// All it depends on has succeeded.
        Unblock = "unblock",
        /// A worker took the lease.
        Claim = "claim",
        /// The outcome was committed.
        Succeed = "succeed",
        /// The attempt failed and another one is due.
        Retry = "retry",
        /// The lease ran out, or a draining worker gave it back.
        Release = "release",
        /// No further attempt.
        Fail = "fail",
        /// The run was cancelled.
        Cancel = "cancel",
        /// A person wants it tried again.
        Reopen = "reopen",
        /// The run stops at a limit or a person paused it: the step waits with what it has.
        Hold = "hold",
        /// A person goes back to this step: it is executed again, whatever came of it.
        Rewind = "rewind",
        /// A person goes back to a step before it: what came of it no longer counts.
        Supersede = "supersede",
        /// The graph asks for it again after it was superseded.
        Revive = "revive",
    }
}

impl StepStatus {
    /// The only place that says which status follows which.
    ///
    /// # Errors
    /// The signal is not possible in this status.
    pub fn after(self, signal: StepSignal) -> Result<Self, IllegalTransition<Self, StepSignal>> {
        use StepSignal as On;
        use StepStatus::{Cancelled, Failed, Pending, Ready, Running, Succeeded};
        match (self, signal) {
            (Pending, On::Unblock) => Ok(Ready),
            (Ready, On::Claim) => Ok(Running),
            (Running, On::Succeed) => Ok(Succeeded),
            (Running, On::Retry | On::Release) => Ok(Ready),
            (Running, On::Fail) => Ok(Failed),
            (Pending | Ready | Running, On::Cancel) => Ok(Cancelled),
            (Failed, On::Reopen) => Ok(Ready),
            (Ready | Running, On::Hold) => Ok(Pending),
            (Ready | Running | Succeeded | Failed, On::Rewind) => Ok(Ready),
            (Pending | Ready | Running | Succeeded | Failed, On::Supersede) => Ok(Cancelled),
            (Cancelled, On::Revive) => Ok(Pending),
            (Pending | Ready | Running, _) | (Succeeded | Failed | Cancelled, _) => {
                Err(IllegalTransition { from: self, signal })
            }
        }
    }
}

text_enum! {
    /// The role of an agent. Each has a manifest in `agents/`, and executes one or more kinds of step.
    pub enum Role {
        /// Turns a goal into acceptance criteria, scope and open questions.
        SpecRefiner = "spec_refiner",
        /// Turns the criteria into subtasks with target files and dependencies.
        Planner = "planner",
        /// Finds the files and symbols a subtask needs.
        Retriever = "retriever",
        /// Proposes edits.
        Coder = "coder",
        /// Writes tests, runs them, analyses failures.
        Tester = "tester",
        /// Reviews the change.
        Critic = "critic",
        /// Makes branch, commit and pull request.
        Integrator = "integrator",
    }
}

text_enum! {
    /// What a step does; the first part of its key.
    pub enum StepKind {
        /// Refine the goal.
        Spec = "spec",
        /// Plan subtasks.
        Plan = "plan",
        /// Gather a subtask's context.
        Retrieve = "retrieve",
        /// Write the tests that fail before the change and pass after it.
        Reproduce = "reproduce",
        /// Propose and apply edits.
        Code = "code",
        /// Run the tests on the edited tree.
        Test = "test",
        /// Review the edited tree.
        Critic = "critic",
        /// Join all subtasks and run every test.
        Merge = "merge",
        /// Branch, commit, pull request.
        Integrate = "integrate",
        /// The best state so far as a draft pull request, where a limit stops the run.
        Draft = "draft",
    }
}

impl StepKind {
    /// The agent that executes steps of this kind.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Self::Spec => Role::SpecRefiner,
            Self::Plan => Role::Planner,
            Self::Retrieve => Role::Retriever,
            Self::Code => Role::Coder,
            Self::Reproduce | Self::Test | Self::Merge => Role::Tester,
            Self::Critic => Role::Critic,
            Self::Integrate | Self::Draft => Role::Integrator,
        }
    }
}

/// The stable address of a step in its run: `plan`, `retrieve:parse-dates`, `code:parse-dates#2`.
/// The first round has no suffix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepKey {
    /// What the step does.
    pub kind: StepKind,
    /// The subtask it belongs to, if it belongs to one.
    pub subtask: Option<String>,
    /// Counted from 1; later rounds are repairs and revisions.
    pub round: u32,
}

impl StepKey {
    /// A step of the run as a whole, first round.
    #[must_use]
    pub const fn of_run(kind: StepKind) -> Self {
        Self { kind, subtask: None, round: 1 }
    }

    /// A step of a subtask.
    #[must_use]
    pub fn of_subtask(kind: StepKind, subtask: impl Into<String>, round: u32) -> Self {
        Self { kind, subtask: Some(subtask.into()), round }
    }

    /// The same step in another round.
    #[must_use]
    pub fn in_round(&self, round: u32) -> Self {
        Self { round, ..self.clone() }
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        if let Some(subtask) = &self.subtask {
            write!(f, ":{subtask}")?;
        }
        if self.round > 1 {
            write!(f, "#{}", self.round)?;
        }
        Ok(())
    }
}

impl FromStr for StepKey {
    type Err = UnknownText;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownText { what: "step key", text: text.chars().take(80).collect() };
        let (rest, round) = match text.split_once('#') {
            None => (text, 1),
            Some((rest, round)) => (rest, round.parse().ok().filter(|round| *round > 1).ok_or_else(unknown)?),
        };
        let (kind, subtask) = match rest.split_once(':') {
            None => (rest, None),
            Some((kind, subtask)) if crate::plan::is_subtask_id(subtask) => (kind, Some(subtask.to_owned())),
            Some(_) => return Err(unknown()),
        };
        Ok(Self { kind: kind.parse().map_err(|_| unknown())?, subtask, round })
    }
}

impl Serialize for StepKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StepKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    #[test]
    fn the_whole_table() {
        let mut table = String::new();
        for from in StepStatus::ALL {
            for signal in StepSignal::ALL {
                if let Ok(to) = from.after(*signal) {
                    let _ = writeln!(table, "{from:>10} --{signal}--> {to}");
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn keys_read_as_in_the_design() {
        let key = StepKey::of_subtask(StepKind::Code, "parse-dates", 2);
        assert_eq!(key.to_string(), "code:parse-dates#2");
        assert_eq!(StepKey::of_run(StepKind::Plan).to_string(), "plan");
        for wrong in ["", "code:", "code:A", "code:a#1", "code:a#0", "code:a#x", "deploy", "code:a:b"] {
            assert!(wrong.parse::<StepKey>().is_err(), "{wrong:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn a_key_survives_text(kind in 0..StepKind::ALL.len(), subtask in proptest::option::of("[a-z0-9][a-z0-9-]{0,39}"), round in 1_u32..100) {
            let key = StepKey { kind: StepKind::ALL[kind], subtask, round };
            prop_assert_eq!(key.to_string().parse::<StepKey>(), Ok(key));
        }
    }
}
