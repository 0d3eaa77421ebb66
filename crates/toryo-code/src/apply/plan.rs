//! Which bytes an insertion, replacement or deletion changes.
//!
//! Where a text may stand at several indentations, a plan is given for each, the likeliest first.

use super::fit::{Block, Style};
use super::locate::Place;
use super::source::{Source, Splice};
use super::{Miss, braces};
use crate::edit::Position;
use crate::language::Layout;
use crate::outline::{Symbol, SymbolKind, column};
use crate::refusal::Refusal;
use crate::text::Span;
use tree_sitter::Node;

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
    let blocks =
        if starts_line(span.start, source) { fitted(block, &to, source) } else { vec![block.clone()] };
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

/// A block at lines: as it is if it is indented or nothing around it is, else at the lines' indentation. A
/// definition without indentation may be meant so, as long as what follows keeps its owner.
fn at_lines(block: &Block, anchor: &str, at: usize, source: &Source) -> Vec<Block> {
    let literal = block.clone();
    if source.language.is_none() || anchor.is_empty() || block.first().is_none() {
        return vec![literal];
    }
    let style = Style::of_file(source).beside(anchor);
    if !block.first_indentation().is_empty() {
        return vec![literal, block.at(anchor, style)];
    }
    let in_braces = source.language.is_some_and(|language| language.layout == Layout::Braces);
    if in_braces || !starts_definition(block, source) {
        let mut blocks = fitted(block, anchor, source);
        blocks.push(literal);
        return blocks;
    }
    let around = source.symbols().iter().filter(|symbol| symbol.span.start < at && at <= symbol.span.end + 1);
    let mut levels: Vec<String> =
        around.map(|symbol| source.indentation_at(symbol.span.start).to_owned()).collect();
    levels.push(anchor.to_owned());
    levels.retain(|level| !level.is_empty());
    levels.sort_by_key(|level| column(level));
    levels.dedup();
    let mut blocks = vec![literal];
    blocks.extend(levels.iter().map(|level| block.at(level, style)));
    blocks
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
            beside(symbol, position, &block.trimmed(), source)
        }
        (Place::Symbol(symbol), Position::BodyStart | Position::BodyEnd) => {
            into_body(symbol, position, &block.trimmed(), source)
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

/// As a sibling of a definition.
fn beside(symbol: &Symbol, position: Position, block: &Block, source: &Source) -> Result<Plans, Miss> {
    if !starts_line(symbol.span.start, source) {
        return unfit("the symbol does not start its line; insert by line_range");
    }
    if block.is_empty() {
        return unfit("the patch is empty");
    }
    let to = source.indentation_at(symbol.span.start).to_owned();
    let lines = source.lines();
    let owner = symbol.parent.and_then(|parent| source.symbols().get(parent));
    let spaced = is_definition(symbol) || starts_definition(block, source) || is_member(block, owner);
    let want = if spaced { gap_beside(symbol, position, source) } else { 0 };
    let (at, lead, trail) = match position {
        Position::Before => {
            let at = above_own_comments(lines.start_of_line_at(symbol.span.start), &to, source);
            (at, if opens_body(at, source) { 0 } else { want.saturating_sub(blank_above(at, source)) }, want)
        }
        _ => {
            let at = lines.end_of_line_at(symbol.span.end.saturating_sub(1));
            if source.text[symbol.span.end..at].trim_start().starts_with('}') {
                return unfit("the symbol shares its last line with what is around it; insert by line_range");
            }
            let followed = !source.text[at..].trim().is_empty() && !closes_body(at, source);
            (at, want, if followed { want.saturating_sub(blank_below(at, source)) } else { 0 })
        }
    };
    let blocks = fitted(block, &to, source);
    Ok(blocks.iter().map(|block| vec![whole_lines(at, block, lead, trail, source)]).collect())
}

fn is_definition(symbol: &Symbol) -> bool {
    symbol.kind != SymbolKind::Variable
}

/// How many blank lines this file puts between the definition and its neighbours; else PEP 8's number.
fn gap_beside(symbol: &Symbol, position: Position, source: &Source) -> usize {
    let lines = source.lines();
    let siblings =
        || source.symbols().iter().filter(|other| other.parent == symbol.parent && is_definition(other));
    let below = siblings().find(|other| other.span.start > symbol.span.end).map(|other| other.span.start);
    let above = siblings().rfind(|other| other.span.end < symbol.span.start).map(|_| symbol.span.start);
    let nearest = if position == Position::Before { above.or(below) } else { below.or(above) };
    let gap = nearest.filter(|_| is_definition(symbol)).map(|start| {
        let to = source.indentation_at(start).to_owned();
        blank_above(above_own_comments(lines.start_of_line_at(start), &to, source), source)
    });
    let usual = match source.language {
        Some(language) if column(source.indentation_at(symbol.span.start)) == 0 => language.gap,
        // Signatures in an interface stand together.
        _ => usize::from(symbol.body.is_some() || symbol.kind == SymbolKind::Variable),
    };
    gap.unwrap_or(usual).min(usual.max(2))
}

/// Into a body, below its docstring or below its last statement.
fn into_body(symbol: &Symbol, position: Position, block: &Block, source: &Source) -> Result<Plans, Miss> {
    let Some(body) = symbol.body else { return unfit("the symbol has no body") };
    if block.is_empty() {
        return unfit("the patch is empty");
    }
    let spaced = starts_definition(block, source) || is_member(block, Some(symbol));
    if source.language.is_some_and(|language| language.layout == Layout::Braces) {
        return braces::insert(symbol, body, position, block, spaced, source);
    }
    let lines = source.lines();
    let owner = source.indentation_at(symbol.definition.start).to_owned();
    let doc = super::operations::docstring(symbol, source).filter(|_| position == Position::BodyStart);
    let behind =
        |doc: Span| source.text[doc.end..lines.end_of_line_at(doc.end.saturating_sub(1))].trim_start();
    if doc.is_some_and(|doc| behind(doc).starts_with(';')) {
        return unfit("the docstring shares its line with statements; insert by line_range");
    }
    let one_line = !starts_line(body.start, source);
    let position = if doc.is_some() && one_line { Position::BodyEnd } else { position };
    if !starts_line(body.start, source) {
        let style = Style::of_file(source).beside(&owner);
        let to = owner + &style.unit();
        let line_break = source.line_break_at(symbol.definition.start);
        let header = source.text[..body.start].trim_end_matches([' ', '\t', '\r', '\n', '\\']).len();
        let plan = |block: Block| {
            let (before, after) = match position {
                Position::BodyStart => {
                    (format!("{line_break}{}{line_break}{to}", block.joined(line_break)), String::new())
                }
                _ => (format!("{line_break}{to}"), format!("{line_break}{}", block.joined(line_break))),
            };
            let mut splices = vec![Splice::new(header, body.start, before)];
            splices.extend((!after.is_empty()).then(|| Splice::at(symbol.span.end, after)));
            splices
        };
        return Ok(fitted(block, &to, source).into_iter().map(plan).collect());
    }
    let to = source.indentation_at(body.start).to_owned();
    let (at, lead, trail) = match position {
        Position::BodyStart => {
            let doc = super::operations::docstring(symbol, source);
            let start = doc.map_or_else(
                || lines.end_of_line_at(super::operations::header_end(symbol, source).saturating_sub(1)),
                |doc| lines.end_of_line_at(doc.end.saturating_sub(1)),
            );
            let at = if doc.is_some() { start + blank_span(start, source) } else { start };
            let followed = at < symbol.span.end;
            let at = if followed { at } else { start };
            let lead = usize::from(spaced && doc.is_some() && blank_above(at, source) == 0);
            let before_definition = source.text[at..].trim_start().starts_with(['@', 'd', 'a', 'c'])
                && source
                    .symbols()
                    .iter()
                    .any(|s| is_definition(s) && lines.start_of_line_at(s.span.start) == at);
            let in_class = symbol.kind == SymbolKind::Class;
            (at, lead, usize::from(followed && (spaced || in_class && before_definition)))
        }
        _ => {
            let at = lines.end_of_line_at(symbol.span.end.saturating_sub(1));
            let owned = |other: &&Symbol| symbol.span.holds(other.span) && other.span != symbol.span;
            let last = source
                .symbols()
                .iter()
                .filter(owned)
                .map(|other| (other.span.end, is_definition(other)))
                .max();
            let after_definition = last.is_some_and(|(end, definition)| definition && end == symbol.span.end);
            (at, usize::from(spaced || after_definition), 0)
        }
    };
    let blocks = fitted(block, &to, source);
    Ok(blocks.iter().map(|block| vec![whole_lines(at, block, lead, trail, source)]).collect())
}

/// Removes a definition, lines or a node. Comments and blank lines above stay.
pub(super) fn delete(place: &Place, source: &Source) -> Result<Vec<Splice>, Miss> {
    match place {
        Place::Lines { span, .. } => Ok(vec![Splice::new(span.start, span.end, "")]),
        Place::Node(span) => Ok(vec![without(*span, source)]),
        Place::Symbol(symbol) => {
            let twin = |other: &&Symbol| other.span == symbol.span && other.name != symbol.name;
            if let Some(twin) = source.symbols().iter().find(twin) {
                let why = format!(
                    "`{}` is assigned in one statement with `{}`; edit it by line_range",
                    symbol.name, twin.name
                );
                return Err(Refusal::Unfit(why).into());
            }
            Ok(vec![without(symbol.span, source)])
        }
        Place::WholeFile => Err(Refusal::Unfit("nothing to delete here".to_owned()).into()),
    }
}

/// The removal of a statement or expression.
fn without(span: Span, source: &Source) -> Splice {
    match filler(span, source) {
        Some(filler) => Splice::new(span.start, span.end, filler),
        None => removal(span, source),
    }
}

/// The removal of what may be missing.
pub(super) fn removal(span: Span, source: &Source) -> Splice {
    let lines = source.lines();
    let line_end = lines.end_of_line_at(span.end.saturating_sub(1).max(span.start));
    let after = source.text[span.end..line_end].trim();
    let comment = after.is_empty() || is_comment(after, source);
    if !starts_line(span.start, source) || !comment {
        return within_line(span, line_end, source);
    }
    let start = lines.start_of_line_at(span.start);
    // What is left between the neighbours is the larger of the two gaps; after a header it is nothing.
    let below = blank_below(line_end, source);
    let at_start = start == 0 || opens_body(start, source);
    let eaten = if at_start { below } else { below.min(blank_above(start, source)) };
    let followed = !source.text[line_end..].trim().is_empty();
    let mut end = line_end;
    for _ in 0..if followed { eaten } else { 0 } {
        end = lines.end_of_line_at(end);
    }
    Splice::new(start, end, "")
}

/// The removal of a part of a line, with the `;` that sets it apart.
fn within_line(span: Span, line_end: usize, source: &Source) -> Splice {
    let after = &source.text[span.end..line_end];
    if let Some(rest) = after.trim_start().strip_prefix(';') {
        let end = line_end - rest.trim_start_matches([' ', '\t']).len();
        return Splice::new(span.start, end, "");
    }
    let before = source.text[..span.start].trim_end_matches([' ', '\t']);
    if source.language.is_some_and(|language| language.layout == Layout::Braces) {
        let space = after.len() - after.trim_start_matches([' ', '\t']).len();
        return Splice::new(span.start, span.end + if before.len() < span.start { space } else { 0 }, "");
    }
    Splice::new(before.strip_suffix(';').map_or(span.start, str::len), span.end, "")
}

/// What has to stand in the place of a statement, if its body may not be empty.
fn filler(span: Span, source: &Source) -> Option<&'static str> {
    match source.language?.layout {
        Layout::Indented { filler } => Some(filler).filter(|_| is_alone(span, source)),
        Layout::Braces => None,
    }
}

