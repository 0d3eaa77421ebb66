//! Keys that were seen, so that a call does not ask Postgres whose key it carries.
//!
//! A change of an account reaches every process as a notification, and what depends on it is forgotten at once. Every
//! two seconds the number of changes is compared, so that a notification that was lost shows as well.

use super::{KeyError, Principal};
use chrono::Utc;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use toryo_blackboard::Db;
use toryo_blackboard::accounts::{self, Found};
use toryo_domain::{AccountId, Digest};

/// Keys remembered at most.
const KEPT: usize = 100_000;
/// How long a text that is no key is remembered as such.
const REFUSED: Duration = Duration::from_secs(10);
/// Lookups at once at most, so that a flood of wrong keys leaves the database to others.
const LOOKUPS: usize = 4;
/// Longest wait for an answer of the database.
const ANSWER: Duration = Duration::from_secs(2);
/// How often a lookup is repeated that a change overtook.
const TRIES: u32 = 3;

/// The keys this process has seen.
#[derive(Debug)]
pub struct Keys {
    db: Db,
    grace: Duration,
    seen: Mutex<Seen>,
    lookups: Semaphore,
}

#[derive(Debug)]
struct Seen {
    entries: HashMap<Digest, Entry, foldhash::fast::RandomState>,
    /// Counts what was forgotten: a lookup that began before must not be remembered.
    generation: u64,
    /// The number of the last change that was heard of.
    version: Option<i64>,
    /// When it was last certain that no change was missed.
    confirmed: Instant,
}

#[derive(Debug, Clone)]
enum Entry {
    Known(Arc<Principal>),
    Refused(KeyError, Instant),
}

impl Keys {
    pub fn new(db: Db, grace: Duration) -> Self {
        let seen =
            Seen { entries: HashMap::default(), generation: 0, version: None, confirmed: Instant::now() };
        Self { db, grace, seen: Mutex::new(seen), lookups: Semaphore::new(LOOKUPS) }
    }

    /// Whose key has this digest.
    pub async fn find(&self, digest: Digest) -> Result<Arc<Principal>, KeyError> {
        if let Some(remembered) = self.remembered(&digest) {
            return remembered;
        }
        let Ok(_turn) = self.lookups.acquire().await else { return Err(KeyError::Unavailable) };
        self.count().await;
        for _ in 0..TRIES {
            // Another call may have asked for the same key meanwhile.
            if let Some(remembered) = self.remembered(&digest) {
                return remembered;
            }
            let generation = self.seen().generation;
            let entry = self.look_up(&digest).await?;
            let mut seen = self.seen();
            if seen.generation == generation {
                seen.remember(digest, entry.clone());
                return entry.answer();
            }
        }
        // Changes come faster than answers: this one is as true as any, but not to be kept.
        self.look_up(&digest).await?.answer()
    }

    /// Counts the changes before the first key is remembered, so that the first count to come does not forget it. Where the
    /// database does not answer it will.
    async fn count(&self) {
        if self.seen().version.is_some() {
            return;
        }
        let at = Instant::now();
        if let Ok(Ok(version)) = tokio::time::timeout(ANSWER, accounts::version(&self.db)).await {
            self.confirm(version, at);
        }
    }

    fn remembered(&self, digest: &Digest) -> Option<Result<Arc<Principal>, KeyError>> {
        let mut seen = self.seen();
        let entry = seen.entries.get(digest)?;
        let holds = match entry {
            Entry::Known(_) => seen.confirmed.elapsed() < self.grace,
            Entry::Refused(_, until) => Instant::now() < *until,
        };
        if holds {
            return Some(entry.answer());
        }
        seen.entries.remove(digest);
        None
    }

