//! What this process was granted of each limit, and what of that is taken: pure arithmetic.

use super::{Item, Limit};
use crate::journal::Spent;
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use toryo_blackboard::allowances::{Drawn, Window};
use toryo_domain::AccountId;

/// A first draw asks for this many times what is needed, so that the next calls need not ask.
const FIRST_WANT: i64 = 16;
/// A draw that follows another within this time asks for twice as much.
const SOON: Duration = Duration::from_secs(1);
/// How long a limit counts as scarce after another process asked for it.
const SCARCE: Duration = Duration::from_secs(3);

/// One limit in one window.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    /// What the database says this process holds; never more than that.
    pub held: i64,
    /// The worst cases of calls under way.
    pub reserved: i64,
    /// Settled, but not yet charged in the database; of a minute everything that was used.
    pub spent: i64,
    /// What of `reserved` and `spent` no grant covers, because the database did not answer.
    pub credit: i64,
    /// What the database said last.
    pub known: Option<Known>,
    /// What is not asked for again for a while.
    pub dry: Option<Dry>,
    want: i64,
    drawn: Option<Instant>,
    scarce: Option<Instant>,
    /// Something was taken since the last sweep.
    touched: bool,
    /// The database may think that more is held.
    stale: bool,
}

/// A limit as the database knew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The limit.
    pub most: i64,
    /// What was settled.
    pub used: i64,
    /// What all processes held.
    pub held: i64,
}

/// A limit that had no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dry {
    /// For this much or more.
    pub need: i64,
    /// Until then nobody asks again.
    pub until: Instant,
}

/// Where room for a call comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover {
    /// What was granted under a lease that holds.
    Grant,
    /// Up to so much beyond: of each budget `usd` billionths, of the others an equal share of `live` processes.
    Credit {
        /// Billionths of a dollar of each budget.
        usd: i64,
        /// Processes that share the other limits.
        live: u32,
    },
}

/// An item of a call for which there is no room here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Which of the caller's items.
    pub item: usize,
    /// The window.
    pub window: Window,
    /// What the call needs in all.
    pub need: i64,
    /// What has to be drawn for that.
    pub deficit: i64,
}

/// What the database is told of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Which limit.
    pub window: Window,
    /// What this process holds of it from now on.
    pub held: i64,
    /// What of that was not covered before.
    pub credit: i64,
}

/// The beginnings of all windows that hold one moment.
#[derive(Debug, Clone, Copy)]
pub struct Windows([DateTime<Utc>; 7]);

impl Windows {
    /// Those that hold this moment.
    pub fn of(at: DateTime<Utc>) -> Self {
        let start = |code| Limit::of_code(code).map_or(at, |limit| limit.window(at));
        Self([0, 1, 2, 3, 4, 5, 6].map(start))
    }

    /// Whether they hold this moment: all windows begin with a minute.
    pub fn hold(&self, at: DateTime<Utc>) -> bool {
        at >= self.0[0] && at - self.0[0] < chrono::Duration::minutes(1)
    }

    /// The window of an item.
    pub fn window(&self, item: &Item) -> Window {
        let starts_at = self.0[usize::from(item.limit.code().unsigned_abs())];
        Window { account: item.account, limit: item.limit, starts_at }
    }
}

/// What one call takes of a limit.
pub fn need(limit: Limit, most: Spent) -> i64 {
    match limit {
        Limit::Requests | Limit::Parallel => 1,
        Limit::Tokens => i64::try_from(most.tokens).unwrap_or(i64::MAX / 4),
        Limit::Day | Limit::Week | Limit::Month | Limit::Total => most.usd.nanos().max(0),
    }
}

impl Pool {
    /// What may still be taken of the grant; negative where it covers too little.
    pub const fn free(&self) -> i64 {
        self.held - self.reserved - self.spent
    }

    fn credit_left(&self, item: &Item, cover: Cover) -> i64 {
        let Cover::Credit { usd, live } = cover else { return 0 };
        if item.limit.is_money() {
            return usd - self.credit;
        }
        (item.most / i64::from(live)).max(item.most.min(1)) - self.credit
    }

    /// Gives up what is free; whether the database has to be told.
    fn hand_back(&mut self) -> bool {
        let free = self.free().max(0);
        self.held -= free;
        let stale = std::mem::take(&mut self.stale);
        free > 0 || stale
    }

