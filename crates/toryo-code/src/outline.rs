//! What a file defines, imports and uses.
//!
//! Reading order: the types here, `rules` (a language's queries made ready), `find` (the walk over the tree),
//! `definition` (what was found, as numbers), `place` (symbols of it), `reading` (an outline without a tree).

mod definition;
mod find;
mod place;
mod reading;
mod rules;

pub(crate) use definition::{Body, Definition};
pub(crate) use find::{outline_of, symbols_of};
pub(crate) use reading::Reading;
pub(crate) use rules::Rules;

use crate::language;
use crate::syntax;
use crate::text::Span;
use toryo_domain::RepoPath;

/// What kind of thing a symbol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SymbolKind {
    /// A type with members: a class, structure, enumeration, interface or trait; also a block of members such as
    /// Rust's `impl`.
    Class,
    /// A function outside a class, also one inside another function; a macro.
    Function,
    /// A function directly inside a class, or one that belongs to a type by its receiver.
    Method,
    /// A module or namespace inside a file.
    Module,
    /// A name for a value or type at the level of a file, module or class.
    Variable,
}

/// Something a file defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// The dotted path, such as `Class.method`; the second of equals is `f[2]`. What stands in a block of members
    /// is named after its type; the block itself by its header, such as `impl Display for Foo`.
    pub path: String,
    /// The last name of the path.
    pub name: String,
    /// What it is.
    pub kind: SymbolKind,
    /// The header without the body, on one line.
    pub signature: String,
    /// The first line with text of its documentation.
    pub doc: Option<String>,
    /// Its bytes: from its documentation, decorators, attributes or `export` above it to the end of its last
    /// line of code or of a comment of its own, without the line break.
    pub span: Span,
    /// The same without what stands in front: decorators, attributes, documentation, `export`.
    pub definition: Span,
    /// The bytes of its name where it is defined.
    pub name_span: Span,
    /// The bytes of its body, if it has one: its statements or members without the braces around them. An empty
    /// body is empty behind its brace.
    pub body: Option<Span>,
    /// The first line of the span, from 1.
    pub first_line: u32,
    /// The last line of the span, from 1, inclusive.
    pub last_line: u32,
    /// The symbol whose bytes hold it, as an index of the outline's symbols.
    pub parent: Option<usize>,
}

/// A module that a file imports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    /// The module as written, with leading dots where it is relative.
    pub module: String,
    /// The names taken from it, by their names there; `*` for all; empty where the module itself is imported.
    pub names: Vec<String>,
    /// Names that are known under another one in this file: the name there, the name here.
    pub aliases: Vec<(String, String)>,
    /// The line of the statement, from 1.
    pub line: u32,
}

/// A use of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The name alone, without what stands before a dot.
    pub name: String,
    /// The line, from 1.
    pub line: u32,
}

/// What a file defines, imports and uses; each in the order of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The definitions; a parent stands before its children.
    pub symbols: Vec<Symbol>,
    /// The imports.
    pub imports: Vec<Import>,
    /// The uses of names, without definitions, parameters and imports.
    pub references: Vec<Reference>,
}

/// The outline of a file. Empty for languages without a definition and for texts that cannot be parsed within
/// bounds; faulty text has the symbols that the parser makes out.
#[must_use]
pub fn outline(path: &RepoPath, text: &str) -> Outline {
    let Some(language) = language::of(path) else { return Outline::default() };
    if let Some(reading) = (language.read)(text).filter(|_| syntax::check_size(text).is_ok()) {
        return reading.outline(language, text);
    }
    match syntax::parse(language, text) {
        Ok(tree) => outline_of(language, text, &tree),
        Err(_) => Outline::default(),
    }
}

