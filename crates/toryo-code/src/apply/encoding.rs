//! How a file's bytes become characters and characters become bytes again.
//!
//! A file is decoded only if encoding the text again gives its bytes one for one; this is tried on each file and
//! not believed of any encoding. Where it fails, and for encodings without a table here, each byte counts as
//! the character of the same number: such text can be edited in ASCII and its other characters stay.

use crate::language::Language;
use crate::refusal::Refusal;
use std::borrow::Cow;

const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";
const UTF16_BOM_LITTLE: &[u8] = b"\xff\xfe";
const UTF16_BOM_BIG: &[u8] = b"\xfe\xff";

/// How many bytes at the start of a file without a language are searched for a declaration.
const DECLARATION_WITHIN: usize = 1_000;

/// The encoding of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoding {
    /// Its name, as it is declared if it is.
    name: String,
    kind: Kind,
    /// Whether the file starts with a byte order mark, which is no part of its text.
    mark: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Utf8,
    Utf16 {
        little: bool,
    },
    Latin1,
    Table(Table),
    /// Each byte is the character of the same number; characters beyond ASCII are kept and never written.
    Opaque,
}

/// An encoding of the WHATWG standard, and where the encoding of the declared name is narrower than it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Table {
    standard: &'static encoding_rs::Encoding,
    narrower: Narrower,
}

/// Characters that the standard's table has and the declared encoding lacks or reads as others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Narrower {
    /// None.
    Same,
    /// Those in bytes 0x80 to 0x9f, which are controls in the parts of ISO 8859.
    NoC1,
    /// Those outside the two-byte rows from 0xa1 on.
    RowsOfA1,
    /// JIS X 0208 reads six of its signs differently than Windows does, and has none of Windows' own rows.
    Jis,
}

/// The six signs: as Windows reads them, as JIS X 0208 does.
const JIS_SIGNS: [(char, char); 6] = [
    ('\u{ff5e}', '\u{301c}'),
    ('\u{2225}', '\u{2016}'),
    ('\u{ff0d}', '\u{2212}'),
    ('\u{ffe0}', '\u{a2}'),
    ('\u{ffe1}', '\u{a3}'),
    ('\u{ffe2}', '\u{ac}'),
];

/// Names, in lower case with hyphens, that the standard calls otherwise, and how they differ from it.
const OTHER_NAMES: &[(&str, &str, Narrower)] = &[
    ("shift-jis", "shift_jis", Narrower::Jis),
    ("sjis", "shift_jis", Narrower::Jis),
    ("s-jis", "shift_jis", Narrower::Jis),
    ("cp932", "shift_jis", Narrower::Same),
    ("ms932", "shift_jis", Narrower::Same),
    ("mskanji", "shift_jis", Narrower::Same),
    ("ms-kanji", "shift_jis", Narrower::Same),
    ("windows-31j", "shift_jis", Narrower::Same),
    ("euc-jp", "euc-jp", Narrower::Jis),
    ("eucjp", "euc-jp", Narrower::Jis),
    ("ujis", "euc-jp", Narrower::Jis),
    ("u-jis", "euc-jp", Narrower::Jis),
    ("iso-2022-jp", "iso-2022-jp", Narrower::Jis),
    ("iso2022-jp", "iso-2022-jp", Narrower::Jis),
    ("iso2022jp", "iso-2022-jp", Narrower::Jis),
    ("gb2312", "gbk", Narrower::RowsOfA1),
    ("euc-cn", "gbk", Narrower::RowsOfA1),
    ("euccn", "gbk", Narrower::RowsOfA1),
    ("gbk", "gbk", Narrower::Same),
    ("cp936", "gbk", Narrower::Same),
    ("936", "gbk", Narrower::Same),
    ("ms936", "gbk", Narrower::Same),
    ("euc-kr", "euc-kr", Narrower::RowsOfA1),
    ("euckr", "euc-kr", Narrower::RowsOfA1),
    ("cp949", "euc-kr", Narrower::Same),
    ("949", "euc-kr", Narrower::Same),
    ("ms949", "euc-kr", Narrower::Same),
    ("uhc", "euc-kr", Narrower::Same),
    ("cp950", "big5", Narrower::Same),
    ("ms950", "big5", Narrower::Same),
    ("iso-8859-9", "windows-1254", Narrower::NoC1),
    ("iso-8859-11", "windows-874", Narrower::NoC1),
    ("tis-620", "windows-874", Narrower::NoC1),
    ("cp874", "windows-874", Narrower::Same),
    ("latin5", "windows-1254", Narrower::NoC1),
    ("latin-5", "windows-1254", Narrower::NoC1),
    ("latin2", "iso-8859-2", Narrower::Same),
    ("latin-2", "iso-8859-2", Narrower::Same),
    ("latin9", "iso-8859-15", Narrower::Same),
    ("latin-9", "iso-8859-15", Narrower::Same),
    ("mac-roman", "macintosh", Narrower::Same),
    ("macroman", "macintosh", Narrower::Same),
    ("mac-cyrillic", "x-mac-cyrillic", Narrower::Same),
    ("maccyrillic", "x-mac-cyrillic", Narrower::Same),
];

