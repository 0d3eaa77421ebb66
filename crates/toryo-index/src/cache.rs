//! Indexes of commits, kept in the process and built once.

use crate::index::Index;
use crate::store::RecordStore;
use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a waiting build looks whether somebody ended it.
const LOOK: Duration = Duration::from_millis(200);

/// A repository and a commit of it, in the caller's words.
type Key = (String, String);

/// A place for one index; whoever holds its lock builds.
type Slot = Arc<Mutex<Option<Arc<Index>>>>;

/// Keeps the indexes last used. Clone it to share it; a clone is the same cache.
///
/// [`get_or_build`](Self::get_or_build) blocks while it builds or waits for another caller that builds the same
/// index, so asynchronous code calls it inside `spawn_blocking`.
#[derive(Clone)]
pub struct IndexCache {
    entries: Arc<Mutex<Entries>>,
    bounds: Bounds,
    store: Option<Arc<dyn RecordStore>>,
    building: Arc<Building>,
}

/// How much a cache may hold.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    indexes: usize,
    bytes: usize,
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
    /// Memory of the index; 0 while it is being built.
    bytes: usize,
}

/// Memory that builds at work will need.
#[derive(Debug, Default)]
struct Building {
    bytes: Mutex<usize>,
    ended: Condvar,
}

/// What a build may start from.
#[derive(Clone)]
pub struct Known {
    /// Where records are kept.
    pub store: Option<Arc<dyn RecordStore>>,
    /// The index of the same repository used last.
    pub before: Option<Arc<Index>>,
}

/// What somebody asks a cache for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Any stable name of the repository.
    pub repository: &'a str,
    /// The commit's full id.
    pub commit: &'a str,
    /// Memory that building the index is expected to take, in bytes; see [`estimate`](crate::estimate).
    pub bytes: usize,
}

impl fmt::Debug for IndexCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexCache")
            .field("bounds", &self.bounds)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl IndexCache {
    /// A cache of at most `most` indexes (at least one) without a bound of memory. One that a task still holds
    /// lives on after it was dropped here.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let bounds = Bounds { indexes: most.max(1), bytes: usize::MAX };
        Self { entries: Arc::default(), bounds, store: None, building: Arc::default() }
    }

    /// Keeps records in a store, so that equal files are parsed once for all commits, workers and restarts.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn RecordStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Keeps at most so many bytes of indexes, and lets builds that need more together wait for each other. The
    /// index used last stays whatever its size, and a build that needs more alone runs alone.
    #[must_use]
    pub const fn with_memory(mut self, bytes: usize) -> Self {
        self.bounds.bytes = bytes;
        self
    }

    /// The index of a commit, built by `build` if it is not there. Of callers that ask for the same one at the
    /// same time one builds and the others wait for it; callers for other ones are not held up while there is
    /// memory for both. `watch` is asked while it waits for memory.
    ///
    /// # Errors
    /// What `build` says, and what `watch` says where it ends the waiting. Nothing is kept then, and a caller that
    /// waits for the same index tries with its own `build`.
    pub fn get_or_build<E>(
        &self,
        wanted: Wanted<'_>,
        watch: impl Fn() -> ControlFlow<E>,
        build: impl FnOnce(Known) -> Result<Index, E>,
    ) -> Result<Arc<Index>, E> {
        let key = (wanted.repository.to_owned(), wanted.commit.to_owned());
        let slot = self.slot(&key);
        // A builder that panicked left the slot empty, so its lock is safe to take over.
        let mut index = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &*index {
            return Ok(Arc::clone(index));
        }
        let memory = self.reserve(wanted.bytes, watch)?;
        let before = self.latest(wanted.repository);
        let built = Arc::new(build(Known { store: self.store.clone(), before })?);
        drop(memory);
        if let Some(store) = &self.store {
            // What could not be dropped now is dropped after a later build.
            let _ = store.tidy();
        }
        *index = Some(Arc::clone(&built));
        self.keep(&key, built.bytes());
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

    fn slot(&self, key: &Key) -> Slot {
        let mut entries = self.lock();
        entries.uses += 1;
        let used = entries.uses;
        let entry = entries.by_key.entry(key.clone()).or_insert_with(|| Entry {
            slot: Slot::default(),
            used,
            bytes: 0,
        });
        entry.used = used;
        let slot = Arc::clone(&entry.slot);
        entries.shrink(self.bounds);
        slot
    }

    /// Notes the size of an index that was built, and drops others for it.
    fn keep(&self, key: &Key, bytes: usize) {
        let mut entries = self.lock();
        if let Some(entry) = entries.by_key.get_mut(key) {
            entry.bytes = bytes;
        }
        entries.shrink(self.bounds);
    }

    /// The index of a repository used last, of those that are finished.
    fn latest(&self, repository: &str) -> Option<Arc<Index>> {
        let entries = self.lock();
        let mut own: Vec<&Entry> =
            entries.by_key.iter().filter(|(key, _)| key.0 == repository).map(|(_, entry)| entry).collect();
        own.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        // A slot whose lock is taken is being built.
        let finished = own.into_iter().find_map(|entry| entry.slot.try_lock().ok()?.clone());
        finished.filter(|index| !index.is_cluttered())
    }

    /// Waits until a build's memory is free.
    fn reserve<E>(&self, bytes: usize, watch: impl Fn() -> ControlFlow<E>) -> Result<Reserved<'_>, E> {
        let mut taken = self.building.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken > 0 && taken.saturating_add(bytes) > self.bounds.bytes {
            let waited = self.building.ended.wait_timeout(taken, LOOK);
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
            if let ControlFlow::Break(error) = watch() {
                return Err(error);
            }
        }
        *taken = taken.saturating_add(bytes);
        Ok(Reserved { building: &self.building, bytes })
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Drops what was used longest ago; the one used last stays.
    fn shrink(&mut self, bounds: Bounds) {
        let bytes =
            |entries: &Self| entries.by_key.values().map(|entry| entry.bytes).fold(0, usize::saturating_add);
        while self.by_key.len() > 1 && (self.by_key.len() > bounds.indexes || bytes(self) > bounds.bytes) {
            let oldest = self.by_key.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            match oldest {
                Some(key) => self.by_key.remove(&key),
                None => break,
            };
        }
    }
}

