//! The one task that talks to Postgres about limits: enters the process, renews its lease, draws for those who wait,
//! hands back what is idle. One statement at a time, each with a time limit; those who wait are looked at meanwhile.

use super::desk::{Asks, Desk, State};
use super::pools::Said;
use crate::accounts::Keys;
use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;
use toryo_blackboard::allowances::{self, Drawn, Leases, Renewed, Window};
use toryo_blackboard::{Db, Error};
use toryo_domain::{AccountId, InstanceId};

/// How long a process is taken for alive without a sign of life, and how long its money is held after that.
pub const LEASES: Leases = Leases { lease: Duration::from_secs(10), hold: Duration::from_secs(60) };
/// How often a lease is renewed where no draw does it.
const RENEW: Duration = Duration::from_secs(2);
/// Longest wait for an answer of the database.
const ANSWER: Duration = Duration::from_secs(2);
/// How soon a database that did not answer is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// How often what is scarce is handed back; what is idle, every fourth time.
const SWEEP: Duration = Duration::from_millis(250);
/// How often those who wait are looked at without a reason.
const LOOK: Duration = Duration::from_millis(20);
/// How often rows that no limit looks at any more are removed.
const PURGE: Duration = Duration::from_secs(60);

/// What is said to the database.
enum Question {
    Enter(InstanceId, Vec<Said>),
    Renew(InstanceId),
    Draw(InstanceId, Asks),
    Hold(InstanceId, Vec<Said>),
    Purge,
}

/// What it answered.
enum Answer {
    /// No money is charged until this process knows it as well.
    Entered(OwnedMutexGuard<()>),
    Renewed(Renewed),
    Drawn(chrono::DateTime<chrono::Utc>, Vec<Vec<Drawn>>),
    Held(OwnedMutexGuard<()>),
    Purged,
}

type Pending = Pin<Box<dyn Future<Output = (Question, Instant, Result<Answer, Failure>)> + Send>>;

/// Why it did not answer.
enum Failure {
    TimedOut,
    Failed(Error),
}

/// Accounts of which a notification spoke.
#[derive(Debug, Clone, Copy)]
pub enum Recall {
    /// Its limits may be others now.
    Changed(AccountId),
    /// Another process needs what is not used of them.
    Wanted(AccountId),
}

/// The task.
pub struct Dispatcher {
    pub desk: Arc<Desk>,
    pub keys: Arc<Keys>,
    pub db: Db,
    /// Held while money is charged or a holding is said anew, which must not overlap.
    pub turn: Arc<Mutex<()>>,
    pub recalls: tokio::sync::mpsc::UnboundedReceiver<Recall>,
    pub stop: CancellationToken,
}

/// When what is due.
struct Plan {
    left: Vec<InstanceId>,
    /// Of which the database is to be told what is held.
    holds: HashSet<Window>,
    asks: Asks,
    renewed: Instant,
    swept: Instant,
    sweeps: u32,
    purged: Instant,
    retry_at: Instant,
}

