//! JavaScript, TypeScript and TSX: one language with two grammars more.

mod imports;

use super::{CommentForm, Doc, Language, Layout, Scoping};
use std::sync::OnceLock;

/// JavaScript with JSX, by whichever module system.
pub(super) static JAVASCRIPT: Language = language(
    "JavaScript",
    &["js", "jsx", "mjs", "cjs"],
    || tree_sitter_javascript::LANGUAGE.into(),
    &[include_str!("ecmascript.scm"), include_str!("javascript.scm")],
);

/// TypeScript without JSX, where `<T>x` is a cast.
pub(super) static TYPESCRIPT: Language = language(
    "TypeScript",
    &["ts", "mts", "cts"],
    || tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
    &[include_str!("ecmascript.scm"), include_str!("typescript.scm")],
);

/// TypeScript with JSX.
pub(super) static TSX: Language = language(
    "TSX",
    &["tsx"],
    || tree_sitter_typescript::LANGUAGE_TSX.into(),
    &[include_str!("ecmascript.scm"), include_str!("typescript.scm")],
);

/// Reserved words (ECMA-262, 12.7.2) and those that are reserved in modules.
const KEYWORDS: &str = " arguments await break case catch class const continue debugger default delete do else \
    enum eval export extends false finally for function if implements import in instanceof interface let new null \
    package private protected public return static super switch this throw true try typeof var void while with \
    yield ";

const fn language(
    name: &'static str,
    extensions: &'static [&'static str],
    grammar: fn() -> tree_sitter::Language,
    queries: &'static [&'static str],
) -> Language {
    Language {
        name,
        extensions,
        grammar,
        queries,
        compiled: OnceLock::new(),
        layout: Layout::Braces,
        indentation: "  ",
        comments: &["comment", "html_comment", "hash_bang_line"],
        line_comment: "//",
        strings: &["template_string"],
        blocks: &["statement_block", "class_body", "interface_body", "enum_body", "object_type", "program"],
        tail: super::no_tail,
        leading: &[],
        doc: Doc::Above { starts: &["/**"], form: CommentForm::Block },
        decorators: &["decorator"],
        modifiers: &[],
        decorator: Some(("@", "")),
        terminators: &[';', ','],
        definition_starts: &[
            "function ",
            "function* ",
            "async function ",
            "class ",
            "abstract class ",
            "export function ",
            "export async function ",
            "export default ",
            "export class ",
            "export abstract class ",
            "export interface ",
            "export enum ",
            "interface ",
            "enum ",
            "namespace ",
            "export namespace ",
            "@",
            "/**",
        ],
        gap: 1,
        keywords: KEYWORDS,
        imports: imports::listed,
        add_imports: imports::splices,
        fields_apart: false,
        names_of: |symbol, source| crate::apply::scopes::places(symbol, source, &SCOPING),
        declared_encoding: super::no_encoding,
        read: super::no_reader,
        prepare: super::no_preparation,
        faults: super::no_faults,
        statements: None,
    }
}

static SCOPING: Scoping = Scoping {
    names: &[
        "identifier",
        "type_identifier",
        "property_identifier",
        "private_property_identifier",
        "shorthand_property_identifier",
        "shorthand_property_identifier_pattern",
    ],
    member_names: &["property_identifier", "private_property_identifier"],
    shorthands: &["shorthand_property_identifier", "shorthand_property_identifier_pattern"],
    scopes: &[
        "function_declaration",
        "function_expression",
        "generator_function",
        "generator_function_declaration",
        "arrow_function",
        "method_definition",
        "statement_block",
        "for_statement",
        "for_in_statement",
        "catch_clause",
        "class",
    ],
    bindings: &[
        ("variable_declarator", "name"),
        ("formal_parameters", ""),
        ("required_parameter", "pattern"),
        ("optional_parameter", "pattern"),
        ("arrow_function", "parameter"),
        ("catch_clause", "parameter"),
        ("for_in_statement", "left"),
        ("function_declaration", "name"),
        ("function_expression", "name"),
        ("class_declaration", "name"),
        ("class", "name"),
        ("assignment_pattern", "left"),
        ("object_assignment_pattern", "left"),
        ("pair_pattern", "value"),
        ("type_parameter", "name"),
    ],
    patterns: &["object_pattern", "array_pattern", "rest_pattern"],
    members: &[("member_expression", "object", "property"), ("nested_type_identifier", "module", "name")],
    calls: &[],
    keys: &[
        ("pair", "key"),
        ("import_specifier", "name"),
        ("export_specifier", "alias"),
        ("labeled_statement", "label"),
        ("jsx_attribute", "name"),
        ("method_definition", "name"),
        ("public_field_definition", "name"),
        ("field_definition", "property"),
        ("property_signature", "name"),
        ("method_signature", "name"),
    ],
    is_key: super::no_key,
    own: &["this", "super"],
    here: &[],
    receiver: super::no_receiver,
    bare_members: false,
};
