//! `cargo xtask tidy`: the rules of the workspace that no compiler knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::workspace;

/// Which crate of the workspace may use which. Every one may use the domain (and, in its tests, the test kit).
/// Arrows point downwards only: `docs/ARCHITECTURE.md` draws them.
const ARROWS: &[(&str, &[&str])] = &[
    ("toryo-domain", &[]),
    ("toryo-embedded", &[]),
    ("toryo-telemetry", &[]),
    ("toryo-blackboard", &[]),
    ("toryo-bus", &[]),
    ("toryo-code", &[]),
    ("toryo-forge", &[]),
    ("toryo-sandbox", &[]),
    ("toryo-index", &["toryo-code", "toryo-blackboard"]),
    ("toryo-models", &["toryo-blackboard"]),
    ("toryo-policy", &["toryo-blackboard"]),
    ("toryo-engine", &["toryo-blackboard", "toryo-bus"]),
    (
        "toryo-agents",
        &[
            "toryo-engine",
            "toryo-code",
            "toryo-index",
            "toryo-sandbox",
            "toryo-forge",
            "toryo-models",
            "toryo-policy",
            "toryo-blackboard",
        ],
    ),
    (
        "toryo-api",
        &["toryo-engine", "toryo-blackboard", "toryo-bus", "toryo-forge", "toryo-models", "toryo-policy"],
    ),
    ("toryo-testkit", &["toryo-embedded"]),
    ("xtask", &["toryo-code", "toryo-domain", "toryo-embedded", "toryo-index"]),
];

/// Wires everything, so it may use everything.
const BINARY: &str = "toryo";
/// No arrow for these: any crate may use the first, and any crate's tests the second.
const DOMAIN: &str = "toryo-domain";
const TESTKIT: &str = "toryo-testkit";
/// Crates below the vocabulary: not even the domain.
const WITHOUT_DOMAIN: &[&str] = &["toryo-domain", "toryo-embedded", "xtask"];

/// One TLS provider everywhere: two of them make rustls panic at its first use.
const BANNED: &[&str] = &["aws-lc-sys", "openssl-sys"];
/// Lines of a source file, tests apart, past which a second topic usually hides in it.
const LONG_FILE_LINES: usize = 400;

/// Prints what breaks a rule; status 1 when something does. Warnings do not count.
pub(crate) fn run() -> Result<ExitCode> {
    let uses = uses(&workspace::metadata()?)?;
    let mut broken = arrows(&uses);
    broken.extend(circles(&uses));
    broken.extend(banned_packages()?);
    let mut warnings = Vec::new();
    for folder in ["crates", "xtask"] {
        look_at_files(&workspace::root().join(folder), &mut broken, &mut warnings)?;
    }
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    broken.iter().for_each(|rule| eprintln!("broken: {rule}"));
    println!("tidy: {} broken, {} warnings", broken.len(), warnings.len());
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Each member with what it uses of the others; the flag says "in tests only".
type Uses = BTreeMap<String, BTreeSet<(String, bool)>>;

fn uses(metadata: &Value) -> Result<Uses> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let name = |value: &Value| value["name"].as_str().map(str::to_owned);
    let members: BTreeSet<String> = packages.iter().filter_map(name).collect();
    let mut uses = Uses::new();
    for package in packages {
        let used = uses.entry(name(package).context("a package without a name")?).or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if let Some(found) = name(dependency).filter(|found| members.contains(found)) {
                used.insert((found, dependency["kind"] == "dev"));
            }
        }
    }
    Ok(uses)
}

fn arrows(uses: &Uses) -> Vec<String> {
    let mut broken = Vec::new();
    for (member, used) in uses.iter().filter(|(member, _)| *member != BINARY) {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == member) else {
            broken.push(format!("{member} has no place in the crate map (xtask/src/tidy.rs)"));
            continue;
        };
        for (target, in_tests) in used {
            let domain = target == DOMAIN && !WITHOUT_DOMAIN.contains(&member.as_str());
            let testkit = target == TESTKIT && *in_tests;
            if !domain && !testkit && !allowed.contains(&target.as_str()) {
                broken.push(format!("{member} may not use {target}"));
            }
        }
    }
    broken
}