/// Whether a statement is the only one of its block.
fn is_alone(span: Span, source: &Source) -> bool {
    let (Some(language), Some(analysis)) = (source.language, source.analysis()) else { return false };
    let mut node = analysis.tree.root_node().descendant_for_byte_range(span.start, span.start + 1);
    while let Some(inner) = node {
        let Some(parent) = inner.parent() else { return false };
        if parent.start_byte() < span.start || language.blocks.contains(&parent.kind()) {
            let mut cursor = parent.walk();
            let is_code = |child: &Node<'_>| !language.comments.contains(&child.kind());
            let statements = parent.named_children(&mut cursor).filter(is_code).count();
            return language.blocks.contains(&parent.kind())
                && statements == 1
                && inner.end_byte() >= span.end.min(inner.end_byte());
        }
        node = Some(parent);
    }
    false
}

/// Whether only white space stands before this byte on its line.
pub(super) fn starts_line(at: usize, source: &Source) -> bool {
    let start = source.lines().start_of_line_at(at);
    let white = source.text[start..at].chars().all(|c| matches!(c, ' ' | '\t' | '\x0c'));
    // Behind a line that goes on, the white space is none of the statement's.
    let indented = source.language.is_some_and(|language| matches!(language.layout, Layout::Indented { .. }));
    white && !(indented && source.text[..start].trim_end_matches(['\n', '\r']).ends_with('\\'))
}

