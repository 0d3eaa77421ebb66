//! From an import's words to the files and names it means, where names allow.
//!
//! Each family of languages has its own way from a module's name to a file; what follows from there is the same:
//! which name of which file a name in this file stands for, through re-exports.

mod go;
mod java;
mod python;
mod rust;
mod script;

use crate::index::IndexedFile;
use crate::workspace::{Workspaces, folder_of};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use toryo_domain::RepoPath;

/// Longest chain of re-exports that is followed.
const LONGEST_CHAIN: usize = 6;
/// Most files that one import may mean; a package of more says nothing about any of them.
const MOST_FILES: usize = 100;

/// Languages that find modules in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Python,
    Script,
    Rust,
    Go,
    Java,
}

impl Family {
    fn of(path: &RepoPath) -> Option<Self> {
        match path.extension()? {
            "py" | "pyi" => Some(Self::Python),
            "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" | "vue" | "svelte" => {
                Some(Self::Script)
            }
            "rs" => Some(Self::Rust),
            "go" => Some(Self::Go),
            "java" => Some(Self::Java),
            _ => None,
        }
    }
}

/// The folder that stands for a package. In Java those of the product and of its tests share packages.
fn package_of(family: Family, path: &RepoPath) -> &str {
    let folder = folder_of(path);
    match folder.rsplit_once("/java/") {
        Some((_, package)) if family == Family::Java => package,
        _ => folder,
    }
}

/// Where modules lie: all that resolving a module's name needs. Depends on paths and manifests alone.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    paths: Vec<&'a RepoPath>,
    workspaces: &'a Workspaces,
    python: python::Modules,
    /// Files of Go and Java by package.
    folders: HashMap<&'a str, Vec<u32>, RandomState>,
    /// Java files by the name of their class.
    classes: HashMap<&'a str, Vec<u32>, RandomState>,
}

/// What a module's name means: files, and whether the whole name was needed to find them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Meant {
    files: Vec<u32>,
    /// The last part of the name is not a module but something in it.
    item: bool,
}

impl Meant {
    fn file(file: u32) -> Self {
        Self { files: vec![file], item: false }
    }
}

impl<'a> Places<'a> {
    /// Learns where the modules of files are, given by ascending path.
    pub(crate) fn of(files: &'a [IndexedFile], workspaces: &'a Workspaces) -> Self {
        let mut places = Self {
            paths: files.iter().map(|file| &file.path).collect(),
            workspaces,
            python: python::Modules::of(files.iter().map(|file| &file.path)),
            folders: HashMap::default(),
            classes: HashMap::default(),
        };
        for (number, path) in (0_u32..).zip(files.iter().map(|file| &file.path)) {
            if let Some(family @ (Family::Go | Family::Java)) = Family::of(path) {
                places.folders.entry(package_of(family, path)).or_default().push(number);
            }
            if Family::of(path) == Some(Family::Java) {
                let class = path.file_name().trim_end_matches(".java");
                places.classes.entry(class).or_default().push(number);
            }
        }
        places
    }

    fn at(&self, path: &str) -> Option<u32> {
        self.paths.binary_search_by(|one| one.as_str().cmp(path)).ok().map(|at| at as u32)
    }

    fn path(&self, file: u32) -> &'a RepoPath {
        self.paths[file as usize]
    }

    /// What `module` means where `from` imports it.
    fn resolve(&self, from: u32, module: &str) -> Meant {
        let mut meant = match Family::of(self.path(from)) {
            Some(Family::Python) => {
                self.python.resolve(self, from, module).map(Meant::file).unwrap_or_default()
            }
            Some(Family::Script) => script::resolve(self, from, module).map(Meant::file).unwrap_or_default(),
            Some(Family::Rust) => rust::resolve(self, from, module),
            Some(Family::Go) => go::resolve(self, module),
            Some(Family::Java) => java::resolve(self, module),
            None => Meant::default(),
        };
        meant.files.truncate(MOST_FILES);
        meant
    }

    /// What stands between a module's name and a name inside it; `None` where modules hold no modules.
    fn separator(&self, from: u32, module: &str) -> Option<&'static str> {
        match Family::of(self.path(from))? {
            Family::Python if module.ends_with('.') => Some(""),
            Family::Python | Family::Java => Some("."),
            Family::Rust => Some("::"),
            Family::Script | Family::Go => None,
        }
    }

    /// Whether taking a name from a package also uses the package's own file.
    fn runs_packages(&self, from: u32) -> bool {
        matches!(Family::of(self.path(from)), Some(Family::Python | Family::Script))
    }

    /// Files whose top-level names a file sees without an import.
    pub(crate) fn siblings(&self, file: u32) -> &[u32] {
        match Family::of(self.path(file)) {
            Some(family @ (Family::Go | Family::Java)) => {
                let siblings = self.folders.get(package_of(family, self.path(file)));
                siblings.filter(|all| all.len() <= MOST_FILES).map_or(&[], Vec::as_slice)
            }
            _ => &[],
        }
    }
}

