//! Go.

mod imports;

use super::{CommentForm, Doc, Language, Layout, Scoping};
use std::sync::OnceLock;

/// The definition of Go.
pub(super) static GO: Language = Language {
    name: "Go",
    extensions: &["go"],
    grammar: || tree_sitter_go::LANGUAGE.into(),
    queries: &[include_str!("go.scm")],
    compiled: OnceLock::new(),
    layout: Layout::Braces,
    indentation: "\t",
    comments: &["comment"],
    line_comment: "//",
    strings: &["raw_string_literal"],
    blocks: &["block", "field_declaration_list", "interface_type", "source_file"],
    tail: super::no_tail,
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
    fields_apart: false,
    names_of: |symbol, source| crate::apply::scopes::places(symbol, source, &SCOPING),
    declared_encoding: super::no_encoding,
    read: super::no_reader,
    prepare: super::no_preparation,
    faults: super::no_faults,
    statements: None,
};

static SCOPING: Scoping = Scoping {
    names: &["identifier", "type_identifier", "field_identifier"],
    member_names: &["field_identifier"],
    shorthands: &[],
    scopes: &[
        "function_declaration",
        "method_declaration",
        "func_literal",
        "block",
        "for_statement",
        "if_statement",
        "expression_switch_statement",
        "type_switch_statement",
        "expression_case",
        "communication_case",
    ],
    bindings: &[
        ("parameter_declaration", "name"),
        ("variadic_parameter_declaration", "name"),
        ("type_parameter_declaration", "name"),
        ("short_var_declaration", "left"),
        ("range_clause", "left"),
        ("receive_statement", "left"),
        ("var_spec", "name"),
        ("const_spec", "name"),
        ("type_spec", "name"),
    ],
    patterns: &["expression_list"],
    members: &[("selector_expression", "operand", "field"), ("qualified_type", "package", "name")],
    calls: &[],
    keys: &[("field_declaration", "name")],
    is_key,
    own: &[],
    here: &[],
    receiver,
    bare_members: false,
};

/// Whether a name is the key of a structure's field: in maps and arrays keys are values.
fn is_key(node: tree_sitter::Node<'_>) -> bool {
    let element = node.parent().and_then(|parent| Some((parent, parent.parent()?)));
    let Some((inner, keyed)) = element.filter(|(_, keyed)| keyed.kind() == "keyed_element") else {
        return false;
    };
    let literal =
        keyed.parent().and_then(|value| value.parent()).filter(|outer| outer.kind() == "composite_literal");
    let typed = literal.and_then(|literal| literal.child_by_field_name("type"));
    let is_key = keyed.child_by_field_name("key").is_some_and(|key| key.id() == inner.id());
    is_key && !typed.is_some_and(|typed| typed.kind() == "map_type" || typed.kind().ends_with("array_type"))
}

/// The name of the receiver of the method around a node.
fn receiver(node: tree_sitter::Node<'_>, text: &str) -> Option<String> {
    let mut node = node;
    while node.kind() != "method_declaration" {
        node = node.parent()?;
    }
    let parameter = node.child_by_field_name("receiver")?.named_child(0)?;
    Some(text[parameter.child_by_field_name("name")?.byte_range()].to_owned())
}
