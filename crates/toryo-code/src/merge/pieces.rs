//! A version of a file as pieces: whole lines that belong together, such as a definition with what stands above
//! it, an import, or another statement of a module or class.

use crate::language::Language;
use crate::outline::{Outline, Symbol, SymbolKind, outline_of};
use crate::syntax;
use std::collections::HashMap;
use std::ops::Range;
use tree_sitter::{Node, Tree};

/// One version of the file.
pub(super) struct Version<'t> {
    pub(super) language: &'static Language,
    /// The lines with their breaks.
    pub(super) lines: Vec<&'t str>,
    /// Where each line starts.
    starts: Vec<usize>,
    tree: Tree,
    pub(super) outline: Outline,
    pub(super) faults: usize,
}

/// What a piece is known by in all versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    /// A definition by its name, and by its header or number where several have the name.
    Symbol(String, String, u32),
    /// An import by what it takes from where, or by its text where there are several.
    Import(String, u32),
    /// Other code by its text.
    Text(String, u32),
}

/// Whole lines that belong together.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) key: Key,
    /// The blank lines above.
    pub(super) lead: Range<usize>,
    /// The lines, comments of its own above included; 0-based.
    pub(super) rows: Range<usize>,
    /// The definition, if it is one.
    pub(super) symbol: Option<usize>,
    /// The bytes of the statement, if it is one and no more.
    node: Option<Range<usize>>,
    /// The names that it defines: several for a group of declarations.
    pub(super) names: Vec<String>,
}

/// What a module or a definition consists of.
pub(super) struct Parts {
    /// The lines before the first piece.
    pub(super) head: Range<usize>,
    pub(super) pieces: Vec<Piece>,
    /// The lines after the last one.
    pub(super) foot: Range<usize>,
}

impl<'t> Version<'t> {
    pub(super) fn of(language: &'static Language, text: &'t [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let tree = syntax::parse(language, text).ok()?;
        let faults = syntax::faults(language, text, &tree).ok()?.len();
        let outline = outline_of(language, text, &tree);
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let starts = lines.iter().scan(0, |at, line| Some(std::mem::replace(at, *at + line.len()))).collect();
        Some(Self { language, lines, starts, outline, tree, faults })
    }

    /// The text of some lines.
    pub(super) fn text(&self, rows: &Range<usize>) -> String {
        self.lines[rows.clone()].concat()
    }

    fn is_blank(&self, row: usize) -> bool {
        self.lines[row].trim().is_empty()
    }

    /// Splits the file, or a definition. `None` for a definition without a body of its own lines.
    pub(super) fn parts(&self, container: Option<usize>) -> Option<Parts> {
        let Some(index) = container else {
            let pieces = self.stretches(self.tree.root_node(), None);
            return Some(self.parts_of(0..self.lines.len(), pieces, true));
        };
        let symbol = &self.outline.symbols[index];
        let rows = rows_of(symbol);
        let mut pieces = self.stretches(self.body(symbol)?, container);
        pieces.retain(|one| rows.start <= one.rows.start && one.rows.end <= rows.end);
        let shares = pieces.first().is_some_and(|first| self.shares_header(symbol, &first.rows));
        (!shares).then(|| self.parts_of(rows, pieces, false))
    }

    /// Splits a statement of a container that holds others on lines of their own.
    pub(super) fn parts_within(&self, piece: &Piece, container: Option<usize>) -> Option<Parts> {
        let bytes = piece.node.as_ref()?;
        let root = self.tree.root_node();
        let mut node =
            root.named_descendant_for_byte_range(bytes.start, bytes.end.max(bytes.start + 1) - 1)?;
        while node.byte_range() != *bytes {
            node = node.parent().filter(|parent| parent.start_byte() == bytes.start)?;
        }
        loop {
            let mut pieces = self.stretches(node, container);
            // The only declaration of a group counts as all of it elsewhere; here it is its own lines.
            for one in pieces.iter_mut().filter(|one| one.rows == piece.rows) {
                if let Some(bytes) = &one.node {
                    one.rows = self.row_at(bytes.start)..self.row_at(bytes.end.max(1) - 1) + 1;
                }
            }
            match pieces.as_slice() {
                [] => return None,
                [one] if !matches!(one.kind, Kind::Symbol(_)) && one.rows.len() > 1 => {
                    // Where braces share the header's line the one block among the children is what holds more.
                    let mut cursor = node.walk();
                    let is_next = |child: &Node<'_>| match &one.node {
                        Some(bytes) => child.byte_range() == *bytes,
                        None => {
                            self.language.blocks.contains(&child.kind()) && rows_of_node(*child).len() > 1
                        }
                    };
                    let inner: Vec<Node<'_>> = node.named_children(&mut cursor).filter(is_next).collect();
                    let [next] = inner.as_slice() else { return None };
                    node = *next;
                }
                _ => {
                    let inside = pieces
                        .iter()
                        .all(|one| piece.rows.start <= one.rows.start && one.rows.end <= piece.rows.end);
                    return inside.then(|| self.parts_of(piece.rows.clone(), pieces, false));
                }
            }
        }
    }

