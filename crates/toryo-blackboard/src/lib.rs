//! Postgres: one module per aggregate, migrations, outbox, leases; the `BlobStore` port.
//!
//! The blackboard is the only channel between agents and the truth about every run. All SQL is here, as free
//! functions: those that write take the connection, so that the caller sees the transaction; those that read
//! take [`Db`]. This crate decides **nothing**: which step follows is the engine's business.

pub mod accounts;
pub mod allowances;
pub mod archive;
pub mod artifacts;
pub mod blobs;
pub mod db;
pub mod dead_letters;
pub mod embeddings;
pub mod error;
pub mod events;
pub mod executed;
pub mod graph;
pub mod idempotency;
pub mod leases;
pub mod ledger;
pub mod ledger_days;
pub mod messages;
pub mod model_calls;
pub mod named;
pub mod outbox;
pub mod outcomes;
pub mod page;
pub mod prompts;
pub mod pull_requests;
pub mod repos;
pub mod reservations;
mod row;
pub mod runs;
pub mod steps;
pub mod tasks;
pub mod tenants;
pub mod triggers;
pub mod usage;
pub mod workers;

pub use artifacts::Artifact;
pub use blobs::{BlobStore, FolderBlobs, MemoryBlobs};
pub use db::Db;
pub use dead_letters::DeadLetter;
pub use error::Error;
pub use leases::{Ceilings, Claim, Claimant, Claimed};
pub use messages::Message;
pub use page::Page;
pub use pull_requests::LocalPullRequest;
pub use repos::Repo;
pub use runs::{Control, Origin, Run, RunFilter};
pub use steps::{NewStep, StepFailure, StepRow};
pub use tasks::{Idempotency, TaskWithRuns};
pub use triggers::Trigger;
pub use workers::{RoleFigures, Worker};
