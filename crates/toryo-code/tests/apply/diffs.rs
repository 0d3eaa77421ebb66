//! Unified diffs as patches.

use crate::{edit, outcome};
use serde_json::json;

fn diff(before: &str, patch: &str) -> String {
    edit(before, "replace", json!({"whole_file": true}), patch)
}

const TEXT: &str = "a\nb\nc\nd\ne\nb\nc\n";

#[test]
fn a_diff_applies_where_its_lines_are() {
    assert_eq!(diff(TEXT, "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"), TEXT.replacen('b', "x", 1));
    let with_headers =
        "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -5,2 +5,3 @@ def f():\n e\n+n\n b\n";
    assert_eq!(diff(TEXT, with_headers), "a\nb\nc\nd\ne\nn\nb\nc\n");
    let wrong_numbers = "@@ -40,2 +41,2 @@\n d\n-e\n+x";
    assert_eq!(diff(TEXT, wrong_numbers), TEXT.replace('e', "x"));
    assert_eq!(diff("", "@@ -0,0 +1,2 @@\n+x = 1\n+y = 1\n"), "x = 1\ny = 1\n");
    assert_eq!(diff("a\n\nb\n", "@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n"), "a\n\nc\n");
}

#[test]
fn line_ends_of_the_file_stay() {
    assert_eq!(diff("a\r\nb\r\nc", "@@ -1,3 +1,4 @@\n a\n-b\n+x\n+y\n c\n"), "a\r\nx\r\ny\r\nc");
    assert_eq!(diff("a\nb", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n"), "a\nc");
    assert_eq!(diff("a\nb", "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n"), "a\nc\n");
    assert_eq!(diff("a\nb\n", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n\\ No newline at end of file\n"), "a\nc");
    assert_eq!(diff("a\nb", "@@ -2 +2,2 @@\n b\n+c\n"), "a\nb\nc");
    assert_eq!(diff("a  \nb\n", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n"), "a  \nc\n");
}

#[test]
fn a_diff_that_does_not_fit_names_the_first_line_that_differs() {
    for (patch, reason) in [
        (
            "@@ -1,3 +1,3 @@\n a\n-x\n+y\n c\n",
            "hunk 1 does not fit: line 2 differs first: expected `x`, found `b`",
        ),
        ("@@ -9,2 +9,2 @@\n b\n-c\n+y\n", "hunk 1 fits at 2 places; add context lines"),
        ("@@ -1,1 +1,1 @@\n a\n", "hunk 1 changes nothing"),
        (
            "@@ -1,1 +1,1 @@\n-a\n*x\n",
            "the diff is malformed: line 3 starts with none of ` `, `-`, `+`, `@@`",
        ),
    ] {
        let refused = diff(TEXT, patch);
        assert!(refused.contains(reason), "{refused}");
        assert!(refused.ends_with("Nothing was applied.\n"), "{refused}");
    }
    let insert =
        edit(TEXT, "insert", json!({"line_range": [1, 1], "position": "after"}), "@@ -1 +1 @@\n-a\n+b\n");
    assert_eq!(insert, "refused: a unified diff belongs to edit_type replace. Nothing was applied.\n");
}

#[test]
fn a_diff_creates_a_file_and_a_file_may_hold_a_diff() {
    let patch = "--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1,2 @@\n+a\n+b\n";
    let edit = |edit_type: &str| json!({"file_path": "new.txt", "edit_type": edit_type, "patch": patch, "locator": {"whole_file": true}});
    assert_eq!(outcome("", &[edit("replace")]), "//- new.txt\na\nb\n");
    assert_eq!(outcome("", &[edit("insert")]), format!("//- new.txt\n{patch}"));
    let fits_nowhere = json!({"file_path": "new.txt", "edit_type": "replace", "patch": "@@ -1 +1 @@\n-a\n+b\n",
                              "locator": {"whole_file": true}});
    assert!(
        outcome("", &[fits_nowhere])
            .contains("line 1 differs first: expected `a`, found `the end of the file`")
    );
}

#[test]
fn hunks_count_lines_as_the_file_was_read() {
    let insert = json!({"file_path": "a.txt", "edit_type": "insert", "patch": "0\n0\n0",
                        "locator": {"line_range": [1, 1], "position": "before"}});
    let patch = "@@ -2,2 +2,2 @@\n-b\n+x\n c\n@@ -6 +6 @@\n-b\n+y\n";
    let diff = json!({"file_path": "a.txt", "edit_type": "replace", "patch": patch, "locator": {"whole_file": true}});
    assert_eq!(
        outcome(&format!("//- a.txt\n{TEXT}"), &[insert, diff]),
        "//- a.txt\n0\n0\n0\na\nx\nc\nd\ne\ny\nc\n"
    );
}
