//! Definitions, imports and uses of names of a parsed text, found in one walk.

use super::definition::Definition;
use super::place::Placing;
use super::rules::{Ancestor, Role, Root, Rules};
use super::{Outline, Reference, Symbol, SymbolKind};
use crate::language::{Doc, Language};
use crate::syntax::{self, Walk};
use crate::text::{Lines, Span};
use std::collections::HashMap;
use streaming_iterator::StreamingIterator;
use tree_sitter::{Node, QueryCursor, Tree};

/// A definition as a query found it.
pub(super) struct Found<'tree> {
    pub(super) kind: SymbolKind,
    pub(super) node: Node<'tree>,
    pub(super) name: Node<'tree>,
    pub(super) body: Option<Node<'tree>>,
    /// The type that it belongs to from outside, or whose members it holds.
    pub(super) owner: Option<Node<'tree>>,
    /// Earlier patterns win where several find one name.
    pattern: usize,
}

/// Something in front of a definition that belongs to it: a decorator, an attribute, a comment of documentation.
pub(super) struct Attached {
    pub(super) span: Span,
    pub(super) is_comment: bool,
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

/// The outline of a parsed text.
pub(crate) fn outline_of(language: &Language, text: &str, tree: &Tree) -> Outline {
    let Some(rules) = language.rules().filter(|_| !is_junk(tree)) else { return Outline::default() };
    outline_by(rules, language, text, tree)
}

/// The symbols alone.
pub(crate) fn symbols_of(language: &Language, text: &str, lines: &Lines, tree: &Tree) -> Vec<Symbol> {
    let Some(rules) = language.rules().filter(|_| !is_junk(tree)) else { return Vec::new() };
    let mut finds = Finds::default();
    Finding::of(rules, language, text, &mut finds).walk(tree, Wanted::Definitions);
    let found = definitions(&mut finds);
    finds.placed(&found, language, text, lines)
}

/// The outline by these rules.
pub(super) fn outline_by(rules: &Rules, language: &Language, text: &str, tree: &Tree) -> Outline {
    let lines = Lines::of(text.as_bytes());
    let mut finds = Finds::default();
    Finding::of(rules, language, text, &mut finds).walk(tree, Wanted::All);
    let found = definitions(&mut finds);
    // What names itself after its type, such as a block of members, uses that name.
    let named = found.iter().filter(|found| found.owner.is_none_or(|owner| owner.id() != found.name.id()));
    finds.ignored.extend(named.map(|found| found.name.start_byte()));
    finds.ignored.sort_unstable();
    let mut outline = Outline { references: references(&finds, text, &lines), ..Outline::default() };
    for node in &finds.imports {
        let from = outline.imports.len();
        (language.imports)(*node, text, &mut outline.imports);
        let line = lines.number_at(node.start_byte());
        outline.imports[from..].iter_mut().for_each(|import| import.line = line);
    }
    outline.symbols = finds.placed(&found, language, text, &lines);
    outline
}

/// The definitions in the order of the text; of several for one name the first pattern's.
fn definitions<'tree>(finds: &mut Finds<'tree>) -> Vec<Found<'tree>> {
    let mut found = std::mem::take(&mut finds.found);
    found.sort_by_key(|found| (found.name.start_byte(), found.pattern));
    found.dedup_by_key(|found| found.name.start_byte());
    found.sort_by_key(|found| (found.node.start_byte(), found.name.start_byte()));
    finds.attached.sort_by_key(|attached| attached.span.end);
    found
}

/// The uses that are neither names of definitions nor part of an import.
fn references(finds: &Finds<'_>, text: &str, lines: &Lines) -> Vec<Reference> {
    let mut ignored = finds.ignored.iter().copied().peekable();
    let mut imports = finds.imports.iter().peekable();
    let mut number = 1;
    let mut line = lines.span(1).unwrap_or(Span::new(0, 0));
    let reference = |span: &Span| {
        while ignored.next_if(|start| *start < span.start).is_some() {}
        while imports.next_if(|import| import.end_byte() <= span.start).is_some() {}
        if ignored.peek() == Some(&span.start)
            || imports.peek().is_some_and(|import| import.start_byte() <= span.start)
        {
            return None;
        }
        if span.start >= line.end {
            number = lines.number_at(span.start);
            line = lines.span(number).unwrap_or(line);
        }
        Some(Reference { name: text.get(span.range())?.to_owned(), line: number })
    };
    finds.uses.iter().filter_map(reference).collect()
}