    /// Lays out lines that hold these pieces.
    fn parts_of(&self, rows: Range<usize>, pieces: Vec<Stretch>, is_file: bool) -> Parts {
        let first = pieces.first().map_or(rows.end, |first| first.rows.start);
        let start = if pieces.is_empty() { rows.end } else { self.lead_above(first, rows.start).start };
        let start = if is_file { rows.start } else { start };
        let mut parts = Parts {
            head: rows.start..start,
            pieces: Vec::with_capacity(pieces.len()),
            foot: rows.end..rows.end,
        };
        let mut at = start;
        for (index, one) in pieces.iter().enumerate() {
            let own = &one.rows;
            let lead = self.lead_above(own.start, at);
            // Lines that no node holds, such as those of a brace, stay with what stands above them.
            if let Some(above) = parts.pieces.last_mut() {
                above.rows.end = lead.start;
            } else if lead.start > at {
                parts.head.end = lead.start;
            }
            let end = pieces.get(index + 1).map_or(own.end, |next| own.end.min(next.rows.start));
            let (key, symbol) = self.key(own, &one.kind);
            let names = one.names.clone();
            let node = one.node.clone();
            parts.pieces.push(Piece { key, lead, rows: own.start..end, symbol, node, names });
            at = end;
        }
        parts.foot = at..rows.end;
        parts
    }

