//! Go: a package is a folder; its path begins with the module's name in `go.mod`.

use super::{Meant, Places};
use crate::manifest::ManifestKind;

/// The files of the package that an import path means, without its tests.
pub(super) fn resolve(places: &Places<'_>, module: &str) -> Meant {
    let inside = |name: &str| {
        let rest = module.strip_prefix(name)?;
        if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
    };
    // The longest module name wins, as it does for Go.
    let named = places.workspaces.of_kind(ManifestKind::Go).filter(|one| !one.name.is_empty());
    let found = named.filter_map(|one| Some((one.name.len(), &*one.folder, inside(&one.name)?)));
    let Some((_, folder, rest)) = found.max_by_key(|(length, ..)| *length) else { return Meant::default() };
    let folder = [folder, rest].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    let files = places.folders.get(folder.as_str()).map_or(&[][..], Vec::as_slice).iter().copied();
    let files = files.filter(|file| !places.path(*file).as_str().ends_with("_test.go")).collect();
    Meant { files, item: false }
}
