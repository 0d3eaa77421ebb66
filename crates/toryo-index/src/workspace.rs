//! Workspaces: the parts of a repository that are built and released apart.
//!
//! A folder with a manifest of its own is one; a file belongs to the deepest around it. Lists of members in the
//! manifest above are not needed for that, and are often patterns that also fit folders without a manifest.
//! Manifests of tests, examples and copied code describe no part of the repository.

use crate::kind::{FileKind, kind_of};
use crate::manifest::{Manifest, ManifestKind};
use toryo_domain::RepoPath;

/// A part of a repository with a manifest of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its folder; empty for the repository's root.
    pub folder: Box<str>,
    /// The name that its manifest gives it; empty where it gives none.
    pub name: Box<str>,
    pub(crate) kind: Option<ManifestKind>,
}

/// All workspaces of a repository, by folder. The first is the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Workspaces {
    all: Vec<Workspace>,
    /// The workspace of each file.
    of_file: Vec<u32>,
}

impl Workspaces {
    /// Finds the workspaces of files, given by ascending path.
    pub(crate) fn of<'a>(files: impl Iterator<Item = (&'a RepoPath, Option<&'a Manifest>)> + Clone) -> Self {
        let mut all = vec![Workspace { folder: "".into(), name: "".into(), kind: None }];
        for (path, manifest) in files.clone() {
            let Some(manifest) = manifest else { continue };
            if !matches!(kind_of(path, false), FileKind::Code | FileKind::Other | FileKind::Example)
                || is_beside_the_product(path)
            {
                continue;
            }
            let found = folder_of(path);
            match all.iter_mut().find(|one| &*one.folder == found) {
                // Of several manifests in a folder the first that gives a name counts.
                Some(known) if known.name.is_empty() => {
                    known.name = manifest.name.clone();
                    known.kind = Some(manifest.kind);
                }
                Some(_) => {}
                None => all.push(Workspace {
                    folder: found.into(),
                    name: manifest.name.clone(),
                    kind: Some(manifest.kind),
                }),
            }
        }
        all.sort_by(|a, b| a.folder.cmp(&b.folder));
        let deepest = |path: &RepoPath| -> u32 {
            let mut folder = folder_of(path);
            loop {
                if let Ok(at) = all.binary_search_by(|one| (*one.folder).cmp(folder)) {
                    return at as u32;
                }
                folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
            }
        };
        let of_file = files.map(|(path, _)| deepest(path)).collect();
        Self { all, of_file }
    }

    /// All, by folder.
    pub(crate) fn all(&self) -> &[Workspace] {
        &self.all
    }

    /// The number of a file's workspace.
    pub(crate) fn of_file(&self, file: u32) -> u32 {
        self.of_file.get(file as usize).copied().unwrap_or(0)
    }

    /// The workspace of this kind and name.
    pub(crate) fn named(&self, kind: ManifestKind, name: &str) -> Option<&Workspace> {
        self.all.iter().find(|one| one.kind == Some(kind) && &*one.name == name)
    }

    /// Workspaces of a kind.
    pub(crate) fn of_kind(&self, kind: ManifestKind) -> impl Iterator<Item = &Workspace> {
        self.all.iter().filter(move |one| one.kind == Some(kind))
    }
}

fn is_beside_the_product(path: &RepoPath) -> bool {
    let below = |folder: &str| matches!(folder, "examples" | "example" | "templates" | "template");
    path.as_str().split('/').any(below)
}

/// The folder of a path, empty for the root.
pub(crate) fn folder_of(path: &RepoPath) -> &str {
    path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use crate::fixture::index;

    #[test]
    fn a_file_belongs_to_the_deepest_folder_with_a_manifest() {
        let index = index(
            "//- package.json\n{\"workspaces\": [\"packages/*\"]}\n//- packages/core/package.json\n{\"name\": \"@shop/core\"}\n\
             //- packages/core/src/a.ts\nx\n//- packages/core-extra/b.ts\nx\n//- tests/fixtures/go.mod\nmodule m\n//- tests/fixtures/m.go\nx\n",
        );
        let named: Vec<_> = index.workspaces().iter().map(|one| (&*one.folder, &*one.name)).collect();
        assert_eq!(named, [("", ""), ("packages/core", "@shop/core")]);
        let of = |path: &str| &*index.workspace_of(&crate::fixture::at(path)).expect("indexed").folder;
        assert_eq!(of("packages/core/src/a.ts"), "packages/core");
        assert_eq!(of("packages/core-extra/b.ts"), "");
        assert_eq!(of("tests/fixtures/m.go"), "");
    }
}
