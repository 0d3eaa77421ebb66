//! Where records are kept between builds.

mod folder;

use crate::record::RecordKey;
use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};

pub use folder::FolderStore;

/// Keeps records by key. Adapters: [`FolderStore`], [`MemoryStore`].
///
/// What it gives back is checked by whoever reads it, so a store need not: a record that is gone, damaged or of
/// another format is made anew. May be shared by threads, and a folder by processes.
pub trait RecordStore: Send + Sync {
    /// The bytes kept for a key; `None` where there are none or they cannot be read.
    fn load(&self, key: &RecordKey) -> Option<Vec<u8>>;

    /// Keeps bytes for a key, whole or not at all.
    ///
    /// # Errors
    /// They could not be written. Nothing is kept then.
    fn save(&self, key: &RecordKey, bytes: &[u8]) -> io::Result<()>;

    /// Drops what was not used for long, where the store holds more than it should. Called after a build.
    ///
    /// # Errors
    /// The store cannot be looked through. It may be called again.
    fn tidy(&self) -> io::Result<()>;
}

/// Records in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<HashMap<String, Vec<u8>>>);

impl RecordStore for MemoryStore {
    fn load(&self, key: &RecordKey) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key.name()).cloned()
    }

    fn save(&self, key: &RecordKey, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.name(), bytes.to_vec());
        Ok(())
    }

    fn tidy(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What every store has to do.
#[cfg(test)]
pub(crate) fn contract(store: &dyn RecordStore) {
    use crate::record::ContentId;
    let key = |content: &[u8], path: &str| RecordKey::new(ContentId::of(content), &crate::fixture::at(path));
    let (a, b) = (key(b"a", "a.py"), key(b"b", "a.py"));
    assert_eq!(store.load(&a), None);
    store.save(&a, b"one").expect("saved");
    store.save(&b, b"two").expect("saved");
    store.save(&a, b"three").expect("saved again");
    assert_eq!(store.load(&a).as_deref(), Some(&b"three"[..]));
    assert_eq!(store.load(&b).as_deref(), Some(&b"two"[..]));
    // The same bytes under another extension are another record.
    assert_eq!(store.load(&key(b"a", "a.txt")), None);
    store.tidy().expect("tidy");
    assert_eq!(store.load(&a).as_deref(), Some(&b"three"[..]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_keeps_the_contract() {
        contract(&MemoryStore::default());
    }
}
