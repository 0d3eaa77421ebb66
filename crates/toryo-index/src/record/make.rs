//! Making a record of a content: outline it, cut its words into terms, note who uses which name.

mod strings;

use super::{Content, ImportFacts, Piece, Reading, Record, SymbolFacts, UnitFacts, chunk};
use crate::kind::{says_generated, text_of};
use crate::lexical::{Posting, field};
use crate::manifest::Manifest;
use crate::query::phrases_of;
use crate::terms::{LONGEST_WORD, terms_of, words};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use strings::Strings;
use toryo_code::{Import, Outline, Symbol, SymbolKind, outline};
use toryo_domain::RepoPath;

/// Makes records, one after the other. Words repeat from file to file far more often than they are new, so a
/// maker remembers how it cut them; what it makes does not depend on what it made before.
#[derive(Debug, Default)]
pub(crate) struct Maker {
    /// Numbers of texts, the maker's own.
    ids: HashMap<Box<str>, u32, RandomState>,
    texts: Vec<Box<str>>,
    /// Where the terms of each word stand in `terms`.
    cuts: HashMap<Box<str>, (u32, u32), RandomState>,
    terms: Vec<u32>,
    /// The record in which each text was used last, counted from 1, and its number there.
    used: Vec<(u32, u32)>,
    records: u32,
}

/// Most texts that a maker remembers; then it starts anew, so that its memory is bounded.
const MOST_TEXTS: usize = 200_000;

impl Maker {
    /// The record of a content. Of the path only what its [`Reading`] says counts.
    pub(crate) fn make(&mut self, path: &RepoPath, bytes: Vec<u8>) -> Content {
        let text = match text_of(bytes) {
            Ok(text) => text,
            Err(why) => return Content::Skipped(why),
        };
        if self.texts.len().max(self.cuts.len()) > MOST_TEXTS {
            *self = Self::default();
        }
        self.records += 1;
        let outline = outline(path, &text);
        let manifest = Reading::of(path).manifest.map(|kind| Manifest::read(kind, &text));
        let record = Making::new(&text, &outline).finish(self, manifest);
        Content::Text(record.into())
    }

    /// The maker's number of a text.
    fn id(&mut self, text: &str) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = self.texts.len() as u32;
        self.ids.insert(text.into(), id);
        self.texts.push(text.into());
        self.used.push((0, 0));
        id
    }

    /// Where the terms of a word stand.
    fn cut(&mut self, word: &str) -> (u32, u32) {
        if let Some(cut) = self.cuts.get(word) {
            return *cut;
        }
        let start = self.terms.len() as u32;
        terms_of(word, |term| {
            let id = self.id(term);
            self.terms.push(id);
        });
        let cut = (start, self.terms.len() as u32);
        self.cuts.insert(word.into(), cut);
        cut
    }
}

/// A text on its way to becoming a record.
struct Making<'t> {
    text: &'t str,
    outline: &'t Outline,
    record: Record,
    /// Bytes at which lines start, with the end of the text behind.
    starts: Vec<u32>,
    /// The unit of each line, from 1.
    owner: Vec<u32>,
    words: HashMap<&'t str, u32, RandomState>,
    spelled: Vec<&'t str>,
    /// Unit and word of each occurrence in the text, as [`pair`]s.
    seen: Vec<u64>,
    /// Unit, word and role of words in names.
    roles: Vec<(u32, u32, u8)>,
}

impl<'t> Making<'t> {
    fn new(text: &'t str, outline: &'t Outline) -> Self {
        let mut starts: Vec<u32> = Vec::with_capacity(text.len() / 32 + 2);
        starts.push(0);
        starts.extend(text.match_indices('\n').map(|(at, _)| at as u32 + 1));
        // A line break at the end starts no further line.
        if starts.last() != Some(&(text.len() as u32)) {
            starts.push(text.len() as u32);
        }
        let lines = starts.len() as u32 - 1;
        let record =
            Record { lines, bytes: text.len() as u32, generated: says_generated(text), ..Record::default() };
        Self {
            text,
            outline,
            record,
            starts,
            owner: vec![0; lines as usize + 2],
            words: HashMap::with_capacity_and_hasher(text.len() / 64, RandomState::default()),
            spelled: Vec::new(),
            seen: Vec::with_capacity(text.len() / 8),
            roles: Vec::new(),
        }
    }

    fn finish(mut self, maker: &mut Maker, manifest: Option<Manifest>) -> Record {
        self.record.units.push(UnitFacts { symbol: None, outer: None, length: 0 });
        for symbol in &self.outline.symbols {
            self.add_symbol(symbol);
        }
        self.read_lines();
        let mut strings = Strings::of(maker);
        self.add_postings(&mut strings);
        self.add_uses(&mut strings);
        self.record.imports =
            self.outline.imports.iter().map(|import| import_facts(import, &mut strings)).collect();
        for (facts, symbol) in self.record.symbols.iter_mut().zip(&self.outline.symbols) {
            facts.name = strings.number(&symbol.name);
        }
        self.add_texts(strings);
        self.record.manifest = manifest;
        let spans: Vec<chunk::Span<'_>> = (self.outline.symbols.iter().zip(&self.record.symbols))
            .map(|(symbol, facts)| chunk::Span {
                path: &symbol.path,
                is_class: symbol.kind == SymbolKind::Class,
                facts,
            })
            .collect();
        self.record.chunks = chunk::chunks(self.text, &self.starts, &spans);
        self.record
    }

