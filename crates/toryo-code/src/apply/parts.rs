//! What stands in front of a definition: documentation, decorators, words such as `export`.

use super::source::Source;
use crate::outline::Symbol;
use crate::syntax::{self, Walk};
use crate::text::Span;

/// The parts of a definition before its name, in order.
pub(super) struct Parts {
    /// Comments of documentation and others among the decorators.
    pub(super) comments: Vec<Span>,
    /// Decorators, annotations or attributes.
    pub(super) decorators: Vec<Span>,
    /// Where its first word stands that is neither.
    pub(super) bare: usize,
}

/// Finds the parts of a definition.
pub(super) fn parts(symbol: &Symbol, source: &Source) -> Parts {
    let mut parts = Parts { comments: Vec::new(), decorators: Vec::new(), bare: symbol.span.start };
    let (Some(language), Some(analysis)) = (source.language, source.analysis()) else { return parts };
    let (from, to) = (symbol.span.start, symbol.name_span.start);
    syntax::walk(analysis.tree.root_node(), |node, _| {
        if node.end_byte() <= from {
            return Walk::Skip;
        }
        if node.start_byte() >= to {
            return Walk::Stop;
        }
        // Some grammars count a comment behind a decorator as a part of it.
        let mut cursor = node.walk();
        let comment = node.children(&mut cursor).find(|child| language.comments.contains(&child.kind()));
        let is_decorator = language.decorators.contains(&node.kind());
        let end = comment.filter(|_| is_decorator).map_or(node.end_byte(), |comment| comment.start_byte());
        let text = source.text[node.start_byte()..end].trim_end();
        let span = Span::new(node.start_byte(), node.start_byte() + text.len());
        if span.start >= from && language.comments.contains(&node.kind()) {
            parts.comments.push(span);
            return Walk::Skip;
        }
        if span.start >= from && is_decorator {
            parts.decorators.push(span);
            return Walk::Skip;
        }
        Walk::On
    });
    let mut taken: Vec<Span> = parts.comments.iter().chain(&parts.decorators).copied().collect();
    taken.sort_unstable();
    for span in taken {
        if source.text[parts.bare..span.start.max(parts.bare)].trim().is_empty() {
            parts.bare = parts.bare.max(span.end);
        }
    }
    let rest = &source.text[parts.bare..];
    parts.bare += rest.len() - rest.trim_start().len();
    parts
}
