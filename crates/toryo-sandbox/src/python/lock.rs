//! Lock files, read as bounds on versions.

use super::requirement::{is_plain, normal};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// `poetry.lock`: packages without a source come from the index.
pub(super) fn of_poetry(text: &str) -> Vec<String> {
    pins(text, |package| package.get("source").is_none())
}

/// `uv.lock`: every package has a source; only those of a registry can be bound by a version.
pub(super) fn of_uv(text: &str) -> Vec<String> {
    pins(text, |package| {
        package.get("source").and_then(Value::as_table).is_some_and(|source| source.contains_key("registry"))
    })
}

/// `name==version` of each package that stands in the file once; several versions are for several platforms.
fn pins(text: &str, from_index: impl Fn(&Table) -> bool) -> Vec<String> {
    let Ok(document) = text.parse::<Table>() else { return Vec::new() };
    let packages = document.get("package").and_then(Value::as_array).into_iter().flatten();
    let mut versions: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for package in packages.filter_map(Value::as_table).filter(|package| from_index(package)) {
        let text = |key| package.get(key).and_then(Value::as_str);
        if let (Some(name), Some(version)) = (text("name"), text("version")) {
            versions.entry(normal(name)).or_default().push(version);
        }
    }
    let once = versions.into_iter().filter_map(|(name, versions)| match versions[..] {
        [version] => Some(format!("{name}=={version}")),
        _ => None,
    });
    once.filter(|line| is_plain(line)).collect()
}
