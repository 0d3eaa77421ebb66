//! Failures of a step: a class, a text for people, and when to try again.

use std::time::Duration;
use toryo_domain::FailureClass;

/// Why a step did not end well. The class decides what happens next; the text is shown to people, so it says
/// what to do and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// What kind of failure it is.
    pub class: FailureClass,
    /// What went wrong and what to do about it.
    pub text: String,
    /// Not before this much time has passed, where a provider said so.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure of this class.
    #[must_use]
    pub fn new(class: FailureClass, text: impl Into<String>) -> Self {
        Self { class, text: text.into(), retry_after: None }
    }

    /// The run was cancelled or the worker drains.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(FailureClass::Cancelled, "cancelled")
    }

    /// An invariant does not hold: a fault of Toryo's own.
    #[must_use]
    pub fn bug(text: impl Into<String>) -> Self {
        Self::new(FailureClass::Bug, text)
    }

    /// From an error of a library crate: its class and its whole chain as text.
    pub fn from_error(class: FailureClass, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::new(class, text)
    }
}

impl From<toryo_blackboard::Error> for Failure {
    fn from(error: toryo_blackboard::Error) -> Self {
        Self::from_error(error.class(), &error)
    }
}
