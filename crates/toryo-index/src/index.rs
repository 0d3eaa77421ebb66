//! What is known of a commit's files: symbols, who refers to whom, which test belongs to which code.

use crate::assemble::{FileFacts, Unit};
use crate::build::{self, BuildOptions};
use crate::dictionary::Dictionary;
use crate::graph::Graph;
use crate::history::History;
use crate::kind::{FileKind, Skipped};
use crate::lexical::Lexical;
use crate::names::Names;
use crate::record::{Chunk, Record};
use crate::text::Text;
use crate::workspace::{Workspace, Workspaces};
use serde::Serialize;
use std::ops::Range;
use std::sync::Arc;
use toryo_code::SymbolKind;
use toryo_domain::RepoPath;

/// The index of one commit. Immutable; share it behind an `Arc`.
#[derive(Debug, Default)]
pub struct Index {
    pub(crate) files: Vec<IndexedFile>,
    pub(crate) symbols: Vec<IndexedSymbol>,
    pub(crate) skipped: Vec<Skipped>,
    /// By the last part of their path.
    pub(crate) names: Names,
    pub(crate) units: Vec<Unit>,
    pub(crate) lexical: Lexical,
    /// Hashes of three words of a string literal, with the unit that holds it; sorted.
    pub(crate) phrases: Vec<(u32, u32)>,
    /// Between units.
    pub(crate) references: Graph,
    /// Between files: imports and references.
    pub(crate) between_files: Graph,
    /// Files that each file imports, ascending.
    pub(crate) imports: Vec<Vec<u32>>,
    /// Dotted module name of each file, empty where it is none.
    pub(crate) modules: Vec<Box<str>>,
    pub(crate) history: History,
    pub(crate) workspaces: Workspaces,
    /// Numbers of terms and names, shared with the indexes made from this one.
    pub(crate) dictionary: Arc<Dictionary>,
    /// Memory held, in bytes, estimated from the sizes of its parts.
    pub(crate) bytes: usize,
}

/// A file of the index.
#[derive(Debug, Clone)]
pub struct IndexedFile {
    /// Where it is.
    pub path: RepoPath,
    /// What it is for.
    pub kind: FileKind,
    /// Lines of text.
    pub lines: u32,
    /// Bytes of text, in UTF-8.
    pub bytes: u32,
    pub(crate) symbols: Range<u32>,
    pub(crate) units: Range<u32>,
    pub(crate) facts: Arc<FileFacts>,
}

impl IndexedFile {
    pub(crate) fn record(&self) -> &Record {
        &self.facts.record
    }

    /// The dictionary's number of a string of its record.
    pub(crate) fn id_of(&self, string: u32) -> u32 {
        self.facts.id_of(string)
    }

    /// Its parts, cut where the syntax cuts them, by line; for a search by meaning beside this index.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.facts.record.chunks
    }
}

/// A symbol of the index.
#[derive(Debug, Clone)]
pub struct IndexedSymbol {
    pub(crate) file: u32,
    /// The unit that holds its text: its own, or for a variable that of what it lies in.
    pub(crate) unit: u32,
    pub(crate) own_unit: Option<u32>,
    /// Dotted path within its file; the second of equals is `f[2]`.
    pub path: Text,
    /// Last part of the path.
    pub name: Text,
    /// What it is.
    pub kind: SymbolKind,
    /// How it is declared, without its body, on one line.
    pub signature: Text,
    /// First line of its documentation.
    pub doc: Option<Text>,
    /// First line, from 1; decorators belong to it.
    pub first_line: u32,
    /// Last line, inclusive.
    pub last_line: u32,
    pub(crate) parent: Option<u32>,
}

/// How big an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Files indexed.
    pub files: usize,
    /// Files passed over.
    pub skipped: usize,
    /// Symbols.
    pub symbols: usize,
    /// Lines of the indexed files.
    pub lines: usize,
    /// Distinct terms.
    pub terms: usize,
    /// References between symbols and files.
    pub references: usize,
}