    /// What to ask for beside a need: twice as much where the last draw is not long ago.
    fn next_want(&mut self, need: i64, now: Instant) -> i64 {
        if self.scarce.is_some_and(|until| now < until) {
            return need;
        }
        let soon = self.drawn.is_some_and(|drawn| now.duration_since(drawn) < SOON);
        let want = if soon { self.want.saturating_mul(2) } else { self.want / 2 };
        self.want = want.max(need.saturating_mul(FIRST_WANT)).min(i64::MAX / 8);
        self.drawn = Some(now);
        self.want
    }
}

/// All limits in use.
#[derive(Debug, Default)]
pub struct Pools {
    // Ids are ours: nobody can choose them so that they collide.
    pools: HashMap<Window, Pool, foldhash::fast::RandomState>,
    low: HashSet<Window>,
}

impl Pools {
    /// What is left of a limit in its window, as far as this process knows: what it holds itself, and what nobody held
    /// when it drew last.
    pub fn left(&self, item: &Item, windows: &Windows) -> i64 {
        let Some(pool) = self.pools.get(&windows.window(item)) else { return item.most };
        let elsewhere =
            pool.known.map_or(item.most - pool.held, |known| known.most - known.used - known.held);
        (elsewhere.max(0) + pool.free()).clamp(0, item.most)
    }

    /// Takes the worst case of a call out of all its limits, or out of none.
    pub fn reserve(
        &mut self,
        items: &[Item],
        windows: &Windows,
        most: Spent,
        cover: Cover,
    ) -> Result<(), Vec<Missing>> {
        let mut missing = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let (window, need) = (windows.window(item), need(item.limit, most));
            let pool = self.pools.get(&window);
            let room = match cover {
                Cover::Grant => pool.map_or(0, Pool::free),
                Cover::Credit { .. } => pool.map_or_else(
                    || Pool::default().credit_left(item, cover),
                    |it| it.credit_left(item, cover),
                ),
            };
            if room < need {
                missing.push(Missing { item: number, window, need, deficit: need - room });
            }
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        for item in items {
            let (window, need) = (windows.window(item), need(item.limit, most));
            let pool = self.pools.entry(window).or_default();
            // A request counts when it is admitted, whatever becomes of it.
            if item.limit == Limit::Requests {
                pool.spent += need;
            } else {
                pool.reserved += need;
            }
            pool.touched = true;
            match cover {
                Cover::Grant if pool.free() < pool.want / 4 => {
                    self.low.insert(window);
                }
                Cover::Grant => {}
                Cover::Credit { .. } => pool.credit += need,
            }
        }
        Ok(())
    }

    /// Ends a call: gives its worst case back and takes what it really used.
    pub fn settle(&mut self, items: &[Item], windows: &Windows, most: Spent, actual: Spent, credit: bool) {
        for item in items.iter().filter(|item| item.limit != Limit::Requests) {
            let Some(pool) = self.pools.get_mut(&windows.window(item)) else { continue };
            let (held, used) = (need(item.limit, most), need(item.limit, actual));
            let used = if item.limit == Limit::Parallel { 0 } else { used };
            pool.reserved -= held;
            pool.spent += used;
            if credit {
                pool.credit = (pool.credit - held + used).max(0);
            }
        }
    }

    /// What of the settled money the database has charged now.
    pub fn charged(&mut self, window: &Window, amount: i64) {
        if let Some(pool) = self.pools.get_mut(window) {
            pool.spent = (pool.spent - amount).max(0);
            pool.held = (pool.held - amount).max(0);
        }
    }

    /// What a need asks the database for; an item of the same account as others are.
    pub fn want(&mut self, window: Window, need: i64, now: Instant) -> i64 {
        self.pools.entry(window).or_default().next_want(need, now)
    }

    /// Limits of which little is left here, to be drawn ahead.
    pub fn take_low(&mut self) -> Vec<Window> {
        self.low.drain().collect()
    }

    /// Whether something is to be drawn ahead.
    pub fn is_low(&self) -> bool {
        !self.low.is_empty()
    }

    /// What the database granted, or why it did not.
    pub fn drawn(&mut self, drawn: &Drawn) {
        let pool = self.pools.entry(drawn.window).or_default();
        pool.held += drawn.granted;
        pool.known = Some(Known { most: drawn.most, used: drawn.used, held: drawn.held });
        if drawn.granted > 0 {
            pool.dry = None;
        }
    }

