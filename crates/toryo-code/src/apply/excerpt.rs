//! The statements of a file that may hold a symbol, so that a parser need not read the others.
//!
//! Statements stand one after the other: where logical lines are certain, a statement reads the same whatever the
//! others are. So a definition is looked for in the statements that hold its name, and a change inside of them is
//! judged by them alone. Wherever that is not certain there is no excerpt, and the whole file is read.

use super::locate::parts;
use super::source::Splice;
use crate::language::Language;
use crate::syntax::{self, Unparsed};
use crate::text::Span;
use std::ops::Range;
use tree_sitter::{Point, Tree};

/// How statements are told apart by lines alone.
pub(crate) struct Statements {
    /// The logical lines of a text, without those that hold no code; `None` where they are not certain.
    pub(crate) lines: fn(&str) -> Option<Vec<LogicalLine>>,
    /// First words of lines that belong to the statement above.
    pub(crate) clauses: &'static [&'static str],
    /// How lines start that belong to the statement below.
    pub(crate) lead: &'static str,
    /// How the header of a type starts, whose members are statements.
    pub(crate) owner: &'static str,
}

/// A line of code with all lines that belong to it by brackets, strings or a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogicalLine {
    /// The start of its first line.
    pub(crate) start: usize,
    /// The number of its first line, from 0.
    pub(crate) row: usize,
    /// How many characters it is indented.
    pub(crate) indentation: usize,
}

/// Some statements of a text, in order.
#[derive(Clone)]
pub(crate) struct Excerpt {
    language: &'static Language,
    parts: Vec<Part>,
}

/// Whole statements, with the lines below them that hold no code.
#[derive(Debug, Clone, Copy)]
struct Part {
    span: Span,
    /// The number of the first line, from 0.
    row: usize,
    /// The indentation of the statements.
    level: usize,
    /// Whether it is the header of a type of which only some members follow.
    is_header: bool,
}

impl Excerpt {
    /// The statements of a text in which a symbol of this path may be defined. `None` where there is none, and where
    /// it is not certain what the statements are.
    pub(crate) fn of(language: &'static Language, text: &str, path: &str) -> Option<Self> {
        let rules = language.statements.as_ref()?;
        let wanted = parts(path);
        if wanted.iter().any(|(name, _)| name.is_empty()) {
            return None;
        }
        // Equals are counted whether or not they hold the rest of the path.
        let is_numbered = wanted.iter().any(|(_, ordinal)| ordinal.is_some());
        let asked = if is_numbered { 1 } else { wanted.len() };
        if (language.prepare)(text).is_some() {
            return None;
        }
        let lines = (rules.lines)(text)?;
        let lines = Lines { rules, text, lines: &lines };
        let mut kept = Vec::new();
        for statement in lines.statements(0)? {
            let part = lines.part(statement.clone(), 0);
            let inside = &text[part.span.range()];
            if !wanted.iter().take(asked).all(|(name, _)| may_define(inside, name)) {
                continue;
            }
            let members =
                wanted.get(1).and_then(|(name, _)| lines.of(statement).members_with(name, part.span.end));
            match members {
                Some(members) if members.len() > 1 => kept.extend(members),
                Some(_) if !is_numbered => {}
                _ => kept.push(part),
            }
        }
        (!kept.is_empty()).then_some(Self { language, parts: kept })
    }

    /// The same statements once these replacements are made. `None` where one leaves them, or may mean something to
    /// what stands around them.
    pub(crate) fn spliced(&self, before: &str, after: &str, splices: &[Splice]) -> Option<Self> {
        let rules = self.language.statements.as_ref()?;
        if (self.language.prepare)(after).is_some() {
            return None;
        }
        let rows = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count() as isize;
        let (mut grown, mut lower) = (0, 0);
        let mut rest = splices.iter().peekable();
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let start = part.span.start.checked_add_signed(grown)?;
            let row = part.row.checked_add_signed(lower)?;
            let mut touched = false;
            while let Some(splice) = rest.next_if(|splice| part.span.holds(splice.span)) {
                let old = &before[splice.span.range()];
                grown += splice.text.len() as isize - old.len() as isize;
                lower += rows(&splice.text) - rows(old);
                touched = true;
            }
            let end = part.span.end.checked_add_signed(grown)?;
            let now = Part { span: Span::new(start, end), row, ..*part };
            if touched && !now.stands_alone(after, rules) {
                return None;
            }
            parts.push(now);
        }
        rest.next().is_none().then_some(Self { parts, ..*self })
    }

    /// The syntax tree of the statements, with the places that they have in the text.
    pub(crate) fn parse(&self, text: &str) -> Result<Tree, Unparsed> {
        let range = |part: &Part| tree_sitter::Range {
            start_byte: part.span.start,
            end_byte: part.span.end,
            start_point: Point::new(part.row, 0),
            end_point: Point::new(part.row + text[part.span.range()].matches('\n').count(), 0),
        };
        syntax::parse_ranges(self.language, text, &self.parts.iter().map(range).collect::<Vec<_>>())
    }
}

