//! The desk where calls are admitted: one lock over what this process may spend and who waits for more.

use super::pools::{Cover, Known, Missing, Pools, Windows, need};
use super::queue::{Queue, Turn};
use super::{Admission, AtLimit, Item, Left, Limit, Permit, RateLimits, Refusal};
use crate::accounts::{Config, OnOutage, Principal};
use crate::journal::Spent;
use crate::ledger::Ledger;
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use toryo_blackboard::allowances::{self, Window};
use toryo_domain::{AccountId, CallId, InstanceId};

/// How long a call that is not to wait is given, where another process may hold what it needs without using it.
const GRACE: Duration = Duration::from_millis(150);
/// How long nobody asks again for what the database refused.
const DRY: Duration = Duration::from_millis(100);
/// The same, where only time helps or somebody's decision.
const EXHAUSTED: Duration = Duration::from_secs(1);
/// How long a call waits before it asks the database again.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How long a call that is not to wait stays for an answer of the database at most.
const ANSWER: Duration = Duration::from_secs(5);
/// How often those who wait in vain are looked for.
const LOOK: Duration = Duration::from_millis(20);
/// Asks in one draw at most.
const ASKS: usize = 64;

/// Admits calls of this process.
#[derive(Debug)]
pub struct Desk {
    pub ledger: Ledger,
    pub config: Config,
    state: Mutex<State>,
    /// Something is to be done by the dispatcher.
    pub wake: Notify,
}

/// What is behind the lock.
#[derive(Debug)]
pub struct State {
    pub pools: Pools,
    queue: Queue<Waiter>,
    clock: Clock,
    windows: Windows,
    /// Under which the grants are held; `None` until the database knew of this process.
    pub instance: Option<InstanceId>,
    /// The lease holds until then.
    pub lease_until: Option<Instant>,
    /// The database did not answer the last time.
    pub outage: bool,
    pub live: u32,
    /// Limits for which somebody waits whose turn it is.
    blocked: HashSet<(AccountId, Limit)>,
    last_id: u64,
    /// When those who wait in vain were last looked for.
    looked: Instant,
    /// Nobody is admitted any more.
    closed: bool,
}

/// A call that waits.
#[derive(Debug)]
struct Waiter {
    who: Arc<Principal>,
    most: Spent,
    since: Instant,
    /// It waits for a limit; otherwise only for an answer.
    patient: bool,
    deadline: Instant,
    /// Why it is not admitted yet.
    last: Option<Refusal>,
    ask_at: Instant,
    /// The database was asked, and answered.
    answered: bool,
    id: u64,
    reply: Option<oneshot::Sender<Result<Permit, Refusal>>>,
}

impl Waiter {
    /// Why it waited in vain.
    fn refusal(&self) -> Refusal {
        let behind = self.who.items().first().map(|item| Refusal::RateLimited {
            scope: item.scope,
            account: item.account,
            limit: item.limit,
            retry_after: Duration::from_secs(1),
        });
        self.last.clone().or(behind.filter(|_| self.patient)).unwrap_or(Refusal::Unavailable)
    }
}

/// The database's clock, as far as this process knows it.
#[derive(Debug)]
struct Clock {
    base: Instant,
    at: DateTime<Utc>,
}

impl Clock {
    fn at(&self, now: Instant) -> DateTime<Utc> {
        self.at + now.saturating_duration_since(self.base)
    }
}

/// Asks for a draw, with the calls they are for.
#[derive(Debug, Default)]
pub struct Asks {
    pub asks: Vec<Vec<allowances::Item>>,
    /// The calls they are for.
    calls: HashSet<u64>,
    /// Another process is to hand back what it does not use.
    pub recall: bool,
}

/// What a pass over those who wait came to; sent when the lock is open again.
type Answers = Vec<(oneshot::Sender<Result<Permit, Refusal>>, Result<Permit, Refusal>)>;

impl Desk {
    pub fn new(ledger: Ledger, config: Config, now: Instant) -> Self {
        let at = Utc::now();
        let state = State {
            pools: Pools::default(),
            queue: Queue::default(),
            clock: Clock { base: now, at },
            windows: Windows::of(at),
            instance: None,
            lease_until: None,
            outage: false,
            live: 1,
            blocked: HashSet::new(),
            last_id: 0,
            looked: now,
            closed: false,
        };
        Self { ledger, config, state: Mutex::new(state), wake: Notify::new() }
    }