/// Encodings without a table here in which a byte below 128 always is the ASCII character: code can be found
/// and changed in them without decoding the rest.
const LIKE_ASCII: &[&str] = &[
    "ascii",
    "us-ascii",
    "646",
    "cp125",
    "windows-125",
    "iso-8859-",
    "iso8859-",
    "koi8",
    "euc-",
    "euc",
    "ujis",
    "gb2312",
    "mac",
    "latin",
    "tis-620",
    "cp437",
    "cp720",
    "cp737",
    "cp775",
    "cp85",
    "cp86",
    "cp1125",
    "hp-roman8",
    "ptcp154",
    "kz1048",
];

impl Encoding {
    /// Decodes a file. The bytes are given back by [`Encoding::encode`] whatever they are.
    ///
    /// Refuses NUL bytes outside UTF-16, and files in which ASCII text cannot be found for sure.
    pub(crate) fn decode(language: Option<&Language>, bytes: &[u8]) -> Result<(Self, String), Refusal> {
        for (mark, little) in [(UTF16_BOM_LITTLE, true), (UTF16_BOM_BIG, false)] {
            if let Some(decoded) = bytes.strip_prefix(mark).and_then(|content| utf16(content, little)) {
                return Ok(decoded);
            }
        }
        if bytes.contains(&0) {
            return Err(Refusal::Binary);
        }
        let (mark, content) = bytes.strip_prefix(UTF8_BOM).map_or((false, bytes), |rest| (true, rest));
        let of = |name: &str, kind| Self { name: name.to_owned(), kind, mark };
        let text = std::str::from_utf8(content).ok();
        let declared = declared(language, content, text.is_some());
        let unmarked = declared.as_deref().filter(|name| !mark && !is_utf8_name(name));
        let encoding = match (unmarked, text) {
            (None, Some(text)) => return Ok((of("UTF-8", Kind::Utf8), text.to_owned())),
            (None, None) if declared.is_some() => of("not the declared utf-8", Kind::Opaque),
            (None, None) => of("unknown", Kind::Opaque),
            (Some(name), _) => of(name, Self::kind_of(name)),
        };
        let decoded = encoding.decoded(content);
        let is_same = |text: &String| encoding.encoded(text).is_some_and(|again| again == content);
        if let Some(text) = decoded.filter(is_same) {
            return Ok((encoding, text));
        }
        let name = normal(&encoding.name);
        if content.is_ascii() || LIKE_ASCII.iter().any(|prefix| name.starts_with(prefix)) {
            return Ok((of(&encoding.name, Kind::Opaque), by_number(content)));
        }
        let detail = "files in it cannot be edited, or this one does not follow it";
        Err(Refusal::Encoding { encoding: encoding.name, detail })
    }

    /// The bytes of a new file's text, in the encoding that it declares itself.
    pub(crate) fn encode_new(language: Option<&Language>, text: &str) -> Result<Vec<u8>, Refusal> {
        let declared = language.and_then(|language| (language.declared_encoding)(text.as_bytes()));
        let Some(name) = declared.filter(|name| !text.is_ascii() && !is_utf8_name(name)) else {
            return Ok(text.as_bytes().to_vec());
        };
        let encoding = Self { kind: Self::kind_of(&name), name, mark: false };
        encoding.check(text, "")?;
        encoding.encode(text)
    }

