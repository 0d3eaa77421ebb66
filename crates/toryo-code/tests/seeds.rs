//! The seeds of the fuzz targets, each run through its target's check.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panic")]

#[path = "../../../fuzz/src/checks.rs"]
mod checks;

use std::path::Path;

/// Runs a check on every seed of a target.
fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut seeds = 0;
    for entry in std::fs::read_dir(&folder).expect("the seeds") {
        check(&std::fs::read(entry.expect("an entry").path()).expect("a seed"));
        seeds += 1;
    }
    assert!(seeds > 1, "{target}");
}

#[test]
fn edit_sets() {
    run("edit_set", checks::edit_set);
}

#[test]
fn locators() {
    run("locator", checks::locator);
}

#[test]
fn diffs() {
    run("diff", checks::diff);
}

#[test]
fn merges() {
    run("merge", checks::merge);
}