impl Index {
    /// Builds the index of these files. Pure and CPU bound (call it from a blocking task); the order of the
    /// files does not matter, and of two with one path the first is taken.
    #[must_use]
    pub fn build(files: impl Iterator<Item = (RepoPath, Vec<u8>)>, options: &BuildOptions) -> Self {
        build::build(files, options)
    }

    /// All indexed files, by path.
    #[must_use]
    pub fn files(&self) -> &[IndexedFile] {
        &self.files
    }

    /// What was passed over, by path.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The file at this path.
    #[must_use]
    pub fn file(&self, path: &RepoPath) -> Option<&IndexedFile> {
        self.number(path).map(|file| &self.files[file as usize])
    }

    /// The number of the file at this path.
    pub(crate) fn number(&self, path: &RepoPath) -> Option<u32> {
        self.files.binary_search_by(|file| file.path.cmp(path)).ok().map(|at| at as u32)
    }

    /// The parts of the repository that have a manifest of their own, by folder; the root is always one.
    #[must_use]
    pub fn workspaces(&self) -> &[Workspace] {
        self.workspaces.all()
    }

    /// The workspace of a file.
    #[must_use]
    pub fn workspace_of(&self, path: &RepoPath) -> Option<&Workspace> {
        self.workspaces.all().get(self.workspaces.of_file(self.number(path)?) as usize)
    }

    /// Memory that the index holds, in bytes, estimated from the sizes of its parts. What it shares with other
    /// indexes is counted in each of them.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of what it does not share with other indexes.
    pub(crate) fn own_bytes(&self) -> usize {
        self.lexical.bytes()
            + self.references.bytes()
            + self.between_files.bytes()
            + self.symbols.capacity() * size_of::<IndexedSymbol>()
            + self.units.capacity() * size_of::<Unit>()
            + 8 * self.phrases.capacity()
    }

    /// Whether most of its dictionary stands for what earlier commits held, so that a build had better start anew.
    pub(crate) fn is_cluttered(&self) -> bool {
        self.dictionary.len() > 1_000 + 3 * self.lexical.len() + self.symbols.len()
    }

    /// What gives terms and names their numbers; empty for an empty index.
    pub(crate) fn dictionary(&self) -> Arc<Dictionary> {
        Arc::clone(&self.dictionary)
    }

    /// All symbols of a file, outer before inner, in the order of their lines; empty for an unknown file.
    #[must_use]
    pub fn symbols(&self, path: &RepoPath) -> &[IndexedSymbol] {
        self.file(path).map_or(&[], |file| self.symbols_in(file))
    }

    pub(crate) fn symbols_in(&self, file: &IndexedFile) -> &[IndexedSymbol] {
        &self.symbols[file.symbols.start as usize..file.symbols.end as usize]
    }

    /// The symbol of this dotted path; the first of equals.
    #[must_use]
    pub fn symbol(&self, path: &RepoPath, dotted: &str) -> Option<&IndexedSymbol> {
        self.symbols(path).iter().find(|symbol| &*symbol.path == dotted)
    }

    /// Where symbols of this dotted path, or path's end, are defined: `to_header` finds `Auth.to_header`.
    #[must_use]
    pub fn definitions(&self, dotted: &str) -> Vec<(&RepoPath, &IndexedSymbol)> {
        let last = dotted.rsplit('.').next().unwrap_or(dotted);
        let named = self.names.get(last).unwrap_or_default().iter();
        named
            .map(|symbol| &self.symbols[*symbol as usize])
            .filter(|symbol| is_tail(&symbol.path, dotted))
            .map(|symbol| (self.path_of(symbol), symbol))
            .collect()
    }

    /// The file that defines a symbol.
    #[must_use]
    pub fn path_of(&self, symbol: &IndexedSymbol) -> &RepoPath {
        &self.files[symbol.file as usize].path
    }

    /// Files that this one imports, by path.
    pub fn imports_of(&self, path: &RepoPath) -> impl Iterator<Item = &RepoPath> {
        let imported = self.number(path).map_or(&[][..], |file| &self.imports[file as usize]);
        imported.iter().map(|file| &self.files[*file as usize].path)
    }

