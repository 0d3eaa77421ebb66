//! Go.

mod imports;

use super::{CommentForm, Doc, Language, Layout};
use std::sync::OnceLock;

/// The definition of Go.
pub(super) static GO: Language = Language {
    name: "Go",
    extensions: &["go"],
    grammar: || tree_sitter_go::LANGUAGE.into(),
    queries: &[include_str!("go.scm")],
    compiled: OnceLock::new(),
    layout: Layout::Braces,
    comments: &["comment"],
    line_comment: "//",
    strings: &["raw_string_literal"],
    blocks: &["block", "field_declaration_list", "interface_type", "source_file"],
    leading: &[],
    doc: Doc::Above { starts: &["//", "/*"], form: CommentForm::Lines("// ") },
    decorators: &[],
    modifiers: &[],
    decorator: None,
    terminators: &[],
    definition_starts: &["func ", "type ", "//", "/*"],
    gap: 1,
    keywords: " break case chan const continue default defer else fallthrough for func go goto if import interface \
        map package range return select struct switch type var ",
    imports: imports::listed,
    add_imports: imports::splices,
    names_of: super::no_names,
    declared_encoding: super::no_encoding,
    prepare: super::no_preparation,
    faults: super::no_faults,
};