    /// The bytes of a text, with the file's byte order mark.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u8>, Refusal> {
        let content = self.encoded(text).ok_or_else(|| self.unencodable())?;
        Ok(if self.mark { [self.mark_bytes(), &content].concat() } else { content })
    }

    /// Refuses a new text with characters that this encoding cannot write. What stands in its place already
    /// needs no writing.
    pub(crate) fn check(&self, new: &str, old: &str) -> Result<(), Refusal> {
        if new.contains('\0') {
            return Err(Refusal::Unfit("the new text holds a NUL character".to_owned()));
        }
        let writable = match self.kind {
            Kind::Utf8 | Kind::Utf16 { .. } => true,
            _ if new.is_ascii() || new == old => true,
            Kind::Opaque => false,
            Kind::Latin1 => new.chars().all(|c| u32::from(c) < 256),
            Kind::Table(table) => table.writes(new),
        };
        if writable { Ok(()) } else { Err(self.unencodable()) }
    }

    /// Whether bytes written in this encoding are read as this text: not so once an edit has changed what the
    /// file declares.
    pub(crate) fn check_declaration(
        &self,
        language: Option<&Language>,
        bytes: &[u8],
        text: &str,
    ) -> Result<(), Refusal> {
        let again = Self::decode(language, bytes);
        let detail = "the changed declaration does not fit the rest of the file";
        let encoding = match again {
            Ok((encoding, read)) if read == text && (encoding == *self || text.is_ascii()) => return Ok(()),
            Ok((encoding, _)) => encoding.name,
            Err(Refusal::Encoding { encoding, .. }) => encoding,
            Err(other) => return Err(other),
        };
        Err(Refusal::Encoding { encoding, detail })
    }

    fn kind_of(name: &str) -> Kind {
        let name = normal(name);
        if matches!(name.as_str(), "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "iso-latin-1" | "l1") {
            return Kind::Latin1;
        }
        if matches!(name.as_str(), "ascii" | "us-ascii" | "646") {
            return Kind::Opaque;
        }
        let name = name.strip_prefix("iso8859").map_or(name.clone(), |rest| format!("iso-8859{rest}"));
        let other = OTHER_NAMES.iter().find(|(known, ..)| *known == name);
        let (label, narrower) = other.map_or((name.as_str(), Narrower::Same), |one| (one.1, one.2));
        let standard = encoding_rs::Encoding::for_label_no_replacement(label.as_bytes());
        let standard = standard.filter(|standard| standard.output_encoding() == *standard);
        // What the standard reads as UTF-8 or user-defined is none of Python's.
        let known = standard.filter(|standard| !matches!(standard.name(), "UTF-8" | "x-user-defined"));
        known.map_or(Kind::Opaque, |standard| Kind::Table(Table { standard, narrower }))
    }

    fn decoded(&self, content: &[u8]) -> Option<String> {
        match self.kind {
            Kind::Latin1 | Kind::Opaque => {
                let known = self.kind == Kind::Latin1 || is_like_ascii(&self.name, content);
                known.then(|| by_number(content))
            }
            Kind::Table(table) => table.decoded(content),
            Kind::Utf8 | Kind::Utf16 { .. } => std::str::from_utf8(content).ok().map(str::to_owned),
        }
    }

    fn encoded(&self, text: &str) -> Option<Vec<u8>> {
        match self.kind {
            Kind::Utf8 => Some(text.as_bytes().to_vec()),
            Kind::Utf16 { little } => {
                let bytes = |unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
                Some(text.encode_utf16().flat_map(bytes).collect())
            }
            Kind::Latin1 | Kind::Opaque => text.chars().map(|c| u8::try_from(c).ok()).collect(),
            Kind::Table(table) => table.encoded(text),
        }
    }

    fn mark_bytes(&self) -> &'static [u8] {
        match self.kind {
            Kind::Utf16 { little: true } => UTF16_BOM_LITTLE,
            Kind::Utf16 { little: false } => UTF16_BOM_BIG,
            _ => UTF8_BOM,
        }
    }

    fn unencodable(&self) -> Refusal {
        let detail = "the new text holds characters it cannot write";
        Refusal::Encoding { encoding: self.name.clone(), detail }
    }
}

impl Table {
    fn decoded(self, content: &[u8]) -> Option<String> {
        let text = self.standard.decode_without_bom_handling_and_without_replacement(content)?;
        let jis = |c: char| JIS_SIGNS.iter().find(|(windows, _)| *windows == c).map_or(c, |(_, jis)| *jis);
        Some(if self.narrower == Narrower::Jis { text.chars().map(jis).collect() } else { text.into_owned() })
    }

    fn encoded(self, text: &str) -> Option<Vec<u8>> {
        let windows =
            |c: char| JIS_SIGNS.iter().find(|(_, jis)| *jis == c).map_or(c, |(windows, _)| *windows);
        let text = match self.narrower {
            Narrower::Jis if text.contains(JIS_SIGNS.map(|(windows, _)| windows)) => return None,
            Narrower::Jis => Cow::Owned(text.chars().map(windows).collect()),
            _ => Cow::Borrowed(text),
        };
        let (bytes, _, unmappable) = self.standard.encode(&text);
        (!unmappable).then(|| bytes.into_owned())
    }

