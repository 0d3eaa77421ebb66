//! A file's text while a set of edits changes it: decoded, spliced, encoded again byte for byte.

use super::encoding::Encoding;
use super::excerpt::Excerpt;
use crate::language::Language;
use crate::outline::{Symbol, symbols_of};
use crate::refusal::Refusal;
use crate::syntax::{self, Fault, LARGEST_FILE, Unparsed};
use crate::text::{Lines, Span};
use std::cell::OnceCell;
use std::ops::Range;
use std::rc::Rc;
use toryo_domain::RepoPath;
use tree_sitter::{InputEdit, Point, Tree};

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

/// A text with what the parser says of it, while edits change it. What edits do not change is shared by clones.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) path: RepoPath,
    pub(crate) text: String,
    pub(crate) language: Option<&'static Language>,
    encoding: Encoding,
    /// The lines of the text as it was first read.
    original: Rc<Lines>,
    history: Vec<Change>,
    lines: OnceCell<Rc<Lines>>,
    /// What the parser says, once it was asked.
    analysis: Option<Rc<Analysis>>,
    /// The statements that the parser read, where it did not read all.
    excerpt: Option<Excerpt>,
}

/// That some bytes were replaced by this many others.
#[derive(Debug, Clone, Copy)]
struct Change {
    span: Span,
    length: usize,
}

/// What the parser says of a text; all but the tree at first use.
#[derive(Debug)]
pub(crate) struct Analysis {
    pub(crate) tree: Tree,
    symbols: OnceCell<Vec<Symbol>>,
    faults: OnceCell<Vec<Fault>>,
}

impl Source {
    /// Decodes and parses a file.
    pub(crate) fn read(path: &RepoPath, bytes: &[u8]) -> Result<Self, Refusal> {
        let mut source = Self::decode(path, bytes)?;
        source.parse()?;
        Ok(source)
    }

    /// Decodes a file. Before anything but its excerpts is asked for, it has to be parsed.
    pub(crate) fn decode(path: &RepoPath, bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > LARGEST_FILE {
            return Err(Refusal::TooLarge { what: "the file", size: bytes.len(), limit: LARGEST_FILE });
        }
        let language = crate::language::of(path);
        let (encoding, text) = Encoding::decode(language, bytes)?;
        let original = Rc::new(Lines::of(text.as_bytes()));
        let (path, history, lines) = (path.clone(), Vec::new(), OnceCell::from(Rc::clone(&original)));
        Ok(Self { path, text, language, encoding, original, history, lines, analysis: None, excerpt: None })
    }

    /// Parses the text, unless it was parsed or is of no language.
    pub(crate) fn parse(&mut self) -> Result<(), Refusal> {
        let Some(language) = self.language.filter(|_| self.analysis.is_none()) else { return Ok(()) };
        let tree = syntax::parse(language, &self.text).map_err(Refusal::Unparsed)?;
        self.analysis = Some(Analysis::of(tree, None).map_err(Refusal::Unparsed)?);
        Ok(())
    }

    /// The text with only those statements parsed in which a symbol of this path may be defined; `None` where they
    /// are not certain or have errors.
    pub(crate) fn excerpt(&self, path: &str) -> Option<Self> {
        let excerpt = Excerpt::of(self.language?, &self.text, path.trim())?;
        let tree = excerpt.parse(&self.text).ok().filter(|tree| !tree.root_node().has_error())?;
        let analysis = Some(Analysis::of(tree, None).ok()?);
        Some(Self { analysis, excerpt: Some(excerpt), ..self.clone() })
    }

    /// Whether the parser read some statements only.
    pub(crate) fn is_excerpt(&self) -> bool {
        self.excerpt.is_some()
    }

    /// The text without what the parser said of an excerpt.
    pub(crate) fn whole(self) -> Self {
        Self { analysis: None, excerpt: None, ..self }
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Refusal> {
        self.encoding.encode(&self.text)
    }

    /// What the parser says, for languages with a definition.
    pub(crate) fn analysis(&self) -> Option<&Analysis> {
        self.analysis.as_deref()
    }

    /// The symbols of the present text.
    pub(crate) fn symbols(&self) -> &[Symbol] {
        let (Some(language), Some(analysis)) = (self.language, self.analysis()) else { return &[] };
        analysis.symbols.get_or_init(|| symbols_of(language, &self.text, self.lines(), &analysis.tree))
    }

    /// The faults of the present text, in order.
    pub(crate) fn faults(&self) -> &[Fault] {
        let (Some(language), Some(analysis)) = (self.language, self.analysis()) else { return &[] };
        analysis.faults.get_or_init(|| syntax::faults_within(language, &self.text, &analysis.tree))
    }

    /// The lines of the present text.
    pub(crate) fn lines(&self) -> &Lines {
        self.lines.get_or_init(|| Rc::new(Lines::of(self.text.as_bytes())))
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
            point = point - (done.span.end - done.span.start) + done.length;
        }
        Some(point)
    }

