//! NATS JetStream: the work queue's wake-ups, the dead letters, and the bells of runs.
//!
//! The bus carries **no state that matters**: a message says that something is due, Postgres says what. All
//! streams and consumers are declared in [`streams`] and reconciled at start and after a loss.

pub mod bell;
pub mod bus;
pub mod error;
pub mod streams;

pub use bell::Bell;
pub use bus::{Bus, REFUSAL, Wakeup, Wakeups};
pub use error::Error;
pub use streams::Subjects;
