//! Edit sets on files in text: `//- path` headers a file, then what becomes of them.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panic")]

mod awkward;
mod bytes;
mod diffs;
mod hostile;
mod locators;
mod merges;
mod operations;
mod places;
mod properties;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use toryo_code::{Applied, EditSet, Status, apply};
use toryo_domain::RepoPath;

/// The files of a text with `//- path` headers.
fn files(text: &str) -> BTreeMap<RepoPath, Vec<u8>> {
    let file = |part: &str| {
        let (path, content) = part.split_once('\n').expect("a header line");
        (path.trim().parse().expect("a path"), content.as_bytes().to_vec())
    };
    text.split("//- ").skip(1).map(file).collect()
}

/// A text with `//- path` headers of files.
fn text(files: &BTreeMap<RepoPath, Vec<u8>>) -> String {
    let file =
        |(path, content): (&RepoPath, &Vec<u8>)| format!("//- {path}\n{}", String::from_utf8_lossy(content));
    files.iter().map(file).collect()
}

/// Applies edits, given as JSON, to the files of a text.
fn applied(before: &str, edits: &[Value]) -> Applied {
    let set = json!({"edits": edits, "summary": ""}).to_string();
    let set = EditSet::parse(&set).unwrap_or_else(|error| panic!("{error}"));
    apply(&set, &files(before))
}

/// The files after the edits, or the refusals: one line an edit that was refused, with its candidates.
fn outcome(before: &str, edits: &[Value]) -> String {
    let applied = applied(before, edits);
    let Some(changes) = applied.changes else {
        let line = |result: &toryo_code::EditResult| match &result.status {
            Status::Applied => panic!("applied without changes: {}", result.file_path),
            Status::Refused { reason, candidates } => {
                let candidate =
                    |c: &toryo_code::Candidate| format!("\n  {} at {}: {}", c.symbol, c.line, c.text);
                format!("refused: {reason}{}\n", candidates.iter().map(candidate).collect::<String>())
            }
        };
        return applied.results.iter().map(line).collect();
    };
    assert!(applied.results.iter().all(|result| result.status == Status::Applied));
    let mut after = files(before);
    for change in changes {
        assert_eq!(after.get(&change.path), change.before.as_ref());
        match change.after {
            Some(content) => after.insert(change.path, content),
            None => after.remove(&change.path),
        };
    }
    text(&after)
}

/// Applies one edit to one file `a.py`.
fn edit(before: &str, edit_type: &str, locator: Value, patch: impl Into<Value>) -> String {
    let edit = json!({"file_path": "a.py", "edit_type": edit_type, "locator": locator, "patch": patch.into(),
                      "rationale_summary": null});
    let after = outcome(&format!("//- a.py\n{before}"), &[edit]);
    after.strip_prefix("//- a.py\n").map(str::to_owned).unwrap_or(after)
}

/// Applies operations to a symbol of one file `a.py`.
fn operate(before: &str, symbol: &str, operations: Value) -> String {
    edit(before, "ast_patch", json!({"symbol": symbol}), operations)
}

/// A locator by symbol, with a position for insertions.
fn at(symbol: &str, position: &str) -> Value {
    json!({"symbol": symbol, "position": position})
}

/// A locator by lines.
fn lines(first: u32, last: u32) -> Value {
    json!({"line_range": [first, last]})
}
