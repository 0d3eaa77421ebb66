//! A file's text while a set of edits changes it: decoded, spliced, encoded again byte for byte.

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

/// How bytes become characters. All but UTF-8 map each byte to the character of the same number, so that
/// decoding and encoding again is the identity for every content.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Latin1,
    /// Another encoding that agrees with ASCII, or bytes that are not what they are said to be. Its characters
    /// beyond ASCII are kept and never written.
    Other(String),
}

/// A text with what the parser says of it, while edits change it.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) path: RepoPath,
    pub(crate) text: String,
    pub(crate) language: Option<&'static Language>,
    encoding: Encoding,
    bom: bool,
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

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Encodings whose bytes below 128 always are ASCII, so that syntax can be found without decoding them.
const LIKE_ASCII: [&str; 12] = [
    "ascii",
    "us-ascii",
    "cp125",
    "windows-125",
    "iso-8859-",
    "iso8859-",
    "koi8",
    "euc-",
    "euc_",
    "mac",
    "latin",
    "tis-620",
];

impl Source {
    /// Decodes and parses a file.
    pub(crate) fn read(path: &RepoPath, bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > LARGEST_FILE {
            return Err(Refusal::TooLarge { what: "the file", size: bytes.len(), limit: LARGEST_FILE });
        }
        if bytes.contains(&0) {
            return Err(Refusal::Binary);
        }
        let (bom, content) = bytes.strip_prefix(BOM).map_or((false, bytes), |rest| (true, rest));
        let language = crate::language::of(path);
        let declared = language.and_then(|language| (language.declared_encoding)(content));
        let encoding = encoding(declared, content)?;
        let text = match encoding {
            Encoding::Utf8 => String::from_utf8_lossy(content).into_owned(),
            Encoding::Latin1 | Encoding::Other(_) => content.iter().copied().map(char::from).collect(),
        };
        let original = Lines::of(text.as_bytes());
        let mut source = Self {
            path: path.clone(),
            text,
            language,
            encoding,
            bom,
            original,
            history: vec![],
            analysis: None,
        };
        source.analyse()?;
        Ok(source)
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Refusal> {
        let mut bytes = if self.bom { BOM.to_vec() } else { Vec::new() };
        match self.encoding {
            Encoding::Utf8 => bytes.extend_from_slice(self.text.as_bytes()),
            Encoding::Latin1 | Encoding::Other(_) => {
                for c in self.text.chars() {
                    bytes.push(u8::try_from(c).map_err(|_| self.unencodable())?);
                }
            }
        }
        Ok(bytes)
    }

    fn unencodable(&self) -> Refusal {
        let encoding = match &self.encoding {
            Encoding::Utf8 => "UTF-8",
            Encoding::Latin1 => "latin-1",
            Encoding::Other(name) => name,
        };
        Refusal::Encoding {
            encoding: encoding.to_owned(),
            detail: "the new text holds characters it cannot write",
        }
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
            let writable = match self.encoding {
                Encoding::Utf8 => true,
                Encoding::Latin1 => splice.text.chars().all(|c| u32::from(c) < 256),
                Encoding::Other(_) => splice.text.is_ascii() || self.text[splice.span.range()] == splice.text,
            };
            if !writable {
                return Err(self.unencodable());
            }
            if splice.text.contains('\0') {
                return Err(Refusal::Unfit("the new text holds a NUL character".to_owned()));
            }
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
        let bytes = self.bytes()?;
        let again = Self::read(&self.path, &bytes)?;
        if again.text == self.text && (again.encoding == self.encoding || self.text.is_ascii()) {
            return Ok(());
        }
        let encoding =
            again.language.and_then(|language| (language.declared_encoding)(&bytes)).unwrap_or_default();
        Err(Refusal::Encoding {
            encoding,
            detail: "the changed declaration does not fit the rest of the file",
        })
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

/// The encoding of a content: as declared, or UTF-8 where it is that, or else unknown bytes.
fn encoding(declared: Option<String>, content: &[u8]) -> Result<Encoding, Refusal> {
    let is_utf8 = std::str::from_utf8(content).is_ok();
    let Some(declared) = declared else {
        return Ok(if is_utf8 { Encoding::Utf8 } else { Encoding::Other("unknown".to_owned()) });
    };
    let name = declared.to_ascii_lowercase().replace('_', "-");
    match name.as_str() {
        "utf-8" | "utf8" | "utf-8-sig" | "u8" if is_utf8 => Ok(Encoding::Utf8),
        "utf-8" | "utf8" | "utf-8-sig" | "u8" => Ok(Encoding::Other("not the declared utf-8".to_owned())),
        "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "iso-latin-1" | "l1" => Ok(Encoding::Latin1),
        _ if content.is_ascii() || LIKE_ASCII.iter().any(|prefix| name.starts_with(prefix)) => {
            Ok(Encoding::Other(declared))
        }
        _ => Err(Refusal::Encoding { encoding: declared, detail: "files in it cannot be edited" }),
    }
}
