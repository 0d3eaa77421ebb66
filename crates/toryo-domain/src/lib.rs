//! Ids, units, state machines, events and plans of Toryo.
//!
//! This crate says what things are called and which state follows which. It does **no I/O, no async and
//! knows no wire protocol**; every other crate may use it. Read [`task`] and [`plan`] for what is asked for,
//! [`run`] and [`step`] for the state machines, [`event`] for what people see.

pub mod changes;
pub mod digest;
pub mod event;
pub mod failure;
pub mod finding;
pub mod ids;
pub mod money;
pub mod output;
pub mod path;
pub mod plan;
pub mod pull_request;
pub mod run;
pub mod step;
pub mod task;
pub mod tenant;
pub mod test_report;

pub use changes::{ChangeSet, FileState};
pub use digest::Digest;
pub use event::{Event, EventType, NewEvent};
pub use failure::FailureClass;
pub use finding::{Finding, Severity};
pub use ids::{
    AccountId, ArtifactId, BudgetId, CallId, CommitId, DeadLetterId, InstanceId, MessageId, PullRequestId,
    RepoId, RunId, StepId, TaskId, WorkerId,
};
pub use money::Usd;
pub use output::Output;
pub use path::RepoPath;
pub use plan::{Plan, Subtask, SubtaskKind};
pub use pull_request::{NewPullRequest, PullRequest, PullRequestState};
pub use run::{Gate, Limit, RunSignal, RunStatus, Stopping, Variant};
pub use step::{Role, StepKey, StepKind, StepSignal, StepStatus};
pub use task::{Approval, Limits, NewTask, Priority, Task};
pub use test_report::{TestCase, TestOutcome, TestReport};

/// A signal that the present status does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{signal:?} is not possible while {from:?}")]
pub struct IllegalTransition<Status: std::fmt::Debug, Signal: std::fmt::Debug> {
    /// The status that stays as it is.
    pub from: Status,
    /// What was asked for.
    pub signal: Signal,
}

/// Implements `as_str`, `Display`, `FromStr` and serde for an enum whose variants have one fixed text each.
/// The text is what tables, routes and events carry.
macro_rules! text_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The fixed text of tables, routes and events.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownText;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::UnknownText { what: stringify!($name), text: text.chars().take(80).collect() }),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(|_| serde::de::Error::unknown_variant(&text, &[$($text),+]))
            }
        }
    };
}
pub(crate) use text_enum;

/// A text that names no variant of a closed list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}")]
pub struct UnknownText {
    /// The type that was asked for.
    pub what: &'static str,
    /// What was given, cut after 80 characters.
    pub text: String,
}