impl Part {
    /// Whether the changed lines are statements of their level from the first to the last, so that none of them
    /// belongs to what stands above or below.
    fn stands_alone(&self, text: &str, rules: &Statements) -> bool {
        let own = &text[self.span.range()];
        let ends = self.span.end == text.len() || own.ends_with('\n');
        let Some(lines) = (rules.lines)(own).filter(|_| ends) else { return false };
        let lines = Lines { rules, text: own, lines: &lines };
        if self.is_header {
            return !lines.lines.is_empty() && lines.header() == Some(lines.lines.len());
        }
        lines.statements(self.level).is_some_and(|statements| !statements.is_empty())
    }
}

/// Whether a text holds a name otherwise than as a part of another one or as a member of something.
fn may_define(text: &str, name: &str) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let stands = |(at, _): (usize, &str)| {
        let before = text.as_bytes()[..at].last();
        let after = text.as_bytes().get(at + name.len());
        !before.is_some_and(|byte| is_part(byte) || *byte == b'.') && !after.is_some_and(is_part)
    };
    text.match_indices(name).any(stands)
}

/// Logical lines of a text that stand one after the other.
#[derive(Clone, Copy)]
struct Lines<'a> {
    rules: &'a Statements,
    text: &'a str,
    lines: &'a [LogicalLine],
}

impl<'a> Lines<'a> {
    /// Some of the lines.
    fn of(self, range: Range<usize>) -> Self {
        Self { lines: &self.lines[range], ..self }
    }

    fn code(&self, line: &LogicalLine) -> &'a str {
        &self.text[line.start + line.indentation..]
    }

    fn leads(&self, line: &LogicalLine) -> bool {
        self.code(line).starts_with(self.rules.lead)
    }

    fn is_clause(&self, line: &LogicalLine) -> bool {
        let code = self.code(line);
        let end = code.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(code.len());
        self.rules.clauses.contains(&&code[..end])
    }

    /// The statements, if the lines are nothing but statements that are indented so.
    fn statements(&self, level: usize) -> Option<Vec<Range<usize>>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut led = false;
        for (index, line) in self.lines.iter().enumerate() {
            if line.indentation < level {
                return None;
            }
            let at_level = line.indentation == level;
            if at_level && !led && !self.is_clause(line) {
                found.push(index..index + 1);
            } else {
                found.last_mut()?.end = index + 1;
            }
            if at_level {
                led = self.leads(line);
            }
        }
        (!led).then_some(found)
    }

    /// How many lines are the header of a type; `None` where the lines start with something else.
    fn header(&self) -> Option<usize> {
        let last = self.lines.iter().position(|line| line.indentation > 0 || !self.leads(line))?;
        let line = &self.lines[last];
        (line.indentation == 0 && self.code(line).starts_with(self.rules.owner)).then_some(last + 1)
    }

    /// The header of a type and its members that hold a name; `end` is where the last one ends. `None` where the lines
    /// are something else.
    fn members_with(self, name: &str, end: usize) -> Option<Vec<Part>> {
        let header = self.header()?;
        let (above, inside) = (self.of(0..header), self.of(header..self.lines.len()));
        let level = inside.lines.first()?.indentation;
        let first = inside.lines.first()?.start;
        let span = Span::new(above.lines.first()?.start, first);
        let mut parts = vec![Part { span, row: above.lines.first()?.row, level: 0, is_header: true }];
        for member in inside.statements(level)? {
            let next = inside.lines.get(member.end).map_or(end, |line| line.start);
            let line = inside.lines.get(member.start)?;
            let span = Span::new(line.start, next);
            if may_define(&self.text[span.range()], name) {
                parts.push(Part { span, row: line.row, level, is_header: false });
            }
        }
        Some(parts)
    }

    /// A statement of all lines as a part.
    fn part(&self, statement: Range<usize>, level: usize) -> Part {
        let line = self.lines[statement.start];
        let end = self.lines.get(statement.end).map_or(self.text.len(), |line| line.start);
        Part { span: Span::new(line.start, end), row: line.row, level, is_header: false }
    }
}

#[cfg(test)]
mod tests;
