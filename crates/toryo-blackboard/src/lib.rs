//! Postgres: one module per aggregate, migrations, outbox, leases; the `BlobStore` port.
pub mod blobs;
pub mod error;

pub use blobs::{BlobStore, FolderBlobs, MemoryBlobs};
pub use error::Error;
