//! What a file defines, imports and uses.

use crate::language::{self, Doc, Language, Layout};
use crate::syntax::{self, Walk};
use crate::text::{Lines, Span};
use std::collections::{HashMap, HashSet};
use streaming_iterator::StreamingIterator;
use toryo_domain::RepoPath;
use tree_sitter::{Node, QueryCursor, Tree};

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
    /// The type that it belongs to from outside, or whose members it holds.
    owner: Option<Node<'tree>>,
    /// Earlier patterns win where several find one name.
    pattern: usize,
}

/// Something in front of a definition that belongs to it: a decorator, an attribute, a comment of documentation.
struct Attached {
    span: Span,
    is_comment: bool,
}

impl Attached {
    /// A comment is attached only if it is documentation and starts its line.
    fn of(node: Node<'_>, language: &Language, text: &str) -> Option<Self> {
        let (start, own) = (node.start_byte(), text[node.byte_range()].trim_end());
        let span = Span::new(start, start + own.len());
        if !language.comments.contains(&node.kind()) {
            return Some(Self { span, is_comment: false });
        }
        let Doc::Above { starts, .. } = language.doc else { return None };
        let is_doc = |mark: &&str| {
            let rest = own.strip_prefix(*mark);
            rest.is_some_and(|rest| !rest.starts_with(mark.chars().next_back().unwrap_or_default()))
        };
        let before = text[..start].trim_end_matches([' ', '\t']);
        let starts_line = before.is_empty() || before.ends_with('\n');
        (starts_line && starts.iter().any(is_doc)).then_some(Self { span, is_comment: true })
    }
}

/// A definition whose end is not reached yet.
struct Open {
    symbol: usize,
    end: usize,
    /// What the paths of its members start with.
    path: String,
}

/// The outline of a parsed text.
pub(crate) fn outline_of(language: &Language, text: &str, tree: &Tree) -> Outline {
    let Some(query) = language.query().filter(|_| !is_junk(tree)) else { return Outline::default() };
    let lines = Lines::of(text.as_bytes());
    let mut outline = Outline::default();
    let mut found: Vec<Found<'_>> = Vec::new();
    let mut outer_starts: HashMap<usize, usize> = HashMap::new();
    let mut attached: Vec<Attached> = Vec::new();
    let mut uses: Vec<Node<'_>> = Vec::new();
    let mut imports: Vec<std::ops::Range<usize>> = Vec::new();
    let mut no_uses: HashSet<usize> = HashSet::new();
    let mut cursor = QueryCursor::new();
    let mut matches = cursor.matches(query, tree.root_node(), text.as_bytes());
    while let Some(matched) = matches.next() {
        let (mut kind, mut node, mut name, mut body, mut outer, mut inner) =
            (None, None, None, None, None, None);
        let mut owner = None;
        for capture in matched.captures() {
            match query.capture_names()[capture.index as usize] {
                "reference" => uses.push(capture.node),
                "ignored" => {
                    no_uses.insert(capture.node.start_byte());
                }
                "import" => {
                    imports.push(capture.node.byte_range());
                    let from = outline.imports.len();
                    (language.imports)(capture.node, text, &mut outline.imports);
                    let line = lines.number_at(capture.node.start_byte());
                    outline.imports[from..].iter_mut().for_each(|import| import.line = line);
                }
                "class" => (kind, node) = (Some(SymbolKind::Class), Some(capture.node)),
                "function" => (kind, node) = (Some(SymbolKind::Function), Some(capture.node)),
                "module" => (kind, node) = (Some(SymbolKind::Module), Some(capture.node)),
                "variable" => (kind, node) = (Some(SymbolKind::Variable), Some(capture.node)),
                "name" => name = Some(capture.node),
                "body" => body = Some(capture.node),
                "owner" => owner = Some(capture.node),
                "attached" => attached.extend(Attached::of(capture.node, language, text)),
                "outer" => outer = Some(capture.node),
                "inner" => inner = Some(capture.node),
                _ => {}
            }
        }
        if let (Some(kind), Some(node), Some(name)) = (kind, node, name) {
            found.push(Found { kind, node, name, body, owner, pattern: matched.pattern_index });
        }
        if let (Some(outer), Some(inner)) = (outer, inner) {
            outer_starts.insert(inner.start_byte(), outer.start_byte());
        }
    }
    found.sort_by_key(|found| (found.name.start_byte(), found.pattern));
    found.dedup_by_key(|found| found.name.start_byte());
    found.sort_by_key(|found| (found.node.start_byte(), found.name.start_byte()));
    attached.sort_by_key(|attached| attached.span.end);
    let named = found.iter().filter(|found| found.owner.is_none_or(|owner| owner.id() != found.name.id()));
    no_uses.extend(named.map(|found| found.name.start_byte()));
    uses.retain(|node| !no_uses.contains(&node.start_byte()));
    uses.sort_by_key(Node::start_byte);
    imports.sort_by_key(|import| import.start);
    let mut imports = imports.iter().peekable();
    uses.retain(|node| {
        while imports.next_if(|import| import.end <= node.start_byte()).is_some() {}
        imports.peek().is_none_or(|import| node.start_byte() < import.start)
    });
    let reference = |node: &Node<'_>| Reference {
        name: text[node.byte_range()].to_owned(),
        line: lines.number_at(node.start_byte()),
    };
    outline.references = uses.iter().map(reference).collect();
    let placing = Placing { language, text, lines: &lines, outer_starts: &outer_starts, attached: &attached };
    outline.symbols = placing.symbols(&found);
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
    attached: &'a [Attached],
}

