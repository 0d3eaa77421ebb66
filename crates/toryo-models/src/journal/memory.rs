//! A journal in memory, for tests: same rules as the Postgres adapter, and faults on demand.

use super::{CallKey, CallRecord, Journal, JournalError, Reserved, Spent, StoredReply};
use crate::request::Caller;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use toryo_domain::{FailureClass, RunId, StepId};

/// A journal in memory.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    records: HashMap<CallKey, CallRecord>,
    spent: HashMap<RunId, Spent>,
    reserved: HashMap<(StepId, u32), Held>,
    fences: HashMap<StepId, i64>,
    faults: Vec<Fault>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    run: RunId,
    fence: i64,
    most: Spent,
}

/// What shall go wrong at the next `record`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The store is away: nothing is written.
    Unavailable,
    /// It is written, but the answer is lost: what a crash after the commit looks like.
    AnswerLost,
}

impl MemoryJournal {
    /// An empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the step belongs to the holder of this token.
    pub fn set_fence(&self, step: StepId, fence: i64) {
        self.state().fences.insert(step, fence);
    }

    /// Sets what the run has used.
    pub fn set_spent(&self, run: RunId, spent: Spent) {
        self.state().spent.insert(run, spent);
    }

    /// The next calls of `record` fail like this, in this order.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults = faults.into_iter().collect();
    }

    /// Everything recorded, in no order.
    #[must_use]
    pub fn records(&self) -> Vec<CallRecord> {
        self.state().records.values().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, caller: &Caller, record: &CallRecord) {
        self.records.insert(record.key, record.clone());
        let spent = self.spent.entry(caller.run_id).or_default();
        spent.usd += record.reply.cost;
        spent.tokens = spent.tokens.saturating_add(record.reply.usage.total());
        self.reserved.remove(&(caller.step_id, caller.call_no));
    }

    fn is_stale(&self, step: StepId, fence: i64) -> bool {
        self.fences.get(&step).is_some_and(|held| *held != fence)
    }
}

fn fault(text: &'static str) -> JournalError {
    JournalError::Store { class: FailureClass::Transient, source: text.into() }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn find(&self, key: &CallKey) -> Result<Option<StoredReply>, JournalError> {
        Ok(self.state().records.get(key).map(|record| record.reply.clone()))
    }

    async fn record(&self, caller: &Caller, record: &CallRecord) -> Result<(), JournalError> {
        let mut state = self.state();
        let next = if state.faults.is_empty() { None } else { Some(state.faults.remove(0)) };
        if next == Some(Fault::Unavailable) {
            return Err(fault("the store is away"));
        }
        match state.records.get(&record.key) {
            Some(stored) if stored.reply == record.reply => return Ok(()),
            Some(_) => return Err(JournalError::AnsweredAlready),
            None => state.keep(caller, record),
        }
        if state.is_stale(caller.step_id, caller.fence) {
            return Err(JournalError::StaleFence);
        }
        match next {
            Some(Fault::AnswerLost) => Err(fault("the answer was lost")),
            Some(Fault::Unavailable) | None => Ok(()),
        }
    }

    async fn reserve(&self, caller: &Caller, most: Spent) -> Result<Reserved, JournalError> {
        let mut state = self.state();
        if state.is_stale(caller.step_id, caller.fence) {
            return Err(JournalError::StaleFence);
        }
        let call = (caller.step_id, caller.call_no);
        let others = state.reserved.iter().filter(|(other, held)| {
            held.run == caller.run_id && **other != call && !state.is_stale(other.0, held.fence)
        });
        let held = others.fold(Spent::default(), |sum, (_, held)| sum.and(held.most));
        let spent = state.spent.get(&caller.run_id).copied().unwrap_or_default();
        let decision = super::decide(caller.limits, spent, held, most);
        if decision == Reserved::Held {
            state.reserved.insert(call, Held { run: caller.run_id, fence: caller.fence, most });
        }
        Ok(decision)
    }

    async fn release(&self, caller: &Caller) -> Result<(), JournalError> {
        self.state().reserved.remove(&(caller.step_id, caller.call_no));
        Ok(())
    }

    async fn spent(&self, run: RunId) -> Result<Spent, JournalError> {
        Ok(self.state().spent.get(&run).copied().unwrap_or_default())
    }
}
