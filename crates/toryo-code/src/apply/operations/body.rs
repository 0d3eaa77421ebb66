//! A definition gets a new body; its docstring stays unless the new body brings one.

use super::unfit;
use crate::apply::bodies::{body_indentation, body_of, docstring, header_end, in_braces};
use crate::apply::fit::{Block, Style};
use crate::apply::source::{Source, Splice};
use crate::apply::{Miss, braces, plan};
use crate::outline::Symbol;

pub(super) fn replace(text: &str, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
    let body = body_of(symbol)?;
    let block = Block::of(text, source.language).trimmed();
    if block.is_empty() {
        return Err(unfit("the new body is empty"));
    }
    if in_braces(source) {
        return braces::replace(text, symbol, body, source);
    }
    let (to, style) = body_indentation(symbol, body, source);
    let line_break = source.line_break_at(symbol.definition.start);
    let new = fitted(&block, &to, style).joined(line_break);
    let kept = docstring(symbol, source).filter(|_| !brings_docstring(&block, source));
    let header = header_end(symbol, source);
    if !plan::starts_line(body.start, source) {
        let doc =
            kept.map(|doc| format!("{line_break}{to}{}", &source.text[doc.range()])).unwrap_or_default();
        return Ok(vec![Splice::new(header, symbol.span.end, format!("{doc}{line_break}{new}"))]);
    }
    let lines = source.lines();
    let Some(doc) = kept else {
        let start = lines.end_of_line_at(header.saturating_sub(1));
        return Ok(vec![Splice::new(start, symbol.span.end, new)]);
    };
    let line_end = lines.end_of_line_at(doc.end.saturating_sub(1));
    if source.text[doc.end..line_end].trim_start().starts_with(';') {
        return Err(unfit(
            "the docstring shares its line with statements; give the docstring in the new body",
        ));
    }
    let blank = source.text[line_end..].split_inclusive('\n').take_while(|line| line.trim().is_empty());
    let start = line_end + blank.map(str::len).sum::<usize>();
    if start < symbol.span.end {
        return Ok(vec![Splice::new(start, symbol.span.end, new)]);
    }
    Ok(vec![Splice::at(symbol.span.end, format!("{line_break}{new}"))])
}

/// A block moved to an indentation, as a whole or as one whose first line was cut out of its line.
fn fitted(block: &Block, to: &str, style: Style) -> Block {
    let cut = block.at_with_first_cut(to, style).filter(|_| block.looks_cut(to, style));
    cut.unwrap_or_else(|| block.at(to, style))
}

/// Whether a new body starts with a docstring.
fn brings_docstring(block: &Block, source: &Source) -> bool {
    let text = block.at("", Style::Spaces(4)).joined("\n");
    let Some(language) = source.language else { return false };
    let tree = crate::syntax::parse(language, &text).ok();
    tree.is_some_and(|tree| language.inner_doc(tree.root_node()).is_some())
}