    /// Whether the declared encoding can write a text, and reads it as it is meant.
    fn writes(self, text: &str) -> bool {
        let Some(bytes) = self.encoded(text) else { return false };
        let is_narrow = match self.narrower {
            Narrower::Same => true,
            Narrower::NoC1 => !bytes.iter().any(|byte| (0x80..0xa0).contains(byte)),
            Narrower::RowsOfA1 => text.chars().filter(|c| !c.is_ascii()).all(|c| {
                self.encoded(c.encode_utf8(&mut [0; 4])).is_some_and(|b| b.iter().all(|b| *b >= 0xa1))
            }),
            Narrower::Jis => text.chars().filter(|c| !c.is_ascii()).all(|c| is_jis(c, self)),
        };
        is_narrow && self.decoded(&bytes).as_deref() == Some(text)
    }
}

/// Whether a character is one of JIS X 0208 or a half-width one, and not of Windows' own rows.
fn is_jis(c: char, table: Table) -> bool {
    let bytes = table.encoded(c.encode_utf8(&mut [0; 4])).unwrap_or_default();
    match (table.standard.name(), bytes.as_slice()) {
        ("Shift_JIS", bytes) => {
            matches!(bytes, [_] | [0x81..=0x84 | 0x89..=0x9f | 0xe0..=0xea, _] | [0x88, 0x9f..=0xff])
        }
        ("EUC-JP", bytes) => matches!(bytes, [_] | [0x8e | 0xa1..=0xa8 | 0xb0..=0xf4, _]),
        (_, bytes) => !bytes.is_empty(),
    }
}

/// UTF-16 after its mark, if it is that.
fn utf16(content: &[u8], little: bool) -> Option<(Encoding, String)> {
    let (pairs, rest) = content.as_chunks::<2>();
    let unit = |pair: &[u8; 2]| if little { u16::from_le_bytes(*pair) } else { u16::from_be_bytes(*pair) };
    let text: String = char::decode_utf16(pairs.iter().map(unit)).collect::<Result<_, _>>().ok()?;
    let name = if little { "UTF-16LE" } else { "UTF-16BE" };
    let encoding = Encoding { name: name.to_owned(), kind: Kind::Utf16 { little }, mark: true };
    (rest.is_empty() && !text.contains('\0')).then_some((encoding, text))
}

/// Each byte as the character of the same number.
fn by_number(content: &[u8]) -> String {
    content.iter().copied().map(char::from).collect()
}

/// Whether ASCII text can be found in bytes of an encoding without a table.
fn is_like_ascii(name: &str, content: &[u8]) -> bool {
    let name = normal(name);
    let undeclared = matches!(name.as_str(), "unknown" | "not the declared utf-8");
    undeclared || content.is_ascii() || LIKE_ASCII.iter().any(|prefix| name.starts_with(prefix))
}

fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

fn is_utf8_name(name: &str) -> bool {
    matches!(normal(name).as_str(), "utf-8" | "utf8" | "utf-8-sig" | "u8" | "utf")
}

/// The encoding that a content declares: as its language says, and for others, if they are not UTF-8, in a
/// comment as editors read it or in the first line of XML.
fn declared(language: Option<&Language>, content: &[u8], is_utf8: bool) -> Option<String> {
    if let Some(language) = language {
        return (language.declared_encoding)(content);
    }
    if is_utf8 {
        return None;
    }
    let head = String::from_utf8_lossy(content.get(..DECLARATION_WITHIN).unwrap_or(content)).into_owned();
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let lines = [first, lines.next().unwrap_or_default()];
    lines.iter().find_map(|line| {
        let after = &line[line.find("coding")? + "coding".len()..];
        let name = after.trim_start().strip_prefix([':', '='])?.trim_start_matches([' ', '\t', '"', '\'']);
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'));
        Some(name[..end.unwrap_or(name.len())].to_owned()).filter(|name| !name.is_empty())
    })
}

/// A file's text, decoded as edits of it would be; `None` for binary files, and for encodings whose text
/// cannot be told for sure.
pub(crate) fn text_of(language: Option<&Language>, bytes: &[u8]) -> Option<String> {
    let (encoding, text) = Encoding::decode(language, bytes).ok()?;
    (encoding.kind != Kind::Opaque || text.is_ascii()).then_some(text)
}
