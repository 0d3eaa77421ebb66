//! Which bytes an insertion, replacement or deletion changes.
//!
//! Where a text may stand at several indentations, a plan is given for each, the likeliest first.

mod beside;
mod body;
mod layout;
mod lines;
mod removal;

use super::Miss;
use super::fit::{Block, Style};
use super::locate::Place;
use super::source::{Source, Splice};
use crate::edit::Position;
use crate::outline::{Symbol, SymbolKind};
use crate::refusal::Refusal;
use crate::text::Span;
pub(super) use layout::{is_comment, starts_line};
use lines::{at_lines, goes_on, indentation_below, line_indentation};
pub(super) use removal::{delete, removal};
use std::collections::HashSet;

/// Several ways to do the same, the likeliest first.
type Plans = Vec<Vec<Splice>>;

fn unfit<T>(why: &str) -> Result<T, Miss> {
    Err(Refusal::Unfit(why.to_owned()).into())
}

/// Puts a text in the place of a definition, of lines or of a node.
pub(super) fn replace(place: &Place, text: &str, source: &Source) -> Result<Plans, Miss> {
    if text.trim().is_empty() {
        return unfit("the patch is empty; to remove the place use edit_type delete");
    }
    let block = Block::of(text, source.language);
    match place {
        Place::Symbol(symbol) => Ok(in_place(symbol.span, &block.trimmed(), source)),
        Place::Node(span) => Ok(in_place(*span, &block.trimmed(), source)),
        Place::Lines { span, .. } => {
            let place = &source.text[span.range()];
            let line_break = source.line_break_at(span.start);
            let anchor = line_indentation(place);
            let end = if place.is_empty() || place.ends_with('\n') { line_break } else { "" };
            let texts = at_lines(&block, &anchor, span.start, source);
            let splice = |block: Block| Splice::new(span.start, span.end, block.joined(line_break) + end);
            Ok(texts.into_iter().map(|block| vec![splice(block)]).collect())
        }
        Place::WholeFile => Err(Refusal::ReplacesWholeFile.into()),
    }
}

/// A text in the place of a span that may start within a line.
fn in_place(span: Span, block: &Block, source: &Source) -> Plans {
    let line_break = source.line_break_at(span.start);
    let to = source.indentation_at(span.start).to_owned();
    let mut blocks =
        if starts_line(span.start, source) { fitted(block, &to, source) } else { vec![block.clone()] };
    // Lines that are the same before and after tell how the text is meant to be indented.
    let old: HashSet<&str> = source.text[span.range()].lines().skip(1).map(str::trim_end).collect();
    let changed = |block: &Block| {
        block.joined("\n").lines().skip(1).filter(|line| !old.contains(line.trim_end())).count()
    };
    blocks.sort_by_cached_key(changed);
    let splice = |block: Block| {
        let text = block.joined(line_break);
        let text = text.strip_prefix(&to).unwrap_or(&text);
        vec![Splice::new(span.start, span.end, text)]
    };
    blocks.into_iter().map(splice).collect()
}

/// A block at an indentation: moved as a whole, or as one whose first line was cut out of its line.
fn fitted(block: &Block, to: &str, source: &Source) -> Vec<Block> {
    let style = Style::of_file(source).beside(to);
    let whole = block.at(to, style);
    match block.at_with_first_cut(to, style) {
        Some(cut) if block.looks_cut(to, style) => vec![cut, whole],
        Some(cut) => vec![whole, cut],
        None => vec![whole],
    }
}

/// Adds a text beside or into a definition, or beside lines or a node.
pub(super) fn insert(
    place: &Place,
    position: Option<Position>,
    text: &str,
    source: &Source,
) -> Result<Plans, Miss> {
    let Some(position) = position else {
        return unfit("an insert needs a position: before, after, body_start or body_end");
    };
    if text.is_empty() {
        return unfit("the patch is empty");
    }
    let block = Block::of(text, source.language);
    match (place, position) {
        (Place::Symbol(symbol), Position::Before | Position::After) => {
            beside::insert(symbol, position, &block.trimmed(), source)
        }
        (Place::Symbol(symbol), Position::BodyStart | Position::BodyEnd) => {
            body::insert(symbol, position, &block.trimmed(), source)
        }
        (Place::Node(span), Position::Before | Position::After) => {
            if !starts_line(span.start, source) {
                return unfit("the query's target does not start a line; insert beside a whole statement");
            }
            let lines = source.lines();
            let to = source.indentation_at(span.start).to_owned();
            let at = match position {
                Position::Before => lines.start_of_line_at(span.start),
                _ => lines.end_of_line_at(span.end.saturating_sub(1).max(span.start)),
            };
            let blocks = fitted(&block.trimmed(), &to, source);
            Ok(blocks.iter().map(|block| vec![whole_lines(at, block, 0, 0, source)]).collect())
        }
        (Place::Lines { span, last }, Position::Before | Position::After) => {
            let (at, anchor) = match position {
                Position::Before => (span.start, line_indentation(&source.text[span.start..])),
                _ => {
                    (source.point_after_original(*last).unwrap_or(span.end), indentation_below(*span, source))
                }
            };
            if goes_on(at, source) && !block.last().is_some_and(|last| last.ends_with('\\')) {
                return unfit(
                    "the line above ends with a backslash and goes on below; insert beside the whole statement",
                );
            }
            let blocks = at_lines(&block, &anchor, at, source);
            Ok(blocks.iter().map(|block| vec![whole_lines(at, block, 0, 0, source)]).collect())
        }
        (Place::Node(_) | Place::Lines { .. }, Position::BodyStart | Position::BodyEnd) => {
            unfit("body_start and body_end need a symbol")
        }
        (Place::WholeFile, _) => Err(Refusal::FileExists.into()),
    }
}

/// Whole lines at the start of a line or at the end of the text, with blank lines around them.
pub(super) fn whole_lines(at: usize, block: &Block, lead: usize, trail: usize, source: &Source) -> Splice {
    let line_break = source.line_break_at(at.min(source.text.len()).saturating_sub(1));
    let text = line_break.repeat(lead) + &block.joined(line_break);
    let after_open_line = at == source.text.len() && !source.text.is_empty() && !source.text.ends_with('\n');
    let text = if after_open_line { format!("{line_break}{text}") } else { text + line_break };
    Splice::at(at, text + &line_break.repeat(trail))
}

/// Whether the text's first code opens a class or function.
fn starts_definition(block: &Block, source: &Source) -> bool {
    let first = block.first().unwrap_or_default().trim_start();
    let words = source.language.map_or(&[][..], |language| language.definition_starts);
    words.iter().any(|word| first.starts_with(word))
}

/// Whether a text beside or among members of a class is a member with a body.
fn is_member(block: &Block, owner: Option<&Symbol>) -> bool {
    owner.is_some_and(|owner| owner.kind == SymbolKind::Class)
        && block.last().is_some_and(|last| last.ends_with('}'))
}

fn is_definition(symbol: &Symbol) -> bool {
    symbol.kind != SymbolKind::Variable
}
