//! Parsing within bounds, and the faults of a parsed text.

use crate::apply::text_of;
use crate::language::{self, Language};
use crate::text::Lines;
use std::cell::RefCell;
use std::ops::{ControlFlow, Range};
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

/// Texts of so many bytes hold neither so many levels, of which each takes a longer line, nor so much work on
/// comments: their lines, of two bytes at least, times their bytes.
const SMALL_FILE: usize = 31_000;
const _: () =
    assert!(SMALL_FILE < MOST_INDENTS * MOST_INDENTS / 2 && SMALL_FILE * SMALL_FILE / 2 < MOST_COMMENT_WORK);

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
    check_size(text)?;
    let prepared = (language.prepare)(text);
    parse_with(language, prepared.as_deref().unwrap_or(text), None, &[])
}

/// Parses these ranges of a text, which are in order and need no preparation, as if nothing stood between them.
pub(crate) fn parse_ranges(
    language: &Language,
    text: &str,
    ranges: &[tree_sitter::Range],
) -> Result<Tree, Unparsed> {
    for range in ranges {
        check_size(text.get(range.start_byte..range.end_byte).unwrap_or_default())?;
    }
    parse_with(language, text, None, ranges)
}

/// Parses a text of which most was parsed before; `before` was told of the edits. The result is that of [`parse`]:
/// how a parser recovers from errors depends on what it reads again, so a faulty text is read anew.
pub(crate) fn parse_again(language: &Language, text: &str, before: &Tree) -> Result<Tree, Unparsed> {
    check_size(text)?;
    if (language.prepare)(text).is_some() {
        return parse(language, text);
    }
    match parse_with(language, text, Some(before), &[]) {
        Ok(tree) if !tree.root_node().has_error() => Ok(tree),
        Ok(_) | Err(_) => parse_with(language, text, None, &[]),
    }
}

thread_local! {
    /// Parsers that are not at work, by language: a parser keeps memory that the next parse uses again.
    static IDLE: RefCell<Vec<(&'static str, Parser)>> = const { RefCell::new(Vec::new()) };
}

/// Without ranges the whole text is parsed.
fn parse_with(
    language: &Language,
    source: &str,
    before: Option<&Tree>,
    ranges: &[tree_sitter::Range],
) -> Result<Tree, Unparsed> {
    let source = source.as_bytes();
    let idle = IDLE.with_borrow_mut(|idle| {
        let at = idle.iter().position(|(name, _)| *name == language.name)?;
        Some(idle.swap_remove(at).1)
    });
    let mut parser = match idle {
        Some(parser) => parser,
        None => {
            let mut parser = Parser::new();
            parser.set_language(&language.grammar()).map_err(|_| Unparsed::TooSlow)?;
            parser
        }
    };
    parser.set_included_ranges(ranges).map_err(|_| Unparsed::TooSlow)?;
    // The callback comes every hundred steps; ordinary code takes about one step a byte.
    let mut calls_left = 100_000 + source.len();
    let mut count_down = |_: &tree_sitter::ParseState| {
        calls_left = calls_left.saturating_sub(1);
        if calls_left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut count_down);
    let mut read = |byte: usize, _| source.get(byte..).unwrap_or_default();
    // A parser that was stopped would go on where it was: it is dropped.
    let tree = parser.parse_with_options(&mut read, before, Some(options)).ok_or(Unparsed::TooSlow)?;
    IDLE.with_borrow_mut(|idle| idle.push((language.name, parser)));
    Ok(tree)
}

/// Refuses what would cost a parser more time or memory than a source text may.
pub(crate) fn check_size(text: &str) -> Result<(), Unparsed> {
    if text.len() > LARGEST_FILE {
        return Err(Unparsed::TooLarge);
    }
    if text.len() <= SMALL_FILE {
        return Ok(());
    }
    let shape = Shape::of(text);
    if shape.indents > MOST_INDENTS {
        return Err(Unparsed::TooDeep);
    }
    if shape.comment_work > MOST_COMMENT_WORK {
        return Err(Unparsed::TooSlow);
    }
    Ok(())
}

/// What the lines of a text ask of a scanner of indentation.
struct Shape {
    /// How deep lines are indented into each other; such scanners keep that in fixed memory.
    indents: usize,
    /// What reading runs of comments and empty continuations costs, where at each comment the scanner looks ahead to
    /// the next code: in each run, the lines times the bytes.
    comment_work: usize,
}

impl Shape {
    fn of(text: &str) -> Self {
        let mut open: Vec<usize> = Vec::new();
        let (mut indents, mut work, mut comments, mut bytes) = (0, 0, 0_usize, 0_usize);
        for line in text.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let content = line.trim_start_matches([' ', '\t', '\x0c']);
            let depth = line.len() - content.len();
            let is_run = match content.as_bytes() {
                [] | [b'#', ..] => true,
                [b'\\', rest @ ..] => rest.trim_ascii_end().is_empty(),
                _ => false,
            };
            if depth > 0 {
                while open.last().is_some_and(|last| *last >= depth) {
                    open.pop();
                }
                open.push(depth);
                indents = indents.max(open.len());
            }
            if is_run {
                comments += usize::from(!content.is_empty());
                bytes += line.len() + 1;
            } else if bytes > 0 {
                work += comments * bytes;
                (comments, bytes) = (0, 0);
            }
        }
        Self { indents, comment_work: work + comments * bytes }
    }
}

