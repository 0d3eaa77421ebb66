//! A definition as numbers: what a symbol is made of, whoever found it.

use super::find::Found;
use super::{SymbolKind, one_line};
use crate::language::{Doc, Language};
use crate::text::Span;
use tree_sitter::Node;

/// Where a definition and its parts stand.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) kind: SymbolKind,
    pub(crate) start: usize,
    /// Behind everything in it; nothing that follows stands before.
    pub(crate) end: usize,
    /// Where it starts behind the decorators and annotations in it.
    pub(crate) inner: usize,
    /// The end of its last piece of code. A grammar may end a definition after a comment that belongs to what
    /// follows, or before one that is indented as its own.
    pub(crate) code: usize,
    pub(crate) name: Span,
    /// The type that it belongs to from outside, or whose members it holds.
    pub(crate) owner: Option<Span>,
    /// The header of a block of members, which names it.
    pub(crate) block: Option<String>,
    pub(crate) body: Option<Body>,
    /// What documents it from inside.
    pub(crate) doc: Option<Span>,
}

/// Where a definition's body stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body {
    pub(crate) span: Span,
    /// Its braces, where it has them.
    pub(crate) braces: Option<Span>,
    /// The end of the last token before it, comments apart.
    pub(crate) header_end: Option<usize>,
}

impl Definition {
    /// Reads a definition off the tree.
    pub(super) fn of(found: &Found<'_>, language: &Language, text: &str) -> Self {
        let node = found.node;
        let span = |node: Node<'_>| Span::new(node.start_byte(), node.end_byte());
        let is_block = found.owner.is_some() && found.kind == SymbolKind::Class;
        let doc = match language.doc {
            Doc::Inside { node, .. } => found.body.and_then(node).map(span),
            Doc::Above { .. } => None,
        };
        Self {
            kind: found.kind,
            start: node.start_byte(),
            end: node.end_byte(),
            inner: bare_start(node, language.decorators, language.modifiers),
            code: last_code(node, language.comments),
            name: span(found.name),
            owner: found.owner.map(span),
            block: is_block.then(|| block_name(found, text)),
            body: found.body.map(|body| Body::of(body, found, language.comments)),
            doc,
        }
    }
}

impl Body {
    fn of(body: Node<'_>, found: &Found<'_>, comments: &[&str]) -> Self {
        let span = Span::new(body.start_byte(), body.end_byte());
        let braces = braces(body);
        let start = braces.map_or(span.start, |braces| braces.start);
        let mut cursor = found.node.walk();
        let before = found.node.children(&mut cursor).take_while(|child| child.start_byte() < start);
        let last = before.filter(|child| !comments.contains(&child.kind())).last();
        // The body may stand deeper, as in `const f = () => { … }`.
        Self { span, braces, header_end: last.map(|child| child.end_byte().min(start)) }
    }
}

/// The header of a block of members, without parameters of its own and conditions.
fn block_name(found: &Found<'_>, text: &str) -> String {
    let end = found.name.end_byte();
    let mut cursor = found.node.walk();
    let children = found.node.children(&mut cursor);
    let words = children.take_while(|child| child.start_byte() < end);
    let words = words.filter(|child| !child.kind().ends_with("_parameters"));
    one_line(&words.map(|child| &text[child.byte_range()]).collect::<Vec<_>>().join(" "))
}

/// The end of the last leaf that is no comment.
fn last_code(node: Node<'_>, comments: &[&str]) -> usize {
    let mut cursor = node.walk();
    while cursor.goto_last_child() {
        let is_code = |node: Node<'_>| !node.byte_range().is_empty() && !comments.contains(&node.kind());
        while !is_code(cursor.node()) {
            if !cursor.goto_previous_sibling() {
                cursor.goto_parent();
                return cursor.node().end_byte();
            }
        }
    }
    cursor.node().end_byte()
}

/// The braces of a body, which may have words before them. Faulty text may lack one that the tree has.
fn braces(body: Node<'_>) -> Option<Span> {
    let is = |node: &Node<'_>, brace: &str| node.kind() == brace && !node.is_missing();
    let mut cursor = body.walk();
    cursor.goto_last_child();
    let last = Some(cursor.node()).filter(|last| is(last, "}"))?;
    let first = body.children(&mut cursor).find(|child| is(child, "{"))?;
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
