//! Python: docstrings, imports, and what its grammar does not refuse.

mod faults;
mod imports;
mod lines;
mod reader;
mod rename;

use super::{Doc, Language, Layout};
use crate::apply::Statements;
use crate::outline::Import;
use std::sync::OnceLock;
use tree_sitter::Node;

/// The definition of Python.
pub(super) static PYTHON: Language = Language {
    name: "Python",
    extensions: &["py", "pyi"],
    grammar: || tree_sitter_python::LANGUAGE.into(),
    queries: &[include_str!("python.scm")],
    compiled: OnceLock::new(),
    layout: Layout::Indented { filler: "pass" },
    indentation: "    ",
    comments: &["comment"],
    line_comment: "#",
    strings: &["string"],
    blocks: &["block"],
    tail: super::no_tail,
    leading: &[],
    doc: Doc::Inside { node: docstring, first_line: doc_line },
    decorators: &["decorator"],
    modifiers: &[],
    decorator: Some(("@", "")),
    terminators: &[],
    definition_starts: &["def ", "class ", "async def ", "@"],
    gap: 2,
    keywords: KEYWORDS,
    imports,
    add_imports: imports::splices,
    fields_apart: false,
    names_of: rename::places,
    declared_encoding,
    read: reader::read,
    prepare,
    faults: faults::faults,
    statements: Some(Statements {
        lines: lines::logical,
        clauses: &["elif", "else", "except", "finally"],
        lead: "@",
        owner: "class ",
    }),
};

/// Words that are no names (Python reference, 2.3.1).
const KEYWORDS: &str = " False None True and as assert async await break class continue def del elif else except \
    finally for from global if import in is lambda nonlocal not or pass raise return try while with yield ";

/// The docstring of a body: its first statement, if that is a plain string.
fn docstring(body: Node<'_>) -> Option<Node<'_>> {
    let mut cursor = body.walk();
    let first = body.named_children(&mut cursor).find(|child| child.kind() != "comment")?;
    let string = first.named_child(0).filter(|_| first.kind() == "expression_statement")?;
    matches!(string.kind(), "string" | "concatenated_string").then_some(string)
}

/// The first line with text of a string literal.
fn doc_line(literal: &str) -> Option<String> {
    let body = literal.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let quote = if body.starts_with("\"\"\"") || body.starts_with("'''") { 3 } else { 1 };
    let body = body.get(quote..)?;
    let body = body.get(..body.len().checked_sub(quote)?)?;
    body.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// `import a, b.c` is two imports without names; `from . import d` one with names.
fn imports(node: Node<'_>, text: &str, found: &mut Vec<Import>) {
    let words = |node: Node<'_>| text.get(node.byte_range()).unwrap_or_default().split_whitespace().collect();
    let plain = |node: Node<'_>| -> String {
        let inner = if node.kind() == "aliased_import" { node.child_by_field_name("name") } else { None };
        words(inner.unwrap_or(node))
    };
    let alias = |node: Node<'_>| {
        let alias = if node.kind() == "aliased_import" { node.child_by_field_name("alias") } else { None };
        alias.map(|alias| (plain(node), words(alias)))
    };
    let mut cursor = node.walk();
    let named: Vec<Node<'_>> = node.children_by_field_name("name", &mut cursor).collect();
    match node.kind() {
        "import_statement" => found.extend(named.into_iter().map(|node| Import {
            module: plain(node),
            aliases: alias(node).into_iter().collect(),
            ..Import::default()
        })),
        "import_from_statement" => {
            let mut names: Vec<String> = named.iter().copied().map(plain).collect();
            let aliases = named.into_iter().filter_map(alias).collect();
            let module = node.child_by_field_name("module_name").map(words).unwrap_or_default();
            let mut cursor = node.walk();
            if node.named_children(&mut cursor).any(|child| child.kind() == "wildcard_import") {
                names.push("*".to_owned());
            }
            found.push(Import { module, names, aliases, line: 0 });
        }
        _ => {}
    }
}

/// A form feed at the start of a line sets the indentation back to nothing (Python reference, 2.1.8). The
/// grammar does so only sometimes; a line break in its place says the same to it.
fn prepare(text: &str) -> Option<String> {
    if !text.contains('\x0c') {
        return None;
    }
    let mut prepared = String::with_capacity(text.len());
    let mut at_start = true;
    for c in text.chars() {
        prepared.push(match c {
            '\x0c' if at_start => '\n',
            '\x0c' => ' ',
            other => other,
        });
        at_start = c == '\n' || at_start && matches!(c, ' ' | '\t' | '\x0c' | '\r');
    }
    Some(prepared)
}

/// The encoding that a comment in one of the first two lines declares (PEP 263).
fn declared_encoding(content: &[u8]) -> Option<String> {
    let comment = |line: &[u8]| {
        let line = String::from_utf8_lossy(line).into_owned();
        let comment = line.trim_start_matches([' ', '\t', '\x0c']).strip_prefix('#')?;
        let after = &comment[comment.find("coding")? + "coding".len()..];
        let name = after.strip_prefix([':', '='])?.trim_start_matches([' ', '\t']);
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'));
        Some(name[..end.unwrap_or(name.len())].to_owned()).filter(|name| !name.is_empty())
    };
    content.split(|byte| *byte == b'\n').take(2).find_map(comment)
}
