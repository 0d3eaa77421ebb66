//! The `BlobStore` port: immutable bytes under their SHA-256.
//!
//! A blob goes when nothing names it any more and it has not been put for long (`toryo_engine::retention`). Whoever puts
//! one and names it later is safe: putting makes it young again, even where it is there already, and
//! [`BlobStore::delete`] leaves what is young.

mod folder;

use crate::Error;
use async_trait::async_trait;
use bytes::Bytes;
use folder::Folder;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use std::sync::Arc;
use std::time::Duration;
use toryo_domain::Digest;

/// Keeps immutable bytes under their digest. Writing the same bytes twice is harmless, and makes them young.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Stores the bytes and returns their digest; durable when it returns.
    ///
    /// # Errors
    /// The store does not answer.
    async fn put(&self, bytes: Bytes) -> Result<Digest, Error>;

    /// The bytes of this digest, checked against it.
    ///
    /// # Errors
    /// There are none, they are damaged, or the store does not answer.
    async fn get(&self, digest: &Digest) -> Result<Bytes, Error>;

    /// The blobs whose digest begins with this byte and that were last put longer ago than `age`. A store is looked
    /// through byte by byte, so that it need not fit into memory.
    ///
    /// # Errors
    /// The store does not answer.
    async fn old(&self, first: u8, age: Duration) -> Result<Vec<Digest>, Error>;

    /// Deletes a blob that was last put longer ago than `age`; `false` where it was put since, or is not there. A put that
    /// goes on at the same time ends with the blob in its place, whichever of the two is faster; and whatever a call that
    /// was cut short has left is put right by the next one, or by a put or a get.
    ///
    /// # Errors
    /// The store does not answer.
    async fn delete(&self, digest: &Digest, age: Duration) -> Result<bool, Error>;
}

/// Blobs in a folder, two levels deep by the first digits of the digest.
#[derive(Debug)]
pub struct FolderBlobs {
    objects: Objects<LocalFileSystem>,
    folder: Folder,
}

impl FolderBlobs {
    /// A store in this folder, which is made where it is missing.
    ///
    /// # Errors
    /// The folder cannot be made or opened.
    pub fn open(folder: &std::path::Path) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|source| {
            Error::Blobs(object_store::Error::Generic { store: "folder", source: source.into() })
        })?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(Error::Blobs)?.with_fsync(true);
        Ok(Self { objects: Objects(Arc::new(store)), folder: Folder::at(folder) })
    }
}

/// Blobs in memory, for tests.
#[derive(Debug)]
pub struct MemoryBlobs(Objects<InMemory>);

impl Default for MemoryBlobs {
    fn default() -> Self {
        Self(Objects(Arc::new(InMemory::new())))
    }
}

#[derive(Debug)]
struct Objects<Store>(Arc<Store>);

impl<Store: ObjectStore> Objects<Store> {
    fn path(digest: &Digest) -> Path {
        let text = digest.to_string();
        Path::from(format!("{}/{}/{text}", &text[..2], &text[2..4]))
    }

    /// Whether it was not there before.
    async fn create(&self, digest: &Digest, bytes: Bytes) -> Result<bool, Error> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.0.put_opts(&Self::path(digest), bytes.into(), options).await {
            Ok(_) => Ok(true),
            // The name is the content: what is there already is what was to be written.
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(Error::Blobs(error)),
        }
    }

    async fn get(&self, digest: &Digest) -> Result<Bytes, Error> {
        let bytes = match self.0.get(&Self::path(digest)).await {
            Ok(found) => found.bytes().await.map_err(Error::Blobs)?,
            Err(object_store::Error::NotFound { .. }) => return Err(Error::NoBlob(*digest)),
            Err(error) => return Err(Error::Blobs(error)),
        };
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(Error::DamagedBlob(*digest)) }
    }
}

#[async_trait]
impl BlobStore for FolderBlobs {
    async fn put(&self, bytes: Bytes) -> Result<Digest, Error> {
        let digest = Digest::of(&bytes);
        // Where it was there, and is deleted before it is young again, it is written anew.
        while !self.objects.create(&digest, bytes.clone()).await? && !self.folder.touch(digest).await? {}
        Ok(digest)
    }

