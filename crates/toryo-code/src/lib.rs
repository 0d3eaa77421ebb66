//! Reads and changes source text: outlines, locators, edits, diffs, three-way merge, syntax check.
//!
//! Start at [`outline()`] for reading. The core is **pure**: it never touches a file.

mod language;
pub mod outline;
pub mod syntax;
pub mod text;

pub use language::language_name;
pub use outline::{Import, Outline, Reference, Symbol, SymbolKind, outline};
pub use syntax::{SyntaxError, syntax_errors};
pub use text::Span;
