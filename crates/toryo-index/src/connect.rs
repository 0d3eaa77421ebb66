//! Who refers to whom: names resolved to symbols, imports to files, as far as names allow.

use crate::graph::{Edges, Graph};
use crate::imports::{Imports, Places, follow};
use crate::index::Index;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::ops::Range;

/// Names with more definitions than this are not followed unless an import says which is meant.
const AMBIGUOUS: usize = 4;

/// Fills the imports and graphs of an index whose files, symbols and names are there.
pub(crate) fn connect(index: &mut Index) {
    let workspaces = std::mem::take(&mut index.workspaces);
    let places = Places::of(&index.files, &workspaces);
    let imports: Vec<Imports> =
        (0_u32..).zip(&index.files).map(|(number, file)| Imports::of(number, file, &places)).collect();
    let mut references = Edges::with_nodes(index.units.len());
    let mut between = Edges::with_nodes(index.files.len());
    let mut resolving = Resolving { index, imports: &imports, places: &places, targets: Vec::new() };
    for number in 0..index.files.len() as u32 {
        resolving.add_file(number, &mut references, &mut between);
    }
    index.references = Graph::of(references);
    index.between_files = Graph::of(between);
    index.imports = imports.into_iter().map(|imports| imports.files).collect();
    index.workspaces = workspaces;
}

struct Resolving<'a> {
    index: &'a Index,
    imports: &'a [Imports],
    places: &'a Places<'a>,
    /// Symbols meant by the names of the file at hand.
    targets: Vec<u32>,
}

impl Resolving<'_> {
    fn add_file(&mut self, number: u32, references: &mut Edges, between: &mut Edges) {
        let index = self.index;
        let file = &index.files[number as usize];
        // A name means the same wherever it stands in a file.
        let mut known: HashMap<u32, Range<usize>, RandomState> = HashMap::default();
        self.targets.clear();
        between.extend(self.imports[number as usize].files.iter().map(|to| (*to, 1.0)));
        let mut uses = file.record().uses.iter().peekable();
        for unit in 0..file.record().units.len() as u32 {
            while let Some((_, name)) = uses.next_if(|(user, _)| *user == unit) {
                let name = file.id_of(*name);
                if index.names.all(name).is_empty()
                    && !self.imports[number as usize].bound.contains_key(&name)
                {
                    continue;
                }
                let meant = known.entry(name).or_insert_with(|| {
                    let from = self.targets.len();
                    meant(index, self.imports, self.places, (number, name), &mut self.targets);
                    from..self.targets.len()
                });
                let meant = &self.targets[meant.clone()];
                let weight = 1.0 / meant.len().max(1) as f32;
                for symbol in meant {
                    let target = &index.symbols[*symbol as usize];
                    references.push(target.unit, weight);
                    if target.file != number {
                        between.push(target.file, weight);
                    }
                }
            }
            references.finish_node(file.units.start + unit);
        }
        between.finish_node(number);
    }
}

/// Adds which symbols a name of a file means: its own, else the one it imports by name, else those it sees without
/// an import, else those of the files it imports, else all if they are few.
fn meant(
    index: &Index,
    imports: &[Imports],
    places: &Places<'_>,
    (file, name): (u32, u32),
    found: &mut Vec<u32>,
) {
    let own = in_file(index, index.names.all(name), file);
    if !own.is_empty() {
        return found.extend(own);
    }
    let here = &imports[file as usize];
    if here.bound.contains_key(&name) {
        let is_outermost = |symbol: &u32| index.symbols[*symbol as usize].parent.is_none();
        let outermost = |(file, name): (u32, u32)| {
            in_file(index, index.names.all(name), file).iter().copied().filter(is_outermost)
        };
        let defines = |file: u32, name: u32| outermost((file, name)).next().is_some();
        return found.extend(follow(imports, (file, name), &defines).into_iter().flat_map(outermost));
    }
    let open = index.names.open(name);
    let before = found.len();
    for near in [places.siblings(file), &here.files] {
        found.extend(near.iter().flat_map(|file| in_file(index, open, *file)));
        if (1..=AMBIGUOUS).contains(&(found.len() - before)) {
            return;
        }
        found.truncate(before);
    }
    if open.len() <= AMBIGUOUS {
        found.extend(open);
    }
}

/// Those of some symbols, given by ascending number, that a file defines.
fn in_file<'a>(index: &Index, symbols: &'a [u32], file: u32) -> &'a [u32] {
    let own = &index.files[file as usize].symbols;
    let start = symbols.partition_point(|symbol| *symbol < own.start);
    let end = start + symbols[start..].partition_point(|symbol| *symbol < own.end);
    &symbols[start..end]
}
