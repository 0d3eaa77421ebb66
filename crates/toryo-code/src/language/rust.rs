//! Rust.

mod imports;

use super::{CommentForm, Doc, Language, Layout};
use std::sync::OnceLock;

/// The definition of Rust.
pub(super) static RUST: Language = Language {
    name: "Rust",
    extensions: &["rs"],
    grammar: || tree_sitter_rust::LANGUAGE.into(),
    queries: &[include_str!("rust.scm")],
    compiled: OnceLock::new(),
    layout: Layout::Braces,
    comments: &["line_comment", "block_comment"],
    line_comment: "//",
    strings: &["string_literal", "raw_string_literal"],
    blocks: &["block", "declaration_list", "field_declaration_list", "enum_variant_list", "source_file"],
    leading: &[],
    doc: Doc::Above { starts: &["///", "/**"], form: CommentForm::Lines("/// ") },
    decorators: &["attribute_item"],
    modifiers: &[],
    decorator: Some(("#[", "]")),
    terminators: &[],
    definition_starts: &[
        "fn ",
        "pub ",
        "pub(",
        "async fn ",
        "unsafe ",
        "const fn ",
        "extern ",
        "impl",
        "struct ",
        "enum ",
        "trait ",
        "union ",
        "mod ",
        "macro_rules!",
        "#[",
        "///",
        "/**",
    ],
    gap: 1,
    keywords: " Self abstract as async await become box break const continue crate do dyn else enum extern false \
        final fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static \
        struct super trait true try type typeof unsafe unsized use virtual where while yield ",
    imports: imports::listed,
    add_imports: imports::splices,
    names_of: super::no_names,
    declared_encoding: super::no_encoding,
    prepare: super::no_preparation,
    faults: super::no_faults,
};
