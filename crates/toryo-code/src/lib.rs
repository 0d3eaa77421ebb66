//! Reads and changes source text: outlines, locators, edits, diffs, three-way merge, syntax check.
//!
//! Start at [`outline()`] for reading. The core is **pure**: it never touches a file.

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