    /// Adds a symbol and, unless it is a variable, its unit: a line or two would look like the best place for its
    /// words.
    fn add_symbol(&mut self, symbol: &'t Symbol) {
        let number = self.record.symbols.len() as u32;
        let parent = symbol.parent.map(|parent| parent as u32);
        let around = parent.map_or(0, |parent| self.record.symbols[parent as usize].unit);
        let own_unit = (symbol.kind != SymbolKind::Variable).then_some(self.record.units.len() as u32);
        if let Some(unit) = own_unit {
            let outer = self.record.units[around as usize].outer.or(Some(number));
            self.record.units.push(UnitFacts { symbol: Some(number), outer, length: 0 });
            // Outer symbols come first, so inner ones overwrite their lines.
            let last = symbol.last_line.min(self.record.lines) as usize;
            for owner in self.owner.iter_mut().take(last + 1).skip(symbol.first_line as usize) {
                *owner = unit;
            }
            self.note(unit, &symbol.name, field::NAME);
            self.note(unit, symbol.path.rsplit_once('.').map_or("", |(parents, _)| parents), field::PARENT);
        }
        self.record.symbols.push(SymbolFacts {
            path: (0, 0),
            signature: (0, 0),
            doc: None,
            name: 0,
            kind: symbol.kind,
            first_line: symbol.first_line,
            last_line: symbol.last_line,
            parent,
            own_unit,
            unit: own_unit.unwrap_or(around),
        });
    }

    fn note(&mut self, unit: u32, text: &'t str, role: u8) {
        for (_, word) in words(text) {
            if let Some(word) = self.word(word) {
                self.roles.push((unit, word, role));
            }
        }
    }

    /// The number of a word, the same for the same spelling; `None` for what is no word.
    fn word(&mut self, word: &'t str) -> Option<u32> {
        if word.len() > LONGEST_WORD {
            return None;
        }
        let next = self.spelled.len() as u32;
        let number = *self.words.entry(word).or_insert(next);
        if number == next {
            self.spelled.push(word);
        }
        Some(number)
    }

    fn read_lines(&mut self) {
        let text = self.text;
        for number in 1..=self.record.lines {
            let line =
                &text[self.starts[number as usize - 1] as usize..self.starts[number as usize] as usize];
            let unit = self.owner[number as usize];
            for (_, word) in words(line) {
                if let Some(word) = self.word(word) {
                    self.seen.push(pair(unit, word));
                }
            }
            let phrases = literals(line).flat_map(phrases_of);
            self.record.phrases.extend(phrases.map(|hash| (hash, unit)));
        }
        self.record.phrases.sort_unstable();
        self.record.phrases.dedup();
        self.seen.sort_unstable();
    }

    /// Units with the names they use: what the outline says, and where it knows nothing every word.
    fn add_uses(&mut self, strings: &mut Strings<'_>) {
        let owner = |line: u32| self.owner.get(line as usize).copied().unwrap_or(0);
        let mut uses: Vec<u64> = if self.outline.references.is_empty() {
            let distinct = self.seen.chunk_by(|a, b| a == b).map(|run| parts(run[0]));
            distinct.map(|(unit, word)| pair(unit, strings.number(self.spelled[word as usize]))).collect()
        } else {
            let used = self.outline.references.iter().filter(|one| one.name.len() <= LONGEST_WORD);
            used.map(|one| pair(owner(one.line), strings.number(&one.name))).collect()
        };
        uses.sort_unstable();
        uses.dedup();
        self.record.uses = uses.into_iter().map(parts).collect();
    }

    /// Counts terms by unit. Terms get their numbers in the order of their first unit and word.
    fn add_postings(&mut self, strings: &mut Strings<'_>) {
        let mut spans: Vec<(u32, u32)> = Vec::with_capacity(self.spelled.len());
        let mut terms: Vec<u32> = Vec::new();
        for word in &self.spelled {
            let start = terms.len() as u32;
            strings.add_terms(word, &mut terms);
            spans.push((start, terms.len() as u32));
        }
        let cut = |word: u32| {
            let (start, end) = spans[word as usize];
            &terms[start as usize..end as usize]
        };
        // Term and unit, how often, and in which role.
        let mut found: Vec<(u64, u32, u8)> = Vec::with_capacity(self.seen.len());
        for run in self.seen.chunk_by(|a, b| a == b) {
            let (unit, word) = parts(run[0]);
            found.extend(cut(word).iter().map(|term| (pair(*term, unit), run.len() as u32, field::TEXT)));
        }
        for (unit, word, role) in &self.roles {
            found.extend(cut(*word).iter().map(|term| (pair(*term, *unit), 0, *role)));
        }
        found.sort_unstable_by_key(|one| one.0);
        self.record.term_ends = vec![0; strings.count() as usize];
        for run in found.chunk_by(|a, b| a.0 == b.0) {
            let (term, unit) = parts(run[0].0);
            let count: u32 = run.iter().map(|(_, count, _)| count).sum();
            let fields = run.iter().fold(0, |bits, (_, _, role)| bits | role);
            self.record.units[unit as usize].length += count;
            let count = u16::try_from(count).unwrap_or(u16::MAX);
            self.record.postings.push(Posting { unit, count, fields });
            self.record.term_ends[term as usize] = self.record.postings.len() as u32;
        }
    }

