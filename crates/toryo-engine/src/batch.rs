//! Outcomes that are ready at the same time are stored together: whoever comes while others are being stored waits and
//! goes with the next ones. Where one runs alone nobody waits for anybody.
//!
//! A commit costs a round trip, the start of a statement and its share of a sync of the log, whatever it holds; with many
//! runs at a time most of a step's cost is in these.

use crate::{Engine, version};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, oneshot};
use toryo_blackboard::Error;
use toryo_blackboard::outcomes::{self, Outcome, Stored};

/// Outcomes stored in one transaction: a long one would make others wait.
const MOST: usize = 64;

/// Transactions at a time: while one waits for the disk, the next one is executed.
const AT_ONCE: usize = 2;

/// The outcomes of one process that wait for their transaction; cheap to clone.
#[derive(Clone)]
pub struct Batch {
    waiting: Arc<Mutex<Vec<Waiting>>>,
    turns: Arc<Semaphore>,
}

struct Waiting {
    outcome: Outcome,
    answer: oneshot::Sender<Answer>,
}

enum Answer {
    Stored(Option<Stored>),
    /// The transaction failed: each of its outcomes is stored by itself, so that one cannot hold up the others.
    Alone(Box<Outcome>),
}

impl Default for Batch {
    fn default() -> Self {
        Self { waiting: Arc::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Batch {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_waiting(&self, fence: i64) -> bool {
        self.waiting().iter().any(|waiting| waiting.outcome.fence() == fence)
    }

    /// Stores an outcome with whatever others wait; see [`outcomes::commit`].
    ///
    /// # Errors
    /// The database does not answer, and whether it committed is then unknown.
    pub async fn commit(&self, engine: &Engine, outcome: Outcome) -> Result<Option<Stored>, Error> {
        let fence = outcome.fence();
        let (answer, mut answered) = oneshot::channel();
        self.waiting().push(Waiting { outcome, answer });
        let outcome = loop {
            tokio::select! {
                biased;
                answer = &mut answered => match answer {
                    Ok(Answer::Stored(stored)) => return Ok(stored),
                    Ok(Answer::Alone(outcome)) => break outcome,
                    // Whoever stored it was stopped in the middle; nobody knows how it ended.
                    Err(_) => return Err(Error::interrupted()),
                },
                // Never closed.
                Ok(_turn) = self.turns.acquire() => {
                    // Otherwise another one has taken it along, and those who wait come next.
                    if self.is_waiting(fence) {
                        self.store_waiting(engine).await;
                    }
                }
            }
        };
        let mut stored = outcomes::commit(&engine.db, version::VERSION, &[*outcome]).await?;
        Ok(stored.pop().flatten())
    }

    /// Stores those that wait now, each of another run.
    async fn store_waiting(&self, engine: &Engine) {
        let taken = self.take();
        let (batch, answers): (Vec<Outcome>, Vec<_>) =
            taken.into_iter().map(|waiting| (waiting.outcome, waiting.answer)).unzip();
        let all = match outcomes::commit(&engine.db, version::VERSION, &batch).await {
            Ok(stored) => stored.into_iter().map(Answer::Stored).collect::<Vec<_>>(),
            Err(error) => {
                tracing::debug!(%error, "{} outcomes are stored one by one", batch.len());
                batch.into_iter().map(|outcome| Answer::Alone(Box::new(outcome))).collect()
            }
        };
        for (answer, to) in all.into_iter().zip(answers) {
            // Whoever no longer waits looks again.
            let _gone = to.send(answer);
        }
    }

    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        let mut taken: Vec<Waiting> = Vec::new();
        let mut left = Vec::new();
        for next in waiting.drain(..) {
            // The second of a run was decided without the first.
            if taken.len() < MOST && taken.iter().all(|other| other.outcome.run() != next.outcome.run()) {
                taken.push(next);
            } else {
                left.push(next);
            }
        }
        *waiting = left;
        taken
    }
}