/// Memory set aside for a build until it is dropped.
struct Reserved<'a> {
    building: &'a Building,
    bytes: usize,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut taken = self.building.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(self.bytes);
        drop(taken);
        self.building.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{SHOP, index};
    use std::convert::Infallible;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn wanted(commit: &str) -> Wanted<'_> {
        Wanted { repository: "r", commit, bytes: 10 }
    }

    fn patient() -> ControlFlow<Infallible> {
        ControlFlow::Continue(())
    }

    #[test]
    fn concurrent_callers_build_once() {
        let (cache, builds, start) = (IndexCache::new(2), AtomicUsize::new(0), Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    let index = cache.get_or_build(wanted("c"), patient, |_| {
                        builds.fetch_add(1, Ordering::SeqCst);
                        Ok(Index::default())
                    });
                    assert!(index.is_ok());
                });
            }
        });
        assert_eq!(builds.load(Ordering::SeqCst), 1);
    }

    /// Asks for an index and says whether it had to be built.
    fn builds(cache: &IndexCache, commit: &str, made: impl FnOnce() -> Index) -> bool {
        let mut built = false;
        let got = cache.get_or_build(wanted(commit), patient, |_| {
            built = true;
            Ok(made())
        });
        assert!(got.is_ok());
        built
    }

    #[test]
    fn the_one_used_longest_ago_goes_first() {
        let cache = IndexCache::new(2);
        let get = |commit: &str| builds(&cache, commit, Index::default);
        assert_eq!(["a", "b", "a", "c", "a", "b"].map(get), [true, true, false, true, false, true]);
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn indexes_go_where_they_take_too_much_memory() {
        let one = index(SHOP).bytes();
        assert!(one > 10_000, "{one}");
        let cache = IndexCache::new(8).with_memory(2 * one + one / 2);
        let get = |commit: &str| builds(&cache, commit, || index(SHOP));
        assert_eq!(["a", "b", "c", "b", "a"].map(get), [true, true, true, false, true]);
        let small = IndexCache::new(8).with_memory(1);
        let get = |commit: &str| builds(&small, commit, || index(SHOP));
        assert_eq!(["a", "a", "b", "a"].map(get), [true, false, true, true]);
    }

    #[test]
    fn a_failed_build_is_tried_again() {
        let cache = IndexCache::new(1);
        let go_on = || ControlFlow::Continue(());
        assert_eq!(
            cache.get_or_build(wanted("c"), go_on, |_| Err("no such commit")).err(),
            Some("no such commit")
        );
        assert!(cache.get_or_build(wanted("c"), go_on, |_| Ok(Index::default())).is_ok());
    }

    #[test]
    fn a_build_starts_from_the_index_used_last() {
        let cache = IndexCache::new(3);
        assert!(builds(&cache, "a", || index(SHOP)));
        let mut before = None;
        let built = cache.get_or_build(wanted("b"), patient, |known| {
            before = known.before.map(|index| index.files().len());
            Ok(Index::default())
        });
        assert!(built.is_ok());
        assert_eq!(before, Some(7));
        let other = Wanted { repository: "other", ..wanted("b") };
        let built = cache.get_or_build(other, patient, |known| {
            assert!(known.before.is_none());
            Ok(Index::default())
        });
        assert!(built.is_ok());
    }

    #[test]
    fn builds_share_the_memory_and_a_waiting_one_can_be_ended() {
        let cache = IndexCache::new(3).with_memory(25);
        let ended = cache.get_or_build(
            wanted("a"),
            || ControlFlow::Break("not asked"),
            |_| {
                // Two of ten fit beside each other, a third does not.
                let second = cache.get_or_build(
                    wanted("b"),
                    || ControlFlow::Break("not asked"),
                    |_| {
                        let third = cache.get_or_build(
                            wanted("c"),
                            || ControlFlow::Break("ended"),
                            |_| Ok(Index::default()),
                        );
                        assert_eq!(third.err(), Some("ended"));
                        Ok(Index::default())
                    },
                );
                assert!(second.is_ok());
                cache.get_or_build(
                    wanted("c"),
                    || ControlFlow::Break("not asked"),
                    |_| Ok(Index::default()),
                )?;
                Ok(Index::default())
            },
        );
        assert!(ended.is_ok());
    }
}