    /// The node that holds a definition's statements or members.
    fn body(&self, symbol: &Symbol) -> Option<Node<'_>> {
        let body = symbol.body?;
        let end = body.end.max(body.start + 1) - 1;
        let mut inner = self.tree.root_node().descendant_for_byte_range(body.start, end);
        while let Some(node) = inner {
            if self.language.blocks.contains(&node.kind()) {
                return Some(node);
            }
            inner = node.parent().filter(|parent| parent.start_byte() >= symbol.definition.start);
        }
        None
    }

    /// Whether a definition's first statement stands on a line of its header.
    fn shares_header(&self, symbol: &Symbol, first: &Range<usize>) -> bool {
        let name = self.row_at(symbol.name_span.start);
        let own_lines = symbol.body.is_some_and(|body| {
            let row = self.row_at(body.start);
            row < first.start || self.starts_row(body.start, row)
        });
        first.start <= name || !own_lines
    }

    fn row_at(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    fn starts_row(&self, byte: usize, row: usize) -> bool {
        let before = byte.saturating_sub(self.starts[row]);
        self.lines[row].get(..before).is_some_and(|text| text.trim().is_empty())
    }

    /// The blank lines directly above a line, not above `least`.
    fn lead_above(&self, row: usize, least: usize) -> Range<usize> {
        let mut start = row;
        while start > least && self.is_blank(start - 1) {
            start -= 1;
        }
        start..row
    }

    /// The lines of each statement or member with what it is, in order and apart.
    fn stretches(&self, node: Node<'_>, container: Option<usize>) -> Vec<Stretch> {
        let mut cursor = node.walk();
        let mut found: Vec<Stretch> = Vec::new();
        for child in node.named_children(&mut cursor) {
            let rows = rows_of_node(child);
            if rows.is_empty() || rows.end > self.lines.len() {
                continue;
            }
            let next = self.stretch(child, rows, container);
            match found.last_mut() {
                // A comment of a definition, or what follows on its last line.
                Some(last) if next.rows.start < last.rows.end => {
                    let within = next.rows.end <= last.rows.end && next.kind == Kind::Comment;
                    let swallows = next.rows.start <= last.rows.start && last.kind == Kind::Comment;
                    let rows = last.rows.start.min(next.rows.start)..last.rows.end.max(next.rows.end);
                    if swallows {
                        *last = Stretch { rows, ..next };
                    } else if within {
                        last.rows = rows;
                    } else {
                        let names = [std::mem::take(&mut last.names), next.names].concat();
                        *last = Stretch { rows, kind: Kind::Text, node: None, names };
                    }
                }
                // A comment belongs to what stands directly below it.
                Some(last)
                    if last.kind == Kind::Comment
                        && last.rows.end == next.rows.start
                        && self.same_column(last, &next) =>
                {
                    *last = Stretch { rows: last.rows.start..next.rows.end, ..next };
                }
                _ => found.push(next),
            }
        }
        found
    }

    /// What a node is on its lines.
    fn stretch(&self, node: Node<'_>, rows: Range<usize>, container: Option<usize>) -> Stretch {
        let bytes = node.byte_range();
        let inside = |symbol: &Symbol| {
            let name = symbol.name_span;
            symbol.parent == container && bytes.start <= name.start && name.end <= bytes.end
        };
        let defined: Vec<(usize, &Symbol)> =
            self.outline.symbols.iter().enumerate().filter(|(_, symbol)| inside(symbol)).collect();
        let names = defined.iter().map(|(_, symbol)| symbol.name.clone()).collect();
        let covers = |symbol: &Symbol| rows_of(symbol).start <= rows.start && rows.end <= rows_of(symbol).end;
        let whole: Vec<_> = defined.iter().filter(|(_, symbol)| covers(symbol)).collect();
        let is_comment = self.language.comments.contains(&node.kind());
        match whole.as_slice() {
            [(index, symbol)] => {
                Stretch { rows: rows_of(symbol), kind: Kind::Symbol(*index), node: Some(bytes), names }
            }
            _ if is_comment => Stretch { rows, kind: Kind::Comment, node: None, names },
            [] if self.is_import(node) => Stretch { rows, kind: Kind::Import, node: Some(bytes), names },
            _ => Stretch { rows, kind: Kind::Text, node: Some(bytes), names },
        }
    }

    /// Whether two stretches of lines start at one column.
    fn same_column(&self, above: &Stretch, below: &Stretch) -> bool {
        let indentation = |row: usize| self.lines[row].len() - self.lines[row].trim_start().len();
        indentation(above.rows.start) == indentation(below.rows.start)
    }

    fn is_import(&self, node: Node<'_>) -> bool {
        let row = |line: u32| (line as usize).saturating_sub(1);
        let rows = rows_of_node(node);
        let named = node.kind().contains("import") || node.kind().starts_with("use_");
        named && self.outline.imports.iter().any(|import| rows.contains(&row(import.line)))
    }

    /// What a piece is known by, before equals are told apart.
    fn key(&self, rows: &Range<usize>, kind: &Kind) -> (Key, Option<usize>) {
        let text = || self.text(rows).lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        match kind {
            Kind::Symbol(index) => {
                let symbol = &self.outline.symbols[*index];
                (Key::Symbol(symbol.name.clone(), symbol.signature.clone(), 1), Some(*index))
            }
            Kind::Import => {
                let row = |line: u32| (line as usize).saturating_sub(1);
                let imports = self.outline.imports.iter().filter(|import| rows.contains(&row(import.line)));
                let whole = |names: &[String]| if names.is_empty() { "" } else { " names" };
                let modules: Vec<String> =
                    imports.map(|import| format!("{}{}", import.module, whole(&import.names))).collect();
                (Key::Import(modules.join(", "), 1), None)
            }
            Kind::Comment | Kind::Text => (Key::Text(text(), 1), None),
        }
    }
}

