//! Why an edit is refused, worded for whoever has to correct it: most often a model.

use crate::syntax::{SyntaxError, Unparsed};
use serde::Serialize;
use std::fmt;
use toryo_domain::FailureClass;
use toryo_domain::path::BadPath;

/// A place that may have been meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The symbol there, by the path that names it alone; empty where no symbol is.
    pub symbol: String,
    /// The line, from 1.
    pub line: u32,
    /// The text of the line, without white space around it, cut after 120 characters.
    pub text: String,
}

/// Why an edit was refused. Every text ends by saying that nothing was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The path is not one inside the repository.
    Path(BadPath),
    /// The file is not there.
    NoSuchFile,
    /// The file to create is there already.
    FileExists,
    /// The whole of an existing file was to be replaced.
    ReplacesWholeFile,
    /// The file could not be read; the text says why.
    Unreadable(String),
    /// The file holds NUL bytes.
    Binary,
    /// Characters of the new text cannot be written in the file's encoding.
    Encoding {
        /// The encoding's name.
        encoding: String,
        /// What is at odds.
        detail: &'static str,
    },
    /// Larger than a limit: what, its size and the limit, in bytes or pieces.
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The present text cannot be parsed within bounds.
    Unparsed(Unparsed),
    /// No definition has this path.
    NoSuchSymbol(String),
    /// Several definitions have this path.
    AmbiguousSymbol(String, usize),
    /// The file has fewer lines.
    NoSuchLine {
        /// The last line that was named.
        line: u32,
        /// How many lines there are.
        count: usize,
    },
    /// The first line is not the expected one.
    Unexpected {
        /// The line, from 1.
        line: u32,
        /// What was expected there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// An earlier edit of the set changed these lines.
    AlreadyChanged {
        /// The first line.
        first: u32,
        /// The last line.
        last: u32,
    },
    /// The query is not one, or not for this language; the text says why.
    BadQuery(String),
    /// The query's `@target` matches this many nodes.
    QueryMatches(usize),
    /// A hunk of a diff does not fit.
    Hunk {
        /// Which one, from 1.
        number: usize,
        /// The first line of the file that differs, from 1, or where the hunk was looked for.
        line: u32,
        /// The line that the diff expects.
        expected: String,
        /// The line that is there.
        found: String,
    },
    /// A hunk of a diff fits at several places.
    AmbiguousHunk {
        /// Which one, from 1.
        number: usize,
        /// How many places.
        places: usize,
    },
    /// The diff is malformed; the text says where.
    BadDiff(String),
    /// The edit contradicts itself or asks for what its place does not offer.
    Unfit(String),
    /// The change would bring a syntax error.
    Syntax(SyntaxError),
    /// The edit is fine, but another of the set was refused.
    OthersRefused,
}

impl Refusal {
    /// What the refusal makes of a step: the model is asked again, unless the file system failed.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::Unreadable(_) => FailureClass::Transient,
            Self::Path(_)
            | Self::NoSuchFile
            | Self::FileExists
            | Self::ReplacesWholeFile
            | Self::Binary
            | Self::Encoding { .. }
            | Self::TooLarge { .. }
            | Self::Unparsed(_)
            | Self::NoSuchSymbol(_)
            | Self::AmbiguousSymbol(..)
            | Self::NoSuchLine { .. }
            | Self::Unexpected { .. }
            | Self::AlreadyChanged { .. }
            | Self::BadQuery(_)
            | Self::QueryMatches(_)
            | Self::Hunk { .. }
            | Self::AmbiguousHunk { .. }
            | Self::BadDiff(_)
            | Self::Unfit(_)
            | Self::Syntax(_)
            | Self::OthersRefused => FailureClass::InvalidOutput,
        }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(bad) => write!(f, "{bad}"),
            Self::NoSuchFile => f.write_str("the file does not exist; to create it, insert with `whole_file`"),
            Self::FileExists => f.write_str("the file exists already; change it by symbol or line_range"),
            Self::ReplacesWholeFile => f.write_str(
                "an existing file is never replaced as a whole; change the parts that differ by symbol or line_range",
            ),
            Self::Unreadable(why) => write!(f, "the file cannot be read: {why}"),
            Self::Binary => f.write_str("the file is binary; only text can be edited"),
            Self::Encoding { encoding, detail } => write!(f, "the file's encoding is {encoding}: {detail}"),
            Self::TooLarge { what, size, limit } => write!(f, "{what} is too large: {size}, at most {limit}"),
            Self::Unparsed(unparsed) => write!(f, "{unparsed}"),
            Self::NoSuchSymbol(symbol) => write!(f, "no definition is called `{symbol}` in this file"),
            Self::AmbiguousSymbol(symbol, count) => {
                write!(f, "{count} definitions are called `{symbol}`; name one of the candidates")
            }
            Self::NoSuchLine { line, count } => write!(f, "there is no line {line}; the file has {count} lines"),
            Self::Unexpected { line, expected, found } => {
                write!(f, "line {line} differs: expected `{}`, found `{}`", cut(expected), cut(found))
            }
            Self::AlreadyChanged { first, last } => write!(
                f,
                "an earlier edit of this set changed lines {first} to {last}; make one edit of both"
            ),
            Self::BadQuery(why) => write!(f, "the query is not usable: {why}"),
            Self::QueryMatches(0) => f.write_str("the query matches nothing"),
            Self::QueryMatches(count) => write!(f, "the query matches {count} places; it must match one"),
            Self::Hunk { number, line, expected, found } => write!(
                f,
                "hunk {number} does not fit: line {line} differs first: expected `{}`, found `{}`",
                cut(expected),
                cut(found)
            ),
            Self::AmbiguousHunk { number, places } => {
                write!(f, "hunk {number} fits at {places} places; add context lines")
            }
            Self::BadDiff(why) => write!(f, "the diff is malformed: {why}"),
            Self::Unfit(why) => f.write_str(why),
            Self::Syntax(error) => write!(
                f,
                "the changed file would have a syntax error at line {}, column {}: {}",
                error.line, error.column, error.what
            ),
            Self::OthersRefused => f.write_str("this edit would apply, but another edit of the set was refused"),
        }?;
        f.write_str(". Nothing was applied.")
    }
}

/// A text on one line, cut after 120 characters.
pub(crate) fn cut(text: &str) -> String {
    let text = text.trim_end_matches(['\n', '\r']).replace('\n', "\\n");
    match text.char_indices().nth(120) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