    /// A draw of which nobody knows whether it was carried out.
    pub fn mark_stale(&mut self, windows: impl IntoIterator<Item = Window>) {
        for window in windows {
            self.pools.entry(window).or_default().stale = true;
        }
    }

    /// One limit, where it is in use.
    pub fn get(&self, window: &Window) -> Option<&Pool> {
        self.pools.get(window)
    }

    /// Nobody asks for this much again until then.
    pub fn mark_dry(&mut self, window: Window, dry: Dry) {
        self.pools.entry(window).or_default().dry = Some(dry);
    }

    /// Gives up what an account does not use, because its limits changed or another process needs it. Answers of what
    /// the database is to be told.
    pub fn recall(&mut self, account: AccountId, now: Instant, scarce: bool) -> Vec<Window> {
        let mut changed = Vec::new();
        for (window, pool) in self.pools.iter_mut().filter(|(window, _)| window.account == account) {
            pool.dry = None;
            if scarce {
                pool.scarce = Some(now + SCARCE);
            }
            changed.extend(pool.hand_back().then_some(*window));
        }
        changed
    }

    /// Gives up what is scarce, and with `all` what was not used since the last time; forgets windows that are over.
    /// Answers of what the database is to be told.
    pub fn sweep(&mut self, at: DateTime<Utc>, now: Instant, all: bool) -> Vec<Window> {
        let mut changed = Vec::new();
        self.pools.retain(|window, pool| {
            if window.limit.is_of_a_minute() && window.starts_at + chrono::Duration::minutes(2) < at {
                return false;
            }
            let scarce = pool.scarce.is_some_and(|until| now < until);
            if scarce || pool.stale || (all && !pool.touched) {
                changed.extend(pool.hand_back().then_some(*window));
            }
            if all {
                pool.touched = false;
            }
            let in_use = pool.held > 0 || pool.reserved != 0 || pool.spent != 0 || pool.credit != 0;
            in_use || pool.dry.is_some_and(|dry| now < dry.until)
        });
        changed
    }

    /// What to say of a limit: what is held, and what is taken without being covered.
    pub fn say(&self, window: Window) -> Said {
        let pool = self.pools.get(&window);
        let credit = pool.map_or(0, |pool| pool.credit);
        Said { window, held: pool.map_or(0, |pool| pool.held) + credit, credit }
    }

    /// The database knows it now.
    pub fn said(&mut self, said: &Said) {
        if let Some(pool) = self.pools.get_mut(&said.window) {
            pool.held += said.credit;
            pool.credit = (pool.credit - said.credit).max(0);
        }
    }

    /// Limits of which something is taken that no grant covers.
    pub fn on_credit(&self) -> Vec<Window> {
        let owing = self.pools.iter().filter(|(_, pool)| pool.credit > 0);
        owing.map(|(window, _)| *window).collect()
    }

    /// What to say under a new lease: everything that is taken, whether it was granted or not. Of a minute, what was
    /// granted stays counted under the old lease.
    pub fn say_anew(&self) -> Vec<Said> {
        let said = self.pools.iter().map(|(window, pool)| {
            let of_a_minute = window.limit.is_of_a_minute();
            let held = if of_a_minute { pool.credit } else { pool.reserved + pool.spent };
            Said { window: *window, held, credit: pool.credit }
        });
        said.filter(|said| said.held > 0).collect()
    }

    /// The database knows it now. What was granted and is free is given up, but for that of a minute.
    pub fn said_anew(&mut self, said: &[Said]) {
        for (_, pool) in self.pools.iter_mut().filter(|(window, _)| !window.limit.is_of_a_minute()) {
            pool.held = 0;
        }
        for said in said {
            let pool = self.pools.entry(said.window).or_default();
            pool.held += said.held;
            pool.credit = (pool.credit - said.credit).max(0);
        }
    }

    /// The least share left of any of these budgets.
    pub fn least_left(&self, items: &[Item], windows: &Windows) -> f64 {
        let left = items.iter().filter(|item| item.limit.is_money()).filter_map(|item| {
            let pool = self.pools.get(&windows.window(item))?;
            let known = pool.known?;
            let taken = known.used + known.held.max(pool.reserved + pool.spent) - pool.free().max(0);
            Some((1.0 - taken as f64 / known.most.max(1) as f64).clamp(0.0, 1.0))
        });
        left.fold(1.0, f64::min)
    }
}

#[cfg(test)]
mod tests;
