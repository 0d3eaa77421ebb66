//! A definition is put between two texts, one level deeper where the first one opens a block.

use super::unfit;
use crate::apply::fit::{Block, Style};
use crate::apply::source::{Source, Splice};
use crate::apply::{Miss, plan};
use crate::outline::Symbol;

pub(super) fn splices(
    before: &str,
    after: &str,
    symbol: &Symbol,
    source: &Source,
) -> Result<Vec<Splice>, Miss> {
    if !plan::starts_line(symbol.span.start, source) {
        return Err(unfit("the symbol does not start its line; edit it by line_range"));
    }
    let lines = source.lines();
    let start = lines.start_of_line_at(symbol.span.start);
    let end = lines.end_of_line_at(symbol.span.end.saturating_sub(1));
    let to = source.indentation_at(symbol.span.start).to_owned();
    let style = Style::of_file(source).beside(&to);
    let line_break = source.line_break_at(start);
    let above = Block::of(before, source.language).trimmed();
    let below = Block::of(after, source.language).trimmed();
    if above.is_empty() && below.is_empty() {
        return Err(unfit("both texts of wrap are empty"));
    }
    let unit = if above.ends_with_opener() { style.unit() } else { String::new() };
    let inside = &source.text[start..end];
    let movable = Block::of(inside, source.language).movable();
    let mut splices = Vec::new();
    let mut at = start;
    for (index, line) in inside.split_inclusive('\n').enumerate() {
        let mut text = String::new();
        if index == 0 && !above.is_empty() {
            text = above.at(&to, style).joined(line_break) + line_break;
        }
        splices.extend((!text.is_empty()).then(|| Splice::at(at, text)));
        // A form feed sets the column back, so what indents stands behind it.
        let white = line.len() - line.trim_start_matches([' ', '\t', '\x0c']).len();
        let from = line[..white].rfind('\x0c').map_or(0, |feed| feed + 1);
        if movable.get(index) == Some(&true) && !unit.is_empty() {
            splices.push(Splice::at(at + from, unit.as_str()));
        }
        at += line.len();
    }
    if !below.is_empty() {
        let text = below.at(&to, style).joined(line_break);
        let open = !inside.ends_with('\n');
        splices.push(Splice::at(end, if open { format!("{line_break}{text}") } else { text + line_break }));
    }
    Ok(splices)
}