/// The start of the comment lines directly above a line that are indented alike, or the line itself.
fn above_own_comments(start: usize, to: &str, source: &Source) -> usize {
    let mut at = start;
    for line in source.text[..start].split_inclusive('\n').rev() {
        let mark = source.language.map_or("#", |language| language.line_comment);
        let comment = line.strip_prefix(to).is_some_and(|rest| rest.starts_with(mark));
        if !comment || line.starts_with("#!") {
            break;
        }
        at -= line.len();
    }
    at
}

fn blank_above(at: usize, source: &Source) -> usize {
    source.text[..at].split_inclusive('\n').rev().take_while(|line| line.trim().is_empty()).count()
}

fn blank_below(at: usize, source: &Source) -> usize {
    source.text[at..].split_inclusive('\n').take_while(|line| line.trim().is_empty()).count()
}

/// The bytes of the blank lines below a place.
fn blank_span(at: usize, source: &Source) -> usize {
    source.text[at..].split_inclusive('\n').take_while(|line| line.trim().is_empty()).map(str::len).sum()
}

/// Whether the line above opens a body.
fn opens_body(at: usize, source: &Source) -> bool {
    let above = source.text[..at].trim_end();
    above.is_empty() || opens(above, source)
}

/// Whether a text's end opens a body.
fn opens(text: &str, source: &Source) -> bool {
    source.language.is_some_and(|language| language.opens(text))
}

