//! A file's text while a set of edits changes it: decoded, spliced, encoded again byte for byte.

use super::encoding::Encoding;
use crate::language::Language;
use crate::outline::{Outline, Symbol, outline_of};
use crate::refusal::Refusal;
use crate::syntax::{self, Fault, LARGEST_FILE};
use crate::text::{Lines, Span};
use toryo_domain::RepoPath;
use tree_sitter::Tree;

/// A replacement of some bytes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Splice {
    pub(crate) span: Span,
    pub(crate) text: String,
}

impl Splice {
    pub(crate) fn new(start: usize, end: usize, text: impl Into<String>) -> Self {
        Self { span: Span::new(start, end), text: text.into() }
    }

    /// An insertion.
    pub(crate) fn at(place: usize, text: impl Into<String>) -> Self {
        Self::new(place, place, text)
    }
}

/// A text with what the parser says of it, while edits change it.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) path: RepoPath,
    pub(crate) text: String,
    pub(crate) language: Option<&'static Language>,
    encoding: Encoding,
    /// The lines of the text as it was first read.
    original: Lines,
    history: Vec<Splice>,
    analysis: Option<Analysis>,
}

/// What the parser says of a text.
#[derive(Debug, Clone)]
pub(crate) struct Analysis {
    pub(crate) tree: Tree,
    pub(crate) outline: Outline,
    pub(crate) faults: Vec<Fault>,
}

impl Source {
    /// Decodes and parses a file.
    pub(crate) fn read(path: &RepoPath, bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > LARGEST_FILE {
            return Err(Refusal::TooLarge { what: "the file", size: bytes.len(), limit: LARGEST_FILE });
        }
        let language = crate::language::of(path);
        let (encoding, text) = Encoding::decode(language, bytes)?;
        let original = Lines::of(text.as_bytes());
        let mut source =
            Self { path: path.clone(), text, language, encoding, original, history: vec![], analysis: None };
        source.analyse()?;
        Ok(source)
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Refusal> {
        self.encoding.encode(&self.text)
    }

    /// What the parser says, for languages with a definition.
    pub(crate) fn analysis(&self) -> Option<&Analysis> {
        self.analysis.as_ref()
    }

    /// The symbols of the present text.
    pub(crate) fn symbols(&self) -> &[Symbol] {
        self.analysis.as_ref().map_or(&[], |analysis| &analysis.outline.symbols)
    }

    /// The lines of the present text.
    pub(crate) fn lines(&self) -> Lines {
        Lines::of(self.text.as_bytes())
    }

    /// How many lines the text had when it was read.
    pub(crate) fn original_line_count(&self) -> usize {
        self.original.count()
    }

    /// The present span of lines of the text as it was read. `None` if an edit changed them since.
    pub(crate) fn span_of_original(&self, first: u32, last: u32) -> Option<Span> {
        let span = Span::new(self.original.span(first)?.start, self.original.span(last)?.end);
        self.history.iter().try_fold(span, moved)
    }

    /// The present place below a line of the text as it was read, and below what was inserted there since.
    pub(crate) fn point_after_original(&self, line: u32) -> Option<usize> {
        let mut point = self.original.span(line)?.end;
        for done in &self.history {
            if done.span.end > point {
                continue;
            }
            point = point - (done.span.end - done.span.start) + done.text.len();
        }
        Some(point)
    }

    /// The text with these replacements, which are in order and do not overlap, parsed.
    ///
    /// Refuses characters that the encoding cannot write, and texts that cannot be parsed within bounds.
    pub(crate) fn spliced(&self, splices: &[Splice]) -> Result<Self, Refusal> {
        let mut next = self.clone();
        for splice in splices {
            self.encoding.check(&splice.text, &self.text[splice.span.range()])?;
        }
        // From the end, so that places before stay where they are.
        for splice in splices.iter().rev() {
            next.text.replace_range(splice.span.range(), &splice.text);
            next.history.push(splice.clone());
        }
        if next.text.len() > LARGEST_FILE {
            return Err(Refusal::TooLarge {
                what: "the changed file",
                size: next.text.len(),
                limit: LARGEST_FILE,
            });
        }
        next.analyse()?;
        Ok(next)
    }

    /// Refuses a text whose own declaration says that its bytes mean something else than what is written.
    pub(crate) fn check_declaration(&self) -> Result<(), Refusal> {
        self.encoding.check_declaration(self.language, &self.bytes()?, &self.text)
    }

    fn analyse(&mut self) -> Result<(), Refusal> {
        self.analysis = None;
        if let Some(language) = self.language {
            let tree = syntax::parse(language, &self.text).map_err(Refusal::Unparsed)?;
            let faults = syntax::faults(language, &self.text, &tree).map_err(Refusal::Unparsed)?;
            let outline = outline_of(language, &self.text, &tree);
            self.analysis = Some(Analysis { tree, outline, faults });
        }
        Ok(())
    }

    /// The line break to use at a place: that of the line there or before, or else the file's first.
    pub(crate) fn line_break_at(&self, byte: usize) -> &'static str {
        let ending = |line: &str| if line.ends_with("\r\n") { "\r\n" } else { "\n" };
        let lines = self.lines();
        let here = &self.text[lines.start_of_line_at(byte)..lines.end_of_line_at(byte)];
        let before = self.text[..lines.start_of_line_at(byte)].split_inclusive('\n').next_back();
        let first = self.text.split_inclusive('\n').next();
        [Some(here), before, first]
            .into_iter()
            .flatten()
            .find(|line| line.ends_with('\n'))
            .map_or("\n", ending)
    }

    /// The white space before the first character of the line that holds this byte, after any form feed.
    pub(crate) fn indentation_at(&self, byte: usize) -> &str {
        let line = &self.text[self.lines().start_of_line_at(byte)..];
        let rest = line.trim_start_matches([' ', '\t', '\x0c']);
        line[..line.len() - rest.len()].rsplit('\x0c').next().unwrap_or_default()
    }
}

/// Where a span is after a splice; `None` if the splice changed bytes in it. An insertion at the start moves
/// it, so that what is inserted twice at one place stands in the order of the edits.
fn moved(span: Span, done: &Splice) -> Option<Span> {
    if done.span.start >= span.end && span.start < span.end {
        return Some(span);
    }
    if done.span.end > span.start {
        return None;
    }
    let by = |at: usize| at - (done.span.end - done.span.start) + done.text.len();
    Some(Span::new(by(span.start), by(span.end)))
}
