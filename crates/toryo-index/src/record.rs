//! What is known of one content, whatever its path and whatever surrounds it.
//!
//! A record is a pure function of the bytes and of how they are read (their [`Reading`]). So it is made once for
//! all commits, branches and repositories that hold the content, kept by its [`RecordKey`], and an index of a commit
//! is put together from records alone. Numbers in a record count from its own beginning.

mod chunk;
mod make;
mod version;

pub(crate) use make::Maker;

use crate::kind::SkipReason;
use crate::lexical::Posting;
use crate::manifest::{Manifest, ManifestKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;
use toryo_code::{SymbolKind, language_name};
use toryo_domain::RepoPath;
use version::VERSION;

pub use chunk::Chunk;

/// The version of what a record holds and of how it is written; records of another version are made anew. Beside it
/// stands what the program makes of some samples, so that a new grammar needs no new number.
pub const FORMAT: u32 = 2;

/// A name for bytes: equal bytes of one kind of name have equal names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId(Box<str>);

impl ContentId {
    /// The id that Git gives a blob, in hexadecimal digits.
    #[must_use]
    pub fn git(blob: &str) -> Self {
        Self(format!("git-{}", plain(blob)).into())
    }

    /// The SHA-256 of the bytes, for contents that Git does not know.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut name = String::from("sha256-");
        for byte in Sha256::digest(bytes) {
            // A `String` takes any text.
            let _ = write!(name, "{byte:02x}");
        }
        Self(name.into())
    }

    /// The name; letters, digits and hyphens only.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How bytes are read: all that a record depends on beside them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Reading {
    /// The extension, where it stands for a language that is understood; it selects the grammar.
    extension: Box<str>,
    /// What the file declares about the folder around it, by its name.
    manifest: Option<ManifestKind>,
}

impl Reading {
    /// How a file at this path is read.
    pub(crate) fn of(path: &RepoPath) -> Self {
        let extension = language_name(path).and_then(|_| path.extension()).unwrap_or_default();
        Self { extension: extension.into(), manifest: ManifestKind::of(path) }
    }
}

/// The key of a record: format, content, reading.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    pub(crate) content: ContentId,
    pub(crate) reading: Reading,
}

impl RecordKey {
    /// The key for a content at a path.
    #[must_use]
    pub fn new(content: ContentId, path: &RepoPath) -> Self {
        Self { content, reading: Reading::of(path) }
    }

    /// The key for what is kept of a commit's history.
    pub(crate) fn of_history(commit: &str) -> Self {
        let content = ContentId(format!("log-{}", plain(commit)).into());
        Self { content, reading: Reading { extension: "".into(), manifest: None } }
    }

    /// A name for files and objects: letters, digits, `-` and `.`, at most 120 bytes.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = self.content.0.to_string();
        if !self.reading.extension.is_empty() {
            name.push('.');
            name.push_str(&plain(&self.reading.extension));
        }
        if let Some(manifest) = self.reading.manifest {
            // Apart from extensions: an empty `go.mod` is not read as an empty `x.go`.
            name.push_str(".manifest-");
            name.push_str(manifest.name());
        }
        name.truncate(120);
        name
    }
}

/// Letters, digits and hyphens of a text, so that it is safe in a file's name.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(80).collect()
}

/// What is known of one content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Content {
    /// It is a text that can be indexed.
    Text(Arc<Record>),
    /// It is passed over.
    Skipped(SkipReason),
}

/// What is known of one text.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) lines: u32,
    /// In UTF-8.
    pub(crate) bytes: u32,
    /// The text says that a program wrote it.
    pub(crate) generated: bool,
    /// All texts of the record, one after the other: first the [strings](Record::strings), then what symbols say.
    pub(crate) text: Arc<str>,
    /// Where each string ends in `text`. Terms come first, then names that are no terms.
    pub(crate) string_ends: Vec<u32>,
    /// Where the postings of each term end.
    pub(crate) term_ends: Vec<u32>,
    /// By term, then by unit.
    pub(crate) postings: Vec<Posting>,
    pub(crate) symbols: Vec<SymbolFacts>,
    pub(crate) units: Vec<UnitFacts>,
    /// Hashes of three words of a string literal, with the unit that holds it; sorted, distinct.
    pub(crate) phrases: Vec<(u32, u32)>,
    pub(crate) imports: Vec<ImportFacts>,
    /// Units with the strings they use as names; sorted, distinct.
    pub(crate) uses: Vec<(u32, u32)>,
    pub(crate) manifest: Option<Manifest>,
    pub(crate) chunks: Vec<Chunk>,
}

