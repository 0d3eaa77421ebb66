//! Python: dotted names, packages, `src/` layouts, relative imports.

use super::Places;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use toryo_domain::RepoPath;

/// Module names of a repository's Python files.
#[derive(Debug, Default)]
pub(super) struct Modules {
    /// Dotted path from the repository's root, without `.py` and `.__init__` -> file.
    dotted: HashMap<String, u32, RandomState>,
    /// Last part of the dotted path -> files.
    by_last: HashMap<String, Vec<u32>, RandomState>,
    /// Dotted path of each file, empty for files that are no modules; and whether it is an `__init__`.
    of_file: Vec<(String, bool)>,
}

impl Modules {
    /// Learns the module names of files, given in the index' order.
    pub(super) fn of<'a>(paths: impl Iterator<Item = &'a RepoPath>) -> Self {
        let mut modules = Self::default();
        for (file, path) in (0_u32..).zip(paths) {
            let stem = path.as_str().strip_suffix(".py").or_else(|| path.as_str().strip_suffix(".pyi"));
            let Some(stem) = stem else {
                modules.of_file.push((String::new(), false));
                continue;
            };
            let init = stem == "__init__" || stem.ends_with("/__init__");
            let stem = if init { stem.trim_end_matches("__init__").trim_end_matches('/') } else { stem };
            let dotted = stem.replace('/', ".");
            let last = dotted.rsplit('.').next().unwrap_or_default().to_owned();
            modules.by_last.entry(last).or_default().push(file);
            // A stub beside its module does not hide it.
            if path.as_str().ends_with(".py") || !modules.dotted.contains_key(&dotted) {
                modules.dotted.insert(dotted.clone(), file);
            }
            modules.of_file.push((dotted, init));
        }
        modules
    }

    fn name(&self, file: u32) -> &str {
        &self.of_file[file as usize].0
    }

    /// The file that a module name means when `from` imports it; leading dots are relative.
    pub(super) fn resolve(&self, places: &Places<'_>, from: u32, module: &str) -> Option<u32> {
        let name = module.trim_start_matches('.');
        let level = module.len() - name.len();
        if level > 0 {
            let (own, init) = &self.of_file[from as usize];
            let mut base: Vec<&str> = own.split('.').filter(|part| !part.is_empty()).collect();
            let up = level - usize::from(*init);
            base.truncate(base.len().checked_sub(up)?);
            base.extend(name.split('.').filter(|part| !part.is_empty()));
            return self.dotted.get(&base.join(".")).copied();
        }
        // Packages often lie below `src/` or another folder: the one file whose path is the name or ends with it.
        // Its own workspace comes first, then what is nearest to the root; two equally near leave it open.
        let own = places.workspaces.of_file(from);
        let exact = self.dotted.get(name).copied();
        let below = self.by_last.get(name.rsplit('.').next()?).map_or(&[][..], Vec::as_slice).iter().copied();
        let below = below
            .filter(|file| self.name(*file).strip_suffix(name).is_some_and(|before| before.ends_with('.')))
            .filter(|file| name.contains('.') || self.is_top_level(*file, name));
        let rank = |file: u32| (places.workspaces.of_file(file) != own, self.name(file).len());
        let mut fitting: Vec<((bool, usize), u32)> =
            exact.into_iter().chain(below).map(|file| (rank(file), file)).collect();
        fitting.sort_unstable();
        fitting.dedup();
        match fitting.as_slice() {
            [(_, only)] => Some(*only),
            [(near, first), (far, _), ..] if near < far => Some(*first),
            _ => None,
        }
    }

    /// Whether `import name` can mean this file: its folder must not itself be a package.
    fn is_top_level(&self, file: u32, name: &str) -> bool {
        let folder = self.name(file).strip_suffix(name).map(|before| before.trim_end_matches('.'));
        folder
            .is_some_and(|folder| self.dotted.get(folder).is_none_or(|init| !self.of_file[*init as usize].1))
    }
}
