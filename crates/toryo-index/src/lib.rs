//! Code search: symbols, references, lexical ranking and context packs, in memory, without server or network.
//!
//! An [`Index`] is built from the files of one commit ([`Index::build`]), answers issue-like texts with ranked
//! files and symbols ([`Index::retrieve`]) and cuts the context that a Coder gets ([`Index::pack`]). Equal input
//! gives equal output. [`IndexCache`] keeps the indexes of commits and builds each once.
//!
//! This crate reads no files and no Git: whoever calls it brings bytes. It knows no model and no tokenizer, and
//! holds no text: a pack asks its caller for the files it cuts.

mod assemble;
mod build;
mod cache;
mod connect;
mod dictionary;
#[cfg(test)]
mod fixture;
mod graph;
mod history;
mod imports;
mod index;
mod kind;
mod lexical;
mod manifest;
mod mentions;
mod names;
mod pack;
mod past;
mod query;
mod record;
mod retrieve;
mod scoring;
mod store;
mod terms;
mod text;
pub mod tokens;
pub mod vectors;
mod vocabulary;
mod workspace;

pub use build::{Build, BuildError, BuildOptions, Progress, Reader, SourceFile, Sources, estimate};
pub use cache::{IndexCache, Known, Wanted};
pub use index::{Index, IndexedFile, IndexedSymbol, Statistics, TestLink};
pub use kind::{FileKind, LARGEST_FILE_BYTES, SkipReason, Skipped};
pub use pack::{ContextPack, FILES_RANGE, Omitted, PackRequest, PackedFile, Section};
pub use past::{PastCommit, PastLog};
pub use record::{Chunk, ContentId, FORMAT, RecordKey};
pub use retrieve::{FileHit, Hits, RetrieveOptions, SymbolHit};
pub use scoring::Weights;
pub use store::{FolderStore, MemoryStore, RecordStore};
pub use text::Text;
pub use workspace::Workspace;
