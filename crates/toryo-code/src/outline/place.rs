//! From what queries found to symbols with paths, spans and documentation.

use super::definition::{Body, Definition};
use super::find::Attached;
use super::{Symbol, SymbolKind, column, one_line};
use crate::language::{Doc, Language, Layout};
use crate::text::{Lines, Span};
use std::collections::HashMap;

/// A definition whose end is not reached yet.
struct Open {
    symbol: usize,
    end: usize,
    /// What the paths of its members start with.
    path: String,
}

/// Turns what queries found into symbols with paths and spans.
pub(super) struct Placing<'a> {
    pub(super) language: &'a Language,
    pub(super) text: &'a str,
    pub(super) lines: &'a Lines,
    pub(super) outer_starts: &'a HashMap<usize, usize>,
    pub(super) attached: &'a [Attached],
}

impl Placing<'_> {
    /// The symbols of definitions, which are in the order of the text.
    pub(super) fn symbols(&self, found: &[Definition]) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        let mut seen: HashMap<(String, String), u32> = HashMap::new();
        for one in found {
            while open.last().is_some_and(|open| open.end <= one.start) {
                open.pop();
            }
            let parent = open.last().map(|open| open.symbol);
            let parent_kind = parent.map(|index| symbols[index].kind);
            let in_function = matches!(parent_kind, Some(SymbolKind::Function | SymbolKind::Method));
            if one.kind == SymbolKind::Variable && in_function {
                continue;
            }
            let owner = one.owner.and_then(|owner| last_word(&self.text[owner.range()]));
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
            let name = one.block.clone().filter(|_| is_block).unwrap_or_else(|| self.name(one).to_owned());
            let count = seen.entry((within.to_owned(), name.clone())).or_insert(0);
            *count += 1;
            let path = joined(within, &if *count == 1 { name.clone() } else { format!("{name}[{count}]") });
            if kind != SymbolKind::Variable {
                let path = owned.filter(|_| is_block).unwrap_or_else(|| path.clone());
                open.push(Open { symbol: symbols.len(), end: one.end, path });
            }
            symbols.push(self.symbol(one, kind, name, path, parent));
        }
        if self.language.fields_apart {
            plain_methods(&mut symbols);
        }
        symbols
    }

    /// A definition's name; a text in quotes without them.
    fn name(&self, found: &Definition) -> &str {
        self.text[found.name.range()].trim_matches(['"', '\''])
    }

    fn symbol(
        &self,
        found: &Definition,
        kind: SymbolKind,
        name: String,
        path: String,
        parent: Option<usize>,
    ) -> Symbol {
        let inner = found.inner;
        let (start, comments) = self.start(found.start);
        let end = self.end(found, start);
        let header_end = found.body.and_then(|body| body.header_end);
        let header = &self.text[inner..header_end.unwrap_or(end)];
        let doc = match self.language.doc {
            Doc::Inside { first_line, .. } => found.doc.and_then(|doc| first_line(&self.text[doc.range()])),
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
            name_span: found.name,
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
            // A comment inside of what is attached, such as an attribute over several lines.
            if last.span.end > start {
                rest -= 1;
                continue;
            }
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
    fn body(&self, body: Body, end: usize) -> Span {
        let start = body.span.start;
        match (self.language.layout, body.braces) {
            (Layout::Indented { .. }, _) => Span::new(start, end.max(start)),
            (Layout::Braces, None) => body.span,
            (Layout::Braces, Some(braces)) => {
                let inside = &self.text[braces.start + 1..braces.end - 1];
                let content = inside.trim_start();
                let first = if content.is_empty() { 0 } else { inside.len() - content.len() };
                let first = braces.start + 1 + first;
                Span::new(first, first + content.trim_end().len())
            }
        }
    }

    /// Where a definition ends: only code counts, then comments deeper than the definition.
    fn end(&self, found: &Definition, start: usize) -> usize {
        let mut code = found.code;
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

/// Gives methods the plain paths that fields of their names have: people mean the method, and fields stand first.
fn plain_methods(symbols: &mut [Symbol]) {
    let second: HashMap<String, usize> = (symbols.iter().enumerate())
        .filter(|(_, symbol)| symbol.kind == SymbolKind::Method)
        .filter_map(|(at, symbol)| Some((symbol.path.strip_suffix("[2]")?.to_owned(), at)))
        .collect();
    for field in 0..symbols.len() {
        let is_field = symbols[field].kind == SymbolKind::Variable;
        let Some(method) = second.get(&symbols[field].path).copied().filter(|_| is_field) else { continue };
        let plain = symbols[field].path.clone();
        let numbered = std::mem::replace(&mut symbols[method].path, plain.clone());
        let inside = symbols[method].span;
        for inner in symbols.iter_mut().skip(method + 1).take_while(|inner| inside.holds(inner.span)) {
            if let Some(rest) = inner.path.strip_prefix(&numbered) {
                inner.path = format!("{plain}{rest}");
            }
        }
        symbols[field].path = numbered;
    }
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
