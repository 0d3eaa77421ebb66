//! What people wrote, as a step is shown it: at its beginning, and before each of its model calls what has come since.
//!
//! A reply that was paid is found again by the digest of its request, so an attempt that comes later has to show the same
//! messages at the same calls. That is remembered before a message is shown; a call that was answered without a new message
//! stays without one, and what came since waits for the next call.

use crate::agent::HumanMessage;
use crate::engine::Engine;
use std::sync::{Mutex, MutexGuard, PoisonError};
use toryo_blackboard::messages::{self, Message, Shown};
use toryo_blackboard::{Claim, Error, db, runs, steps};

/// The call number of a step's beginning.
const BEGINNING: u32 = 0;

/// The messages of one attempt.
pub(crate) struct Inbox {
    engine: Engine,
    claim: Claim,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    /// The newest message that was shown.
    through: i64,
    /// What the step was shown by earlier attempts; read when there is something to show.
    shown: Option<Shown>,
}

impl Inbox {
    /// Of this lease, with what it is shown at its beginning.
    ///
    /// `newest` is the place of the run's newest message, as the caller saw it: there is nothing to read where it is 0.
    pub(crate) async fn open(
        engine: &Engine,
        claim: &Claim,
        newest: i64,
    ) -> Result<(Self, Vec<HumanMessage>), Error> {
        let inbox =
            Self { engine: engine.clone(), claim: claim.clone(), state: Mutex::new(State::default()) };
        if newest == 0 {
            return Ok((inbox, vec![]));
        }
        let shown = inbox.before_call(BEGINNING).await?;
        Ok((inbox, shown))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this call shows for the first time.
    pub(crate) async fn before_call(&self, call: u32) -> Result<Vec<HumanMessage>, Error> {
        let State { through, shown } = self.state().clone();
        let all = messages::of_run(&self.engine.db, self.claim.run_id).await?;
        let Some(newest) = all.last().map(|message| message.n).filter(|newest| *newest > through) else {
            return Ok(vec![]);
        };
        let shown = match shown {
            Some(shown) => shown,
            None => messages::shown(&self.engine.db, self.claim.step_id).await?,
        };
        let to = match decided(&shown, call, through) {
            Some(to) => to,
            None => self.remember(call, newest).await?,
        };
        *self.state() = State { through: to, shown: Some(shown) };
        Ok(between(&all, through, to))
    }

    async fn remember(&self, call: u32, newest: i64) -> Result<i64, Error> {
        let mut tx = self.engine.db.begin().await?;
        runs::lock(&mut tx, self.claim.run_id).await?;
        steps::check_fence(&mut tx, self.claim.step_id, self.claim.fence).await?;
        let through = messages::show(&mut tx, self.claim.step_id, call, newest).await?;
        db::commit(tx).await?;
        Ok(through)
    }
}

/// Up to which message a call showed what people wrote, where an earlier attempt has decided that.
fn decided(shown: &Shown, call: u32, through: i64) -> Option<i64> {
    match shown.through.get(&call) {
        Some(to) => Some((*to).max(through)),
        None if call == BEGINNING => (shown.answered > 0).then_some(through),
        None => (call <= shown.answered).then_some(through),
    }
}

/// Those after one and up to another.
fn between(all: &[Message], after: i64, to: i64) -> Vec<HumanMessage> {
    let new = all.iter().filter(|message| message.n > after && message.n <= to);
    new.map(|message| HumanMessage { author: message.author.clone(), body: message.body.clone() }).collect()
}

/// What a finished step was shown, by call: for executing it again.
pub(crate) fn as_shown(all: &[Message], shown: &Shown) -> Vec<(u32, Vec<HumanMessage>)> {
    let mut after = i64::MIN;
    let mut calls = Vec::new();
    for (call, to) in &shown.through {
        calls.push((*call, between(all, after, *to)));
        after = *to;
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_answered_shows_what_it_showed_before() {
        let shown = Shown { through: [(0, 3), (2, 5)].into(), answered: 2 };
        assert_eq!(decided(&shown, 0, 0), Some(3));
        assert_eq!(decided(&shown, 1, 3), Some(3), "it was answered without a new one");
        assert_eq!(decided(&shown, 2, 3), Some(5));
        assert_eq!(decided(&shown, 3, 5), None, "whatever there is now");
        let late = Shown { through: [].into(), answered: 1 };
        assert_eq!(decided(&late, 0, 0), Some(0), "the first prompt was paid without a message");
        assert_eq!(decided(&Shown::default(), 0, 0), None);
    }

    #[test]
    fn a_call_that_died_unanswered_shows_what_was_decided_for_it() {
        let shown = Shown { through: [(1, 4)].into(), answered: 0 };
        assert_eq!(decided(&shown, 0, 0), None);
        assert_eq!(decided(&shown, 1, 0), Some(4));
        assert_eq!(decided(&shown, 1, 9), Some(9), "never back");
    }
}