/// Members that reach themselves, tests included: cargo allows those, readers get lost in them.
fn circles(uses: &Uses) -> Vec<String> {
    let reaches_itself = |start: &String| {
        let mut open: Vec<&String> = uses[start].iter().map(|(target, _)| target).collect();
        let mut seen = BTreeSet::new();
        while let Some(next) = open.pop() {
            if next == start {
                return true;
            }
            if seen.insert(next) {
                open.extend(uses.get(next).into_iter().flatten().map(|(target, _)| target));
            }
        }
        false
    };
    uses.keys()
        .filter(|start| reaches_itself(start))
        .map(|start| format!("{start} uses itself in a circle"))
        .collect()
}

fn banned_packages() -> Result<Vec<String>> {
    let arguments = ["tree", "--workspace", "--target", "all", "--edges", "normal,build,dev"];
    let format = ["--prefix", "none", "--format", "{p}"];
    let tree = workspace::output_of(workspace::cargo(&[&arguments[..], &format].concat()))?;
    let present: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let found = BANNED.iter().filter(|name| present.contains(**name));
    Ok(found.map(|name| format!("{name} is in the tree; `cargo tree -i {name}` says why")).collect())
}

fn look_at_files(folder: &Path, broken: &mut Vec<String>, warnings: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            look_at_files(&path, broken, warnings)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let root = workspace::root();
            let shown = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
            look_at(&shown, &text, broken, warnings);
        }
    }
    Ok(())
}

fn look_at(path: &str, text: &str, broken: &mut Vec<String>, warnings: &mut Vec<String>) {
    if path.ends_with("/mod.rs") {
        broken.push(format!("{path}: a module `foo` is `foo.rs` beside `foo/`"));
    }
    if !text.starts_with("//!") {
        broken.push(format!("{path}: the file does not begin with what it is about (`//!`)"));
    }
    let code = text.split_once("\n#[cfg(test)]\nmod tests {").map_or(text, |(code, _)| code);
    let lines = code.lines().count();
    if lines > LONG_FILE_LINES && !path.contains("/tests/") {
        warnings.push(format!("{path}: {lines} lines without its tests; is there a second topic in it?"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(list: &[(&str, &[(&str, bool)])]) -> Uses {
        list.iter()
            .map(|(name, used)| {
                let used = used.iter().map(|(target, in_tests)| ((*target).to_owned(), *in_tests));
                ((*name).to_owned(), used.collect())
            })
            .collect()
    }

    #[test]
    fn arrows_upwards_and_unknown_crates_are_broken_rules() {
        let uses = members(&[
            ("toryo-engine", &[("toryo-domain", false), ("toryo-bus", false), ("toryo-testkit", true)]),
            ("toryo-bus", &[("toryo-engine", false), ("toryo-testkit", false)]),
            ("toryo-embedded", &[("toryo-domain", false)]),
            ("toryo-drawer", &[]),
            ("toryo", &[("toryo-embedded", false)]),
        ]);
        assert_eq!(
            arrows(&uses),
            [
                "toryo-bus may not use toryo-engine",
                "toryo-bus may not use toryo-testkit",
                "toryo-drawer has no place in the crate map (xtask/src/tidy.rs)",
                "toryo-embedded may not use toryo-domain",
            ]
        );
    }

    #[test]
    fn circles_count_tests_too() {
        let uses = members(&[("a", &[("b", false)]), ("b", &[("a", true)]), ("c", &[("a", false)])]);
        assert_eq!(circles(&uses), ["a uses itself in a circle", "b uses itself in a circle"]);
    }

    #[test]
    fn the_crate_map_itself_points_downwards_only() {
        let map: Uses = ARROWS
            .iter()
            .map(|(name, used)| {
                ((*name).to_owned(), used.iter().map(|target| ((*target).to_owned(), false)).collect())
            })
            .collect();
        assert_eq!(circles(&map), Vec::<String>::new());
    }

    #[test]
    fn files_are_looked_at_without_their_tests() {
        let (mut broken, mut warnings) = (Vec::new(), Vec::new());
        let tests = format!("//! Short.\n#[cfg(test)]\nmod tests {{\n{}}}", "\n".repeat(500));
        look_at("crates/a/src/short.rs", &tests, &mut broken, &mut warnings);
        assert!(broken.is_empty() && warnings.is_empty(), "{broken:?} {warnings:?}");
        look_at("crates/a/src/b/mod.rs", &"x\n".repeat(401), &mut broken, &mut warnings);
        assert_eq!((broken.len(), warnings.len()), (2, 1));
    }
}
