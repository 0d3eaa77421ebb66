//! The boundaries of the engine: every point at which a process may die, stand still or lose a connection with an effect
//! of its own. [`Boundary::ALL`] is the one list; the fault suite walks it.
//!
//! Without the cargo feature `fail-points` a boundary is an empty function. With it, which only tests switch on, a
//! process that reaches a boundary looks into the folder named by `TORYO_FAIL_POINTS` for a file of the boundary's name,
//! takes it and does what it says: see `armed`.
//!
//! What happens behind a port (a model call, a branch, a blob) has its boundaries in the same list, but nothing in
//! production code: tests wrap the port and call [`reached`] around it.

#[cfg(feature = "fail-points")]
mod armed;

use toryo_blackboard::Error;
use toryo_domain::StepKey;

#[cfg(feature = "fail-points")]
pub use armed::FOLDER;

macro_rules! boundaries {
    ($($(#[$meta:meta])* $name:ident = $text:literal,)+) => {
        /// A point at which a process may die.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Boundary { $($(#[$meta])* $name),+ }

        impl Boundary {
            /// Every boundary, in the order in which a run meets them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

boundaries! {
    /// A task is about to be stored.
    SubmitWritten = "submit.written",
    /// A task is stored; nobody was told.
    SubmitCommitted = "submit.committed",
    /// The relay holds rows of the outbox.
    RelayTaken = "relay.taken",
    /// The queue confirmed a message; its row is still there.
    RelayPublished = "relay.published",
    /// The rows of what was sent are deleted, their transaction is open.
    RelayMarked = "relay.marked",
    /// The outbox is as it should be.
    RelayCommitted = "relay.committed",
    /// A worker is about to say that it is alive.
    Heartbeat = "worker.heartbeat",
    /// A wake-up was taken from the queue; nothing is claimed.
    WokenUp = "worker.woken",
    /// A lease is written, its transaction is open.
    ClaimWritten = "claim.written",
    /// A lease is held; the agent has not begun.
    ClaimCommitted = "claim.committed",
    /// The agent is about to begin.
    AgentStarts = "agent.starts",
    /// A file's content is about to be stored.
    BlobPutting = "blob.putting",
    /// A file's content is stored; nothing refers to it.
    BlobPut = "blob.put",
    /// A model is about to be asked.
    ModelAsking = "model.asking",
    /// A reply has come and is paid; the journal does not have it.
    ModelAnswered = "model.answered",
    /// The journal has the reply; nobody has used it.
    ReplyJournalled = "model.journalled",
    /// A command is about to start in the sandbox.
    SandboxStarts = "sandbox.starts",
    /// The command has ended; its result is not stored.
    SandboxEnded = "sandbox.ended",
    /// An event of a running step is written, its transaction is open.
    EventWritten = "event.written",
    /// An event of a running step is stored.
    EventCommitted = "event.committed",
    /// A branch is about to be published.
    BranchPublishing = "branch.publishing",
    /// A branch is published; there is no pull request.
    BranchPublished = "branch.published",
    /// A pull request is open; the step that opened it is not committed.
    PullRequestOpened = "pull_request.opened",
    /// The agent has ended; its outcome is nowhere.
    AgentEnded = "agent.ended",
    /// An outcome is about to be stored; where it is more than that the graph grows, the run is locked.
    OutcomeLocked = "outcome.locked",
    /// An outcome and what follows from it are decided, or written in an open transaction; nothing is committed.
    OutcomeWritten = "outcome.written",
    /// An outcome is committed; the message is not acknowledged.
    OutcomeCommitted = "outcome.committed",
    /// The lease was let go; the message is about to be acknowledged.
    Acknowledging = "worker.acknowledging",
    /// Leases are about to be extended.
    LeaseDue = "lease.due",
    /// Leases are extended.
    LeaseExtended = "lease.extended",
    /// The sweeper has read an expired lease and locked nothing.
    SweepFound = "sweep.found",
    /// The sweeper has taken a step back, its transaction is open.
    SweepWritten = "sweep.written",
    /// A step is back in the queue; nobody was told.
    SweepCommitted = "sweep.committed",
    /// A person's decision is written, its transaction is open.
    ControlWritten = "control.written",
    /// A person's decision is stored; nobody was told.
    ControlCommitted = "control.committed",
}

#[cfg(not(feature = "fail-points"))]
mod armed {
    use super::{Boundary, Error, StepKey};

    pub(super) async fn reached(_: Boundary, _: Option<&StepKey>) -> Result<(), Error> {
        Ok(())
    }
}

/// Says that this process has reached a boundary.
///
/// # Errors
/// Only where a test armed the boundary with a failure: then the one of a lost database.
pub async fn reached(boundary: Boundary) -> Result<(), Error> {
    armed::reached(boundary, None).await
}

/// As [`reached`], by an attempt of this step.
///
/// # Errors
/// As [`reached`].
pub async fn reached_by(boundary: Boundary, step: &StepKey) -> Result<(), Error> {
    armed::reached(boundary, Some(step)).await
}
