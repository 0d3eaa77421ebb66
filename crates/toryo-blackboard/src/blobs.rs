//! The `BlobStore` port: immutable bytes under their SHA-256.

use crate::Error;
use async_trait::async_trait;
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use std::sync::Arc;
use toryo_domain::Digest;

/// Keeps immutable bytes under their digest. Writing the same bytes twice is harmless.
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
}

/// Blobs in a folder, two levels deep by the first digits of the digest.
#[derive(Debug)]
pub struct FolderBlobs(Objects<LocalFileSystem>);

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
        Ok(Self(Objects(Arc::new(store))))
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

    async fn put(&self, bytes: Bytes) -> Result<Digest, Error> {
        let digest = Digest::of(&bytes);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.0.put_opts(&Self::path(&digest), bytes.into(), options).await {
            // The name is the content: what is there already is what was to be written.
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(digest),
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
        self.0.put(bytes).await
    }

    async fn get(&self, digest: &Digest) -> Result<Bytes, Error> {
        self.0.get(digest).await
    }
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn put(&self, bytes: Bytes) -> Result<Digest, Error> {
        self.0.put(bytes).await
    }

    async fn get(&self, digest: &Digest) -> Result<Bytes, Error> {
        self.0.get(digest).await
    }
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
