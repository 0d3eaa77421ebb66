//! Bodies in braces: what stands between them, and texts put there.

use super::Miss;
use super::fit::{Block, Style};
use super::plan::{is_comment, starts_line, whole_lines};
use super::source::{Source, Splice};
use crate::edit::Position;
use crate::language::Tail;
use crate::outline::{Symbol, SymbolKind};
use crate::refusal::Refusal;
use crate::text::Span;

/// What stands between the braces around a body, white space included; `None` where the body is an expression.
pub(super) fn around(body: Span, source: &Source) -> Option<Span> {
    let before = source.text[..body.start].trim_end();
    let after = &source.text[body.end..];
    let space = after.len() - after.trim_start().len();
    let closed = after.trim_start().starts_with('}');
    (before.ends_with('{') && closed).then(|| Span::new(before.len(), body.end + space))
}

/// The indentation of a body's owner: that of the line with the closing brace, if it starts its line.
fn owner_indentation<'a>(symbol: &Symbol, inner: Span, source: &'a Source) -> &'a str {
    let closes = starts_line(inner.end, source);
    source.indentation_at(if closes { inner.end } else { symbol.definition.start })
}

/// The indentation of what stands in a body, and its style.
pub(super) fn indentation(symbol: &Symbol, body: Span, source: &Source) -> (String, Style) {
    let owner = around(body, source).map_or("", |inner| owner_indentation(symbol, inner, source));
    let owner = if owner.is_empty() { source.indentation_at(symbol.definition.start) } else { owner };
    let style = Style::of_file(source).beside(owner);
    if body.start < body.end && starts_line(body.start, source) {
        let own = source.indentation_at(body.start);
        return (own.to_owned(), style.beside(own));
    }
    (format!("{owner}{}", style.unit()), style)
}

/// Where the content of a body starts: behind the brace and a comment that follows it on its line.
fn content_start(body: Span, inner: Span, source: &Source) -> usize {
    let rest = &source.text[inner.start..source.lines().end_of_line_at(inner.start.saturating_sub(1))];
    let is_header_comment = body.start < body.end && is_comment(rest.trim_start(), source);
    if is_header_comment { inner.start + rest.trim_end().len() } else { inner.start }
}

/// Puts a text at the start or end of a body. A body on its header's line is put on lines of its own.
pub(super) fn insert(
    symbol: &Symbol,
    body: Span,
    position: Position,
    block: &Block,
    spaced: bool,
    source: &Source,
) -> Result<Vec<Vec<Splice>>, Miss> {
    let Some(inner) = around(body, source) else {
        return Err(
            Refusal::Unfit("the body is an expression; give statements by replace_body".to_owned()).into()
        );
    };
    let (to, style) = indentation(symbol, body, source);
    let owner = owner_indentation(symbol, inner, source);
    let line_break = source.line_break_at(symbol.definition.start);
    let start = content_start(body, inner, source);
    let content = Span::new(body.start.max(start), body.end.max(start));
    // Below a statement that stays first.
    let (start, position) = match leading_end(body, source) {
        Some(end) if position == Position::BodyStart && end >= content.end => (start, Position::BodyEnd),
        Some(end) if position == Position::BodyStart => (end, position),
        _ => (start, position),
    };
    let is_empty = source.text[content.range()].trim().is_empty();
    let tail = match position {
        Position::BodyEnd => tail(symbol, source),
        Position::Before | Position::After | Position::BodyStart => Tail::Statement,
    };
    if tail == Tail::Value {
        let why = format!(
            "the body of `{}` ends with its value; insert above that by line_range, or give the whole body by replace_body",
            symbol.path
        );
        return Err(Refusal::Unfit(why).into());
    }
    let opened = starts_line(body.start, source) || start > inner.start;
    let closed = starts_line(inner.end, source);
    let plan = |block: &Block| -> Vec<Splice> {
        let lines = block.joined(line_break);
        let own_gap = usize::from(spaced && !is_empty);
        match position {
            Position::BodyStart if is_empty => {
                vec![Splice::new(start, inner.end, format!("{line_break}{lines}{line_break}{owner}"))]
            }
            Position::BodyStart if opened => {
                vec![whole_lines(
                    source.lines().end_of_line_at(start.saturating_sub(1)),
                    block,
                    0,
                    own_gap,
                    source,
                )]
            }
            Position::BodyStart => {
                let first = format!("{line_break}{lines}{}{to}", line_break.repeat(own_gap + 1));
                let mut splices = vec![Splice::new(start, content.start, first)];
                if !closed {
                    splices.push(Splice::new(content.end, inner.end, format!("{line_break}{owner}")));
                }
                splices
            }
            _ if is_empty => {
                vec![Splice::new(start, inner.end, format!("{line_break}{lines}{line_break}{owner}"))]
            }
            _ => {
                let gap = own_gap.max(usize::from(ends_with_member(symbol, body, source)));
                let mut last = line_break.repeat(gap + 1) + &lines + line_break + owner;
                let mut splices = Vec::new();
                if !opened {
                    splices.push(Splice::new(start, content.start, format!("{line_break}{to}")));
                }
                match tail {
                    Tail::Open(end) if end < content.end => splices.push(Splice::at(end, ";")),
                    Tail::Open(_) => last.insert(0, ';'),
                    Tail::Statement | Tail::Value => {}
                }
                splices.push(Splice::new(content.end, inner.end, last));
                splices
            }
        }
    };
    let cut = block.at_with_first_cut(&to, style).filter(|_| block.looks_cut(&to, style));
    Ok(vec![plan(&cut.unwrap_or_else(|| block.at(&to, style)))])
}

