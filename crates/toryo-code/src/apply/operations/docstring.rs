//! A definition gets a docstring, or the comment that documents it.

use super::unfit;
use crate::apply::bodies::{body_indentation, body_of, docstring, header_end};
use crate::apply::fit::{Block, Style};
use crate::apply::source::{Source, Splice};
use crate::apply::{Miss, comments, plan};
use crate::language::Doc;
use crate::outline::{Symbol, SymbolKind};

pub(super) fn set(text: &str, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
    if let Some(Doc::Above { starts, form }) = source.language.map(|language| language.doc) {
        return comments::set(text, symbol, (starts, form), source);
    }
    let body = body_of(symbol)?;
    if text.trim().is_empty() {
        return Err(unfit("the docstring is empty"));
    }
    let (to, _) = body_indentation(symbol, body, source);
    let line_break = source.line_break_at(symbol.definition.start);
    let literal = literal(text.trim(), &to, source).replace('\n', line_break);
    if let Some(doc) = docstring(symbol, source) {
        return Ok(vec![Splice::new(doc.start, doc.end, literal)]);
    }
    let header = header_end(symbol, source);
    if !plan::starts_line(body.start, source) {
        let text = format!("{line_break}{to}{literal}{line_break}{to}");
        return Ok(vec![Splice::new(header, body.start, text)]);
    }
    let at = source.lines().end_of_line_at(header.saturating_sub(1));
    let before_definition =
        source.symbols().iter().any(|other| other.span.start == body.start && other.body.is_some());
    let gap = if symbol.kind == SymbolKind::Class && before_definition { line_break } else { "" };
    Ok(vec![Splice::at(at, format!("{to}{literal}{line_break}{gap}"))])
}

/// A text as a string literal; one that is a literal already stays as it is.
fn literal(text: &str, to: &str, source: &Source) -> String {
    let text = text.replace("\r\n", "\n");
    let parsed = source.language.and_then(|language| {
        let tree = crate::syntax::parse(language, &text).ok()?;
        let doc = language.inner_doc(tree.root_node())?;
        Some(doc.byte_range() == (0..text.len()) && !tree.root_node().has_error())
    });
    if parsed == Some(true) {
        return text;
    }
    let awkward = text.contains("\"\"\"") || text.ends_with('"') || text.ends_with('\\');
    let raw = text.contains('\\') && !awkward;
    let mut content = if raw { text } else { text.replace('\\', "\\\\").replace("\"\"\"", "\\\"\\\"\\\"") };
    if content.ends_with('"') && !content.ends_with("\\\"") {
        content.truncate(content.len() - 1);
        content.push_str("\\\"");
    }
    let prefix = if raw { "r" } else { "" };
    let Some((first, rest)) = content.split_once('\n') else {
        return format!("{prefix}\"\"\"{content}\"\"\"");
    };
    let rest = Block::of(rest, None).at(to, Style::of(rest)).joined("\n");
    format!("{prefix}\"\"\"{first}\n{rest}\n{to}\"\"\"")
}
