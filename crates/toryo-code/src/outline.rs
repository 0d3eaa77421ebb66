//! What a file defines, imports and uses.

use crate::language::{self, Language};
use crate::syntax::{self, Walk};
use crate::text::{Lines, Span};
use std::collections::{HashMap, HashSet};
use streaming_iterator::StreamingIterator;
use toryo_domain::RepoPath;
use tree_sitter::{Node, QueryCursor, Tree};

/// What kind of thing a symbol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SymbolKind {
    /// A class.
    Class,
    /// A function outside a class, also one inside another function.
    Function,
    /// A function directly inside a class.
    Method,
    /// A name assigned at the level of a module or class.
    Variable,
}

/// Something a file defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// The dotted path, such as `Class.method`; the second of equals is `f[2]`.
    pub path: String,
    /// The last name of the path.
    pub name: String,
    /// What it is.
    pub kind: SymbolKind,
    /// The header without the body, on one line.
    pub signature: String,
    /// The first line with text of its docstring.
    pub doc: Option<String>,
    /// Its bytes: from the first decorator to the end of its last line of code or of a comment of its own,
    /// without the line break.
    pub span: Span,
    /// The same without decorators.
    pub definition: Span,
    /// The bytes of its name where it is defined.
    pub name_span: Span,
    /// The bytes of its body, if it has one.
    pub body: Option<Span>,
    /// The first line of the span, from 1.
    pub first_line: u32,
    /// The last line of the span, from 1, inclusive.
    pub last_line: u32,
    /// The symbol it is defined in, as an index of the outline's symbols.
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
    match syntax::parse(language, text) {
        Ok(tree) => outline_of(language, text, &tree),
        Err(_) => Outline::default(),
    }
}

/// A definition as a query found it.
struct Found<'tree> {
    kind: SymbolKind,
    node: Node<'tree>,
    name: Node<'tree>,
    body: Option<Node<'tree>>,
}

/// The outline of a parsed text.
pub(crate) fn outline_of(language: &Language, text: &str, tree: &Tree) -> Outline {
    let Some(query) = language.query().filter(|_| !is_junk(tree)) else { return Outline::default() };
    let lines = Lines::of(text.as_bytes());
    let mut outline = Outline::default();
    let mut found: Vec<Found<'_>> = Vec::new();
    let mut outer_starts: HashMap<usize, usize> = HashMap::new();
    let mut uses: Vec<Node<'_>> = Vec::new();
    let mut no_uses: HashSet<usize> = HashSet::new();
    let mut cursor = QueryCursor::new();
    let mut matches = cursor.matches(query, tree.root_node(), text.as_bytes());
    while let Some(matched) = matches.next() {
        let (mut kind, mut node, mut name, mut body, mut outer, mut inner) =
            (None, None, None, None, None, None);
        for capture in matched.captures() {
            match query.capture_names()[capture.index as usize] {
                "reference" => uses.push(capture.node),
                "ignored" => {
                    no_uses.insert(capture.node.start_byte());
                }
                "import" => {
                    let from = outline.imports.len();
                    (language.imports)(capture.node, text, &mut outline.imports);
                    let line = lines.number_at(capture.node.start_byte());
                    outline.imports[from..].iter_mut().for_each(|import| import.line = line);
                }
                "class" => (kind, node) = (Some(SymbolKind::Class), Some(capture.node)),
                "function" => (kind, node) = (Some(SymbolKind::Function), Some(capture.node)),
                "variable" => (kind, node) = (Some(SymbolKind::Variable), Some(capture.node)),
                "name" => name = Some(capture.node),
                "body" => body = Some(capture.node),
                "outer" => outer = Some(capture.node),
                "inner" => inner = Some(capture.node),
                _ => {}
            }
        }
        if let (Some(kind), Some(node), Some(name)) = (kind, node, name) {
            found.push(Found { kind, node, name, body });
        }
        if let (Some(outer), Some(inner)) = (outer, inner) {
            outer_starts.insert(inner.start_byte(), outer.start_byte());
        }
    }
    found.sort_by_key(|found| (found.node.start_byte(), found.name.start_byte()));
    no_uses.extend(found.iter().map(|found| found.name.start_byte()));
    uses.retain(|node| !no_uses.contains(&node.start_byte()));
    uses.sort_by_key(Node::start_byte);
    let reference = |node: &Node<'_>| Reference {
        name: text[node.byte_range()].to_owned(),
        line: lines.number_at(node.start_byte()),
    };
    outline.references = uses.iter().map(reference).collect();
    outline.symbols = Placing { language, text, lines: &lines, outer_starts: &outer_starts }.symbols(&found);
    outline
}

/// Whether so much of a text makes no sense that queries, whose work grows with the square of an error's
/// length, would take seconds.
fn is_junk(tree: &Tree) -> bool {
    let mut pieces = 0;
    syntax::walk(tree.root_node(), |node, _| {
        if node.is_error() {
            pieces += node.child_count() as usize;
        }
        match node.has_error() {
            _ if pieces > syntax::MOST_JUNK => Walk::Stop,
            true => Walk::On,
            false => Walk::Skip,
        }
    });
    pieces > syntax::MOST_JUNK
}