/// A text with its white space made single spaces.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// The column at which white space ends; a tab reaches the next multiple of eight, as in Python.
pub(crate) fn column(indentation: &str) -> usize {
    indentation.chars().fold(0, |column, c| match c {
        '\t' => (column / 8 + 1) * 8,
        '\x0c' => 0,
        _ => column + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RepoPath {
        text.parse().expect("a path")
    }

    /// One line a symbol: kind, path, lines, signature, docstring.
    fn listing(text: &str) -> String {
        let line = |symbol: &Symbol| {
            let lines = format!("{}-{}", symbol.first_line, symbol.last_line);
            let doc = symbol.doc.as_deref().map(|doc| format!(" # {doc}")).unwrap_or_default();
            format!("{:?} {} {lines}: {}{doc}", symbol.kind, symbol.path, symbol.signature)
        };
        outline(&path("a.py"), text).symbols.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn symbols_are_found_at_every_place_python_allows() {
        insta::assert_snapshot!(listing(include_str!("../tests/fixtures/shapes.py")));
    }

    #[test]
    fn a_comment_belongs_to_the_definition_it_is_indented_into() {
        let text = "def f():\n    return 1  # one\n    # still f\n\n# of g\ndef g(): return 2\n# last\n";
        assert_eq!(listing(text), "Function f 1-3: def f()\nFunction g 6-6: def g()");
        let symbols = outline(&path("a.py"), text).symbols;
        assert_eq!(&text[symbols[0].span.range()], "def f():\n    return 1  # one\n    # still f");
    }

    #[test]
    fn a_form_feed_does_not_cut_a_function_short() {
        let text = "class A:\n    def f(self):\n        a = 1\n\x0c\n        return a\n\n\x0c    def g(self):\n        pass\n";
        assert_eq!(
            listing(text),
            "Class A 1-8: class A\nMethod A.f 2-5: def f(self)\nMethod A.g 7-8: def g(self)"
        );
    }

    #[test]
    fn imports_and_uses_are_listed_with_their_lines() {
        let text = "import os, a.b as c\nfrom ..x import (y as z,\n  w)\nfrom . import *\n\ndef f(p, q=w, *r):\n    local = z(p, key=os.path)\n    return c.d.e(local)\n";
        let outline = outline(&path("a.py"), text);
        let imports: Vec<String> = outline
            .imports
            .iter()
            .map(|i| format!("{}:{}:{}", i.line, i.module, i.names.join("+")))
            .collect();
        assert_eq!(imports, ["1:os:", "1:a.b:", "2:..x:y+w", "4:.:*"]);
        let aliases = outline.imports.iter().flat_map(|import| &import.aliases);
        let aliases: Vec<String> = aliases.map(|(there, here)| format!("{there}={here}")).collect();
        assert_eq!(aliases, ["a.b=c", "y=z"]);
        let uses: Vec<String> = outline.references.iter().map(|r| format!("{}:{}", r.line, r.name)).collect();
        assert_eq!(uses.join(" "), "6:w 7:z 7:p 7:os 7:path 8:c 8:d 8:e 8:local");
    }

    #[test]
    fn other_languages_and_faulty_texts_do_no_harm() {
        assert_eq!(outline(&path("a.txt"), "def f(): pass"), Outline::default());
        assert_eq!(
            listing("def f(:\n    pass\n\ndef g():\n    pass\n").lines().last(),
            Some("Function g 4-5: def g()")
        );
        for opening in ["(", "[", "{", "x(", "f(lambda:", "not ", "a.b(c)["] {
            let deep = outline(&path("a.py"), &opening.repeat(100_000));
            assert!(deep.symbols.is_empty());
        }
    }

    proptest::proptest! {
        #[test]
        fn spans_nest_and_lie_on_characters(text in "((def|class) [a-cé]\\(?\\)?:|\n|\n    |\n        |#é|@d|x = 1|pass|;|\"\"\"|\x0c|\r\n|\t){0,40}") {
            let outline = outline(&path("a.py"), &text);
            for symbol in &outline.symbols {
                proptest::prop_assert!(text.get(symbol.span.range()).is_some());
                proptest::prop_assert!(symbol.span.holds(symbol.definition) && symbol.definition.holds(symbol.name_span));
                if let Some(parent) = symbol.parent {
                    proptest::prop_assert!(outline.symbols[parent].span.holds(symbol.span), "{:?}", outline.symbols);
                }
            }
        }
    }
}
