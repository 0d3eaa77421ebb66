//! Removals: comments and blank lines above stay, and a block that may not be empty gets a statement.

use super::layout::{blank_above, blank_below, is_comment, opens_body, starts_line};
use crate::apply::Miss;
use crate::apply::locate::Place;
use crate::apply::source::{Source, Splice};
use crate::language::Layout;
use crate::outline::Symbol;
use crate::refusal::Refusal;
use crate::text::Span;
use tree_sitter::Node;

/// Removes a definition, lines or a node. Comments and blank lines above stay.
pub(in crate::apply) fn delete(place: &Place, source: &Source) -> Result<Vec<Splice>, Miss> {
    match place {
        Place::Lines { span, .. } => Ok(vec![Splice::new(span.start, span.end, "")]),
        Place::Node(span) => Ok(vec![without(*span, source)]),
        Place::Symbol(symbol) => {
            let twin = |other: &&Symbol| other.span == symbol.span && other.name != symbol.name;
            if let Some(twin) = source.symbols().iter().find(twin) {
                let why = format!(
                    "`{}` is assigned in one statement with `{}`; edit it by line_range",
                    symbol.name, twin.name
                );
                return Err(Refusal::Unfit(why).into());
            }
            Ok(vec![without(symbol.span, source)])
        }
        Place::WholeFile => Err(Refusal::Unfit("nothing to delete here".to_owned()).into()),
    }
}

/// The removal of a statement or expression.
fn without(span: Span, source: &Source) -> Splice {
    match filler(span, source) {
        Some(filler) => Splice::new(span.start, span.end, filler),
        None => removal(span, source),
    }
}

/// The removal of what may be missing.
pub(in crate::apply) fn removal(span: Span, source: &Source) -> Splice {
    let lines = source.lines();
    let line_end = lines.end_of_line_at(span.end.saturating_sub(1).max(span.start));
    let after = source.text[span.end..line_end].trim();
    let comment = after.is_empty() || is_comment(after, source);
    if !starts_line(span.start, source) || !comment {
        return within_line(span, line_end, source);
    }
    let start = lines.start_of_line_at(span.start);
    // What is left between the neighbours is the larger of the two gaps; after a header it is nothing.
    let below = blank_below(line_end, source);
    let at_start = start == 0 || opens_body(start, source);
    let eaten = if at_start { below } else { below.min(blank_above(start, source)) };
    let followed = !source.text[line_end..].trim().is_empty();
    let mut end = line_end;
    for _ in 0..if followed { eaten } else { 0 } {
        end = lines.end_of_line_at(end);
    }
    Splice::new(start, end, "")
}

/// The removal of a part of a line, with the `;` that sets it apart.
fn within_line(span: Span, line_end: usize, source: &Source) -> Splice {
    let after = &source.text[span.end..line_end];
    if let Some(rest) = after.trim_start().strip_prefix(';') {
        let end = line_end - rest.trim_start_matches([' ', '\t']).len();
        return Splice::new(span.start, end, "");
    }
    let before = source.text[..span.start].trim_end_matches([' ', '\t']);
    if source.language.is_some_and(|language| language.layout == Layout::Braces) {
        let space = after.len() - after.trim_start_matches([' ', '\t']).len();
        return Splice::new(span.start, span.end + if before.len() < span.start { space } else { 0 }, "");
    }
    Splice::new(before.strip_suffix(';').map_or(span.start, str::len), span.end, "")
}

/// What has to stand in the place of a statement, if its body may not be empty.
fn filler(span: Span, source: &Source) -> Option<&'static str> {
    match source.language?.layout {
        Layout::Indented { filler } => Some(filler).filter(|_| is_alone(span, source)),
        Layout::Braces => None,
    }
}

/// Whether a statement is the only one of its block.
fn is_alone(span: Span, source: &Source) -> bool {
    let (Some(language), Some(analysis)) = (source.language, source.analysis()) else { return false };
    let mut node = analysis.tree.root_node().descendant_for_byte_range(span.start, span.start + 1);
    while let Some(inner) = node {
        let Some(parent) = inner.parent() else { return false };
        if parent.start_byte() < span.start || language.blocks.contains(&parent.kind()) {
            let mut cursor = parent.walk();
            let is_code = |child: &Node<'_>| !language.comments.contains(&child.kind());
            let statements = parent.named_children(&mut cursor).filter(is_code).count();
            return language.blocks.contains(&parent.kind())
                && statements == 1
                && inner.end_byte() >= span.end.min(inner.end_byte());
        }
        node = Some(parent);
    }
    false
}
