//! A text becomes a definition's neighbour, as far from it as the file's definitions are from each other.

use super::layout::{above_own_comments, blank_above, blank_below, closes_body, opens_body, starts_line};
use super::{Plans, fitted, is_definition, is_member, starts_definition, unfit, whole_lines};
use crate::apply::Miss;
use crate::apply::fit::Block;
use crate::apply::source::Source;
use crate::edit::Position;
use crate::outline::{Symbol, SymbolKind, column};

/// Adds a text as a sibling of a definition.
pub(super) fn insert(
    symbol: &Symbol,
    position: Position,
    block: &Block,
    source: &Source,
) -> Result<Plans, Miss> {
    if !starts_line(symbol.span.start, source) {
        return unfit("the symbol does not start its line; insert by line_range");
    }
    if block.is_empty() {
        return unfit("the patch is empty");
    }
    let to = source.indentation_at(symbol.span.start).to_owned();
    let lines = source.lines();
    let owner = symbol.parent.and_then(|parent| source.symbols().get(parent));
    let spaced = is_definition(symbol) || starts_definition(block, source) || is_member(block, owner);
    let want = if spaced { gap_beside(symbol, position, source) } else { 0 };
    let (at, lead, trail) = match position {
        Position::Before => {
            let at = above_own_comments(lines.start_of_line_at(symbol.span.start), &to, source);
            (at, if opens_body(at, source) { 0 } else { want.saturating_sub(blank_above(at, source)) }, want)
        }
        _ => {
            let at = lines.end_of_line_at(symbol.span.end.saturating_sub(1));
            if source.text[symbol.span.end..at].trim_start().starts_with('}') {
                return unfit("the symbol shares its last line with what is around it; insert by line_range");
            }
            let followed = !source.text[at..].trim().is_empty() && !closes_body(at, source);
            (at, want, if followed { want.saturating_sub(blank_below(at, source)) } else { 0 })
        }
    };
    let blocks = fitted(block, &to, source);
    Ok(blocks.iter().map(|block| vec![whole_lines(at, block, lead, trail, source)]).collect())
}

/// How many blank lines this file puts between the definition and its neighbours; else PEP 8's number.
fn gap_beside(symbol: &Symbol, position: Position, source: &Source) -> usize {
    let lines = source.lines();
    let siblings =
        || source.symbols().iter().filter(|other| other.parent == symbol.parent && is_definition(other));
    let below = siblings().find(|other| other.span.start > symbol.span.end).map(|other| other.span.start);
    let above = siblings().rfind(|other| other.span.end < symbol.span.start).map(|_| symbol.span.start);
    let nearest = if position == Position::Before { above.or(below) } else { below.or(above) };
    let gap = nearest.filter(|_| is_definition(symbol)).map(|start| {
        let to = source.indentation_at(start).to_owned();
        blank_above(above_own_comments(lines.start_of_line_at(start), &to, source), source)
    });
    let usual = match source.language {
        Some(language) if column(source.indentation_at(symbol.span.start)) == 0 => language.gap,
        // Signatures in an interface stand together.
        _ => usize::from(symbol.body.is_some() || symbol.kind == SymbolKind::Variable),
    };
    gap.unwrap_or(usual).min(usual.max(2))
}