    /// A panic under the lock leaves at worst a reservation behind, which is safe.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn instance(&self) -> Option<InstanceId> {
        self.lock().instance
    }

    /// Reserves a call, at once or after a wait.
    pub async fn admit(
        self: &Arc<Self>,
        who: &Arc<Principal>,
        ask: &Admission<'_>,
    ) -> Result<Permit, Refusal> {
        let waiting = {
            let now = Instant::now();
            let mut state = self.lock();
            if state.closed {
                return Err(Refusal::Unavailable);
            }
            if who.items().is_empty() {
                let at = state.clock.at(now);
                return Ok(self.permit(who, at, ask.most, false));
            }
            match state.reserve(now, who.items(), ask.most) {
                Ok(at) => {
                    let low = state.pools.is_low();
                    drop(state);
                    if low {
                        self.wake.notify_one();
                    }
                    return Ok(self.permit(who, at, ask.most, false));
                }
                Err(missing) => {
                    if let Some(refusal) = state.refuse_at_once(now, who.items(), &missing, ask.at_limit) {
                        return Err(refusal);
                    }
                }
            }
            if state.queue.len() >= self.config.queue {
                return Err(Refusal::QueueFull);
            }
            state.enqueue(now, who, ask)
        };
        self.wake.notify_one();
        waiting.await.unwrap_or(Err(Refusal::Unavailable))
    }

    fn permit(
        self: &Arc<Self>,
        who: &Arc<Principal>,
        at: DateTime<Utc>,
        most: Spent,
        credit: bool,
    ) -> Permit {
        Permit {
            id: CallId::generate(),
            desk: Arc::clone(self),
            who: Arc::clone(who),
            at,
            most,
            credit,
            open: true,
        }
    }

    pub fn settle(&self, who: &Principal, at: DateTime<Utc>, most: Spent, actual: Spent, credit: bool) {
        if who.items().is_empty() {
            return;
        }
        let waiting = {
            let mut state = self.lock();
            let windows = if state.windows.hold(at) { state.windows } else { Windows::of(at) };
            state.pools.settle(who.items(), &windows, most, actual, credit);
            !state.queue.is_empty()
        };
        if waiting {
            self.wake.notify_one();
        }
    }

    /// Admits and refuses those who wait, as far as that can be said now. Answers what has to be drawn for the others.
    pub fn pass(self: &Arc<Self>, now: Instant, may_ask: bool) -> Asks {
        let (answers, asks) = self.lock().pass(self, now, may_ask);
        for (reply, answer) in answers {
            // Who does not listen any more drops the permit, which gives back what it held.
            let _gone = reply.send(answer);
        }
        asks
    }

    /// The tightest limits a minute of a caller, and when their minute ends.
    pub fn rate_limits(&self, who: &Principal) -> RateLimits {
        let is_of_a_minute = |item: &&Item| item.limit.is_of_a_minute();
        if !who.items().iter().any(|item| is_of_a_minute(&item)) {
            return RateLimits::default();
        }
        let mut state = self.lock();
        let at = state.windows_at(Instant::now());
        let windows = state.windows;
        let mut limits =
            RateLimits { resets_at: Limit::Requests.ends(at), at: Some(at), ..RateLimits::default() };
        for item in who.items().iter().filter(is_of_a_minute) {
            let left = Left { most: item.most, left: state.pools.left(item, &windows) };
            let tightest =
                if item.limit == Limit::Requests { &mut limits.requests } else { &mut limits.tokens };
            if tightest.is_none_or(|other| left.left < other.left) {
                *tightest = Some(left);
            }
        }
        limits
    }

    /// The least share left of any budget of a caller.
    pub fn least_left(&self, who: &Principal) -> f64 {
        let mut state = self.lock();
        state.windows_at(Instant::now());
        let windows = state.windows;
        state.pools.least_left(who.items(), &windows)
    }
}

impl State {
    /// Everybody who waits is told that the gateway stops.
    pub fn dismiss(&mut self) {
        self.closed = true;
        self.queue = Queue::default();
    }

    pub fn set_clock(&mut self, base: Instant, at: DateTime<Utc>) {
        self.clock = Clock { base, at };
    }

    pub fn at(&self, now: Instant) -> DateTime<Utc> {
        self.clock.at(now)
    }

    pub const fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    fn windows_at(&mut self, now: Instant) -> DateTime<Utc> {
        let at = self.clock.at(now);
        if !self.windows.hold(at) {
            self.windows = Windows::of(at);
        }
        at
    }

    /// Nobody overtakes those whose turn it is.
    fn reserve(&mut self, now: Instant, items: &[Item], most: Spent) -> Result<DateTime<Utc>, Vec<Missing>> {
        let at = self.windows_at(now);
        let waited_for = |item: &Item| self.blocked.contains(&(item.account, item.limit));
        if !self.blocked.is_empty() && items.iter().any(waited_for) {
            return Err(vec![]);
        }
        self.take(now, items, most).map(|()| at)
    }

