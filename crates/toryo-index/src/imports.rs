//! From an import's words to the file it means, where names allow.

use std::collections::HashMap;
use toryo_code::Import;
use toryo_domain::RepoPath;

/// Longest chain of re-exports that is followed.
const LONGEST_CHAIN: usize = 4;

/// Module names of a repository's Python files.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    /// Dotted path from the repository's root, without `.py` and `.__init__` -> file.
    dotted: HashMap<String, u32>,
    /// Last part of the dotted path -> files.
    by_last: HashMap<String, Vec<u32>>,
    /// Dotted path of each file, empty for files that are no modules; and whether it is an `__init__`.
    of_file: Vec<(String, bool)>,
}

impl Modules {
    /// Learns the module names of files, given in the index' order.
    pub(crate) fn of<'a>(paths: impl Iterator<Item = &'a RepoPath>) -> Self {
        let mut modules = Self::default();
        for (file, path) in paths.enumerate() {
            let stem = path.as_str().strip_suffix(".py").or_else(|| path.as_str().strip_suffix(".pyi"));
            let Some(stem) = stem else {
                modules.of_file.push((String::new(), false));
                continue;
            };
            let init = stem == "__init__" || stem.ends_with("/__init__");
            let stem = if init { stem.trim_end_matches("__init__").trim_end_matches('/') } else { stem };
            let dotted = stem.replace('/', ".");
            let last = dotted.rsplit('.').next().unwrap_or_default().to_owned();
            modules.by_last.entry(last).or_default().push(file as u32);
            // A stub beside its module does not hide it.
            if path.as_str().ends_with(".py") || !modules.dotted.contains_key(&dotted) {
                modules.dotted.insert(dotted.clone(), file as u32);
            }
            modules.of_file.push((dotted, init));
        }
        modules
    }

    /// The dotted name of a file's module from the repository's root; empty for other files.
    pub(crate) fn name(&self, file: u32) -> &str {
        &self.of_file[file as usize].0
    }

    /// The file that a module name means when `from` imports it; leading dots are relative.
    pub(crate) fn resolve(&self, from: u32, module: &str) -> Option<u32> {
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
        if let Some(file) = self.dotted.get(name) {
            return Some(*file);
        }
        // Packages often lie below `src/` or another folder: the one file whose path ends with the name. The
        // nearest to the root wins; two equally near leave it open.
        let mut fitting: Vec<(usize, u32)> = self
            .by_last
            .get(name.rsplit('.').next()?)?
            .iter()
            .filter(|file| self.name(**file).strip_suffix(name).is_some_and(|before| before.ends_with('.')))
            .filter(|file| name.contains('.') || self.is_top_level(**file, name))
            .map(|file| (self.name(*file).len(), *file))
            .collect();
        fitting.sort_unstable();
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

/// What the names bound by a file's imports mean.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// Name, as it is there -> the file it comes from and the name there (`None`: the module itself).
    pub(crate) bound: HashMap<String, (u32, Option<String>)>,
    /// All files imported, ascending.
    pub(crate) files: Vec<u32>,
}

impl Imports {
    /// Resolves the imports of one file.
    pub(crate) fn of(file: u32, imports: &[Import], modules: &Modules) -> Self {
        let mut resolved = Self::default();
        for import in imports {
            let module = modules.resolve(file, &import.module);
            resolved.files.extend(module);
            for name in &import.names {
                let dot = if import.module.ends_with('.') { "" } else { "." };
                let meant = match modules.resolve(file, &format!("{}{dot}{name}", import.module)) {
                    Some(submodule) => (submodule, None),
                    None => match module {
                        Some(module) => (module, Some(name.clone())),
                        None => continue,
                    },
                };
                resolved.files.push(meant.0);
                resolved.bound.insert(name.clone(), meant);
            }
        }
        resolved.files.retain(|imported| *imported != file);
        resolved.files.sort_unstable();
        resolved.files.dedup();
        resolved
    }
}

/// Follows re-exports: where `name` of `file` is defined at last.
pub(crate) fn follow<'a>(all: &'a [Imports], file: u32, name: &'a str) -> (u32, &'a str) {
    let (mut file, mut name) = (file, name);
    for _ in 0..LONGEST_CHAIN {
        match all.get(file as usize).and_then(|imports| imports.bound.get(name)) {
            Some((next, Some(there))) if (*next, there.as_str()) != (file, name) => {
                (file, name) = (*next, there)
            }
            _ => break,
        }
    }
    (file, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(paths: &[&str]) -> Modules {
        let paths: Vec<RepoPath> = paths.iter().map(|path| path.parse().expect("a path")).collect();
        Modules::of(paths.iter())
    }

    fn import(module: &str, names: &[&str]) -> Import {
        Import { module: module.into(), names: names.iter().map(|n| (*n).into()).collect(), ..Import::default() }
    }

    #[test]
    fn modules_are_found_absolutely_and_relatively() {
        let modules = modules(&[
            "src/app/__init__.py",
            "src/app/http.py",
            "src/app/sub/__init__.py",
            "tests/test_http.py",
        ]);
        assert_eq!(modules.resolve(3, "app"), Some(0));
        assert_eq!(modules.resolve(3, "app.http"), Some(1));
        assert_eq!(modules.resolve(1, "."), Some(0));
        assert_eq!(modules.resolve(2, ".."), Some(0));
        assert_eq!(modules.resolve(2, "..http"), Some(1));
        assert_eq!(modules.resolve(1, "....http"), None);
        // The standard library's `http` is not `app/http.py`.
        assert_eq!(modules.resolve(3, "http"), None);
    }

    #[test]
    fn re_exports_are_followed_to_the_definition() {
        let modules = modules(&["app/__init__.py", "app/http.py", "main.py"]);
        let all = [
            Imports::of(0, &[import(".http", &["parse"])], &modules),
            Imports::default(),
            Imports::of(2, &[import("app", &["parse"])], &modules),
        ];
        assert_eq!(all[2].bound["parse"], (0, Some("parse".into())));
        assert_eq!(follow(&all, 2, "parse"), (1, "parse"));
        assert_eq!(all[0].files, [1]);
    }
}