    /// The text with these replacements, which are in order and do not overlap, parsed.
    ///
    /// Refuses characters that the encoding cannot write, and texts that cannot be parsed within bounds.
    pub(crate) fn spliced(&self, splices: &[Splice]) -> Result<Self, Refusal> {
        for splice in splices {
            self.encoding.check(&splice.text, &self.text[splice.span.range()])?;
        }
        let added: usize = splices.iter().map(|splice| splice.text.len()).sum();
        let mut text = String::with_capacity(self.text.len() + added);
        let mut kept = 0;
        for splice in splices {
            text.push_str(&self.text[kept..splice.span.start]);
            text.push_str(&splice.text);
            kept = splice.span.end;
        }
        text.push_str(&self.text[kept..]);
        if text.len() > LARGEST_FILE {
            return Err(Refusal::TooLarge {
                what: "the changed file",
                size: text.len(),
                limit: LARGEST_FILE,
            });
        }
        let excerpt = self.excerpt.as_ref().and_then(|excerpt| excerpt.spliced(&self.text, &text, splices));
        let analysis = match (&self.excerpt, &excerpt) {
            (None, _) => self.analysis_of(&text, splices),
            (Some(_), Some(excerpt)) => {
                excerpt.parse(&text).and_then(|tree| Analysis::of(tree, None)).map(Some)
            }
            // Nobody sees this: the whole file is asked.
            (Some(_), None) => Err(Unparsed::TooSlow),
        };
        let analysis = analysis.map_err(Refusal::Unparsed)?;
        let mut history = self.history.clone();
        // From the end, so that places before stay where they are.
        let changes =
            splices.iter().rev().map(|splice| Change { span: splice.span, length: splice.text.len() });
        history.extend(changes);
        let (path, encoding, original) =
            (self.path.clone(), self.encoding.clone(), Rc::clone(&self.original));
        let (language, lines) = (self.language, OnceCell::new());
        Ok(Self { path, text, language, encoding, original, history, lines, analysis, excerpt })
    }

    /// What the parser says of the text with these replacements; what they leave alone is not read again.
    fn analysis_of(&self, text: &str, splices: &[Splice]) -> Result<Option<Rc<Analysis>>, Unparsed> {
        let (Some(language), Some(analysis)) = (self.language, self.analysis()) else { return Ok(None) };
        // Where the parser read something else than the text, edits of the text say nothing about its tree.
        if (language.prepare)(&self.text).is_some() {
            return Analysis::of(syntax::parse(language, text)?, None).map(Some);
        }
        let mut before = analysis.tree.clone();
        for splice in splices.iter().rev() {
            let start_position = self.point(splice.span.start);
            before.edit(&InputEdit {
                start_byte: splice.span.start,
                old_end_byte: splice.span.end,
                new_end_byte: splice.span.start + splice.text.len(),
                start_position,
                old_end_position: self.point(splice.span.end),
                new_end_position: after(start_position, &splice.text),
            });
        }
        let tree = syntax::parse_again(language, text, &before)?;
        let mut changed: Vec<Range<usize>> =
            before.changed_ranges(&tree).map(|range| range.start_byte..range.end_byte).collect();
        let mut grown = 0_isize;
        for splice in splices {
            let start = splice.span.start.saturating_add_signed(grown);
            changed.push(start..start + splice.text.len());
            grown += splice.text.len() as isize - (splice.span.end - splice.span.start) as isize;
        }
        Analysis::of(tree, Some(&changed)).map(Some)
    }

    /// A byte of the present text as row and column, from 0.
    fn point(&self, byte: usize) -> Point {
        let lines = self.lines();
        if byte == self.text.len() && self.text.ends_with('\n') {
            return Point::new(lines.count(), 0);
        }
        let row = lines.number_at(byte) as usize - 1;
        Point::new(row, byte - lines.start_of_line_at(byte))
    }

