//! Reads and changes source text: outlines, locators, edits, diffs, three-way merge, syntax check.
//!
//! | to | start at |
//! | --- | --- |
//! | see what a file defines, imports and uses | [`outline()`] |
//! | read what a model proposes | [`EditSet::parse`] |
//! | apply it to files in memory, all or nothing | [`apply()`] |
//! | show a change, or count its lines | [`diff::unified`], [`diff::stats`] |
//! | join two changes of one file | [`merge()`] |
//! | apply it to a working tree | [`worktree::WorkTree`] |
//!
//! The core is **pure**: only [`worktree`] touches a file system, nothing here is async, runs a command or
//! knows Git's objects. Texts are hostile: sizes, nesting and the parser's work are bounded, and what passes a
//! bound is a refusal. Nothing guesses: a place is found exactly or refused with candidates.
//!
//! A language is a row of the table in `language`, with a file of queries: Python, JavaScript, TypeScript, TSX,
//! Rust, Go and Java. Other files are text.

pub mod apply;
pub mod diff;
pub mod edit;
mod language;
pub mod merge;
pub mod outline;
pub mod refusal;
pub mod syntax;
pub mod text;
pub mod worktree;

pub use apply::{Applied, EditResult, FileChange, Files, ReadError, Status, apply};
pub use edit::{EditSet, EditType, Locator, Operation, Patch, Position, ProposeEdit, Target};
pub use language::language_name;
pub use merge::{Clash, Conflict, merge};
pub use outline::{Import, Outline, Reference, Symbol, SymbolKind, outline};
pub use refusal::{Candidate, Refusal};
pub use syntax::{SyntaxError, syntax_errors};
pub use text::Span;