/// What the names bound by a file's imports mean. Names are numbers of the dictionary.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Imports {
    /// Name, as it is here -> the file it comes from and the name there (`None`: the module itself).
    pub(crate) bound: HashMap<u32, (u32, Option<u32>), RandomState>,
    /// All files imported, ascending.
    pub(crate) files: Vec<u32>,
    /// Files of which all names are taken, in the order of the text.
    pub(crate) stars: Vec<u32>,
}

impl Imports {
    /// Resolves the imports of one file.
    pub(crate) fn of(number: u32, file: &IndexedFile, places: &Places<'_>) -> Self {
        let mut resolved = Self::default();
        let record = file.record();
        for import in &record.imports {
            let module = places.resolve(number, &import.module);
            if import.names.is_empty() || places.runs_packages(number) {
                resolved.files.extend(&module.files);
            }
            for (there, here) in &import.names {
                let name = record.string(*there);
                if name == "*" {
                    resolved.files.extend(&module.files);
                    resolved.stars.extend(&module.files);
                    continue;
                }
                let inside = places.separator(number, &import.module);
                let inner =
                    inside.map(|dot| places.resolve(number, &format!("{}{dot}{name}", import.module)));
                // What a script exports as its default has no name there; mostly people call it the same.
                let there = if name == "default" { *here } else { *there };
                let meant = match (inner.filter(|inner| !inner.item), module.files.first()) {
                    (Some(Meant { files, .. }), _) if !files.is_empty() => (files[0], None),
                    (_, Some(module)) => (*module, Some(file.id_of(there))),
                    _ => continue,
                };
                resolved.files.push(meant.0);
                resolved.bound.insert(file.id_of(*here), meant);
            }
        }
        resolved.files.retain(|imported| *imported != number);
        resolved.files.sort_unstable();
        resolved.files.dedup();
        resolved
    }
}

/// Follows re-exports: where `name` of `file` is defined at last. `defines` says whether a file defines a name.
pub(crate) fn follow(
    all: &[Imports],
    (file, name): (u32, u32),
    defines: &impl Fn(u32, u32) -> bool,
) -> Option<(u32, u32)> {
    step(all, (file, name), defines, LONGEST_CHAIN)
}

fn step(
    all: &[Imports],
    (file, name): (u32, u32),
    defines: &impl Fn(u32, u32) -> bool,
    left: usize,
) -> Option<(u32, u32)> {
    if defines(file, name) {
        return Some((file, name));
    }
    let left = left.checked_sub(1)?;
    let imports = all.get(file as usize)?;
    match imports.bound.get(&name) {
        Some((next, Some(there))) => step(all, (*next, *there), defines, left),
        Some((_, None)) => None,
        None => imports.stars.iter().find_map(|next| step(all, (*next, name), defines, left.min(2))),
    }
}

/// The module's dotted name from the repository's root: its path without extension and without the file that
/// stands for its folder. Empty for a file of no known language.
pub(crate) fn module_name(path: &RepoPath) -> String {
    if Family::of(path).is_none() {
        return String::new();
    }
    let stem = path.as_str().rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
    let folder = |name: &str| {
        let above = stem.strip_suffix(name)?;
        (above.is_empty() || above.ends_with('/')).then(|| above.trim_end_matches('/'))
    };
    ["__init__", "index", "mod"].into_iter().find_map(folder).unwrap_or(stem).replace('/', ".")
}

#[cfg(test)]
mod tests;
