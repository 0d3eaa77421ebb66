//! Putting an index together from records. No text is read and no name spelled out here: everything was made when
//! the record was, or when the file was first seen, so a commit's index costs little more than copying.

use crate::connect::connect;
use crate::dictionary::Dictionary;
use crate::history::History;
use crate::imports::module_name;
use crate::index::{Index, IndexedFile, IndexedSymbol};
use crate::kind::{FileKind, Skipped, kind_of};
use crate::lexical::{Layout, Posting, field};
use crate::names::Names;
use crate::past::PastCommit;
use crate::record::{Record, RecordKey};
use crate::terms::{terms_of, words};
use crate::text::Text;
use crate::workspace::Workspaces;
use std::sync::Arc;
use toryo_domain::RepoPath;

/// What a unit is: see [`crate::lexical`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unit {
    pub(crate) file: u32,
    /// `None` for what lies outside all symbols.
    pub(crate) symbol: Option<u32>,
    /// The outermost symbol around it, itself included.
    pub(crate) outer: Option<u32>,
}

/// What is known of a file whatever surrounds it; shared by the indexes of all commits that hold it so.
#[derive(Debug)]
pub(crate) struct FileFacts {
    pub(crate) key: RecordKey,
    pub(crate) record: Arc<Record>,
    pub(crate) kind: FileKind,
    pub(crate) module: Box<str>,
    /// The dictionary's number of each string of the record.
    ids: Box<[u32]>,
    /// Terms of the path, distinct and ascending.
    path_terms: Box<[u32]>,
}

impl FileFacts {
    pub(crate) fn new(path: &RepoPath, key: RecordKey, record: Arc<Record>, dictionary: &Dictionary) -> Self {
        let mut terms: Vec<String> = Vec::new();
        for (_, word) in words(path.as_str()) {
            terms_of(word, |term| terms.push(term.to_owned()));
        }
        terms.sort_unstable();
        terms.dedup();
        let mut path_terms = dictionary.numbers(terms.iter().map(String::as_str));
        path_terms.sort_unstable();
        Self {
            ids: dictionary.numbers(record.strings()),
            kind: kind_of(path, record.generated),
            module: module_name(path).into(),
            path_terms,
            key,
            record,
        }
    }

    /// The dictionary's number of a string of the record.
    pub(crate) fn id_of(&self, string: u32) -> u32 {
        self.ids[string as usize]
    }

    /// Bytes of memory that it holds.
    fn bytes(&self) -> usize {
        let record = &*self.record;
        size_of::<Self>()
            + size_of::<Record>()
            + record.text.len()
            + 4 * (self.ids.len() + record.string_ends.len() + record.term_ends.len())
            + 8 * (record.postings.len() + record.phrases.len() + record.uses.len())
            + record.symbols.len() * size_of::<crate::record::SymbolFacts>()
            + record.units.len() * size_of::<crate::record::UnitFacts>()
            + record.chunks.len() * size_of::<crate::Chunk>()
    }
}

/// The index of these files, given by ascending path.
pub(crate) fn assemble(
    dictionary: Arc<Dictionary>,
    files: Vec<(RepoPath, Arc<FileFacts>)>,
    skipped: Vec<Skipped>,
    past: &[PastCommit],
) -> Index {
    let mut index = Index { skipped, ..Index::default() };
    index.files.reserve_exact(files.len());
    for (path, facts) in files {
        add_file(&mut index, path, facts);
    }
    index.phrases.sort_unstable();
    index.names = Names::of(Arc::clone(&dictionary), &index);
    let manifests = index.files.iter().map(|file| (&file.path, file.record().manifest.as_ref()));
    index.workspaces = Workspaces::of(manifests);
    connect(&mut index);
    index.lexical = lexical(&index, &dictionary);
    index.history = History::of(&index, past);
    index.dictionary = dictionary;
    index.bytes = index.files.iter().map(|file| file.facts.bytes()).sum::<usize>() + index.own_bytes();
    index
}