    /// Refuses a text whose own declaration says that its bytes mean something else than what is written.
    pub(crate) fn check_declaration(&self) -> Result<(), Refusal> {
        self.encoding.check_declaration(self.language, &self.bytes()?, &self.text)
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

impl Analysis {
    /// Refuses a tree that is too deep, if given in the ranges that an edit changed.
    fn of(tree: Tree, changed: Option<&[Range<usize>]>) -> Result<Rc<Self>, Unparsed> {
        syntax::check_depth(&tree, changed)?;
        Ok(Rc::new(Self { tree, symbols: OnceCell::new(), faults: OnceCell::new() }))
    }
}

/// The point behind a text that starts at this one.
fn after(start: Point, text: &str) -> Point {
    match text.rfind('\n') {
        None => Point::new(start.row, start.column + text.len()),
        Some(last) => Point::new(start.row + text.matches('\n').count(), text.len() - last - 1),
    }
}

/// Where a span is after a splice; `None` if the splice changed bytes in it. An insertion at the start moves
/// it, so that what is inserted twice at one place stands in the order of the edits.
fn moved(span: Span, done: &Change) -> Option<Span> {
    if done.span.start >= span.end && span.start < span.end {
        return Some(span);
    }
    if done.span.end > span.start {
        return None;
    }
    let by = |at: usize| at - (done.span.end - done.span.start) + done.length;
    Some(Span::new(by(span.start), by(span.end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text with splices has the tree, faults and symbols that it has when it is read anew.
    fn check(name: &str, text: &str, splices: &[Splice]) {
        let path: RepoPath = name.parse().expect("a path");
        let Ok(source) = Source::read(&path, text.as_bytes()) else { return };
        let Ok(again) = source.spliced(splices) else { return };
        // What declares another encoding now reads as another text.
        let Ok(anew) = Source::read(&path, again.text.as_bytes()) else { return };
        if anew.text != again.text {
            return;
        }
        let nodes = |source: &Source| {
            let mut nodes = Vec::new();
            let root = source.analysis().expect("a language").tree.root_node();
            syntax::walk(root, |node, _| {
                nodes.push((node.kind_id(), node.byte_range(), node.start_position()));
                syntax::Walk::On
            });
            nodes
        };
        assert_eq!(nodes(&again), nodes(&anew), "{name}: {text:?} with {splices:?}");
        assert_eq!(again.faults(), anew.faults());
        assert_eq!(again.symbols(), anew.symbols());
    }

    /// Cuts a text at characters: two replacements in order.
    fn splices(text: &str, cuts: [usize; 4], new: [&str; 2]) -> Vec<Splice> {
        let mut cuts = cuts.map(|cut| {
            let at = cut % (text.len() + 1);
            (0..=at).rfind(|at| text.is_char_boundary(*at)).unwrap_or(0)
        });
        cuts.sort_unstable();
        vec![Splice::new(cuts[0], cuts[1], new[0]), Splice::new(cuts[2], cuts[3], new[1])]
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(96))]

        #[test]
        fn what_is_parsed_again_is_as_if_parsed_anew(
            cuts in proptest::array::uniform4(0_usize..100_000),
            new in proptest::array::uniform2("(x|y = 1|\\(|\\)|\\{|\\}|:|;|,| |\n|\n    |    |\"|\"\"\"|'|#|//|\x0c|é|return|def f\\(\\):|f\"|=>){0,4}"),
        ) {
            for (name, text) in [
                ("a.py", include_str!("../../tests/fixtures/python/shapes.py")),
                ("a.ts", include_str!("../../tests/fixtures/typescript/service.ts")),
                ("a.rs", include_str!("../../tests/fixtures/rust/engine.rs")),
                ("a.go", include_str!("../../tests/fixtures/go/server.go")),
                ("a.java", include_str!("../../tests/fixtures/java/Service.java")),
            ] {
                check(name, text, &splices(text, cuts, [&new[0], &new[1]]));
            }
        }

        #[test]
        fn small_texts_are_parsed_again_as_anew(
            text in "(x|y = 1|\\(|\\)|:|;| |\n|\n    |    |\"|\"\"\"|#|\x0c|é|return|def f\\(\\):|if a:\n|class A:\n|\\\\\n){0,25}",
            cuts in proptest::array::uniform4(0_usize..200),
            new in proptest::array::uniform2("(x|y = 1|\\(|\\)|:|;| |\n|\n    |    |\"|\"\"\"|#|\x0c|é|return|def f\\(\\):){0,3}"),
        ) {
            check("a.py", &text, &splices(&text, cuts, [&new[0], &new[1]]));
        }
    }
}
