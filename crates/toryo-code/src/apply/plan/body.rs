//! A text becomes a part of a definition's body, below its docstring or below its last statement.

use super::layout::{blank_above, blank_span, starts_line};
use super::{Plans, fitted, is_definition, is_member, starts_definition, unfit, whole_lines};
use crate::apply::bodies::{docstring, header_end, in_braces};
use crate::apply::fit::{Block, Style};
use crate::apply::source::{Source, Splice};
use crate::apply::{Miss, braces};
use crate::edit::Position;
use crate::outline::{Symbol, SymbolKind};
use crate::text::Span;

/// Adds a text to a body.
pub(super) fn insert(
    symbol: &Symbol,
    position: Position,
    block: &Block,
    source: &Source,
) -> Result<Plans, Miss> {
    let Some(body) = symbol.body else { return unfit("the symbol has no body") };
    if block.is_empty() {
        return unfit("the patch is empty");
    }
    let spaced = starts_definition(block, source) || is_member(block, Some(symbol));
    if in_braces(source) {
        return braces::insert(symbol, body, position, block, spaced, source);
    }
    let doc = docstring(symbol, source).filter(|_| position == Position::BodyStart);
    let line_end = |doc: Span| source.lines().end_of_line_at(doc.end.saturating_sub(1));
    if doc.is_some_and(|doc| source.text[doc.end..line_end(doc)].trim_start().starts_with(';')) {
        return unfit("the docstring shares its line with statements; insert by line_range");
    }
    if !starts_line(body.start, source) {
        let position = if doc.is_some() { Position::BodyEnd } else { position };
        return Ok(into_line(symbol, body, position, block, source));
    }
    let to = source.indentation_at(body.start).to_owned();
    let (at, lead, trail) = match position {
        Position::BodyStart => at_start(symbol, doc, spaced, source),
        _ => at_end(symbol, spaced, source),
    };
    let blocks = fitted(block, &to, source);
    Ok(blocks.iter().map(|block| vec![whole_lines(at, block, lead, trail, source)]).collect())
}

/// Into a body on its header's line: what is there gets a line of its own.
fn into_line(symbol: &Symbol, body: Span, position: Position, block: &Block, source: &Source) -> Plans {
    let owner = source.indentation_at(symbol.definition.start).to_owned();
    let style = Style::of_file(source).beside(&owner);
    let to = owner + &style.unit();
    let line_break = source.line_break_at(symbol.definition.start);
    let header = source.text[..body.start].trim_end_matches([' ', '\t', '\r', '\n', '\\']).len();
    let plan = |block: Block| {
        let (before, after) = match position {
            Position::BodyStart => {
                (format!("{line_break}{}{line_break}{to}", block.joined(line_break)), String::new())
            }
            _ => (format!("{line_break}{to}"), format!("{line_break}{}", block.joined(line_break))),
        };
        let mut splices = vec![Splice::new(header, body.start, before)];
        splices.extend((!after.is_empty()).then(|| Splice::at(symbol.span.end, after)));
        splices
    };
    fitted(block, &to, source).into_iter().map(plan).collect()
}

/// Where a text is inserted, and how many blank lines stand before and after it.
type Gap = (usize, usize, usize);

/// Below the docstring or the header.
fn at_start(symbol: &Symbol, doc: Option<Span>, spaced: bool, source: &Source) -> Gap {
    let lines = source.lines();
    let start = doc.map_or_else(|| header_end(symbol, source), |doc| doc.end);
    let start = lines.end_of_line_at(start.saturating_sub(1));
    let at = if doc.is_some() { start + blank_span(start, source) } else { start };
    let followed = at < symbol.span.end;
    let at = if followed { at } else { start };
    let lead = usize::from(spaced && doc.is_some() && blank_above(at, source) == 0);
    let before_definition = source.text[at..].trim_start().starts_with(['@', 'd', 'a', 'c'])
        && source.symbols().iter().any(|s| is_definition(s) && lines.start_of_line_at(s.span.start) == at);
    let in_class = symbol.kind == SymbolKind::Class;
    (at, lead, usize::from(followed && (spaced || in_class && before_definition)))
}

/// Below the last statement.
fn at_end(symbol: &Symbol, spaced: bool, source: &Source) -> Gap {
    let at = source.lines().end_of_line_at(symbol.span.end.saturating_sub(1));
    let owned = |other: &&Symbol| symbol.span.holds(other.span) && other.span != symbol.span;
    let inner = source.symbols().iter().filter(owned);
    let last = inner.map(|other| (other.span.end, is_definition(other))).max();
    let after_definition = last.is_some_and(|(end, definition)| definition && end == symbol.span.end);
    (at, usize::from(spaced || after_definition), 0)
}