impl Dispatcher {
    /// Works until it is told to stop; then hands everything back.
    pub async fn run(mut self) {
        let now = Instant::now();
        let mut plan = Plan {
            left: vec![],
            holds: HashSet::new(),
            asks: Asks::default(),
            renewed: now,
            swept: now,
            sweeps: 0,
            purged: now,
            retry_at: now,
        };
        let mut pending: Option<Pending> = None;
        loop {
            let now = Instant::now();
            let may_ask = pending.is_none() && plan.asks.is_empty() && now >= plan.retry_at;
            let asks = self.desk.pass(now, may_ask);
            if may_ask {
                plan.asks = asks;
            }
            self.sweep(&mut plan, now);
            if pending.is_none() {
                pending = self.next(&mut plan, now).map(|question| self.ask(question, &plan));
            }
            let pause = if self.desk.lock().is_idle() { SWEEP } else { LOOK };
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(recall) = self.recalls.recv() => self.recalled(recall, &mut plan),
                (question, since, answer) = answer_to(&mut pending) => {
                    pending = None;
                    self.answered(question, since, answer, &mut plan);
                }
                () = self.desk.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        if let Some(pending) = pending {
            let (question, since, answer) = pending.await;
            self.answered(question, since, answer, &mut plan);
        }
        self.leave().await;
    }

    /// Hands everything back; what was settled is charged from the journal, whoever reads it.
    async fn leave(&self) {
        let instance = {
            let mut state = self.desk.lock();
            state.dismiss();
            state.lease_until = None;
            state.instance.take()
        };
        if let Some(instance) = instance {
            let left = tokio::time::timeout(ANSWER, allowances::leave(&self.db, instance)).await;
            if !matches!(left, Ok(Ok(()))) {
                tracing::warn!(%instance, "grants could not be handed back; they end with their lease");
            }
        }
    }

    fn sweep(&self, plan: &mut Plan, now: Instant) {
        if now.duration_since(plan.swept) < SWEEP {
            return;
        }
        (plan.swept, plan.sweeps) = (now, plan.sweeps.wrapping_add(1));
        let mut state = self.desk.lock();
        let at = state.at(now);
        plan.holds.extend(state.pools.sweep(at, now, plan.sweeps.is_multiple_of(4)));
        if !state.outage {
            plan.holds.extend(state.pools.on_credit());
        }
    }

    fn recalled(&self, recall: Recall, plan: &mut Plan) {
        let now = Instant::now();
        let (account, scarce) = match recall {
            Recall::Changed(account) => (account, false),
            Recall::Wanted(account) => (account, true),
        };
        plan.holds.extend(self.desk.lock().pools.recall(account, now, scarce));
    }

    /// The most urgent question.
    fn next(&self, plan: &mut Plan, now: Instant) -> Option<Question> {
        if now < plan.retry_at {
            return None;
        }
        let mut state = self.desk.lock();
        let Some(instance) = state.instance.filter(|_| state.lease_until.is_some()) else {
            // Never the same id twice: nobody knows what became of an attempt without an answer.
            plan.left.extend(state.instance.take());
            let instance = InstanceId::generate();
            state.instance = Some(instance);
            self.desk.ledger.note(instance);
            return Some(Question::Enter(instance, state.pools.say_anew()));
        };
        if now.duration_since(plan.renewed) >= RENEW {
            return Some(Question::Renew(instance));
        }
        if !plan.asks.is_empty() {
            return Some(Question::Draw(instance, std::mem::take(&mut plan.asks)));
        }
        if !plan.holds.is_empty() {
            // As it is now: no draw is under way that could raise it.
            let said = plan.holds.drain().map(|window| state.pools.say(window)).collect();
            return Some(Question::Hold(instance, said));
        }
        if now.duration_since(plan.purged) >= PURGE {
            plan.purged = now;
            return Some(Question::Purge);
        }
        None
    }

    fn ask(&self, question: Question, plan: &Plan) -> Pending {
        let (db, turn, left) = (self.db.clone(), Arc::clone(&self.turn), plan.left.clone());
        Box::pin(async move {
            let since = Instant::now();
            let answer = match tokio::time::timeout(ANSWER, answer(&db, turn, &left, &question)).await {
                Ok(answer) => answer.map_err(Failure::Failed),
                Err(_) => Err(Failure::TimedOut),
            };
            (question, since, answer)
        })
    }

    fn answered(&self, question: Question, since: Instant, answer: Result<Answer, Failure>, plan: &mut Plan) {
        let now = Instant::now();
        let mut state = self.desk.lock();
        match (answer, question) {
            (Ok(Answer::Entered(_turn)), Question::Enter(_, said)) => {
                state.pools.said_anew(&said);
                plan.left.clear();
                plan.is_alive(&mut state, since);
                // The clock and the version come with the renewal.
                plan.renew_soon(now);
            }
            (Ok(Answer::Held(_turn)), Question::Hold(_, said)) => {
                said.iter().for_each(|said| state.pools.said(said));
                plan.is_alive(&mut state, since);
            }
            (Ok(Answer::Drawn(at, drawn)), Question::Draw(_, asks)) => {
                plan.is_alive(&mut state, since);
                state.set_clock(now, at);
                state.drawn(&asks, &drawn);
            }
            (Ok(Answer::Renewed(renewed)), _) => {
                plan.is_alive(&mut state, since);
                plan.renewed = since;
                state.set_clock(now, renewed.at);
                state.live = renewed.live;
                drop(state);
                self.keys.confirm(renewed.version, since);
            }
            (Ok(_), _) => {}
            (Err(failure), question) => plan.failed(&mut state, &question, &failure, now),
        }
    }
}

impl Plan {
    fn is_alive(&self, state: &mut State, since: Instant) {
        state.lease_until = Some(since + LEASES.lease);
        if std::mem::take(&mut state.outage) {
            tracing::info!("the database answers again: limits are drawn from it");
        }
    }