    async fn get(&self, digest: &Digest) -> Result<Bytes, Error> {
        match self.objects.get(digest).await {
            // Whoever was about to delete it may have died before deciding.
            Err(Error::NoBlob(_)) if self.folder.restore(*digest).await? => self.objects.get(digest).await,
            found => found,
        }
    }

    async fn old(&self, first: u8, age: Duration) -> Result<Vec<Digest>, Error> {
        self.folder.old(first, age).await
    }

    async fn delete(&self, digest: &Digest, age: Duration) -> Result<bool, Error> {
        self.folder.delete(*digest, age).await
    }
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn put(&self, bytes: Bytes) -> Result<Digest, Error> {
        let digest = Digest::of(&bytes);
        // Written over, it is young again.
        self.0.0.put(&Objects::<InMemory>::path(&digest), bytes.into()).await.map_err(Error::Blobs)?;
        Ok(digest)
    }

    async fn get(&self, digest: &Digest) -> Result<Bytes, Error> {
        self.0.get(digest).await
    }

    async fn old(&self, first: u8, age: Duration) -> Result<Vec<Digest>, Error> {
        let under = Path::from(format!("{first:02x}"));
        let all: Vec<_> = self.0.0.list(Some(&under)).try_collect().await.map_err(Error::Blobs)?;
        let old = all.iter().filter(|one| is_old(one, age));
        Ok(old.filter_map(|one| one.location.filename()?.parse().ok()).collect())
    }

    async fn delete(&self, digest: &Digest, age: Duration) -> Result<bool, Error> {
        let path = Objects::<InMemory>::path(digest);
        let is_due = match self.0.0.head(&path).await {
            Ok(found) => is_old(&found, age),
            Err(object_store::Error::NotFound { .. }) => false,
            Err(error) => return Err(Error::Blobs(error)),
        };
        if is_due {
            self.0.0.delete(&path).await.map_err(Error::Blobs)?;
        }
        Ok(is_due)
    }
}

fn is_old(found: &object_store::ObjectMeta, age: Duration) -> bool {
    (chrono::Utc::now() - found.last_modified).to_std().is_ok_and(|passed| passed >= age)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn contract(blobs: &dyn BlobStore) {
        let digest = blobs.put(Bytes::from_static(b"oak")).await.unwrap();
        assert_eq!(digest, Digest::of("oak"));
        assert_eq!(blobs.put(Bytes::from_static(b"oak")).await.unwrap(), digest, "writing twice is harmless");
        assert_eq!(blobs.get(&digest).await.unwrap(), Bytes::from_static(b"oak"));
        assert!(matches!(blobs.get(&Digest::of("elm")).await, Err(Error::NoBlob(_))));

        const HOUR: Duration = Duration::from_secs(3600);
        let first = digest.bytes()[0];
        assert_eq!(blobs.old(first, Duration::ZERO).await.unwrap(), [digest]);
        assert_eq!(blobs.old(first.wrapping_add(1), Duration::ZERO).await.unwrap(), []);
        assert_eq!(blobs.old(first, HOUR).await.unwrap(), []);
        assert!(!blobs.delete(&digest, HOUR).await.unwrap(), "it is young");
        assert_eq!(blobs.get(&digest).await.unwrap(), Bytes::from_static(b"oak"));
        assert!(blobs.delete(&digest, Duration::ZERO).await.unwrap());
        assert!(!blobs.delete(&digest, Duration::ZERO).await.unwrap(), "deleting twice is harmless");
        assert!(matches!(blobs.get(&digest).await, Err(Error::NoBlob(_))));
        assert_eq!(blobs.put(Bytes::from_static(b"oak")).await.unwrap(), digest);
        assert_eq!(blobs.get(&digest).await.unwrap(), Bytes::from_static(b"oak"), "written again");
    }

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        contract(&MemoryBlobs::default()).await;
    }

    #[tokio::test]
    async fn a_folder_keeps_the_contract_and_notices_damage() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::open(&folder.path().join("blobs")).unwrap();
        contract(&blobs).await;
        let text = Digest::of("oak").to_string();
        let file = folder.path().join("blobs").join(&text[..2]).join(&text[2..4]).join(&text);
        std::fs::write(file, "ash").unwrap();
        assert!(matches!(blobs.get(&Digest::of("oak")).await, Err(Error::DamagedBlob(_))));
    }
}