/// Turns what queries found into symbols with paths and spans.
struct Placing<'a> {
    language: &'a Language,
    text: &'a str,
    lines: &'a Lines,
    outer_starts: &'a HashMap<usize, usize>,
}

impl Placing<'_> {
    fn symbols(&self, found: &[Found<'_>]) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::new();
        let mut ends: Vec<(usize, usize)> = Vec::new(); // Open definitions: index of the symbol, end of its node.
        let mut seen: HashMap<(Option<usize>, &str), u32> = HashMap::new();
        for one in found {
            while ends.last().is_some_and(|(_, end)| *end <= one.node.start_byte()) {
                ends.pop();
            }
            let parent = ends.last().map(|(index, _)| *index);
            let parent_kind = parent.map(|index| symbols[index].kind);
            let in_function = matches!(parent_kind, Some(SymbolKind::Function | SymbolKind::Method));
            if one.kind == SymbolKind::Variable && in_function {
                continue;
            }
            let kind = match (one.kind, parent_kind) {
                (SymbolKind::Function, Some(SymbolKind::Class)) => SymbolKind::Method,
                (kind, _) => kind,
            };
            let name = &self.text[one.name.byte_range()];
            let count = seen.entry((parent, name)).and_modify(|count| *count += 1).or_insert(1);
            let last = if *count == 1 { name.to_owned() } else { format!("{name}[{count}]") };
            let path = parent.map_or_else(|| last.clone(), |index| format!("{}.{last}", symbols[index].path));
            if kind != SymbolKind::Variable {
                ends.push((symbols.len(), one.node.end_byte()));
            }
            symbols.push(self.symbol(one, kind, path, parent));
        }
        symbols
    }

    fn symbol(&self, found: &Found<'_>, kind: SymbolKind, path: String, parent: Option<usize>) -> Symbol {
        let inner = found.node.start_byte();
        let start = self.outer_starts.get(&inner).copied().unwrap_or(inner);
        let end = self.end(found, start);
        let header = &self.text[inner..header_end(found, self.language.comments).unwrap_or(end)];
        let doc = found.body.and_then(self.language.doc);
        Symbol {
            path,
            name: self.text[found.name.byte_range()].to_owned(),
            kind,
            signature: one_line(header.trim_end_matches([':', '{'])),
            doc: doc.and_then(|doc| (self.language.doc_line)(&self.text[doc.byte_range()])),
            span: Span::new(start, end),
            definition: Span::new(inner, end),
            name_span: Span::new(found.name.start_byte(), found.name.end_byte()),
            body: found.body.map(|body| Span::new(body.start_byte(), end.max(body.start_byte()))),
            first_line: self.lines.number_at(start),
            last_line: self.lines.number_at(end.saturating_sub(1).max(start)),
            parent,
        }
    }

    /// Where a definition ends. A grammar may end it after a comment that belongs to what follows, or before
    /// one that is indented as its own; so only code counts, then comments deeper than the definition.
    fn end(&self, found: &Found<'_>, start: usize) -> usize {
        let code = last_code(found.node, self.language.comments);
        if found.body.is_none() {
            return code;
        }
        let owner = column(&self.text[self.lines.start_of_line_at(start)..start]);
        let mut end = code;
        let rest = self.lines.end_of_line_at(code.saturating_sub(1));
        let tail = self.text.get(code..rest).unwrap_or_default();
        if tail.trim_start().starts_with('#') {
            end = code + tail.trim_end().len();
        }
        let mut at = rest;
        while let Some(line) =
            self.text.get(at..self.lines.end_of_line_at(at)).filter(|line| !line.is_empty())
        {
            let content = line.trim_start();
            if content.starts_with('#') && column(&line[..line.len() - content.len()]) > owner {
                end = at + line.trim_end().len();
            } else if !content.is_empty() {
                break;
            }
            at += line.len();
        }
        end
    }
}

/// The end of the last leaf that is no comment.
fn last_code(node: Node<'_>, comments: &[&str]) -> usize {
    let mut node = node;
    loop {
        let mut index = node.child_count();
        let last = loop {
            let Some(next) = index.checked_sub(1) else { break None };
            index = next;
            match node.child(index) {
                Some(child) if comments.contains(&child.kind()) || child.byte_range().is_empty() => {}
                Some(child) => break Some(child),
                None => break None,
            }
        };
        match last {
            Some(child) => node = child,
            None => return node.end_byte(),
        }
    }
}

/// The column at which white space ends; a tab reaches the next multiple of eight, as in Python.
pub(crate) fn column(indentation: &str) -> usize {
    indentation.chars().fold(0, |column, c| match c {
        '\t' => (column / 8 + 1) * 8,
        '\x0c' => 0,
        _ => column + 1,
    })
}

/// The end of the last token before the body, comments apart; `None` where there is no body.
fn header_end(found: &Found<'_>, comments: &[&str]) -> Option<usize> {
    let body = found.body?.start_byte();
    let mut cursor = found.node.walk();
    let before = found.node.children(&mut cursor).take_while(|child| child.start_byte() < body);
    before.filter(|child| !comments.contains(&child.kind())).last().map(|child| child.end_byte())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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
