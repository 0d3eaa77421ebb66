//! A definition gets a new header; its body, decorators and the words before it stay.

use super::unfit;
use crate::apply::bodies::{body_of, header_end, in_braces};
use crate::apply::fit::{Block, Style};
use crate::apply::parts::parts;
use crate::apply::source::{Source, Splice};
use crate::apply::{Miss, check};
use crate::outline::{Symbol, SymbolKind};

pub(super) fn set(text: &str, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
    if in_braces(source) {
        return set_header(text, symbol, source);
    }
    body_of(symbol)?;
    let header = text.trim();
    let header = header.strip_suffix(':').unwrap_or(header).trim_end();
    let shape = || {
        let probe = format!("{header}:\n    pass\n");
        let probe = Source::read(&source.path, probe.as_bytes()).ok()?;
        let [symbol] = probe.symbols() else { return None };
        if !probe.faults().is_empty() {
            return None;
        }
        let body = symbol.body.filter(|_| symbol.definition.start == 0)?;
        Some(&probe.text[body.range()] == "pass" && symbol.span.start == 0)
    };
    if shape() != Some(true) {
        let example =
            if symbol.kind == SymbolKind::Class { "class Name(Base):" } else { "def name(…) -> …:" };
        return Err(unfit(format!(
            "the signature must be one header such as `{example}`, without body or decorators"
        )));
    }
    let to = source.indentation_at(symbol.definition.start).to_owned();
    let style = Style::of_file(source).beside(&to);
    let line_break = source.line_break_at(symbol.definition.start);
    let new = Block::of(header, source.language).at(&to, style).joined(line_break);
    let new = new.strip_prefix(to.as_str()).unwrap_or(&new);
    Ok(vec![Splice::new(symbol.definition.start, header_end(symbol, source).saturating_sub(1), new)])
}

/// The header of a definition in braces, or of one without a body.
fn set_header(text: &str, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
    let header = text.trim();
    let header = header.strip_suffix(['{', ';']).unwrap_or(header).trim_end();
    // Words such as `export` stand before the definition; they may be given or left out.
    let lead = &source.text[parts(symbol, source).bare..symbol.definition.start];
    let header = match header.strip_prefix(lead.trim_end()) {
        Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim_start(),
        _ => header,
    };
    let to = source.indentation_at(symbol.definition.start).to_owned();
    let style = Style::of_file(source).beside(&to);
    let line_break = source.line_break_at(symbol.definition.start);
    let block = Block::of(header, source.language);
    let fitted = block.at_with_first_cut(&to, style).filter(|_| block.looks_cut(&to, style));
    let new = fitted.unwrap_or_else(|| block.at(&to, style)).joined(line_break);
    let new = new.strip_prefix(to.as_str()).unwrap_or(&new);
    let splice = Splice::new(symbol.definition.start, header_end(symbol, source), new);
    let same_shape = |next: &Source| {
        let of =
            |symbol: &Symbol| (symbol.path.rsplit_once('.').map(|(owner, _)| owner.to_owned()), symbol.kind);
        let after = next.symbols().iter().find(|new| new.name_span.start >= symbol.definition.start);
        let body =
            |symbol: &Symbol, source: &Source| symbol.body.map(|body| source.text[body.range()].to_owned());
        next.symbols().len() == source.symbols().len()
            && after.is_some_and(|new| body(new, next) == body(symbol, source) && of(new) == of(symbol))
    };
    let next = source.spliced(std::slice::from_ref(&splice))?;
    check::no_new_faults(source, &next)?;
    if header.is_empty() || !same_shape(&next) {
        let own = &symbol.signature;
        return Err(unfit(format!(
            "the signature must be one header such as `{own}`, without body or decorators"
        )));
    }
    Ok(vec![splice])
}
