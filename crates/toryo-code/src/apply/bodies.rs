//! Where a definition's header ends, and its docstring and body stand.

use super::fit::Style;
use super::source::Source;
use super::{Miss, braces, plan};
use crate::language::Layout;
use crate::outline::Symbol;
use crate::refusal::Refusal;
use crate::text::Span;
use tree_sitter::Node;

/// The node of a definition, without decorators.
fn definition<'a>(symbol: &Symbol, source: &'a Source) -> Option<Node<'a>> {
    let root = source.analysis()?.tree.root_node();
    root.descendant_for_byte_range(symbol.definition.start, symbol.name_span.end)
}

/// The span of a definition's docstring.
pub(super) fn docstring(symbol: &Symbol, source: &Source) -> Option<Span> {
    let body = definition(symbol, source)?.child_by_field_name("body")?;
    let doc = source.language?.inner_doc(body)?;
    Some(Span::new(doc.start_byte(), doc.end_byte()))
}

/// One past the last character of a definition's header: the `:` before a body that is indented, or what stands
/// before a brace.
pub(super) fn header_end(symbol: &Symbol, source: &Source) -> usize {
    if in_braces(source) {
        let body =
            symbol.body.map(|body| braces::around(body, source).map_or(body.start, |inner| inner.start - 1));
        let header = &source.text[..body.unwrap_or(symbol.definition.end)];
        let header = header.trim_end();
        return header
            .strip_suffix([';', ','])
            .filter(|_| symbol.body.is_none())
            .map_or(header.len(), str::len);
    }
    let colon = || {
        let body = symbol.body?.start;
        let node = definition(symbol, source)?;
        let mut cursor = node.walk();
        node.children(&mut cursor).filter(|child| child.end_byte() <= body && child.kind() == ":").last()
    };
    colon().map_or(symbol.name_span.end, |colon| colon.end_byte())
}

/// Whether the file's language puts bodies in braces.
pub(super) fn in_braces(source: &Source) -> bool {
    source.language.is_some_and(|language| language.layout == Layout::Braces)
}

/// The body of a definition; one without is refused.
pub(super) fn body_of(symbol: &Symbol) -> Result<Span, Miss> {
    symbol.body.ok_or_else(|| Refusal::Unfit(format!("`{}` has no body", symbol.path)).into())
}

/// The indentation of a body and its style; one level into the header where the body stands on its line.
pub(super) fn body_indentation(symbol: &Symbol, body: Span, source: &Source) -> (String, Style) {
    let owner = source.indentation_at(symbol.definition.start);
    let style = Style::of_file(source).beside(owner);
    if plan::starts_line(body.start, source) {
        let own = source.indentation_at(body.start);
        return (own.to_owned(), style.beside(own));
    }
    (format!("{owner}{}", style.unit()), style)
}
