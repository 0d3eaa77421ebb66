//! JavaScript and TypeScript: relative files, folders with an index, packages of the same repository.

use super::Places;
use crate::manifest::ManifestKind;

/// Extensions in the order in which bundlers and compilers look for them.
const EXTENSIONS: &[&str] =
    &["ts", "tsx", "mts", "cts", "d.ts", "js", "jsx", "mjs", "cjs", "vue", "svelte", "json"];

/// The file that a module name means when `from` imports it.
pub(super) fn resolve(places: &Places<'_>, from: u32, module: &str) -> Option<u32> {
    if module.starts_with('.') {
        let folder = super::folder_of(places.path(from));
        return file_or_index(places, &joined(folder, module)?);
    }
    let below = |folder: &str, rest: &str| {
        let there = |inner: &str| file_or_index(places, joined(folder, inner)?.trim_end_matches('/'));
        let in_source = format!("src/{rest}");
        there(rest).or_else(|| there(&in_source)).or_else(|| there(&format!("lib/{rest}")))
    };
    // The usual aliases of a package's own source folder.
    if let Some(rest) = module.strip_prefix("@/").or_else(|| module.strip_prefix("~/")) {
        let own = places.workspaces.all().get(places.workspaces.of_file(from) as usize)?;
        return below(&own.folder, rest);
    }
    places.workspaces.of_kind(ManifestKind::Npm).filter(|one| !one.name.is_empty()).find_map(|package| {
        let rest = module.strip_prefix(&*package.name)?;
        if rest.is_empty() {
            below(&package.folder, "")
        } else {
            below(&package.folder, rest.strip_prefix('/')?)
        }
    })
}

/// A path below a folder with `.` and `..` worked out; `None` above the root.
fn joined(folder: &str, module: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in module.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn file_or_index(places: &Places<'_>, path: &str) -> Option<u32> {
    let with = |stem: &str| EXTENSIONS.iter().find_map(|end| places.at(&format!("{stem}.{end}")));
    // TypeScript writes the name of the output: `./a.js` for `a.ts`.
    let source = [".js", ".mjs", ".cjs", ".jsx"].iter().find_map(|end| path.strip_suffix(end));
    let index = if path.is_empty() { "index".to_owned() } else { format!("{path}/index") };
    places.at(path).or_else(|| with(path)).or_else(|| source.and_then(with)).or_else(|| with(&index))
}
