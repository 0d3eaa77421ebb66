//! Code search: symbols, references, lexical ranking and context packs, without server or network.
//!
//! A [`Build`] makes a *record* of each content that is not known yet, a pure function of bytes and language that a
//! [`RecordStore`] keeps for all commits, branches, workers and restarts, and puts the [`Index`] of a commit together
//! from records; a refresh equals a cold build. The index answers issue-like texts with ranked files and symbols
//! ([`Index::retrieve`]) and cuts the context that a Coder gets ([`Index::pack`]). Equal input gives equal output.
//! [`IndexCache`] keeps the indexes of commits within a bound of memory and builds each once.
//!
//! This crate reads no repository: whoever calls it brings bytes. It knows no model and no tokenizer, and an index
//! holds no text: a pack asks its caller for the files it cuts.
//!
//! From bytes to an index: `kind`, `record`, `build`, `assemble`, `connect`. From a question to an answer: `query`,
//! `mentions`, `scoring`, `retrieve`, `pack`.

// What is known of one content.
mod kind;
mod manifest;
mod past;
mod record;
mod store;
mod terms;
mod text;

// What is known of one commit.
mod assemble;
mod build;
mod cache;
mod connect;
mod dictionary;
mod graph;
mod history;
mod imports;
mod index;
mod lexical;
mod names;
mod tested;
mod workspace;

// Questions and answers.
mod mentions;
mod pack;
mod query;
mod retrieve;
mod scoring;
pub mod tokens;
pub mod vectors;
mod vocabulary;

#[cfg(test)]
mod fixture;

pub use build::{Build, BuildError, BuildOptions, Progress, Reader, SourceFile, Sources, estimate};
pub use cache::{IndexCache, Known, Wanted};
pub use index::{Index, IndexedFile, IndexedSymbol, Statistics};
pub use kind::{FileKind, LARGEST_FILE_BYTES, SkipReason, Skipped};
pub use pack::{ContextPack, FILES_RANGE, Omitted, PackRequest, PackedFile, Section};
pub use past::{PastCommit, PastLog};
pub use record::{Chunk, ContentId, FORMAT, RecordKey};
pub use retrieve::{FileHit, Hits, RetrieveOptions, SymbolHit};
pub use scoring::Weights;
pub use store::{FolderStore, MemoryStore, RecordStore};
pub use tested::TestLink;
pub use text::Text;
pub use workspace::Workspace;