/// The faults of a file, in order, decoded as it declares. Empty for languages without a definition; a text that
/// cannot be decoded, or not be parsed within bounds, has one at its start.
#[must_use]
pub fn syntax_errors(path: &RepoPath, bytes: &[u8]) -> Vec<SyntaxError> {
    let Some(language) = language::of(path) else { return Vec::new() };
    let at_start = |what: String| vec![SyntaxError { line: 1, column: 1, what }];
    let Some(text) = text_of(Some(language), bytes) else {
        return at_start("the text is neither UTF-8 nor what it declares".to_owned());
    };
    errors_of(language, &text).unwrap_or_else(|unparsed| at_start(unparsed.to_string()))
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
    check_depth(tree, None)?;
    Ok(faults_within(language, text, tree))
}

/// The faults of a text that is not nested too deep, in order.
pub(crate) fn faults_within(language: &Language, text: &str, tree: &Tree) -> Vec<Fault> {
    let mut places = Vec::new();
    walk(tree.root_node(), |node, _| {
        if node.is_error() {
            places.push((node.start_byte(), "unexpected text".to_owned()));
        } else if node.is_missing() {
            places.push((node.start_byte(), format!("`{}` is missing", node.kind())));
        }
        if node.has_error() { Walk::On } else { Walk::Skip }
    });
    places.extend((language.faults)(tree.root_node(), text));
    places.sort_unstable();
    places.dedup();
    places
}

/// Refuses a tree that is deeper than [`DEEPEST`], if given in the ranges that an edit changed.
pub(crate) fn check_depth(tree: &Tree, changed: Option<&[Range<usize>]>) -> Result<(), Unparsed> {
    let mut too_deep = false;
    walk(tree.root_node(), |node, depth| {
        too_deep |= depth > DEEPEST;
        let (start, end) = (node.start_byte(), node.end_byte());
        let touched =
            |changed: &[Range<usize>]| changed.iter().any(|part| part.start <= end && start <= part.end);
        // What has fewer nodes than levels are left cannot pass the bound.
        let may_pass = node.descendant_count() + depth as usize > DEEPEST as usize;
        match may_pass && changed.is_none_or(touched) {
            _ if too_deep => Walk::Stop,
            true => Walk::On,
            false => Walk::Skip,
        }
    });
    if too_deep { Err(Unparsed::TooDeep) } else { Ok(()) }
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