    /// Symbols that use this one, in the index' order. What uses a variable is not known.
    pub fn callers(&self, symbol: &IndexedSymbol) -> impl Iterator<Item = &IndexedSymbol> {
        let edges = symbol.own_unit.map_or(&[][..], |unit| self.references.incoming(unit));
        edges.iter().filter_map(|(unit, _)| self.symbol_of(*unit))
    }

    /// Symbols that this one uses, in the index' order.
    pub fn callees(&self, symbol: &IndexedSymbol) -> impl Iterator<Item = &IndexedSymbol> {
        let edges = symbol.own_unit.map_or(&[][..], |unit| self.references.outgoing(unit));
        edges.iter().filter_map(|(unit, _)| self.symbol_of(*unit))
    }

    pub(crate) fn symbol_of(&self, unit: u32) -> Option<&IndexedSymbol> {
        self.units[unit as usize].symbol.map(|symbol| &self.symbols[symbol as usize])
    }

    /// How big the index is.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            files: self.files.len(),
            skipped: self.skipped.len(),
            symbols: self.symbols.len(),
            lines: self.files.iter().map(|file| file.lines as usize).sum(),
            terms: self.lexical.len(),
            references: self.references.len(),
        }
    }
}

/// Whether `path` is `tail` or ends with it after a dot.
pub(crate) fn is_tail(path: &str, tail: &str) -> bool {
    path.strip_suffix(tail).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use crate::fixture::{SHOP, at, index};
    use crate::kind::{FileKind, SkipReason};
    use crate::{BuildOptions, Index};

    fn names<'a>(symbols: impl Iterator<Item = &'a super::IndexedSymbol>) -> Vec<&'a str> {
        symbols.map(|symbol| &*symbol.path).collect()
    }

    #[test]
    fn symbols_are_known_by_path_and_by_the_end_of_it() {
        let index = index(SHOP);
        let cart = index.symbol(&at("src/shop/prices.py"), "Cart").expect("the class");
        assert_eq!(
            (cart.first_line, cart.doc.as_deref()),
            (9, Some("Things that somebody is about to buy."))
        );
        let found = index.definitions("Cart.apply_discount");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, &at("src/shop/prices.py"));
        assert_eq!(index.definitions("discount").len(), 0);
        assert_eq!(index.symbols(&at("no/such.py")).len(), 0);
    }

    #[test]
    fn references_follow_imports_and_re_exports() {
        let index = index(SHOP);
        let prices = at("src/shop/prices.py");
        let total = index.symbol(&prices, "total").expect("the function");
        // `report` takes it from the package's `__init__`.
        assert_eq!(
            names(index.callers(total)),
            ["print_report", "test_discount_lowers_each_line", "test_total_of_nothing"]
        );
        // The vendored function of the same name is not meant.
        let rounding: Vec<_> = index.callees(total).map(|symbol| index.path_of(symbol).as_str()).collect();
        assert_eq!(rounding, ["src/shop/money.py"]);
        let imported: Vec<_> =
            index.imports_of(&at("src/shop/report.py")).map(|path| path.as_str()).collect();
        assert_eq!(imported, ["src/shop/__init__.py"]);
    }

    #[test]
    fn what_is_passed_over_is_listed() {
        let files = [("logo.png", &b"\0"[..]), ("a.py", b"x = 1\n"), ("poetry.lock", b"")];
        let files = files.into_iter().map(|(path, bytes)| (at(path), bytes.to_vec()));
        let index = Index::build(files, &BuildOptions::default());
        let skipped: Vec<_> = index.skipped().iter().map(|one| (one.path.as_str(), one.why)).collect();
        assert_eq!(skipped, [("logo.png", SkipReason::Binary), ("poetry.lock", SkipReason::Generated)]);
        assert_eq!(index.file(&at("a.py")).map(|file| (file.kind, file.lines)), Some((FileKind::Code, 1)));
        assert_eq!(index.statistics().files, 1);
    }
}
