//! Java: a class is a file below its package's folders, wherever the source folder is.

use super::{Meant, Places};

/// What `a.b.C`, `a.b.C.member` or, for all classes of a package, `a.b` means.
pub(super) fn resolve(places: &Places<'_>, module: &str) -> Meant {
    let module = module.trim_end_matches(".*");
    if let Some(file) = class(places, module) {
        return Meant::file(file);
    }
    let member = module.rsplit_once('.').and_then(|(class_name, _)| class(places, class_name));
    if let Some(file) = member {
        return Meant { files: vec![file], item: true };
    }
    let folder = module.replace('.', "/");
    let fits = |path: &str| {
        path.strip_suffix(folder.as_str()).is_some_and(|above| above.is_empty() || above.ends_with('/'))
    };
    let mut folders: Vec<(&str, &Vec<u32>)> =
        places.folders.iter().filter(|(path, _)| fits(path)).map(|(path, files)| (*path, files)).collect();
    folders.sort_unstable();
    let files = folders.first().map_or(&[][..], |(_, files)| files).iter().copied();
    // Tests share the package of what they test, and nobody imports them.
    let files = files.filter(|file| !places.path(*file).as_str().contains("/test/")).collect();
    Meant { files, item: false }
}

/// The file of a class; of several source folders the one nearest to the root, of equals the first.
fn class(places: &Places<'_>, dotted: &str) -> Option<u32> {
    let name = dotted.rsplit('.').next()?;
    let tail = format!("{}.java", dotted.replace('.', "/"));
    let fits = |file: &u32| {
        let above = places.path(*file).as_str().strip_suffix(tail.as_str());
        above.is_some_and(|above| above.is_empty() || above.ends_with('/'))
    };
    let files = places.classes.get(name)?.iter().copied().filter(fits);
    files.min_by_key(|file| (places.path(*file).as_str().len(), *file))
}
