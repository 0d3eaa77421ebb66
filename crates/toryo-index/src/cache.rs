//! Indexes of commits, kept in the process and built once.

use crate::index::Index;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A repository and a commit of it, in the caller's words.
type Key = (String, String);

/// A place for one index; whoever holds its lock builds.
type Slot = Arc<Mutex<Option<Arc<Index>>>>;

/// Keeps the indexes last used. Clone it to share it; a clone is the same cache.
///
/// [`get_or_build`](Self::get_or_build) blocks while it builds or waits for another caller that builds the same
/// index, so asynchronous code calls it inside `spawn_blocking`.
#[derive(Debug, Clone)]
pub struct IndexCache {
    entries: Arc<Mutex<Entries>>,
    most: usize,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Key, Entry>,
    /// Counts uses; the entry with the lowest count was used longest ago.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    slot: Slot,
    used: u64,
}

impl IndexCache {
    /// A cache of at most `most` indexes (at least one). An index takes some hundred bytes for each line of
    /// source; one that a task still holds lives on after it was dropped here.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { entries: Arc::default(), most: most.max(1) }
    }

    /// The index of a commit, built by `build` if it is not there. Of callers that ask for the same one at the
    /// same time one builds and the others wait for it; callers for other ones are not held up. `repository` is
    /// any stable name of the repository, `commit` its full id.
    ///
    /// # Errors
    /// What `build` says. Nothing is kept then, and a waiting caller tries with its own `build`.
    pub fn get_or_build<E>(
        &self,
        repository: &str,
        commit: &str,
        build: impl FnOnce() -> Result<Index, E>,
    ) -> Result<Arc<Index>, E> {
        let slot = self.slot((repository.to_owned(), commit.to_owned()));
        // A builder that panicked left the slot empty, so its lock is safe to take over.
        let mut index = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &*index {
            return Ok(Arc::clone(index));
        }
        let built = Arc::new(build()?);
        *index = Some(Arc::clone(&built));
        Ok(built)
    }

    /// How many indexes are kept or being built.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().by_key.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn slot(&self, key: Key) -> Slot {
        let mut entries = self.lock();
        entries.uses += 1;
        let used = entries.uses;
        let entry = entries.by_key.entry(key).or_insert_with(|| Entry { slot: Slot::default(), used });
        entry.used = used;
        let slot = Arc::clone(&entry.slot);
        while entries.by_key.len() > self.most {
            let oldest =
                entries.by_key.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            match oldest {
                Some(key) => entries.by_key.remove(&key),
                None => break,
            };
        }
        slot
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn concurrent_callers_build_once() {
        let (cache, builds, start) = (IndexCache::new(2), AtomicUsize::new(0), Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    let index = cache.get_or_build("r", "c", || {
                        builds.fetch_add(1, Ordering::SeqCst);
                        Ok::<_, Infallible>(Index::default())
                    });
                    assert!(index.is_ok());
                });
            }
        });
        assert_eq!(builds.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_one_used_longest_ago_goes_first() {
        let cache = IndexCache::new(2);
        let get = |commit: &str| {
            let mut built = false;
            let made = || {
                built = true;
                Ok::<_, Infallible>(Index::default())
            };
            assert!(cache.get_or_build("r", commit, made).is_ok());
            built
        };
        assert_eq!(["a", "b", "a", "c", "a", "b"].map(get), [true, true, false, true, false, true]);
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn a_failed_build_is_tried_again() {
        let cache = IndexCache::new(1);
        assert_eq!(cache.get_or_build("r", "c", || Err("no such commit")).err(), Some("no such commit"));
        assert!(cache.get_or_build("r", "c", || Ok::<_, &str>(Index::default())).is_ok());
    }
}