    /// Joins strings and the texts of symbols.
    fn add_texts(&mut self, strings: Strings<'_>) {
        let (mut whole, ends) = strings.finish();
        let mut add = |text: &str| -> Piece {
            let start = whole.len() as u32;
            whole.push_str(text);
            (start, whole.len() as u32)
        };
        for (facts, symbol) in self.record.symbols.iter_mut().zip(&self.outline.symbols) {
            facts.path = add(&symbol.path);
            facts.signature = add(&symbol.signature);
            facts.doc = symbol.doc.as_deref().map(&mut add);
        }
        self.record.text = whole.into();
        self.record.string_ends = ends;
    }
}

/// Two numbers as one, which sorts as they do and is compared at once.
const fn pair(first: u32, second: u32) -> u64 {
    (first as u64) << 32 | second as u64
}

/// The two numbers of a [`pair`].
const fn parts(pair: u64) -> (u32, u32) {
    ((pair >> 32) as u32, pair as u32)
}

fn import_facts(import: &Import, strings: &mut Strings<'_>) -> ImportFacts {
    let here = |name: &str| {
        import
            .aliases
            .iter()
            .find(|(there, _)| there == name)
            .map_or(name.to_owned(), |(_, here)| here.clone())
    };
    let names = import.names.iter().map(|name| (strings.number(name), strings.number(&here(name))));
    let names = names.collect();
    ImportFacts { module: import.module.as_str().into(), names }
}

/// Texts between quotes on one line: where error messages stand in most languages.
fn literals(line: &str) -> impl Iterator<Item = &str> {
    line.split(['"', '\'']).skip(1).filter(|text| text.len() >= 8 && text.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{SHOP, at, files};
    use std::sync::Arc;

    fn record(path: &str, text: &str) -> Arc<Record> {
        match Maker::default().make(&at(path), text.as_bytes().to_vec()) {
            Content::Text(record) => record,
            Content::Skipped(why) => panic!("passed over: {why:?}"),
        }
    }

    #[test]
    fn counts_and_roles_are_kept_by_unit() {
        let record = record("a.py", "def parse_header():\n    parse_header()\nparse\n");
        let run = |term: &str| {
            let number = record.strings().position(|one| one == term).expect("the term");
            record.runs().nth(number).expect("its run").1.to_vec()
        };
        let of_f = Posting { unit: 1, count: 2, fields: field::NAME };
        assert_eq!(run("parse_header"), [of_f]);
        assert_eq!(run("pars"), [Posting { unit: 0, count: 1, fields: 0 }, of_f]);
        assert_eq!(record.units.iter().map(|unit| unit.length).collect::<Vec<_>>(), [1, 6]);
    }

    #[test]
    fn a_record_depends_on_the_content_alone() {
        let mut warm = Maker::default();
        for (path, text) in files(SHOP) {
            let moved = at(&format!("elsewhere/{}", path.file_name()));
            let again = warm.make(&moved, text.clone().into_bytes());
            assert_eq!(again, Maker::default().make(&path, text.into_bytes()));
        }
    }

    #[test]
    fn chunks_follow_the_syntax_and_equal_code_has_equal_digests() {
        let function = "def f():\n    return 1\n";
        let text = format!(
            "import os\nimport sys\nA = 1\n\n\n{function}\n\nclass C:\n    x = 1\n\n    def m(self):\n        pass\n"
        );
        let chunks = |text: &str| record("a.py", text).chunks.clone();
        let places: Vec<_> = chunks(&text).iter().map(|c| (c.symbol, c.first_line, c.last_line)).collect();
        assert_eq!(places, [(None, 1, 5), (Some(1), 6, 7), (Some(2), 10, 12), (Some(4), 13, 14)]);
        assert_eq!(chunks(&text)[1].digest, chunks(&format!("# moved\n\n\n{function}"))[0].digest);
        let long: String = (0..250).map(|n| format!("    f({n})\n")).collect();
        let pieces = chunks(&format!("def long():\n{long}"));
        assert_eq!(pieces.iter().map(|c| c.last_line).collect::<Vec<_>>(), [100, 200, 251]);
    }
}
