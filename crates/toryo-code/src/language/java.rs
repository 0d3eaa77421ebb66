//! Java.

mod imports;

use super::{CommentForm, Doc, Language, Layout, Scoping};
use std::sync::OnceLock;

/// The definition of Java.
pub(super) static JAVA: Language = Language {
    name: "Java",
    extensions: &["java"],
    grammar: || tree_sitter_java::LANGUAGE.into(),
    queries: &[include_str!("java.scm")],
    compiled: OnceLock::new(),
    layout: Layout::Braces,
    indentation: "    ",
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
    tail: super::no_tail,
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
    names_of: |symbol, source| crate::apply::scopes::places(symbol, source, &SCOPING),
    declared_encoding: super::no_encoding,
    read: super::no_reader,
    prepare: super::no_preparation,
    faults: super::no_faults,
    statements: None,
};

static SCOPING: Scoping = Scoping {
    names: &["identifier", "type_identifier"],
    member_names: &[],
    shorthands: &[],
    scopes: &[
        "method_declaration",
        "constructor_declaration",
        "compact_constructor_declaration",
        "lambda_expression",
        "block",
        "constructor_body",
        "for_statement",
        "enhanced_for_statement",
        "catch_clause",
        "try_with_resources_statement",
    ],
    bindings: &[
        ("formal_parameter", "name"),
        ("spread_parameter", ""),
        ("variable_declarator", "name"),
        ("catch_formal_parameter", "name"),
        ("enhanced_for_statement", "name"),
        ("resource", "name"),
        ("inferred_parameters", ""),
        ("lambda_expression", "parameters"),
        ("type_pattern", ""),
        ("type_parameter", ""),
    ],
    patterns: &[],
    members: &[
        ("method_invocation", "object", "name"),
        ("field_access", "object", "field"),
        ("method_reference", "", ""),
        ("scoped_type_identifier", "", ""),
    ],
    calls: &["method_invocation", "method_reference", "method_declaration"],
    keys: &[("element_value_pair", "key")],
    is_key: super::no_key,
    own: &["this", "super"],
    here: &[],
    receiver: super::no_receiver,
    bare_members: true,
};