    fn take(&mut self, now: Instant, items: &[Item], most: Spent) -> Result<(), Vec<Missing>> {
        let missing = match self.lease_until {
            Some(until) if now < until => {
                match self.pools.reserve(items, &self.windows, most, Cover::Grant) {
                    Ok(()) => return Ok(()),
                    Err(missing) => missing,
                }
            }
            _ => (0..items.len())
                .map(|item| {
                    let need = need(items[item].limit, most);
                    Missing { item, window: self.windows.window(&items[item]), need, deficit: need }
                })
                .collect(),
        };
        Err(missing)
    }

    /// What was found too small a moment ago is not asked for again.
    fn refuse_at_once(
        &self,
        now: Instant,
        items: &[Item],
        missing: &[Missing],
        at_limit: AtLimit,
    ) -> Option<Refusal> {
        missing.iter().find_map(|missing| {
            let pool = self.pools.get(&missing.window)?;
            let dry = pool.dry.filter(|dry| now < dry.until && missing.need >= dry.need)?;
            let verdict = self.verdict(now, &items[missing.item], missing, pool.known?, pool.spent);
            let refused = at_limit == AtLimit::Refuse || verdict.is_final();
            (refused && dry.need <= missing.need).then_some(verdict)
        })
    }

    /// What a refusal for want of this item would say.
    fn verdict(&self, now: Instant, item: &Item, missing: &Missing, known: Known, spent: i64) -> Refusal {
        let (scope, account, limit) = (item.scope, item.account, item.limit);
        let at = self.clock.at(now);
        let until = limit.ends(at).map(|ends| (ends - at).to_std().unwrap_or_default());
        // What is settled here is not charged there yet, and spent all the same.
        let used = known.used + if limit.is_money() { spent } else { 0 };
        if limit.is_money() && used.saturating_add(missing.need) > known.most {
            return Refusal::BudgetExhausted { scope, account, limit, retry_after: until };
        }
        if missing.need > known.most {
            return Refusal::NeverFits { scope, account, limit };
        }
        let soon = Duration::from_secs(1);
        let retry_after = if limit.is_of_a_minute() { until.unwrap_or(soon) } else { soon };
        Refusal::RateLimited { scope, account, limit, retry_after }
    }

    fn enqueue(
        &mut self,
        now: Instant,
        who: &Arc<Principal>,
        ask: &Admission<'_>,
    ) -> oneshot::Receiver<Result<Permit, Refusal>> {
        let (reply, waiting) = oneshot::channel();
        self.last_id += 1;
        let waiter = Waiter {
            who: Arc::clone(who),
            most: ask.most,
            since: now,
            patient: ask.at_limit != AtLimit::Refuse,
            deadline: match ask.at_limit {
                AtLimit::Wait(at_most) => now + at_most,
                AtLimit::Refuse => now + ANSWER,
            },
            last: None,
            ask_at: now,
            answered: false,
            id: self.last_id,
            reply: Some(reply),
        };
        let key = who.who().accounts().last().unwrap_or(who.items()[0].account);
        self.queue.push(key, ask.priority, waiter);
        waiting
    }

    fn pass(&mut self, desk: &Arc<Desk>, now: Instant, may_ask: bool) -> (Answers, Asks) {
        let mut answers = Answers::new();
        let mut asks = Asks::default();
        let at = self.windows_at(now);
        let mut queue = std::mem::take(&mut self.queue);
        let look = now.duration_since(self.looked) >= LOOK;
        if look {
            self.looked = now;
            self.drop_late(&mut queue, now, &mut answers);
        }
        self.blocked.clear();
        queue.pass(|waiter| {
            let items = waiter.who.items();
            let overtaken = items.iter().any(|item| self.blocked.contains(&(item.account, item.limit)));
            if overtaken && !self.outage {
                return Turn::Stay;
            }
            let mut answer = |answer: Result<Permit, Refusal>, waiter: &mut Waiter| {
                answers.extend(waiter.reply.take().map(|reply| (reply, answer)));
                Turn::Done
            };
            let missing = match self.take(now, items, waiter.most) {
                Ok(()) => return answer(Ok(desk.permit(&waiter.who, at, waiter.most, false)), waiter),
                Err(missing) => missing,
            };
            if self.outage {
                let outcome = self.on_credit(desk, items, waiter.most);
                let outcome = outcome.map(|()| desk.permit(&waiter.who, at, waiter.most, true));
                return answer(outcome, waiter);
            }
            if let Some(refusal) = self.refuse_waiter(now, waiter, &missing) {
                return answer(Err(refusal), waiter);
            }
            // Until the first answer nobody knows whether there is room for others as well.
            if waiter.answered {
                self.blocked.extend(missing.iter().map(|it| (it.window.account, it.window.limit)));
            }
            if may_ask && waiter.ask_at <= now && asks.asks.len() < ASKS && self.lease_until.is_some() {
                asks.recall |= waiter.answered;
                asks.calls.insert(waiter.id);
                let item = |missing: &Missing| allowances::Item {
                    account: missing.window.account,
                    limit: missing.window.limit,
                    need: missing.deficit,
                    want: self.pools.want(missing.window, missing.deficit, now),
                };
                asks.asks.push(missing.iter().map(item).collect());
                waiter.ask_at = now + ASK_AGAIN;
            }
            Turn::Stay
        });
        self.queue = queue;
        let low = if may_ask { self.pools.take_low() } else { vec![] };
        for window in low.into_iter().take(ASKS) {
            let current = self.windows.window(&Item {
                account: window.account,
                scope: toryo_blackboard::accounts::Kind::Key,
                limit: window.limit,
                most: 0,
            });
            if current == window {
                let want = self.pools.want(window, 0, now);
                let item = allowances::Item { account: window.account, limit: window.limit, need: 0, want };
                asks.asks.push(vec![item]);
            }
        }
        (answers, asks)
    }

