//! What holds for every language, on every file below `tests/fixtures/NAME/`: a new folder is covered by being
//! there.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panic")]

mod edits;
mod laws;
mod operations;
mod outlines;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use toryo_code::{EditSet, Status, apply};
use toryo_domain::RepoPath;

/// A file of a fixture folder, by its path below `tests/fixtures/`.
struct Fixture {
    path: RepoPath,
    text: String,
}

/// Every fixture, in the order of their paths.
fn fixtures() -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folders =
        std::fs::read_dir(&root).expect("the fixtures").map(|entry| entry.expect("an entry").path());
    let files = folders.filter(|folder| folder.is_dir()).flat_map(|folder| {
        let files = std::fs::read_dir(folder).expect("a folder of fixtures");
        files.map(|entry| entry.expect("an entry").path())
    });
    let fixture = |file: std::path::PathBuf| Fixture {
        path: file.strip_prefix(&root).expect("below").to_str().expect("UTF-8").parse().expect("a path"),
        text: std::fs::read_to_string(&file).expect("a text"),
    };
    let mut fixtures: Vec<Fixture> = files.map(fixture).collect();
    fixtures.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!fixtures.is_empty());
    fixtures
}

/// The text of a file after an edit, or `refused:` and why.
fn change(path: &str, before: &str, edit_type: &str, locator: Value, patch: Value) -> String {
    let edit = json!({"file_path": path, "edit_type": edit_type, "locator": locator, "patch": patch});
    let set = EditSet::parse(&json!({"edits": [edit], "summary": ""}).to_string()).expect("an edit set");
    let path: RepoPath = path.parse().expect("a path");
    let applied = apply(&set, &BTreeMap::from([(path, before.as_bytes().to_vec())]));
    let Some(changes) = applied.changes else {
        let Some(Status::Refused { reason, .. }) = applied.results.first().map(|result| &result.status)
        else {
            panic!("neither changed nor refused");
        };
        return format!("refused: {reason}");
    };
    let after = changes.first().map_or(before.as_bytes(), |change| change.after.as_deref().expect("a file"));
    String::from_utf8(after.to_vec()).expect("UTF-8")
}
