//! Rust.

mod imports;

use super::{CommentForm, Doc, Language, Layout, Scoping, Tail};
use crate::apply::{Miss, Source, scopes};
use crate::outline::{Symbol, SymbolKind};
use crate::refusal::Refusal;
use crate::text::Span;
use std::sync::OnceLock;
use tree_sitter::Node;

/// The definition of Rust.
pub(super) static RUST: Language = Language {
    name: "Rust",
    extensions: &["rs"],
    grammar: || tree_sitter_rust::LANGUAGE.into(),
    queries: &[include_str!("rust.scm")],
    compiled: OnceLock::new(),
    layout: Layout::Braces,
    indentation: "    ",
    comments: &["line_comment", "block_comment"],
    line_comment: "//",
    strings: &["string_literal", "raw_string_literal"],
    blocks: &["block", "declaration_list", "field_declaration_list", "enum_variant_list", "source_file"],
    tail,
    leading: &[],
    doc: Doc::Above { starts: &["///", "/**"], form: CommentForm::Lines("/// ") },
    decorators: &["attribute_item"],
    modifiers: &[],
    decorator: Some(("#[", "]")),
    terminators: &[','],
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
    fields_apart: true,
    names_of,
    declared_encoding: super::no_encoding,
    read: super::no_reader,
    prepare: super::no_preparation,
    faults: super::no_faults,
    statements: None,
};

/// A body's last expression is its value, also one in braces that needs no `;`, where the function has a value.
fn tail(function: Node<'_>) -> Tail {
    let Some(body) = function.child_by_field_name("body") else { return Tail::Statement };
    let mut cursor = body.walk();
    let code = body.named_children(&mut cursor).filter(|node| !RUST.comments.contains(&node.kind()));
    let Some(last) = code.last() else { return Tail::Statement };
    let has_value = function.child_by_field_name("return_type").is_some();
    let ends_with_semicolon = |node: Node<'_>| {
        let end = node.child(node.child_count().saturating_sub(1));
        end.is_some_and(|end| end.kind() == ";")
    };
    match last.kind() {
        "expression_statement" if ends_with_semicolon(last) => Tail::Statement,
        "expression_statement" => {
            let repeats = matches!(
                last.named_child(0).map(|node| node.kind()),
                Some("for_expression" | "while_expression")
            );
            if has_value && !repeats { Tail::Value } else { Tail::Statement }
        }
        kind if kind == "let_declaration" || kind.ends_with("_item") || kind.ends_with("_definition") => {
            Tail::Statement
        }
        "empty_statement" | "use_declaration" | "extern_crate_declaration" | "associated_type" => {
            Tail::Statement
        }
        _ if has_value => Tail::Value,
        _ => Tail::Open(last.end_byte()),
    }
}

/// A field and a method of one name are told apart by calls alone, which the shared rules do not ask for.
fn names_of(symbol: &Symbol, source: &Source) -> Result<Vec<Span>, Miss> {
    let owner = |symbol: &Symbol| symbol.path.rsplit_once('.').map(|(owner, _)| owner.to_owned());
    let is_method = |symbol: &Symbol| symbol.kind == SymbolKind::Method;
    let twin = source.symbols().iter().find(|other| {
        other.name == symbol.name && owner(other) == owner(symbol) && is_method(other) != is_method(symbol)
    });
    if twin.is_some_and(|_| symbol.parent.is_some()) {
        let why = format!("`{}` is a field and a method; edit its places by line_range", symbol.name);
        return Err(Refusal::Unfit(why).into());
    }
    scopes::places(symbol, source, &SCOPING)
}

static SCOPING: Scoping = Scoping {
    names: &["identifier", "type_identifier", "field_identifier", "shorthand_field_identifier"],
    member_names: &["field_identifier"],
    shorthands: &["shorthand_field_identifier"],
    scopes: &[
        "function_item",
        "closure_expression",
        "block",
        "for_expression",
        "match_arm",
        "impl_item",
        "mod_item",
    ],
    bindings: &[
        ("let_declaration", "pattern"),
        ("parameter", "pattern"),
        ("closure_parameters", ""),
        ("for_expression", "pattern"),
        ("let_condition", "pattern"),
        ("match_pattern", ""),
        ("field_pattern", "pattern"),
        ("captured_pattern", ""),
        ("function_item", "name"),
        ("const_item", "name"),
        ("struct_item", "name"),
        ("type_parameter", "name"),
        ("const_parameter", "name"),
    ],
    patterns: &[
        "tuple_pattern",
        "tuple_struct_pattern",
        "struct_pattern",
        "ref_pattern",
        "mut_pattern",
        "slice_pattern",
        "reference_pattern",
        "or_pattern",
    ],
    members: &[
        ("field_expression", "value", "field"),
        ("scoped_identifier", "path", "name"),
        ("scoped_type_identifier", "path", "name"),
    ],
    calls: &[],
    keys: &[("field_initializer", "field"), ("field_declaration", "name")],
    is_key: super::no_key,
    own: &["self", "Self"],
    here: &["self", "crate"],
    receiver: super::no_receiver,
    bare_members: false,
};