/// A range of a record's text.
pub(crate) type Piece = (u32, u32);

/// A symbol of a record; see [`crate::IndexedSymbol`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SymbolFacts {
    pub(crate) path: Piece,
    pub(crate) signature: Piece,
    pub(crate) doc: Option<Piece>,
    /// Its name, a string of the record.
    pub(crate) name: u32,
    #[serde(with = "kind_as_number")]
    pub(crate) kind: SymbolKind,
    pub(crate) first_line: u32,
    pub(crate) last_line: u32,
    pub(crate) parent: Option<u32>,
    pub(crate) own_unit: Option<u32>,
    /// Its own unit, or that of what it lies in.
    pub(crate) unit: u32,
}

/// A unit of a record; see [`crate::lexical`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UnitFacts {
    /// `None` for what lies outside all symbols.
    pub(crate) symbol: Option<u32>,
    /// The outermost symbol around it, itself included.
    pub(crate) outer: Option<u32>,
    /// Terms in its text, repetitions counted.
    pub(crate) length: u32,
}

/// An import as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImportFacts {
    pub(crate) module: Box<str>,
    /// What is taken from it, and the name it has in this file; both are strings of the record. `*` is all.
    pub(crate) names: Vec<(u32, u32)>,
}

impl Record {
    /// A string by its number.
    pub(crate) fn string(&self, number: u32) -> &str {
        let number = number as usize;
        let start = if number == 0 { 0 } else { self.string_ends[number - 1] };
        &self.text[start as usize..self.string_ends[number] as usize]
    }

    /// All strings, in the order of their numbers.
    pub(crate) fn strings(&self) -> impl Iterator<Item = &str> {
        (0..self.string_ends.len() as u32).map(|number| self.string(number))
    }

    /// The postings of each term, by the term's number.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u32, &[Posting])> {
        let mut start = 0;
        (0_u32..).zip(&self.term_ends).map(move |(term, end)| {
            let run = &self.postings[start..*end as usize];
            start = *end as usize;
            (term, run)
        })
    }

    /// Whether every number in it points at something, so that a record from outside cannot make the index fail.
    fn is_sound(&self) -> bool {
        let (strings, units, symbols) =
            (self.string_ends.len() as u32, self.units.len() as u32, self.symbols.len() as u32);
        let ascends = |ends: &[u32], most: usize| {
            ends.is_sorted() && ends.last().map_or(0, |end| *end as usize) <= most
        };
        let piece = |(start, end): Piece| self.text.get(start as usize..end as usize).is_some();
        let cuts = self.string_ends.iter().all(|end| self.text.is_char_boundary(*end as usize));
        let symbol = |(number, one): (u32, &SymbolFacts)| {
            piece(one.path)
                && piece(one.signature)
                && one.doc.is_none_or(piece)
                && one.name < strings
                && one.parent.is_none_or(|parent| parent < number)
                && one.unit < units
                && one.own_unit.is_none_or(|own| own == one.unit)
        };
        let unit = |one: &UnitFacts| {
            one.symbol.is_none_or(|it| it < symbols) && one.outer.is_none_or(|it| it < symbols)
        };
        ascends(&self.string_ends, self.text.len())
            && cuts
            && self.term_ends.len() <= self.string_ends.len()
            && ascends(&self.term_ends, self.postings.len())
            && units > 0
            && self.postings.iter().all(|posting| posting.unit < units)
            && (0..).zip(&self.symbols).all(symbol)
            && self.units.iter().all(unit)
            && self.phrases.iter().all(|(_, unit)| *unit < units)
            && self.uses.iter().all(|(unit, name)| *unit < units && *name < strings)
            && self.imports.iter().flat_map(|import| &import.names).all(|(a, b)| *a < strings && *b < strings)
            && self.chunks.iter().all(|chunk| chunk.symbol.is_none_or(|it| it < symbols))
    }
}

