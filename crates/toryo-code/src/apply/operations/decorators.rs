//! Decorators, annotations and attributes are added and removed.

use super::unfit;
use crate::apply::fit::{Block, Style};
use crate::apply::parts::parts;
use crate::apply::source::{Source, Splice};
use crate::apply::{Miss, plan};
use crate::outline::Symbol;
use crate::text::Span;

/// How the language writes decorators.
fn decorator_marks(source: &Source) -> Result<(&'static str, &'static str), Miss> {
    let language = source.language.ok_or_else(|| unfit("the operation needs a symbol"))?;
    language.decorator.ok_or_else(|| unfit(format!("{} has no decorators", language.name)))
}

/// A decorator's text without its marks.
fn unmarked<'a>(text: &'a str, (open, close): (&str, &str)) -> &'a str {
    let text = text.trim();
    let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    inner.unwrap_or(text).trim()
}

pub(super) fn add(text: &str, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
    let marks = decorator_marks(source)?;
    let bare = unmarked(text, marks);
    if bare.is_empty() {
        return Err(unfit("the decorator is empty"));
    }
    let same = |a: &str, b: &str| a.split_whitespace().eq(b.split_whitespace());
    let parts = parts(symbol, source);
    if parts.decorators.iter().any(|span| same(unmarked(&source.text[span.range()], marks), bare)) {
        return Ok(Vec::new());
    }
    let text = format!("{}{bare}{}", marks.0, marks.1);
    let place = parts.decorators.first().map_or(parts.bare, |first| first.start.min(parts.bare));
    if !plan::starts_line(place, source) {
        return Ok(vec![Splice::at(place, text + " ")]);
    }
    let to = source.indentation_at(place).to_owned();
    let style = Style::of_file(source).beside(&to);
    let line_break = source.line_break_at(place);
    let block = Block::of(&text, source.language).at(&to, style);
    Ok(vec![Splice::at(source.lines().start_of_line_at(place), block.joined(line_break) + line_break)])
}

pub(super) fn remove(name: &str, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
    let marks = decorator_marks(source)?;
    let present = parts(symbol, source).decorators;
    let called = |text: &str| -> String {
        let end = text.find(['(', '=', '[', '{']).unwrap_or(text.len());
        text[..end].split_whitespace().collect()
    };
    let text_of = |span: &Span| unmarked(&source.text[span.range()], marks);
    let by =
        |test: &dyn Fn(&str) -> bool| present.iter().filter(|span| test(text_of(span))).collect::<Vec<_>>();
    let asked = unmarked(name, marks);
    let wanted = called(asked);
    let last = |text: &str| called(text).rsplit(['.', ':']).next().map(str::to_owned);
    // By its whole text, its name, or the last part of its name.
    let mut found = by(&|text| text == asked);
    if found.is_empty() {
        found = by(&|text| called(text) == wanted);
    }
    if found.is_empty() {
        found = by(&|text| last(text).as_deref() == Some(wanted.as_str()));
    }
    match found.as_slice() {
        [one] => Ok(vec![plan::removal(**one, source)]),
        several => {
            let all: Vec<String> = present.iter().map(|span| called(text_of(span))).collect();
            let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
            let count = if several.is_empty() { "no decorator is" } else { "several decorators are" };
            Err(unfit(format!("{count} called `{wanted}`; the decorators of `{}`: {all}", symbol.path)))
        }
    }
}
