//! Parsing within bounds, and the faults of a parsed text.

use crate::language::{self, Language};
use crate::text::Lines;
use std::ops::ControlFlow;
use toryo_domain::RepoPath;
use tree_sitter::{ParseOptions, Parser, Tree};

/// The largest text that is parsed, in bytes.
pub const LARGEST_FILE: usize = 5 * 1024 * 1024;

/// The deepest tree that is edited. CPython refuses 200 nested parentheses and 100 levels of indentation; long
/// chains of operators are deep trees too, so the bound is far above both.
pub(crate) const DEEPEST: u32 = 5_000;

/// A place where a text does not follow its language's grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong, in few words.
    pub what: &'static str,
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

/// The faults of a file, in order. Empty for languages without a definition; a text that cannot be parsed
/// within bounds, or is not UTF-8, has one at its start.
#[must_use]
pub fn syntax_errors(path: &RepoPath, bytes: &[u8]) -> Vec<SyntaxError> {
    let Some(language) = language::of(path) else { return Vec::new() };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return vec![SyntaxError { line: 1, column: 1, what: "not UTF-8" }];
    };
    errors_of(language, text)
        .unwrap_or_else(|_| vec![SyntaxError { line: 1, column: 1, what: "cannot be parsed" }])
}

/// The faults of a text in this language.
pub(crate) fn errors_of(language: &Language, text: &str) -> Result<Vec<SyntaxError>, Unparsed> {
    let tree = parse(language, text)?;
    let mut places = Vec::new();
    let mut cursor = tree.walk();
    // Walked by cursor: the depth of hostile text must not become the depth of our stack.
    'walk: loop {
        if cursor.depth() > DEEPEST {
            return Err(Unparsed::TooDeep);
        }
        let node = cursor.node();
        if node.is_error() {
            places.push((node.start_byte(), "unexpected text"));
        } else if node.is_missing() {
            places.push((node.start_byte(), "something is missing"));
        }
        if cursor.goto_first_child() || cursor.goto_next_sibling() {
            continue;
        }
        while cursor.goto_parent() {
            if cursor.goto_next_sibling() {
                continue 'walk;
            }
        }
        break;
    }
    places.extend((language.faults)(tree.root_node(), text));
    places.sort_unstable();
    let lines = Lines::of(text.as_bytes());
    let place = |(byte, what): (usize, &'static str)| {
        let before = text.get(lines.start_of_line_at(byte)..byte).unwrap_or_default();
        let column = u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX);
        SyntaxError { line: lines.number_at(byte), column, what }
    };
    Ok(places.into_iter().map(place).collect())
}
