//! Rust: paths from the crate's root, from here and from above, and crates of the same workspace.

use super::{Meant, Places};
use crate::manifest::ManifestKind;

/// What a path such as `crate::a::b`, `super::c` or `other_crate::d` means: the file of its longest part that is
/// a module.
pub(super) fn resolve(places: &Places<'_>, from: u32, module: &str) -> Meant {
    let parts: Vec<&str> = module.split("::").map(str::trim).filter(|part| !part.is_empty()).collect();
    let Some((first, rest)) = parts.split_first() else { return Meant::default() };
    let path = places.path(from).as_str();
    let found = match *first {
        "crate" => root_of(places, path).and_then(|root| deepest(places, &root, rest, true)),
        "self" => deepest(places, &inner_folder(path), rest, false).or(Some((from, rest.len()))),
        "super" => above(places, path, rest),
        "std" | "core" | "alloc" => None,
        name => {
            let library = places.workspaces.named(ManifestKind::Cargo, name);
            let root = library
                .map(|one| joined(&one.folder, "src"))
                .filter(|root| root_file(places, root).is_some());
            match root {
                Some(root) => deepest(places, &root, rest, true),
                // A module declared here, or (edition 2015) one of the root.
                None => deepest(places, &inner_folder(path), &parts, false)
                    .or_else(|| root_of(places, path).and_then(|root| deepest(places, &root, &parts, false))),
            }
        }
    };
    found.map_or_else(Meant::default, |(file, left)| Meant { files: vec![file], item: left > 0 })
}

/// `super` once or several times, then a path from there.
fn above(places: &Places<'_>, path: &str, rest: &[&str]) -> Option<(u32, usize)> {
    let more = rest.iter().take_while(|part| **part == "super").count();
    let mut folder = inner_folder(path);
    for _ in 0..=more {
        folder = folder.rsplit_once('/')?.0.to_owned();
    }
    deepest(places, &folder, &rest[more..], true)
}

/// The file of the longest part of a path below a module's folder, with the number of parts left over. With none
/// at all it is the module's own file, where that is asked for.
fn deepest(places: &Places<'_>, folder: &str, parts: &[&str], own: bool) -> Option<(u32, usize)> {
    for end in (1..=parts.len()).rev() {
        let stem = joined(folder, &parts[..end].join("/"));
        let file = places.at(&format!("{stem}.rs")).or_else(|| places.at(&format!("{stem}/mod.rs")));
        if let Some(file) = file {
            return Some((file, parts.len() - end));
        }
    }
    let module = || root_file(places, folder).or_else(|| places.at(&format!("{folder}.rs")));
    if own { module().map(|file| (file, parts.len())) } else { None }
}

/// The file that a folder of modules stands for.
fn root_file(places: &Places<'_>, folder: &str) -> Option<u32> {
    ["lib.rs", "main.rs", "mod.rs"].iter().find_map(|name| places.at(&joined(folder, name)))
}

/// The folder of the crate's root that a file belongs to.
fn root_of(places: &Places<'_>, path: &str) -> Option<String> {
    let mut folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    loop {
        if ["lib.rs", "main.rs"].iter().any(|name| places.at(&joined(folder, name)).is_some()) {
            return Some(folder.to_owned());
        }
        if folder.is_empty() {
            return None;
        }
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
    }
}

/// The folder in which the modules declared in a file lie.
fn inner_folder(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ => joined(folder, name.trim_end_matches(".rs")),
    }
}

fn joined(folder: &str, below: &str) -> String {
    match (folder.is_empty(), below.is_empty()) {
        (true, _) => below.to_owned(),
        (_, true) => folder.to_owned(),
        _ => format!("{folder}/{below}"),
    }
}
