//! Building an index: one pass over the files, then one over the names they use.

use crate::connect::{Pending, connect};
use crate::index::{Index, IndexedFile, IndexedSymbol};
use crate::kind::{LARGEST_FILE_BYTES, SkipReason, Skipped, kind_of, passed_over, says_generated, text_of};
use crate::lexical::{Builder, field};
use crate::query::phrases_of;
use crate::terms::{terms_of, words};
use std::collections::HashMap;
use toryo_code::{Outline, SymbolKind, outline};
use toryo_domain::RepoPath;

/// Most commits of the history that are read.
const MOST_COMMITS: usize = 5_000;
/// Commits that touch more files than this say little about any of them.
const SWEEPING: usize = 12;

/// How an index is built.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Larger files are passed over; bytes.
    pub largest_file_bytes: usize,
    /// Further files are passed over.
    pub most_files: usize,
    /// Earlier commits, newest first; what they say about files is searched too. May be empty. Only the indexed
    /// commit and its ancestors belong here.
    pub history: Vec<PastCommit>,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { largest_file_bytes: LARGEST_FILE_BYTES, most_files: 100_000, history: Vec::new() }
    }
}

/// A commit of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCommit {
    /// First line of its message.
    pub subject: String,
    /// Files it touched.
    pub paths: Vec<RepoPath>,
}

/// What a unit is: see [`crate::lexical`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unit {
    pub(crate) file: u32,
    /// `None` for what lies outside all symbols.
    pub(crate) symbol: Option<u32>,
    /// The outermost symbol around it, itself included.
    pub(crate) outer: Option<u32>,
}

/// See [`Index::build`].
pub(crate) fn build(files: impl Iterator<Item = (RepoPath, Vec<u8>)>, options: &BuildOptions) -> Index {
    let mut all: Vec<(RepoPath, Vec<u8>)> = files.collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.dedup_by(|a, b| a.0 == b.0);
    let mut index = Index::default();
    let mut builder = Builder::default();
    let mut pending = Vec::new();
    for (path, bytes) in all {
        let text = match passed_over(&path) {
            Some(why) => Err(why),
            None if index.files.len() >= options.most_files => Err(SkipReason::TooMany),
            None if bytes.len() > options.largest_file_bytes => Err(SkipReason::Huge),
            None => text_of(bytes),
        };
        match text {
            Ok(text) => pending.push(add_file(&mut index, &mut builder, path, &text)),
            Err(why) => index.skipped.push(Skipped { path, why }),
        }
    }
    index.phrases.sort_unstable();
    index.phrases.dedup();
    connect(&mut index, &builder, &pending);
    index.lexical = builder.finish();
    index.history = history(&index, &options.history);
    index
}

fn add_file(index: &mut Index, builder: &mut Builder, path: RepoPath, text: &str) -> Pending {
    let Outline { symbols, imports, references } = outline(&path, text);
    let file = index.files.len() as u32;
    let first_unit = index.units.len() as u32;
    let first_symbol = index.symbols.len() as u32;
    let lines = text.lines().count() as u32;
    index.units.push(Unit { file, symbol: None, outer: None });
    note_words(builder, first_unit, path.as_str(), field::PATH);
    let mut owner = vec![first_unit; lines as usize + 2];
    for symbol in symbols {
        let added = add_symbol(index, (file, first_unit, first_symbol), symbol);
        if let Some(unit) = added.own_unit {
            // Outer symbols come first, so inner ones overwrite their lines.
            let last = added.last_line.min(lines) as usize;
            for owner in owner.iter_mut().take(last + 1).skip(added.first_line as usize) {
                *owner = unit;
            }
            note_words(builder, unit, &added.name, field::NAME);
            note_words(
                builder,
                unit,
                added.path.rsplit_once('.').map_or("", |(parents, _)| parents),
                field::PARENT,
            );
            note_words(builder, unit, path.as_str(), field::PATH);
        }
    }
    let owner_of = |line: u32| owner.get(line as usize).copied().unwrap_or(first_unit);
    let mut used: Vec<(u32, u32)> = Vec::new();
    for (number, line) in (1_u32..).zip(text.lines()) {
        let unit = owner_of(number);
        for (_, word) in words(line) {
            let Some(word) = builder.word(word) else { continue };
            builder.add(unit, word, field::TEXT);
            if references.is_empty() {
                used.push((unit, word));
            }
        }
        let phrases = literals(line).flat_map(phrases_of);
        index.phrases.extend(phrases.map(|hash| (hash, unit)));
    }
    let references =
        references.iter().filter_map(|one| Some((owner_of(one.line), builder.known(&one.name)?)));
    used.extend(references);
    used.sort_unstable();
    used.dedup();
    builder.finish_file(index.units.len());
    index.by_path.insert(path.clone(), file);
    index.files.push(IndexedFile {
        kind: kind_of(&path, says_generated(text)),
        path,
        lines,
        bytes: text.len() as u32,
        symbols: first_symbol..index.symbols.len() as u32,
        units: first_unit..index.units.len() as u32,
    });
    Pending { imports, used }
}

