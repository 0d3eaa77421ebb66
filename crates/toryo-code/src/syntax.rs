//! Parsing within bounds, and the faults of a parsed text.

use crate::language::{self, Language};
use crate::text::Lines;
use std::ops::ControlFlow;
use toryo_domain::RepoPath;
use tree_sitter::{Node, ParseOptions, Parser, Tree};

/// The largest text that is parsed, in bytes.
pub const LARGEST_FILE: usize = 5 * 1024 * 1024;

/// The deepest tree that is edited. CPython refuses 200 nested parentheses and 100 levels of indentation; long
/// chains of operators are deep trees too, so the bound is far above both.
pub(crate) const DEEPEST: u32 = 5_000;

/// The most levels of indentation that are parsed; CPython refuses 100.
const MOST_INDENTS: usize = 300;

/// The most work on comments: a second or two, and commented text of about 4,000 lines in one run.
const MOST_COMMENT_WORK: usize = 500_000_000;

/// The most pieces of text that may make no sense to the parser before a file counts as something else.
pub(crate) const MOST_JUNK: usize = 10_000;

/// A place where a text does not follow its language's grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong, in few words.
    pub what: String,
}

/// Why a text was not parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unparsed {
    /// Over [`LARGEST_FILE`].
    #[error("the file is larger than 5 MiB")]
    TooLarge,
    /// Nested deeper than a parser or a person follows.
    #[error("the text is nested deeper than {DEEPEST} levels")]
    TooDeep,
    /// The parser's work passed its bound.
    #[error("the text takes too long to parse")]
    TooSlow,
}

/// Parses a text. The bound on work counts the parser's own steps, so equal texts have equal results.
pub(crate) fn parse(language: &Language, text: &str) -> Result<Tree, Unparsed> {
    if text.len() > LARGEST_FILE {
        return Err(Unparsed::TooLarge);
    }
    if is_staircase(text) {
        return Err(Unparsed::TooDeep);
    }
    if comment_work(text) > MOST_COMMENT_WORK {
        return Err(Unparsed::TooSlow);
    }
    let prepared = (language.prepare)(text);
    let source = prepared.as_deref().unwrap_or(text).as_bytes();
    let mut parser = Parser::new();
    if parser.set_language(&language.grammar()).is_err() {
        return Err(Unparsed::TooSlow);
    }
    // The callback comes every hundred steps; ordinary code takes about one step a byte.
    let mut calls_left = 100_000 + source.len();
    let mut count_down = |_: &tree_sitter::ParseState| {
        calls_left = calls_left.saturating_sub(1);
        if calls_left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut count_down);
    let mut read = |byte: usize, _| source.get(byte..).unwrap_or_default();
    parser.parse_with_options(&mut read, None, Some(options)).ok_or(Unparsed::TooSlow)
}

/// Whether lines are indented into each other deeper than scanners of indentation keep in their fixed memory.
fn is_staircase(text: &str) -> bool {
    let mut open: Vec<usize> = Vec::new();
    text.lines().filter(|line| line.starts_with([' ', '\t', '\x0c'])).any(|line| {
        let depth = line.len() - line.trim_start_matches([' ', '\t', '\x0c']).len();
        while open.last().is_some_and(|last| *last >= depth) {
            open.pop();
        }
        open.push(depth);
        open.len() > MOST_INDENTS
    })
}

/// What reading runs of comments and empty continuations costs a scanner of indentation, which at each comment looks ahead to the next
/// code: in each run, the lines times the bytes.
fn comment_work(text: &str) -> usize {
    let (mut work, mut lines, mut bytes) = (0, 0_usize, 0_usize);
    for line in text.lines() {
        let content = line.trim();
        if content.is_empty() || content == "\\" || content.starts_with('#') {
            lines += usize::from(!content.is_empty());
            bytes += line.len() + 1;
        } else {
            work += lines * bytes;
            (lines, bytes) = (0, 0);
        }
    }
    work + lines * bytes
}

/// The faults of a file, in order. Empty for languages without a definition; a text that cannot be parsed
/// within bounds, or is not UTF-8, has one at its start.
#[must_use]
pub fn syntax_errors(path: &RepoPath, bytes: &[u8]) -> Vec<SyntaxError> {
    let Some(language) = language::of(path) else { return Vec::new() };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return vec![SyntaxError { line: 1, column: 1, what: "the text is not UTF-8".to_owned() }];
    };
    errors_of(language, text)
        .unwrap_or_else(|unparsed| vec![SyntaxError { line: 1, column: 1, what: unparsed.to_string() }])
}

/// The faults of a text in this language.
pub(crate) fn errors_of(language: &Language, text: &str) -> Result<Vec<SyntaxError>, Unparsed> {
    let tree = parse(language, text)?;
    faults(language, text, &tree).map(|faults| located(&faults, text))
}

/// A fault as the byte where it starts and a word for it.
pub(crate) type Fault = (usize, String);

/// The faults of a parsed text, in order.
pub(crate) fn faults(language: &Language, text: &str, tree: &Tree) -> Result<Vec<Fault>, Unparsed> {
    let mut places = Vec::new();
    let mut too_deep = false;
    walk(tree.root_node(), |node, depth| {
        if node.is_error() {
            places.push((node.start_byte(), "unexpected text".to_owned()));
        } else if node.is_missing() {
            places.push((node.start_byte(), format!("`{}` is missing", node.kind())));
        }
        too_deep |= depth > DEEPEST;
        if too_deep { Walk::Stop } else { Walk::On }
    });
    if too_deep {
        return Err(Unparsed::TooDeep);
    }
    places.extend((language.faults)(tree.root_node(), text));
    places.sort_unstable();
    places.dedup();
    Ok(places)
}

/// Faults with lines and columns.
pub(crate) fn located(faults: &[Fault], text: &str) -> Vec<SyntaxError> {
    let lines = Lines::of(text.as_bytes());
    let place = |(byte, what): &Fault| {
        let before = text.get(lines.start_of_line_at(*byte)..*byte).unwrap_or_default();
        let column = u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX);
        SyntaxError { line: lines.number_at(*byte), column, what: what.clone() }
    };
    faults.iter().map(place).collect()
}

/// What a visitor wants after a node.
pub(crate) enum Walk {
    /// Its children, then what follows.
    On,
    /// What follows it.
    Skip,
    /// Nothing more.
    Stop,
}

/// Visits a node and all below it in the order of the text, with their depth. By cursor and loop: the depth of
/// hostile text must not become the depth of our stack.
pub(crate) fn walk<'tree>(root: Node<'tree>, mut visit: impl FnMut(Node<'tree>, u32) -> Walk) {
    let mut cursor = root.walk();
    let mut depth = 0;
    'walk: loop {
        let descend = match visit(cursor.node(), depth) {
            Walk::On => cursor.goto_first_child(),
            Walk::Skip => false,
            Walk::Stop => return,
        };
        if descend {
            depth += 1;
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                break 'walk;
            }
            depth -= 1;
        }
    }
}
