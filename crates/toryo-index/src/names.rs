//! Symbols by name.

use crate::dictionary::Dictionary;
use crate::index::Index;
use std::sync::Arc;
use toryo_code::SymbolKind;

/// All symbols by the last part of their path.
#[derive(Debug, Default)]
pub(crate) struct Names {
    dictionary: Arc<Dictionary>,
    all: Groups,
    /// Those seen from outside: what is defined inside a function is not.
    open: Groups,
}

/// Numbers in groups, each ascending.
#[derive(Debug, Default)]
struct Groups {
    starts: Vec<u32>,
    members: Vec<u32>,
}

impl Groups {
    /// Members come by ascending number.
    fn of(groups: usize, members: &[(u32, u32)]) -> Self {
        let mut starts = vec![0_u32; groups + 1];
        for (group, _) in members {
            starts[*group as usize + 1] += 1;
        }
        for group in 0..groups {
            starts[group + 1] += starts[group];
        }
        let mut next = starts.clone();
        let mut sorted = vec![0; members.len()];
        for (group, member) in members {
            sorted[next[*group as usize] as usize] = *member;
            next[*group as usize] += 1;
        }
        Self { starts, members: sorted }
    }

    fn get(&self, group: u32) -> &[u32] {
        match self.starts.get(group as usize..group as usize + 2) {
            Some([start, end]) => &self.members[*start as usize..*end as usize],
            _ => &[],
        }
    }
}

impl Names {
    /// Groups the symbols of an index.
    pub(crate) fn of(dictionary: Arc<Dictionary>, index: &Index) -> Self {
        let mut all = Vec::with_capacity(index.symbols.len());
        for file in &index.files {
            let names = file.record().symbols.iter().map(|symbol| file.id_of(symbol.name));
            all.extend(names.zip(file.symbols.clone()));
        }
        let kind_of = |symbol: u32| index.symbols[symbol as usize].kind;
        let is_open = |symbol: u32| {
            let parent = index.symbols[symbol as usize].parent.map(kind_of);
            !matches!(parent, Some(SymbolKind::Function | SymbolKind::Method))
        };
        let open: Vec<(u32, u32)> = all.iter().copied().filter(|(_, symbol)| is_open(*symbol)).collect();
        let groups = dictionary.len();
        Self { dictionary, all: Groups::of(groups, &all), open: Groups::of(groups, &open) }
    }

    /// Symbols of a name, ascending; `None` where there is none.
    pub(crate) fn get(&self, name: &str) -> Option<&[u32]> {
        let symbols = self.all(self.dictionary.get(name)?);
        (!symbols.is_empty()).then_some(symbols)
    }

    /// Symbols of a name by its number in the dictionary, ascending.
    pub(crate) fn all(&self, name: u32) -> &[u32] {
        self.all.get(name)
    }

    /// Those of them that are seen from outside.
    pub(crate) fn open(&self, name: u32) -> &[u32] {
        self.open.get(name)
    }
}
