//! `pyproject.toml`: dependencies of the standard tables and of Poetry's.

use super::TEST_EXTRAS;
use super::requirement::{name_and_extras, normal};
use std::collections::BTreeSet;
use toml::{Table, Value};

/// How deep groups and extras may include each other.
const DEEPEST: usize = 8;

/// What a project and its tests need. Empty for a text that is no TOML.
pub(super) fn requirements(text: &str) -> Vec<String> {
    let Ok(document) = text.parse::<Table>() else { return Vec::new() };
    let mut wanted = Vec::new();
    if let Some(project) = table(&document, "project") {
        of_project(project, &mut wanted);
    }
    if let Some(groups) = table(&document, "dependency-groups") {
        for name in groups.keys().filter(|name| is_for_tests(name)) {
            of_group(groups, name, DEEPEST, &mut wanted);
        }
    }
    if let Some(poetry) = table(&document, "tool").and_then(|tool| table(tool, "poetry")) {
        of_poetry(poetry, &mut wanted);
    }
    wanted
}

fn is_for_tests(name: &str) -> bool {
    TEST_EXTRAS.contains(&normal(name).as_str())
}

fn table<'a>(table: &'a Table, key: &str) -> Option<&'a Table> {
    table.get(key)?.as_table()
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn of_project(project: &Table, wanted: &mut Vec<String>) {
    wanted.extend(texts(project.get("dependencies")).map(Into::into));
    let Some(extras) = table(project, "optional-dependencies") else { return };
    let own = normal(project.get("name").and_then(Value::as_str).unwrap_or_default());
    let mut due: Vec<String> = extras.keys().filter(|name| is_for_tests(name)).cloned().collect();
    let mut done = BTreeSet::new();
    while let Some(extra) = due.pop() {
        if !done.insert(normal(&extra)) {
            continue;
        }
        let list = extras.iter().find(|(name, _)| normal(name) == normal(&extra)).map(|(_, list)| list);
        for line in texts(list) {
            // `own[extra]` inside an extra is how projects include one in another.
            match name_and_extras(line) {
                (name, included) if name == own => due.extend(included),
                _ => wanted.push(line.to_owned()),
            }
        }
    }
}

/// A dependency group (PEP 735), with the groups it includes.
fn of_group(groups: &Table, name: &str, depth: usize, wanted: &mut Vec<String>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    for entry in groups.get(name).and_then(Value::as_array).into_iter().flatten() {
        match entry {
            Value::String(line) => wanted.push(line.clone()),
            Value::Table(include) => {
                if let Some(name) = include.get("include-group").and_then(Value::as_str) {
                    of_group(groups, name, depth, wanted);
                }
            }
            _ => {}
        }
    }
}

fn of_poetry(poetry: &Table, wanted: &mut Vec<String>) {
    let mut tables: Vec<_> =
        ["dependencies", "dev-dependencies"].iter().filter_map(|name| table(poetry, name)).collect();
    for (name, group) in table(poetry, "group").into_iter().flatten() {
        if is_for_tests(name) {
            tables.extend(group.as_table().and_then(|group| table(group, "dependencies")));
        }
    }
    for (name, value) in tables.into_iter().flatten() {
        if normal(name) != "python" {
            wanted.extend(of_poetry_entry(name, value));
        }
    }
}

fn of_poetry_entry(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::String(version) => Some(format!("{name}{}", specifier(version)?)),
        Value::Table(entry) => {
            if entry.get("optional").and_then(Value::as_bool) == Some(true) {
                return None;
            }
            let version = specifier(entry.get("version")?.as_str()?)?;
            let extras: Vec<_> = texts(entry.get("extras")).collect();
            let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
            let markers = entry.get("markers").and_then(Value::as_str).map(|markers| format!("; {markers}"));
            Some(format!("{name}{extras}{version}{}", markers.unwrap_or_default()))
        }
        _ => None,
    }
}

/// Poetry's version constraint as one of PEP 440; `None` for alternatives (`||`), which have none.
fn specifier(constraint: &str) -> Option<String> {
    if constraint.contains('|') {
        return None;
    }
    let parts = constraint.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "*");
    let parts: Option<Vec<String>> = parts.map(part).collect();
    parts.map(|parts| parts.join(","))
}

fn part(part: &str) -> Option<String> {
    if let Some(version) = part.strip_prefix('^') {
        return range(version.trim(), |numbers| numbers.iter().position(|number| *number != 0));
    }
    match part.strip_prefix('~') {
        Some(rest) if !rest.starts_with('=') => {
            range(rest.trim(), |numbers| Some(usize::from(numbers.len() > 1)))
        }
        _ if part.starts_with(|c: char| c.is_ascii_digit()) => Some(format!("=={part}")),
        _ => Some(part.to_owned()),
    }
}

/// From a version up to the next one at the place that `place` picks; the last one where it picks none.
fn range(version: &str, place: impl Fn(&[u64]) -> Option<usize>) -> Option<String> {
    let numbers: Vec<u64> = version.split('.').map_while(|number| number.parse().ok()).collect();
    let place = place(&numbers).unwrap_or(numbers.len().checked_sub(1)?);
    let mut next = numbers.get(..=place)?.to_vec();
    *next.last_mut()? = next.last()?.checked_add(1)?;
    let next: Vec<_> = next.iter().map(u64::to_string).collect();
    Some(format!(">={version},<{}", next.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn poetrys_constraints_are_translated() {
        // Examples of Poetry's own documentation of dependency specification.
        for (poetry, pep440) in [
            ("^1.2.3", ">=1.2.3,<2"),
            ("^1", ">=1,<2"),
            ("^0.2.3", ">=0.2.3,<0.3"),
            ("^0.0.3", ">=0.0.3,<0.0.4"),
            ("^0.0", ">=0.0,<0.1"),
            ("^0", ">=0,<1"),
            ("~1.2.3", ">=1.2.3,<1.3"),
            ("~1.2", ">=1.2,<1.3"),
            ("~1", ">=1,<2"),
            ("~=1.2", "~=1.2"),
            ("1.*", "==1.*"),
            ("*", ""),
            (">= 1.2, < 1.5", ">= 1.2,< 1.5"),
        ] {
            assert_eq!(specifier(poetry).as_deref(), Some(pep440), "{poetry}");
        }
        assert_eq!(specifier("^1 || ^2"), None);
        assert_eq!(specifier("^"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}", version in "[\\^~=<>0-9.*, ]{0,12}") {
            let _ = requirements(&text);
            let _ = specifier(&version);
        }
    }
}