/// A piece before it is known by a key.
#[derive(Debug, Clone)]
struct Stretch {
    rows: Range<usize>,
    kind: Kind,
    node: Option<Range<usize>>,
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Symbol(usize),
    Import,
    Comment,
    Text,
}

/// Makes the keys of each version's pieces different: definitions of one name by their headers, unless a name
/// is defined once in each version; imports of one module by their texts; equals by numbers.
pub(super) fn tell_apart(versions: [&Version<'_>; 3], parts: &mut [Parts; 3]) {
    let mut twins: HashMap<Key, usize> = HashMap::new();
    for one in parts.iter() {
        let mut counts: HashMap<Key, usize> = HashMap::new();
        one.pieces.iter().for_each(|piece| *counts.entry(family(&piece.key)).or_default() += 1);
        for (key, count) in counts {
            let most = twins.entry(key).or_default();
            *most = count.max(*most);
        }
    }
    for (version, one) in versions.into_iter().zip(parts) {
        let mut seen: HashMap<Key, u32> = HashMap::new();
        for piece in &mut one.pieces {
            let shared = twins.get(&family(&piece.key)).is_some_and(|count| *count > 1);
            let key = match (&piece.key, shared) {
                (Key::Import(..), true) => Key::Import(version.text(&piece.rows).trim().to_owned(), 1),
                (key @ (Key::Symbol(..) | Key::Text(..)), true) => key.clone(),
                (key, _) => family(key),
            };
            let count = seen.entry(key.clone()).and_modify(|count| *count += 1).or_insert(1);
            piece.key = match key {
                Key::Symbol(name, header, _) => Key::Symbol(name, header, *count),
                Key::Import(text, _) => Key::Import(text, *count),
                Key::Text(text, _) => Key::Text(text, *count),
            };
        }
    }
}

fn family(key: &Key) -> Key {
    match key {
        Key::Symbol(name, ..) => Key::Symbol(name.clone(), String::new(), 1),
        key => key.clone(),
    }
}

/// The lines of a definition, 0-based.
pub(super) fn rows_of(symbol: &Symbol) -> Range<usize> {
    (symbol.first_line as usize).saturating_sub(1)..symbol.last_line as usize
}

/// The lines of a node, 0-based. Some nodes end behind their last line's break.
fn rows_of_node(node: Node<'_>) -> Range<usize> {
    let (start, end) = (node.start_position(), node.end_position());
    let last = if end.column == 0 && end.row > start.row { end.row } else { end.row + 1 };
    start.row..last
}

/// Whether the order of a definition's statements is the order in which they are executed.
pub(super) fn is_ordered(symbol: &Symbol) -> bool {
    matches!(symbol.kind, SymbolKind::Function | SymbolKind::Method)
}

/// The rows at which a definition's parts start: what stands above it, its header, its body.
pub(super) fn seams(version: &Version<'_>, index: usize) -> [usize; 2] {
    let symbol = &version.outline.symbols[index];
    let rows = rows_of(symbol);
    let row = |byte: usize| version.row_at(byte).clamp(rows.start, rows.end);
    let header = row(symbol.definition.start);
    let body = symbol.body.map_or(rows.end, |body| {
        let at = row(body.start);
        let below = if version.starts_row(body.start, at) { at } else { at + 1 };
        below.clamp(header, rows.end)
    });
    [header, body]
}
