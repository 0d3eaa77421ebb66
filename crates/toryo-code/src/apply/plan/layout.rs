//! What stands around a place: blank lines, comments of its own, what opens or closes a body.

use crate::apply::source::Source;
use crate::language::Layout;

/// Whether only white space stands before this byte on its line.
pub(in crate::apply) fn starts_line(at: usize, source: &Source) -> bool {
    let start = source.lines().start_of_line_at(at);
    let white = source.text[start..at].chars().all(|c| matches!(c, ' ' | '\t' | '\x0c'));
    // Behind a line that goes on, the white space is none of the statement's.
    let indented = source.language.is_some_and(|language| matches!(language.layout, Layout::Indented { .. }));
    white && !(indented && source.text[..start].trim_end_matches(['\n', '\r']).ends_with('\\'))
}

/// The start of the comment lines directly above a line that are indented alike, or the line itself.
pub(super) fn above_own_comments(start: usize, to: &str, source: &Source) -> usize {
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

/// How many blank lines stand directly above a place.
pub(super) fn blank_above(at: usize, source: &Source) -> usize {
    source.text[..at].split_inclusive('\n').rev().take_while(|line| line.trim().is_empty()).count()
}

/// How many blank lines stand directly below a place.
pub(super) fn blank_below(at: usize, source: &Source) -> usize {
    source.text[at..].split_inclusive('\n').take_while(|line| line.trim().is_empty()).count()
}

/// The bytes of the blank lines below a place.
pub(super) fn blank_span(at: usize, source: &Source) -> usize {
    source.text[at..].split_inclusive('\n').take_while(|line| line.trim().is_empty()).map(str::len).sum()
}

/// Whether the line above opens a body.
pub(super) fn opens_body(at: usize, source: &Source) -> bool {
    let above = source.text[..at].trim_end();
    above.is_empty() || opens(above, source)
}

/// Whether a text's end opens a body.
pub(super) fn opens(text: &str, source: &Source) -> bool {
    source.language.is_some_and(|language| language.opens(text))
}

/// Whether a brace closes a body below a place.
pub(super) fn closes_body(at: usize, source: &Source) -> bool {
    let in_braces = source.language.is_some_and(|language| language.layout == Layout::Braces);
    in_braces && source.text[at..].trim_start().starts_with(['}', ')', ']'])
}

/// Whether a text starts with a comment.
pub(in crate::apply) fn is_comment(text: &str, source: &Source) -> bool {
    text.starts_with(source.language.map_or("#", |language| language.line_comment))
}