/// What stands before everything kept.
const MAGIC: &[u8; 4] = b"TRYR";

/// Facts with what tells whether they can be read: magic, version, checksum.
pub(crate) fn sealed(facts: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(facts.len() + 12);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(facts).to_le_bytes());
    bytes.extend_from_slice(facts);
    bytes
}

/// The facts in what [`sealed`] made; `None` for anything else, also for what is damaged or of another version.
pub(crate) fn unsealed(bytes: &[u8]) -> Option<&[u8]> {
    let (sum, facts) =
        bytes.strip_prefix(MAGIC)?.strip_prefix(&VERSION.to_le_bytes())?.split_first_chunk::<4>()?;
    (crc32fast::hash(facts) == u32::from_le_bytes(*sum)).then_some(facts)
}

impl Content {
    /// The record as bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Facts of plain types in memory always have an encoding; an empty one would not be read back.
        sealed(&postcard::to_stdvec(self).unwrap_or_default())
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let content: Self = postcard::from_bytes(unsealed(bytes)?).ok()?;
        match &content {
            Self::Text(record) if !record.is_sound() => None,
            _ => Some(content),
        }
    }
}

/// [`SymbolKind`] belongs to another crate, which does not know of storage.
mod kind_as_number {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use toryo_code::SymbolKind;

    pub(super) fn serialize<S: Serializer>(kind: &SymbolKind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match kind {
            SymbolKind::Class => 0,
            SymbolKind::Function => 1,
            SymbolKind::Method => 2,
            SymbolKind::Variable => 3,
            SymbolKind::Module => 4,
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SymbolKind, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(SymbolKind::Class),
            1 => Ok(SymbolKind::Function),
            2 => Ok(SymbolKind::Method),
            3 => Ok(SymbolKind::Variable),
            4 => Ok(SymbolKind::Module),
            other => Err(D::Error::custom(format!("{other} is no kind of symbol"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{SHOP, files};
    use proptest::prelude::*;

    fn record_of(name: &str, text: &str) -> Content {
        let path: RepoPath = name.parse().expect("a path");
        Maker::default().make(&path, text.as_bytes().to_vec())
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for (path, text) in files(SHOP) {
            let content = record_of(path.as_str(), &text);
            assert_eq!(Content::decode(&content.encode()), Some(content));
        }
        let binary = Content::Skipped(SkipReason::Binary);
        assert_eq!(Content::decode(&binary.encode()), Some(binary));
    }

    #[test]
    fn another_format_or_a_cut_record_is_refused() {
        let bytes = record_of("a.py", "def f():\n    return g()\n").encode();
        assert!(Content::decode(&bytes[..bytes.len() - 1]).is_none());
        let mut other = bytes;
        other[4] ^= 1;
        assert!(Content::decode(&other).is_none());
        assert!(Content::decode(b"").is_none());
    }

    #[test]
    fn a_key_names_what_a_record_depends_on() {
        let key =
            |path: &str| RecordKey::new(ContentId::git("0123abcd"), &path.parse().expect("a path")).name();
        assert_eq!(key("src/a.py"), "git-0123abcd.py");
        assert_eq!(key("src/b.py"), key("lib/a.py"));
        assert_eq!(key("README.md"), "git-0123abcd");
        assert_eq!(key("web/package.json"), "git-0123abcd.manifest-npm");
        assert_ne!(key("svc/go.mod"), key("svc/cart.go"), "equal contents that are read otherwise");
        assert!(ContentId::of(b"x").as_str().starts_with("sha256-2d711642"));
    }

    proptest! {
        #[test]
        fn a_damaged_record_is_refused_or_harmless(at in 0_usize..2_000, bit in 0_u8..8) {
            let mut bytes = record_of("a.py", "import os\n\n\nclass A:\n    def f(self):\n        return os.path\n").encode();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(Content::decode(&bytes).is_none());
        }

        #[test]
        fn facts_that_point_nowhere_are_refused(facts in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(Content::Text(record)) = Content::decode(&sealed(&facts)) {
                prop_assert!(record.is_sound());
            }
        }
    }
}
