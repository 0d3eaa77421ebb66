//! Java.

mod imports;

use super::{CommentForm, Doc, Language, Layout};
use std::sync::OnceLock;

/// The definition of Java.
pub(super) static JAVA: Language = Language {
    name: "Java",
    extensions: &["java"],
    grammar: || tree_sitter_java::LANGUAGE.into(),
    queries: &[include_str!("java.scm")],
    compiled: OnceLock::new(),
    layout: Layout::Braces,
    comments: &["line_comment", "block_comment"],
    line_comment: "//",
    strings: &["string_literal"],
    blocks: &[
        "block",
        "class_body",
        "interface_body",
        "enum_body",
        "enum_body_declarations",
        "annotation_type_body",
        "constructor_body",
        "program",
    ],
    leading: &["explicit_constructor_invocation"],
    doc: Doc::Above { starts: &["/**", "///"], form: CommentForm::Block },
    decorators: &["annotation", "marker_annotation"],
    modifiers: &["modifiers"],
    decorator: Some(("@", "")),
    terminators: &[],
    definition_starts: &[
        "public ",
        "protected ",
        "private ",
        "static ",
        "final ",
        "abstract ",
        "class ",
        "interface ",
        "enum ",
        "record ",
        "void ",
        "@",
        "/**",
    ],
    gap: 1,
    keywords: " _ abstract assert boolean break byte case catch char class const continue default do double else \
        enum extends false final finally float for goto if implements import instanceof int interface long native \
        new null package private protected public return short static strictfp super switch synchronized this \
        throw throws transient true try void volatile while ",
    imports: imports::listed,
    add_imports: imports::splices,
    names_of: super::no_names,
    declared_encoding: super::no_encoding,
    prepare: super::no_preparation,
    faults: super::no_faults,
};
