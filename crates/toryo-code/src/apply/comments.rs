//! `set_docstring` where documentation is a comment above the definition.

use super::Miss;
use super::fit::{Block, Style};
use super::parts::parts;
use super::plan::starts_line;
use super::source::{Source, Splice};
use crate::language::CommentForm;
use crate::outline::Symbol;
use crate::refusal::Refusal;
use crate::text::Span;

/// Sets or adds the documentation of a definition, in comments that start with one of these.
pub(super) fn set(
    text: &str,
    symbol: &Symbol,
    (starts, form): (&[&str], CommentForm),
    source: &Source,
) -> Result<Vec<Splice>, Miss> {
    let text = text.trim().replace("\r\n", "\n");
    if text.is_empty() {
        return Err(Refusal::Unfit("the docstring is empty".to_owned()).into());
    }
    let is_doc = |span: &&Span| starts.iter().any(|start| source.text[span.range()].starts_with(start));
    let present: Vec<Span> = parts(symbol, source).comments.iter().filter(is_doc).copied().collect();
    let place = present.first().map_or(symbol.span.start, |first| first.start);
    let to = source.indentation_at(place).to_owned();
    let line_break = source.line_break_at(place);
    let comment = if is_comment(&text, starts, form) { text } else { written(&text, form) };
    let style = Style::of_file(source).beside(&to);
    let comment = Block::of(&comment, source.language).at(&to, style).joined(line_break);
    let comment = comment.strip_prefix(&to).unwrap_or(&comment);
    if let (Some(first), Some(last)) = (present.first(), present.last()) {
        return Ok(vec![Splice::new(first.start, last.end, comment)]);
    }
    if !starts_line(place, source) {
        let why = "the symbol does not start its line; add its documentation by line_range";
        return Err(Refusal::Unfit(why.to_owned()).into());
    }
    Ok(vec![Splice::at(place, format!("{comment}{line_break}{to}"))])
}

/// Whether a text is a comment of documentation already.
fn is_comment(text: &str, starts: &[&str], form: CommentForm) -> bool {
    let is_block = text.starts_with("/*") && text.ends_with("*/") && text.matches("*/").count() == 1;
    let mark = |mark: &str| text.lines().all(|line| line.trim_start().starts_with(mark));
    match form {
        CommentForm::Lines(prefix) if mark(prefix.trim_end()) => true,
        _ => is_block && starts.iter().any(|start| text.starts_with(start)),
    }
}

/// A text as a comment.
fn written(text: &str, form: CommentForm) -> String {
    match form {
        CommentForm::Lines(prefix) => {
            let lines = text.lines().map(|line| format!("{prefix}{line}").trim_end().to_owned());
            lines.collect::<Vec<_>>().join("\n")
        }
        CommentForm::Block => {
            let text = text.replace("*/", "*\\/");
            if !text.contains('\n') {
                return format!("/** {text} */");
            }
            let lines = text.lines().map(|line| format!(" * {line}").trim_end().to_owned());
            format!("/**\n{}\n */", lines.collect::<Vec<_>>().join("\n"))
        }
    }
}