/// Adds a symbol and, unless it is a variable, its unit: a line or two would look like the best place for its words.
fn add_symbol(index: &mut Index, first: (u32, u32, u32), symbol: toryo_code::Symbol) -> &IndexedSymbol {
    let (file, first_unit, first_symbol) = first;
    let number = index.symbols.len() as u32;
    let parent = symbol.parent.map(|parent| first_symbol + parent as u32);
    let outer = parent.and_then(|parent| index.units[index.symbols[parent as usize].unit as usize].outer);
    let own_unit = (symbol.kind != SymbolKind::Variable).then(|| {
        index.units.push(Unit { file, symbol: Some(number), outer: outer.or(Some(number)) });
        index.units.len() as u32 - 1
    });
    let around = parent.map_or(first_unit, |parent| index.symbols[parent as usize].unit);
    let unit = own_unit.unwrap_or(around);
    index.symbols.push(IndexedSymbol {
        file,
        unit,
        own_unit,
        path: symbol.path.into(),
        name: symbol.name.into(),
        kind: symbol.kind,
        signature: symbol.signature.into(),
        doc: symbol.doc.map(Into::into),
        first_line: symbol.first_line,
        last_line: symbol.last_line,
        parent,
    });
    &index.symbols[number as usize]
}

fn note_words(builder: &mut Builder, unit: u32, text: &str, field: u8) {
    for (_, word) in words(text) {
        if let Some(word) = builder.word(word) {
            builder.add(unit, word, field);
        }
    }
}

/// Texts between quotes on one line: where error messages stand in most languages.
fn literals(line: &str) -> impl Iterator<Item = &str> {
    line.split(['"', '\'']).skip(1).filter(|text| text.len() >= 8 && text.contains(' '))
}

/// Subjects of commits by file: for each term the files touched, each with its share of the commits.
fn history(index: &Index, commits: &[PastCommit]) -> HashMap<Box<str>, Vec<(u32, f32)>> {
    let mut terms: HashMap<Box<str>, HashMap<u32, f32>> = HashMap::new();
    for commit in commits.iter().take(MOST_COMMITS).filter(|commit| commit.paths.len() <= SWEEPING) {
        let files: Vec<u32> =
            commit.paths.iter().filter_map(|path| index.by_path.get(path).copied()).collect();
        for (_, word) in words(&commit.subject).filter(|_| !files.is_empty()) {
            terms_of(word, |term| {
                let by_file = terms.entry(term.into()).or_default();
                for file in &files {
                    *by_file.entry(*file).or_default() += 1.0 / files.len() as f32;
                }
            });
        }
    }
    let sorted = |by_file: HashMap<u32, f32>| {
        let mut list: Vec<(u32, f32)> = by_file.into_iter().collect();
        list.sort_unstable_by_key(|(file, _)| *file);
        list
    };
    terms.into_iter().map(|(term, by_file)| (term, sorted(by_file))).collect()
}