impl Placing<'_> {
    fn symbols(&self, found: &[Found<'_>]) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        let mut seen: HashMap<(String, String), u32> = HashMap::new();
        for one in found {
            while open.last().is_some_and(|open| open.end <= one.node.start_byte()) {
                open.pop();
            }
            let parent = open.last().map(|open| open.symbol);
            let parent_kind = parent.map(|index| symbols[index].kind);
            let in_function = matches!(parent_kind, Some(SymbolKind::Function | SymbolKind::Method));
            if one.kind == SymbolKind::Variable && in_function {
                continue;
            }
            let owner = one.owner.and_then(|owner| last_word(&self.text[owner.byte_range()]));
            let of_a_type = parent_kind == Some(SymbolKind::Class) || owner.is_some();
            let kind = match one.kind {
                SymbolKind::Function if of_a_type => SymbolKind::Method,
                kind => kind,
            };
            let around = open.last().map_or("", |open| open.path.as_str());
            // A block of members is named by its header and its members after their type.
            let is_block = owner.is_some() && kind == SymbolKind::Class;
            let owned = owner.map(|owner| joined(around, owner));
            let within = owned.as_deref().filter(|_| !is_block).unwrap_or(around);
            let name = if is_block { self.block_name(one) } else { self.name(one).to_owned() };
            let count = seen.entry((within.to_owned(), name.clone())).or_insert(0);
            *count += 1;
            let path = joined(within, &if *count == 1 { name.clone() } else { format!("{name}[{count}]") });
            if kind != SymbolKind::Variable {
                let path = owned.filter(|_| is_block).unwrap_or_else(|| path.clone());
                open.push(Open { symbol: symbols.len(), end: one.node.end_byte(), path });
            }
            symbols.push(self.symbol(one, kind, name, path, parent));
        }
        symbols
    }

    /// A definition's name; a text in quotes without them.
    fn name(&self, found: &Found<'_>) -> &str {
        self.text[found.name.byte_range()].trim_matches(['"', '\''])
    }

    /// The header of a block of members, without parameters of its own and conditions.
    fn block_name(&self, found: &Found<'_>) -> String {
        let end = found.name.end_byte();
        let mut cursor = found.node.walk();
        let children = found.node.children(&mut cursor);
        let words = children.take_while(|child| child.start_byte() < end);
        let words = words.filter(|child| !child.kind().ends_with("_parameters"));
        one_line(&words.map(|child| &self.text[child.byte_range()]).collect::<Vec<_>>().join(" "))
    }

    fn symbol(
        &self,
        found: &Found<'_>,
        kind: SymbolKind,
        name: String,
        path: String,
        parent: Option<usize>,
    ) -> Symbol {
        let node = found.node.start_byte();
        let inner = bare_start(found.node, self.language.decorators, self.language.modifiers);
        let (start, comments) = self.start(node);
        let end = self.end(found, start);
        let header = &self.text[inner..header_end(found, self.language.comments).unwrap_or(end)];
        let doc = match self.language.doc {
            Doc::Inside { node, first_line } => {
                found.body.and_then(node).and_then(|doc| first_line(&self.text[doc.byte_range()]))
            }
            Doc::Above { .. } => comments.iter().find_map(|doc| comment_line(&self.text[doc.range()])),
        };
        Symbol {
            path,
            name,
            kind,
            signature: one_line(header.trim_end_matches([':', '{', ';', ','])),
            doc,
            span: Span::new(start, end),
            definition: Span::new(inner, end),
            name_span: Span::new(found.name.start_byte(), found.name.end_byte()),
            body: found.body.map(|body| self.body(body, end)),
            first_line: self.lines.number_at(start),
            last_line: self.lines.number_at(end.saturating_sub(1).max(start)),
            parent,
        }
    }

    /// Where a definition starts with all that is attached to it, and its comments of documentation in order.
    fn start(&self, node: usize) -> (usize, Vec<Span>) {
        let mut start = node;
        while let Some(outer) = self.outer_starts.get(&start).filter(|outer| **outer < start) {
            start = *outer;
        }
        let mut comments = Vec::new();
        let mut rest = self.attached.partition_point(|attached| attached.span.end <= start);
        while let Some(last) = rest.checked_sub(1).and_then(|last| self.attached.get(last)) {
            let gap = &self.text[last.span.end..start];
            let apart = last.is_comment && gap.matches('\n').count() > 1;
            if apart || !gap.trim().is_empty() {
                break;
            }
            comments.extend(last.is_comment.then_some(last.span));
            start = last.span.start;
            rest -= 1;
        }
        comments.reverse();
        (start, comments)
    }

    /// A body without the braces around it.
    fn body(&self, body: Node<'_>, end: usize) -> Span {
        let start = body.start_byte();
        match (self.language.layout, braces(body)) {
            (Layout::Indented { .. }, _) => Span::new(start, end.max(start)),
            (Layout::Braces, None) => Span::new(start, body.end_byte()),
            (Layout::Braces, Some(braces)) => {
                let inside = &self.text[braces.start + 1..braces.end - 1];
                let content = inside.trim_start();
                let first = if content.is_empty() { 0 } else { inside.len() - content.len() };
                let first = braces.start + 1 + first;
                Span::new(first, first + content.trim_end().len())
            }
        }
    }

    /// Where a definition ends. A grammar may end it after a comment that belongs to what follows, or before
    /// one that is indented as its own; so only code counts, then comments deeper than the definition.
    fn end(&self, found: &Found<'_>, start: usize) -> usize {
        let mut code = last_code(found.node, self.language.comments);
        let after = self.text[code..].trim_start_matches([' ', '\t']);
        if after.starts_with(self.language.terminators) && !self.text[..code].ends_with(';') {
            code = self.text.len() - after.len() + 1;
        }
        if found.body.is_none() {
            return code;
        }
        let comment = self.language.line_comment;
        let mut end = code;
        let rest = self.lines.end_of_line_at(code.saturating_sub(1));
        let tail = self.text.get(code..rest).unwrap_or_default();
        if tail.trim_start().starts_with(comment) {
            end = code + tail.trim_end().len();
        }
        if self.language.layout == Layout::Braces {
            return end;
        }
        let owner = column(&self.text[self.lines.start_of_line_at(start)..start]);
        let mut at = rest;
        while let Some(line) =
            self.text.get(at..self.lines.end_of_line_at(at)).filter(|line| !line.is_empty())
        {
            let content = line.trim_start();
            if content.starts_with(comment) && column(&line[..line.len() - content.len()]) > owner {
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

/// The braces of a body, which may have words before them.
fn braces(body: Node<'_>) -> Option<Span> {
    let last = body.child(body.child_count().checked_sub(1)?).filter(|last| last.kind() == "}")?;
    let mut cursor = body.walk();
    let first = body.children(&mut cursor).find(|child| child.kind() == "{")?;
    Some(Span::new(first.start_byte(), last.end_byte()))
}

/// Where a definition starts behind the decorators and annotations in it.
fn bare_start(node: Node<'_>, decorators: &[&str], modifiers: &[&str]) -> usize {
    let mut cursor = node.walk();
    let mut inside = cursor.goto_first_child();
    while inside {
        let kind = cursor.node().kind();
        if modifiers.contains(&kind) {
            let bare = bare_start(cursor.node(), decorators, &[]);
            if bare < cursor.node().end_byte() {
                return bare;
            }
        } else if !decorators.contains(&kind) {
            return cursor.node().start_byte();
        }
        inside = cursor.goto_next_sibling();
    }
    // A node of decorators only, or a leaf.
    if node.child_count() == 0 { node.start_byte() } else { node.end_byte() }
}

/// The last word of a type's name, such as `Foo` of `&'a mut a::Foo<T>`.
fn last_word(text: &str) -> Option<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let text = text.split('<').next()?.trim_end_matches(|c| !is_word(c));
    let start =
        text.rfind(|c| !is_word(c)).map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    text.get(start..).filter(|word| !word.is_empty())
}

/// A dotted path of a path, which may be empty, and a name.
fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The first line with text of a comment of documentation.
fn comment_line(comment: &str) -> Option<String> {
    let content = |line: &str| {
        let line = line.trim().trim_start_matches(['/', '*', '!']).trim_end_matches("*/").trim();
        Some(line.to_owned()).filter(|line| !line.is_empty())
    };
    comment.lines().find_map(content)
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
    let body = found.body?;
    let body = braces(body).map_or(body.start_byte(), |braces| braces.start);
    let mut cursor = found.node.walk();
    let before = found.node.children(&mut cursor).take_while(|child| child.start_byte() < body);
    let last = before.filter(|child| !comments.contains(&child.kind())).last();
    // The body may stand deeper, as in `const f = () => { … }`.
    last.map(|child| child.end_byte().min(body))
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