    /// Those whose time is over are refused; those who do not listen any more are forgotten.
    fn drop_late(&self, queue: &mut Queue<Waiter>, now: Instant, answers: &mut Answers) {
        queue.retain(|waiter| {
            if now >= waiter.deadline && !self.outage {
                let refusal = waiter.refusal();
                answers.extend(waiter.reply.take().map(|reply| (reply, Err(refusal))));
            }
            waiter.reply.as_ref().is_some_and(|reply| !reply.is_closed())
        });
    }

    /// While the database does not answer.
    fn on_credit(&mut self, desk: &Desk, items: &[Item], most: Spent) -> Result<(), Refusal> {
        match desk.config.on_outage {
            OnOutage::Refuse => Err(Refusal::Unavailable),
            OnOutage::Allow => {
                let cover = Cover::Credit { usd: desk.config.outage_usd.nanos(), live: self.live };
                self.pools.reserve(items, &self.windows, most, cover).map_err(|_| Refusal::Unavailable)
            }
        }
    }

    /// Whether waiting does not help a call, or it is not to wait.
    fn refuse_waiter(&mut self, now: Instant, waiter: &mut Waiter, missing: &[Missing]) -> Option<Refusal> {
        if !waiter.answered {
            return None;
        }
        for missing in missing {
            let Some(pool) = self.pools.get(&missing.window) else { continue };
            let Some(known) = pool.known else { continue };
            if known.most - known.used - known.held >= missing.deficit {
                continue;
            }
            let item = &waiter.who.items()[missing.item];
            let verdict = self.verdict(now, item, missing, known, pool.spent);
            let elsewhere = known.held > pool.held && now.duration_since(waiter.since) < GRACE;
            if verdict.is_final() || !(waiter.patient || elsewhere) {
                let rest = if verdict.is_final() { EXHAUSTED } else { DRY };
                let dry = super::pools::Dry { need: missing.need, until: now + rest };
                self.pools.mark_dry(missing.window, dry);
                return Some(verdict);
            }
            waiter.last = Some(verdict);
        }
        None
    }

    /// The answers to asks: those that were not met wait before they ask again.
    pub fn drawn(&mut self, asks: &Asks, answers: &[Vec<allowances::Drawn>]) {
        self.queue.retain(|waiter| {
            waiter.answered |= asks.calls.contains(&waiter.id);
            true
        });
        for drawn in answers.iter().flatten() {
            self.pools.drawn(drawn);
        }
    }
}

impl Asks {
    /// Whether nothing is asked.
    pub const fn is_empty(&self) -> bool {
        self.asks.is_empty()
    }

    /// The limits that were asked of, in the windows of this moment.
    pub fn windows(&self, at: DateTime<Utc>) -> Vec<Window> {
        let window = |item: &allowances::Item| Window {
            account: item.account,
            limit: item.limit,
            starts_at: item.limit.window(at),
        };
        self.asks.iter().flatten().map(window).collect()
    }
}

impl Refusal {
    /// Whether neither waiting for a minute nor for other calls helps.
    const fn is_final(&self) -> bool {
        match self {
            Self::BudgetExhausted { .. } | Self::NeverFits { .. } | Self::RouteNotAllowed(_) => true,
            Self::RateLimited { .. } | Self::QueueFull | Self::Unavailable => false,
        }
    }
}
