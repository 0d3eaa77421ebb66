//! Wake-ups that this worker need not follow any more: it has claimed their steps already, for another reason.
//!
//! A look at the queue costs a transaction, and under load about every second one would be for nothing. What is skipped
//! here for a wrong reason (another worker took the message of this worker's step) is made good by the timer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use toryo_domain::StepId;

/// A message comes soon after its step became ready, or there is none.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Steps that were claimed before their message came.
#[derive(Debug, Default)]
pub(super) struct ClaimedEarly(Mutex<HashMap<StepId, Instant>>);

impl ClaimedEarly {
    fn steps(&self) -> MutexGuard<'_, HashMap<StepId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step was claimed by whoever was woken for `hint`, or by a timer.
    pub(super) fn note(&self, step: StepId, hint: Option<StepId>) {
        if hint != Some(step) {
            let mut steps = self.steps();
            steps.retain(|_, since| since.elapsed() < REMEMBERED);
            steps.insert(step, Instant::now());
        }
    }

    /// Whether a message is about a step that was claimed already. Each claim answers one message.
    pub(super) fn answers(&self, hint: Option<StepId>) -> bool {
        hint.and_then(|step| self.steps().remove(&step)).is_some_and(|since| since.elapsed() < REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_answers_the_one_message_of_its_step() {
        let early = ClaimedEarly::default();
        let (step, other) = (StepId::generate(), StepId::generate());
        early.note(step, Some(other));
        assert!(!early.answers(None) && !early.answers(Some(other)));
        assert!(early.answers(Some(step)));
        assert!(!early.answers(Some(step)), "the next one is about another attempt");
        early.note(step, Some(step));
        assert!(!early.answers(Some(step)), "its message has come");
    }
}