/// Whether a brace closes a body below a place.
fn closes_body(at: usize, source: &Source) -> bool {
    let in_braces = source.language.is_some_and(|language| language.layout == Layout::Braces);
    in_braces && source.text[at..].trim_start().starts_with(['}', ')', ']'])
}

/// Whether a text starts with a comment.
pub(super) fn is_comment(text: &str, source: &Source) -> bool {
    text.starts_with(source.language.map_or("#", |language| language.line_comment))
}

/// The indentation of the first line with text.
fn line_indentation(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line[..line.len() - line.trim_start_matches([' ', '\t']).len()].to_owned()
}

/// The indentation of what would follow these lines: that of the statement which ends there, or one level deeper
/// below what opens a body.
fn indentation_below(span: Span, source: &Source) -> String {
    let text = &source.text[..span.end];
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let opens = opens(last.trim_end(), source);
    let start = statement_at_end(span.end, opens, source);
    let own = start.map_or_else(|| line_indentation(last), |start| source.indentation_at(start).to_owned());
    if opens {
        let below = line_indentation(&source.text[span.end..]);
        let unit = Style::of_file(source).beside(&own).unit();
        return if column(&below) > column(&own) { below } else { own + &unit };
    }
    own
}

/// The start of the statement whose last line ends here; with `opens`, of the one whose header does.
fn statement_at_end(end: usize, opens: bool, source: &Source) -> Option<usize> {
    let (language, analysis) = (source.language?, source.analysis()?);
    let root = analysis.tree.root_node();
    let code = source.text[..end].trim_end();
    let mut at = code.len().checked_sub(1)?;
    let is_comment = |node: &Node<'_>| language.comments.contains(&node.kind());
    let mut leaf = root.descendant_for_byte_range(at, at)?;
    if is_comment(&leaf) {
        // A comment behind code is no statement of its own.
        at = source.text[..leaf.start_byte()].trim_end_matches([' ', '\t']).len().checked_sub(1)?;
        leaf = root.descendant_for_byte_range(at, at).filter(|_| source.text.as_bytes()[at] != b'\n')?;
    }
    let mut node = leaf;
    loop {
        let parent = node.parent()?;
        if parent.id() == root.id() || language.blocks.contains(&parent.kind()) {
            break;
        }
        node = parent;
    }
    (opens || node.end_byte() <= end).then_some(node.start_byte())
}
