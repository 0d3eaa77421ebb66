//! How a text beside lines, or in their place, is indented.

use super::layout::opens;
use super::{fitted, starts_definition};
use crate::apply::bodies::in_braces;
use crate::apply::fit::{Block, Style};
use crate::apply::source::Source;
use crate::language::Layout;
use crate::outline::column;
use crate::text::Span;
use tree_sitter::Node;

/// A block at lines: as it is if it is indented or nothing around it is, else at the lines' indentation. A
/// definition without indentation may be meant so, as long as what follows keeps its owner.
pub(super) fn at_lines(block: &Block, anchor: &str, at: usize, source: &Source) -> Vec<Block> {
    let literal = block.clone();
    if source.language.is_none() || anchor.is_empty() || block.first().is_none() {
        return vec![literal];
    }
    let style = Style::of_file(source).beside(anchor);
    if !block.first_indentation().is_empty() {
        return vec![literal, block.at(anchor, style)];
    }
    if in_braces(source) || !starts_definition(block, source) {
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

/// Whether the line above a place ends with a backslash behind code, so that what is put here becomes a part of it.
pub(super) fn goes_on(at: usize, source: &Source) -> bool {
    let above = source.text[..at].trim_end_matches(['\n', '\r']);
    let (Some(language), Some(analysis)) = (source.language, source.analysis()) else { return false };
    if !matches!(language.layout, Layout::Indented { .. }) || !above.ends_with('\\') {
        return false;
    }
    // In strings and comments a backslash is content.
    let mut node = analysis.tree.root_node().descendant_for_byte_range(above.len() - 1, above.len());
    while let Some(inner) = node {
        if language.strings.contains(&inner.kind()) || language.comments.contains(&inner.kind()) {
            return false;
        }
        node = inner.parent();
    }
    true
}

/// The indentation of the first line with text.
pub(super) fn line_indentation(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line[..line.len() - line.trim_start_matches([' ', '\t']).len()].to_owned()
}

/// The indentation of what would follow these lines: that of the statement which ends there, or one level deeper
/// below what opens a body.
pub(super) fn indentation_below(span: Span, source: &Source) -> String {
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