/// What a function's body ends with.
fn tail(symbol: &Symbol, source: &Source) -> Tail {
    let of = || {
        let root = source.analysis()?.tree.root_node();
        let name = root.descendant_for_byte_range(symbol.name_span.start, symbol.name_span.end)?;
        Some((source.language?.tail)(name.parent()?))
    };
    match symbol.kind {
        SymbolKind::Function | SymbolKind::Method => of().unwrap_or(Tail::Statement),
        SymbolKind::Class | SymbolKind::Module | SymbolKind::Variable => Tail::Statement,
    }
}

/// The end of the statement that stays the first of a body, if it has one.
fn leading_end(body: Span, source: &Source) -> Option<usize> {
    let root = source.analysis()?.tree.root_node();
    let mut node = root.descendant_for_byte_range(body.start, body.start + 1)?;
    while node.start_byte() == body.start {
        if source.language?.leading.contains(&node.kind()) {
            return Some(node.end_byte());
        }
        node = node.parent()?;
    }
    None
}

/// Whether a class ends with a definition of more than one line, below which a blank line is usual.
fn ends_with_member(symbol: &Symbol, body: Span, source: &Source) -> bool {
    let is_last = |other: &&Symbol| other.span.end == body.end && symbol.span.holds(other.span);
    symbol.kind == SymbolKind::Class
        && source.symbols().iter().filter(is_last).any(|last| last.first_line < last.last_line)
}

/// Puts a text in the place of a body. Statements in the place of an expression get braces, and braces around
/// the given text are taken for the body's own.
pub(super) fn replace(text: &str, symbol: &Symbol, body: Span, source: &Source) -> Result<Vec<Splice>, Miss> {
    let line_break = source.line_break_at(symbol.definition.start);
    let Some(inner) = around(body, source) else {
        let text = text.trim();
        if is_expression(text, source) {
            let block = Block::of(text, source.language);
            let owner = source.indentation_at(symbol.definition.start);
            let block = block.at(owner, Style::of_file(source).beside(owner)).joined(line_break);
            let text = block.strip_prefix(owner).unwrap_or(&block);
            return Ok(vec![Splice::new(body.start, body.end, text)]);
        }
        let owner = source.indentation_at(symbol.definition.start);
        let (to, style) = indentation(symbol, body, source);
        let lines = fitted(unbraced(text), &to, style, source).joined(line_break);
        let text = format!("{{{line_break}{lines}{line_break}{owner}}}");
        return Ok(vec![Splice::new(body.start, body.end, text)]);
    };
    let (to, style) = indentation(symbol, body, source);
    let owner = owner_indentation(symbol, inner, source);
    let lines = fitted(unbraced(text), &to, style, source);
    if lines.is_empty() {
        return Err(Refusal::Unfit("the new body is empty".to_owned()).into());
    }
    let start = content_start(body, inner, source);
    let text = format!("{line_break}{}{line_break}{owner}", lines.joined(line_break));
    Ok(vec![Splice::new(start, inner.end, text)])
}

fn fitted(text: &str, to: &str, style: Style, source: &Source) -> Block {
    let block = Block::of(text, source.language).trimmed();
    let cut = block.at_with_first_cut(to, style).filter(|_| block.looks_cut(to, style));
    cut.unwrap_or_else(|| block.at(to, style))
}

/// A text without the braces around the whole of it.
fn unbraced(text: &str) -> &str {
    let Some(inside) = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return text;
    };
    // `{ a } … { b }` is no single pair. Braces in strings may hide a pair, which then stays: that is sound too.
    let mut depth = 0_usize;
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return text,
            '}' => depth -= 1,
            _ => {}
        }
    }
    if depth == 0 { inside.trim_matches('\n') } else { text }
}

/// Whether a text is one expression.
fn is_expression(text: &str, source: &Source) -> bool {
    let parsed = |text: &str| {
        let language = source.language?;
        crate::syntax::errors_of(language, text).ok().map(|faults| faults.is_empty())
    };
    let statement = text.starts_with('{') || text.ends_with(';') || text.is_empty();
    !statement && parsed(&format!("x = (\n{text}\n)\n")) == Some(true)
}