    async fn look_up(&self, digest: &Digest) -> Result<Entry, KeyError> {
        let found = tokio::time::timeout(ANSWER, accounts::find_key(&self.db, digest)).await;
        let refused = |error| Ok(Entry::Refused(error, Instant::now() + REFUSED));
        match found {
            Ok(Ok(Found::Key(record))) => Ok(Entry::Known(Arc::new(Principal::of(&record)))),
            Ok(Ok(Found::Nothing)) => refused(KeyError::Unknown),
            Ok(Ok(Found::Revoked)) => refused(KeyError::Revoked),
            Ok(Ok(Found::Expired)) => refused(KeyError::Expired),
            Ok(Err(error)) => {
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(cause, "a key cannot be looked up");
                Err(KeyError::Unavailable)
            }
            Err(_) => Err(KeyError::Unavailable),
        }
    }

    /// An account changed: whatever depends on it is looked up anew.
    pub fn changed(&self, account: AccountId, version: i64) {
        let mut seen = self.seen();
        // Where no number was known, others may have come before this one.
        let next = seen.version.is_some_and(|last| version == last + 1);
        seen.version = seen.version.max(Some(version));
        if next { seen.forget(account) } else { seen.forget_all() }
    }

    /// The database says that there were so many changes.
    pub fn confirm(&self, version: i64, at: Instant) {
        let mut seen = self.seen();
        // The first number of all says nothing of what changed before it was heard of and after a key was remembered.
        if seen.version.is_none_or(|last| last < version) {
            seen.forget_all();
        }
        seen.version = seen.version.max(Some(version));
        seen.confirmed = at;
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn answer(&self) -> Result<Arc<Principal>, KeyError> {
        match self {
            Self::Known(principal) if principal.is_over(Utc::now()) => Err(KeyError::Expired),
            Self::Known(principal) => Ok(Arc::clone(principal)),
            Self::Refused(error, _) => Err(*error),
        }
    }
}

impl Seen {
    fn remember(&mut self, digest: Digest, entry: Entry) {
        if self.entries.len() >= KEPT {
            // What goes first is refused keys, then any: those in use come back with one lookup.
            self.entries.retain(|_, entry| matches!(entry, Entry::Known(_)));
            let mut room = self.entries.len().saturating_sub(KEPT - KEPT / 8);
            self.entries.retain(|_, _| {
                room = room.saturating_sub(1);
                room == 0
            });
        }
        self.entries.insert(digest, entry);
    }

    fn forget(&mut self, account: AccountId) {
        self.generation += 1;
        self.entries.retain(|_, entry| match entry {
            Entry::Known(principal) => principal.who().accounts().all(|other| other != account),
            // It may be a key of this account, just made.
            Entry::Refused(..) => false,
        });
    }

    fn forget_all(&mut self) {
        self.generation += 1;
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        // Port 9 is that of the discard service, which nobody runs.
        Keys::new(Db::lazy("postgres://toryo@127.0.0.1:9/toryo", 1).unwrap(), Duration::from_secs(300))
    }

    fn remember(keys: &Keys, secret: &str) {
        keys.seen().remember(Digest::of(secret), Entry::Known(Arc::new(Principal::master())));
    }

    #[tokio::test]
    async fn what_was_remembered_before_any_change_was_counted_is_looked_up_anew() {
        let confirmed = keys();
        remember(&confirmed, "a");
        confirmed.confirm(7, Instant::now());
        assert!(confirmed.seen().entries.is_empty(), "a change may have been missed");
        remember(&confirmed, "a");
        confirmed.confirm(7, Instant::now());
        assert_eq!(confirmed.seen().entries.len(), 1, "nothing changed");
        confirmed.confirm(8, Instant::now());
        assert!(confirmed.seen().entries.is_empty(), "a notification was lost");
        let notified = keys();
        remember(&notified, "a");
        notified.changed(AccountId::generate(), 7);
        assert!(notified.seen().entries.is_empty(), "an earlier change may have been missed");
        remember(&notified, "a");
        notified.changed(AccountId::generate(), 8);
        assert_eq!(notified.seen().entries.len(), 1, "another account changed");
        notified.changed(AccountId::generate(), 10);
        assert!(notified.seen().entries.is_empty(), "the ninth change was missed");
    }
}