/// What a walk finds, in the order of the text but for definitions and what is attached to them.
#[derive(Default)]
struct Finds<'tree> {
    found: Vec<Found<'tree>>,
    /// Where something inside starts, with where what stands around it starts.
    outer_starts: HashMap<usize, usize>,
    attached: Vec<Attached>,
    imports: Vec<Node<'tree>>,
    uses: Vec<Span>,
    /// Where names start that are no uses.
    ignored: Vec<usize>,
}

impl Finds<'_> {
    /// The symbols of definitions.
    fn placed(&self, found: &[Found<'_>], language: &Language, text: &str, lines: &Lines) -> Vec<Symbol> {
        let found: Vec<Definition> = found.iter().map(|one| Definition::of(one, language, text)).collect();
        let (outer_starts, attached) = (&self.outer_starts, self.attached.as_slice());
        Placing { language, text, lines, outer_starts, attached }.symbols(&found)
    }
}

/// What a walk looks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    /// Not names that are used: what holds no definitions is passed over.
    Definitions,
}

/// A walk over a tree.
struct Finding<'a, 'tree> {
    rules: &'a Rules,
    language: &'a Language,
    text: &'a str,
    finds: &'a mut Finds<'tree>,
    cursor: QueryCursor,
    /// Definitions that are not over: where they end and whether they are functions.
    open: Vec<(usize, bool)>,
}

impl<'a, 'tree> Finding<'a, 'tree> {
    fn of(rules: &'a Rules, language: &'a Language, text: &'a str, finds: &'a mut Finds<'tree>) -> Self {
        Self { rules, language, text, finds, cursor: QueryCursor::new(), open: Vec::new() }
    }

