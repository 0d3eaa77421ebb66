//! Operations on a definition: each leaves the rest of it as it was.

use super::fit::{Block, Style};
use super::locate::{Place, locate};
use super::parts::parts;
use super::source::{Source, Splice};
use super::{Miss, braces, check, comments, plan, rename};
use crate::edit::{Operation, Target};
use crate::language::{Doc, Layout};
use crate::outline::{Symbol, SymbolKind};
use crate::refusal::Refusal;
use crate::text::Span;
use tree_sitter::Node;

/// The most operations of one edit.
const MOST_OPERATIONS: usize = 50;

fn unfit(why: impl Into<String>) -> Miss {
    Refusal::Unfit(why.into()).into()
}

/// The text after the operations, applied in order to the one located definition.
pub(super) fn apply(operations: &[Operation], target: &Target, source: &Source) -> Result<Source, Miss> {
    if operations.is_empty() {
        return Err(unfit("the patch has no operations"));
    }
    if operations.len() > MOST_OPERATIONS {
        let size = operations.len();
        return Err(Refusal::TooLarge { what: "the list of operations", size, limit: MOST_OPERATIONS }.into());
    }
    let only_imports = operations.iter().all(|operation| matches!(operation, Operation::AddImport { .. }));
    let mut symbol = match locate(target, source)? {
        Place::Symbol(symbol) => Some(symbol),
        Place::WholeFile | Place::Lines { .. } if only_imports => None,
        Place::Node(_) | Place::Lines { .. } | Place::WholeFile => {
            return Err(unfit("an ast_patch needs a symbol, or a query whose target is a definition"));
        }
    };
    let mut now = source.clone();
    for (index, operation) in operations.iter().enumerate() {
        let splices = match (operation, &symbol) {
            (Operation::AddImport { text }, _) => add_imports(text, &now)?,
            (_, Some(symbol)) => splices(operation, symbol, &now)?,
            (_, None) => return Err(unfit("the operation needs a symbol")),
        };
        let next = now.spliced(&splices)?;
        check::no_new_faults(&now, &next)?;
        if let Some(old) = &symbol {
            let start = moved(old.definition.start, &splices);
            let name = match operation {
                Operation::Rename { to } => to,
                _ => &old.name,
            };
            let at_start = || next.symbols().iter().filter(|new| new.definition.start == start);
            // A signature may bring a word such as `export`, behind which the definition starts.
            let around =
                || next.symbols().iter().find(|new| new.span.start <= start && start < new.name_span.end);
            let new = at_start()
                .find(|new| new.name == *name)
                .or_else(|| at_start().next())
                .or_else(around)
                .cloned();
            symbol = Some(new.ok_or_else(|| unfit(format!("operation {} leaves no definition", index + 1)))?);
        }
        now = next;
    }
    Ok(now)
}

fn add_imports(text: &str, source: &Source) -> Result<Vec<Splice>, Miss> {
    let language = source.language.ok_or_else(|| unfit("imports of this kind of file are not understood"))?;
    (language.add_imports)(text, source)
}

/// Where a byte is after splices that do not replace it.
fn moved(at: usize, splices: &[Splice]) -> usize {
    let before = splices.iter().filter(|splice| splice.span.end <= at);
    before.fold(at, |place, splice| place + splice.text.len() - (splice.span.end - splice.span.start))
}

fn splices(operation: &Operation, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
    match operation {
        Operation::ReplaceBody { text } => replace_body(text, symbol, source),
        Operation::SetSignature { text } => set_signature(text, symbol, source),
        Operation::AddDecorator { text } => add_decorator(text, symbol, source),
        Operation::RemoveDecorator { name } => remove_decorator(name, symbol, source),
        Operation::AddImport { text } => add_imports(text, source),
        Operation::Rename { to } => rename::splices(symbol, to, source),
        Operation::Wrap { before, after } => wrap(before, after, symbol, source),
        Operation::SetDocstring { text } => set_docstring(text, symbol, source),
    }
}

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

fn in_braces(source: &Source) -> bool {
    source.language.is_some_and(|language| language.layout == Layout::Braces)
}

fn body_of(symbol: &Symbol) -> Result<Span, Miss> {
    symbol.body.ok_or_else(|| unfit(format!("`{}` has no body", symbol.path)))
}

/// The indentation of a body and its style; one level into the header where the body stands on its line.
fn body_indentation(symbol: &Symbol, body: Span, source: &Source) -> (String, Style) {
    let owner = source.indentation_at(symbol.definition.start);
    let style = Style::of_file(source).beside(owner);
    if plan::starts_line(body.start, source) {
        let own = source.indentation_at(body.start);
        return (own.to_owned(), style.beside(own));
    }
    (format!("{owner}{}", style.unit()), style)
}

fn replace_body(text: &str, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
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

fn set_signature(text: &str, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
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

fn add_decorator(text: &str, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
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

fn remove_decorator(name: &str, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
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

fn wrap(before: &str, after: &str, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
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

fn set_docstring(text: &str, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
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