fn add_file(index: &mut Index, path: RepoPath, facts: Arc<FileFacts>) {
    let record = &*facts.record;
    let file = index.files.len() as u32;
    let (first_unit, first_symbol) = (index.units.len() as u32, index.symbols.len() as u32);
    index.units.extend(record.units.iter().map(|unit| Unit {
        file,
        symbol: unit.symbol.map(|symbol| first_symbol + symbol),
        outer: unit.outer.map(|outer| first_symbol + outer),
    }));
    let text = |piece| Text::piece(&record.text, piece);
    index.symbols.extend(record.symbols.iter().map(|symbol| {
        let start = if symbol.name == 0 { 0 } else { record.string_ends[symbol.name as usize - 1] };
        IndexedSymbol {
            file,
            unit: first_unit + symbol.unit,
            own_unit: symbol.own_unit.map(|unit| first_unit + unit),
            path: text(symbol.path),
            name: text((start, record.string_ends[symbol.name as usize])),
            kind: symbol.kind,
            signature: text(symbol.signature),
            doc: symbol.doc.map(text),
            first_line: symbol.first_line,
            last_line: symbol.last_line,
            parent: symbol.parent.map(|parent| first_symbol + parent),
        }
    }));
    index.phrases.extend(record.phrases.iter().map(|(hash, unit)| (*hash, first_unit + unit)));
    index.modules.push(facts.module.clone());
    index.files.push(IndexedFile {
        path,
        kind: facts.kind,
        lines: record.lines,
        bytes: record.bytes,
        symbols: first_symbol..index.symbols.len() as u32,
        units: first_unit..index.units.len() as u32,
        facts,
    });
}

/// Lays out the postings of all files. The terms of a path stand in every unit of its file.
fn lexical(index: &Index, dictionary: &Arc<Dictionary>) -> crate::lexical::Lexical {
    let mut layout = Layout::new(Arc::clone(dictionary));
    let mut in_path = PathTerms::new(dictionary.len());
    for file in &index.files {
        let facts = &file.facts;
        in_path.enter(&facts.path_terms);
        for (term, run) in facts.record.runs() {
            let id = facts.id_of(term);
            if !in_path.has(id) {
                layout.count(id, run.len());
            }
        }
        for id in &facts.path_terms {
            layout.count(*id, facts.record.units.len());
        }
    }
    let lengths = index.files.iter().flat_map(|file| file.record().units.iter().map(|unit| unit.length));
    layout.start(lengths.collect());
    let mut everywhere = Vec::new();
    for file in &index.files {
        let facts = &file.facts;
        in_path.enter(&facts.path_terms);
        let base = file.units.start;
        let mut left: Vec<u32> = facts.path_terms.to_vec();
        for (term, run) in facts.record.runs() {
            let id = facts.id_of(term);
            if in_path.has(id) {
                in_every_unit(&mut everywhere, facts.record.units.len(), run);
                layout.add(id, base, &everywhere);
                left.retain(|other| *other != id);
            } else {
                layout.add(id, base, run);
            }
        }
        for id in left {
            in_every_unit(&mut everywhere, facts.record.units.len(), &[]);
            layout.add(id, base, &everywhere);
        }
    }
    layout.finish()
}

/// Postings of a path's term: one for each unit, with what the text says.
fn in_every_unit(all: &mut Vec<Posting>, units: usize, run: &[Posting]) {
    all.clear();
    all.extend((0..units as u32).map(|unit| Posting { unit, count: 0, fields: field::PATH }));
    for posting in run {
        let place = &mut all[posting.unit as usize];
        *place = Posting { fields: posting.fields | field::PATH, ..*posting };
    }
}

/// Answers quickly whether a term stands in the path of the file at hand.
struct PathTerms {
    /// The round in which each term was last in a path.
    entered: Vec<u32>,
    round: u32,
}

impl PathTerms {
    fn new(terms: usize) -> Self {
        Self { entered: vec![0; terms], round: 0 }
    }

    fn enter(&mut self, terms: &[u32]) {
        self.round += 1;
        for term in terms {
            self.entered[*term as usize] = self.round;
        }
    }

    fn has(&self, term: u32) -> bool {
        self.entered[term as usize] == self.round
    }
}
