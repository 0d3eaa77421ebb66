//! What may be wrong with a merged text though its lines merge: definitions and imports that are doubled or
//! lost, and uses of what is gone.

use super::Clash;
use super::pieces::Version;
use crate::outline::{Import, Outline, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with a merged text that neither side had wrong.
pub(super) fn fault(versions: [&Version<'_>; 3], merged: &[u8]) -> Option<Clash> {
    let [base, ours, theirs] = versions;
    let clash = |line, reason| Some(Clash { line, reason, ours: None, theirs: None });
    let Some(version) = Version::of(base.language, merged) else {
        return clash(1, "the merged text cannot be parsed");
    };
    if version.faults > ours.faults.max(theirs.faults) {
        return clash(1, "the merged text has a syntax error that neither side has");
    }
    let counted = |count: fn(&Outline) -> BTreeMap<String, usize>| {
        [count(&base.outline), count(&ours.outline), count(&theirs.outline), count(&version.outline)]
    };
    let line_of = |path: &str| {
        let symbol = ours.outline.symbols.iter().find(|symbol| without_ordinals(&symbol.path) == path);
        symbol.map_or(1, |symbol| symbol.first_line)
    };
    for (path, [base, ours, theirs, merged]) in zipped(&counted(definitions)) {
        let both_added = ours > base && theirs > base;
        if both_added && merged > ours.max(theirs) {
            return clash(line_of(path), "both sides added a definition of one name");
        }
        if !both_added && merged < (ours + theirs).saturating_sub(base) {
            return clash(line_of(path), "a definition would be lost");
        }
    }
    for (_, [base, ours, theirs, merged]) in zipped(&counted(imports)) {
        if merged > base && merged > ours.max(theirs) {
            return clash(1, "both sides added an import of one name");
        }
    }
    orphan(versions, &version).and_then(|line| clash(line, "one side uses what the other side removed"))
}

/// How often each key occurs in the four versions.
fn zipped(counts: &[BTreeMap<String, usize>; 4]) -> impl Iterator<Item = (&String, [usize; 4])> {
    let keys: BTreeSet<&String> = counts.iter().flat_map(BTreeMap::keys).collect();
    let of = |key| [0, 1, 2, 3].map(|at: usize| counts[at].get(key).copied().unwrap_or(0));
    keys.into_iter().map(move |key| (key, of(key)))
}

fn tally(names: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts
}

fn definitions(outline: &Outline) -> BTreeMap<String, usize> {
    let symbols = outline.symbols.iter().filter(|symbol| symbol.kind != SymbolKind::Variable);
    tally(symbols.map(|symbol| without_ordinals(&symbol.path)))
}

fn imports(outline: &Outline) -> BTreeMap<String, usize> {
    let names = |import: &Import| -> Vec<String> {
        match import.names.as_slice() {
            [] => vec![import.module.clone()],
            names => names.iter().map(|name| format!("{} {name}", import.module)).collect(),
        }
    };
    tally(outline.imports.iter().flat_map(names))
}

/// The names that a file defines or imports at its top.
fn top_names(outline: &Outline) -> BTreeSet<&str> {
    let defined =
        outline.symbols.iter().filter(|symbol| symbol.parent.is_none()).map(|symbol| symbol.name.as_str());
    let imported = outline.imports.iter().flat_map(|import| {
        let here = |name: &str| {
            let alias = import.aliases.iter().find(|(there, _)| there.as_str() == name);
            alias.map(|(_, here)| here.as_str())
        };
        let root = import.module.split('.').next().unwrap_or_default();
        let names = import.names.iter().map(move |name| here(name).unwrap_or(name.as_str()));
        let whole = import.names.is_empty().then(|| here(&import.module).unwrap_or(root));
        names.chain(whole).collect::<Vec<_>>()
    });
    defined.chain(imported).collect()
}

/// The line of a use, new on one side, of a name that the other side removed and nothing else provides.
fn orphan(versions: [&Version<'_>; 3], merged: &Version<'_>) -> Option<u32> {
    let [base, ours, theirs] = versions.map(|version| top_names(&version.outline));
    let now = top_names(&merged.outline);
    let uses = |version: &Version<'_>, name: &str| {
        version.outline.references.iter().filter(|reference| reference.name == name).count()
    };
    let gone = base.iter().filter(|name| !now.contains(*name) && !now.contains("*"));
    let gone = gone.filter(|name| ours.contains(*name) != theirs.contains(*name));
    gone.into_iter().find_map(|name| {
        let keeper = if ours.contains(name) { versions[1] } else { versions[2] };
        let is_new = uses(keeper, name) > uses(versions[0], name);
        let first = merged.outline.references.iter().find(|reference| reference.name == *name);
        first.filter(|_| is_new).map(|reference| reference.line)
    })
}

/// A symbol's path without the numbers that tell equals apart.
fn without_ordinals(path: &str) -> String {
    path.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect::<Vec<_>>().join(".")
}