    fn walk(&mut self, tree: &'tree Tree, wanted: Wanted) {
        if self.rules.everywhere {
            self.query(tree.root_node());
            self.finds.imports.sort_by_key(Node::start_byte);
        }
        self.cursor.set_max_start_depth(Some(0));
        let mut above: Vec<Ancestor> = Vec::new();
        let mut cursor = tree.walk();
        loop {
            let node = cursor.node();
            let number = node.kind_id();
            let mut field = None;
            let mut passed = false;
            if let Some(kind) = self.rules.kind(number) {
                if kind.asks_field {
                    field = cursor.field_id().map(std::num::NonZero::get);
                }
                passed = kind.token || kind.closed && wanted == Wanted::Definitions && !node.has_error();
                if wanted == Wanted::All && !kind.chains.is_empty() {
                    let mut fits = kind.chains.iter().filter(|chain| chain.fits(field, &above));
                    // One that makes it no use decides.
                    if let Some(first) = fits.next() {
                        let is_use = first.is_use && fits.all(|chain| chain.is_use);
                        self.note(node, is_use);
                    }
                }
                if kind.root != Root::None && !self.rules.everywhere {
                    self.at_root(node, kind.root);
                }
            }
            if !passed && cursor.goto_first_child() {
                above.push((number, field));
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return self.settle();
                }
                above.pop();
            }
        }
    }

    fn note(&mut self, node: Node<'tree>, is_use: bool) {
        if is_use {
            self.finds.uses.push(Span::new(node.start_byte(), node.end_byte()));
        } else {
            self.finds.ignored.push(node.start_byte());
        }
    }

    /// Uses that the query found stand before those of the walk.
    fn settle(&mut self) {
        self.finds.uses.sort_unstable();
    }

    /// Tries the patterns that may start at this node.
    fn at_root(&mut self, node: Node<'tree>, root: Root) {
        let start = node.start_byte();
        while self.open.last().is_some_and(|(end, _)| *end <= start) {
            self.open.pop();
        }
        let in_function = self.open.last().is_some_and(|(_, is_function)| *is_function);
        if root == Root::Variables && in_function {
            return;
        }
        let from = self.finds.found.len();
        self.query(node);
        let new = self.finds.found.iter().skip(from).filter(|found| found.kind != SymbolKind::Variable);
        self.open.extend(new.map(|found| (found.node.end_byte(), found.kind == SymbolKind::Function)));
    }

    /// Takes in what the query finds at or below a node.
    fn query(&mut self, node: Node<'tree>) {
        let (rules, finds) = (self.rules, &mut *self.finds);
        let mut matches = self.cursor.matches(&rules.query, node, self.text.as_bytes());
        while let Some(matched) = matches.next() {
            let (mut definition, mut name, mut body, mut owner) = (None, None, None, None);
            let (mut outer, mut inner) = (None, None);
            for capture in matched.captures() {
                let node = capture.node;
                match rules.roles.get(capture.index as usize).copied().unwrap_or(Role::Nothing) {
                    Role::Class => definition = Some((SymbolKind::Class, node)),
                    Role::Function => definition = Some((SymbolKind::Function, node)),
                    Role::Module => definition = Some((SymbolKind::Module, node)),
                    Role::Variable => definition = Some((SymbolKind::Variable, node)),
                    Role::Name => name = Some(node),
                    Role::Body => body = Some(node),
                    Role::Owner => owner = Some(node),
                    Role::Outer => outer = Some(node),
                    Role::Inner => inner = Some(node),
                    Role::Attached => finds.attached.extend(Attached::of(node, self.language, self.text)),
                    Role::Import => finds.imports.push(node),
                    Role::Reference => finds.uses.push(Span::new(node.start_byte(), node.end_byte())),
                    Role::Ignored => finds.ignored.push(node.start_byte()),
                    Role::Nothing => {}
                }
            }
            if let (Some((kind, node)), Some(name)) = (definition, name) {
                finds.found.push(Found { kind, node, name, body, owner, pattern: matched.pattern_index });
            }
            if let (Some(outer), Some(inner)) = (outer, inner) {
                finds.outer_starts.insert(inner.start_byte(), outer.start_byte());
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language;
    use std::sync::LazyLock;

    /// The rules of every language with all left to tree-sitter, by the name of a file.
    static PLAIN: LazyLock<Vec<(&str, Rules)>> = LazyLock::new(|| {
        let plain = |name: &'static str| {
            let language = language::of(&name.parse().expect("a path")).expect("a language");
            (
                language.name,
                Rules::plain(&language.grammar(), &language.query_text()).expect("queries that compile"),
            )
        };
        ["a.py", "a.rs", "a.js", "a.ts", "a.tsx", "a.go", "a.java"].map(plain).into()
    });

    /// The outline by ready rules is that of tree-sitter's own matching.
    fn check(name: &str, text: &str) {
        let language = language::of(&name.parse().expect("a path")).expect("a language");
        let tree = syntax::parse(language, text).expect("a text within bounds");
        let ready = language.rules().expect("queries that compile");
        let (_, plain) =
            PLAIN.iter().find(|(name, _)| *name == language.name).expect("rules of the language");
        let (ready, plain) =
            (outline_by(ready, language, text, &tree), outline_by(plain, language, text, &tree));
        assert_eq!(ready, plain, "{name}: {text}");
        let lines = Lines::of(text.as_bytes());
        assert_eq!(symbols_of(language, text, &lines, &tree), ready.symbols, "{name}: {text}");
    }

    #[test]
    fn ready_rules_find_what_the_queries_say() {
        let mut folders =
            vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let name =
                    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                if path.is_dir() {
                    folders.push(path);
                } else if name.parse().is_ok_and(|name| language::of(&name).is_some()) {
                    check(&name, &std::fs::read_to_string(&path).expect("a text"));
                    files += 1;
                }
            }
        }
        assert!(files >= 9, "{files}");
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(48))]

        #[test]
        fn ready_rules_find_it_in_faulty_text_too(
            text in "((async )?(def|class) [a-c]\\((a=b)?\\):|\n|\n    |\n        |#|@d|a = b|a, b = c|import a|from a import b|lambda c: c|x.y(a, k=b)|:|\\(|\"\"\"|if a:){0,40}"
        ) {
            check("a.py", &text);
        }

        #[test]
        fn ready_rules_find_it_in_text_with_braces_too(
            text in "(fn a\\(\\)|impl A|struct B|let c = d|mod e|use f::g;|//! h|/// i|#\\[j\\]|const K: L = 1;|\\{|\\}|\\(|;|\n| |function a\\(b\\)|class C|var d = e|export |const f = \\(g\\) => h|import i from 'j'|type T = U|func m\\(n o\\)|package p){0,40}"
        ) {
            for name in ["a.rs", "a.js", "a.ts", "a.tsx", "a.go", "a.java"] {
                check(name, &text);
            }
        }
    }
}
