//! Who refers to whom: names resolved to symbols, imports to files, as far as names allow.

use crate::graph::Graph;
use crate::imports::{Imports, Modules, follow};
use crate::index::Index;
use crate::lexical::Builder;
use std::collections::HashMap;
use toryo_code::{Import, SymbolKind};

/// Names with more definitions than this are not followed unless an import says which is meant.
const AMBIGUOUS: usize = 4;

/// What is kept of a file until all names are known.
pub(crate) struct Pending {
    /// As written.
    pub(crate) imports: Vec<Import>,
    /// Units with the words they use, distinct and sorted; words that name a symbol become references.
    pub(crate) used: Vec<(u32, u32)>,
}

/// Fills the names, imports and graphs of an index.
pub(crate) fn connect(index: &mut Index, builder: &Builder, pending: &[Pending]) {
    let modules = Modules::of(index.files.iter().map(|file| &file.path));
    let imports: Vec<Imports> =
        (0_u32..).zip(pending).map(|(file, facts)| Imports::of(file, &facts.imports, &modules)).collect();
    for (symbol, entry) in (0_u32..).zip(&index.symbols) {
        index.names.entry(entry.name.clone()).or_default().push(symbol);
    }
    let defined: HashMap<u32, &[u32]> = index
        .names
        .iter()
        .filter_map(|(name, symbols)| Some((builder.known(name)?, symbols.as_slice())))
        .collect();
    let mut edges = Vec::new();
    let mut between = Vec::new();
    for (file, (facts, own)) in (0_u32..).zip(pending.iter().zip(&imports)) {
        between.extend(own.files.iter().map(|to| (file, *to, 1.0)));
        for (unit, word) in &facts.used {
            let meant =
                defined.get(word).map_or_else(Vec::new, |symbols| meant(index, &imports, file, symbols));
            let weight = 1.0 / meant.len().max(1) as f32;
            for symbol in meant {
                let target = &index.symbols[symbol as usize];
                edges.push((*unit, target.unit, weight));
                if target.file != file {
                    between.push((file, target.file, weight));
                }
            }
        }
    }
    index.references = Graph::new(index.units.len(), edges);
    index.between_files = Graph::new(index.files.len(), between);
    index.imports = imports.into_iter().map(|imports| imports.files).collect();
    index.modules = (0..index.files.len() as u32).map(|file| modules.name(file).into()).collect();
}

/// Which of the symbols of one name a file means: its own, else the one it imports by name, else those of the
/// files it imports, else all if they are few.
fn meant(index: &Index, imports: &[Imports], file: u32, symbols: &[u32]) -> Vec<u32> {
    let of = |symbol: u32| &index.symbols[symbol as usize];
    let those = |keep: &dyn Fn(u32) -> bool| {
        symbols.iter().copied().filter(|symbol| keep(*symbol)).collect::<Vec<_>>()
    };
    let own = those(&|symbol| of(symbol).file == file);
    if !own.is_empty() {
        return own;
    }
    let name: &str = symbols.first().map_or("", |symbol| &of(*symbol).name);
    let here = &imports[file as usize];
    if here.bound.contains_key(name) {
        let (there, name) = follow(imports, file, name);
        let named = index.names.get(name).map_or(&[][..], Vec::as_slice).iter().copied();
        return named.filter(|symbol| of(*symbol).file == there && of(*symbol).parent.is_none()).collect();
    }
    // What is defined inside a function is not seen from outside.
    let symbols: Vec<u32> = symbols.iter().copied().filter(|symbol| !is_local(index, *symbol)).collect();
    let those = |keep: &dyn Fn(u32) -> bool| {
        symbols.iter().copied().filter(|symbol| keep(*symbol)).collect::<Vec<_>>()
    };
    let imported = those(&|symbol| here.files.binary_search(&of(symbol).file).is_ok());
    match (imported.len(), symbols.len()) {
        (1..=AMBIGUOUS, _) => imported,
        (_, ..=AMBIGUOUS) => symbols,
        _ => Vec::new(),
    }
}

fn is_local(index: &Index, symbol: u32) -> bool {
    let parent = index.symbols[symbol as usize].parent.map(|parent| index.symbols[parent as usize].kind);
    matches!(parent, Some(SymbolKind::Function | SymbolKind::Method))
}