    fn renew_soon(&mut self, now: Instant) {
        self.renewed = now.checked_sub(RENEW).unwrap_or(now);
    }

    fn failed(&mut self, state: &mut State, question: &Question, failure: &Failure, now: Instant) {
        match question {
            Question::Draw(_, asks) => {
                // It may have been carried out all the same.
                let at = state.at(now);
                state.pools.mark_stale(asks.windows(at));
            }
            // Carried out late it would take away what was granted since: only another id is safe from that.
            Question::Hold(..) => state.lease_until = None,
            Question::Enter(..) | Question::Renew(_) | Question::Purge => {}
        }
        if let Failure::Failed(Error::StaleFence) = failure {
            tracing::warn!("the lease of this process ran out: its limits are drawn anew");
            state.lease_until = None;
            return;
        }
        if !std::mem::replace(&mut state.outage, true) {
            let cause: &dyn std::error::Error = match failure {
                Failure::TimedOut => &TimedOut,
                Failure::Failed(error) => error,
            };
            tracing::warn!(cause, "limits cannot be drawn: the database does not answer");
        }
        self.retry_at = now + RETRY;
        self.renew_soon(now);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {ANSWER:?}")]
struct TimedOut;

/// Never ends where nothing was asked. Dropping it leaves the question under way.
async fn answer_to(pending: &mut Option<Pending>) -> (Question, Instant, Result<Answer, Failure>) {
    match pending {
        Some(pending) => pending.await,
        None => std::future::pending().await,
    }
}

async fn answer(
    db: &Db,
    turn: Arc<Mutex<()>>,
    left: &[InstanceId],
    question: &Question,
) -> Result<Answer, Error> {
    let pairs = |said: &[Said]| said.iter().map(|said| (said.window, said.held)).collect::<Vec<_>>();
    Ok(match question {
        Question::Enter(instance, said) => {
            let turn = turn.lock_owned().await;
            for former in left {
                allowances::leave(db, *former).await?;
            }
            allowances::enter(db, *instance, LEASES, &pairs(said)).await?;
            Answer::Entered(turn)
        }
        Question::Hold(instance, said) => {
            let turn = turn.lock_owned().await;
            allowances::hold(db, *instance, LEASES, &pairs(said)).await?;
            Answer::Held(turn)
        }
        Question::Draw(instance, asks) => {
            let (at, drawn) = allowances::draw(db, *instance, LEASES, asks.recall, &asks.asks).await?;
            Answer::Drawn(at, drawn)
        }
        Question::Renew(instance) => Answer::Renewed(allowances::renew(db, *instance, LEASES).await?),
        Question::Purge => {
            allowances::purge(db).await?;
            Answer::Purged
        }
    })
}
