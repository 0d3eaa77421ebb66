//! What holds for every language, on every file below `tests/fixtures/NAME/`: a new folder is covered by being
//! there.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panic")]

mod edits;
mod outlines;

use std::path::Path;
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
