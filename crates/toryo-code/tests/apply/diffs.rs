//! Unified diffs as patches.

use crate::{edit, outcome};
use nix::time::{ClockId, clock_gettime};
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
        assert!(refused.contains("Nothing was applied.\n"), "{refused}");
    }
    let ambiguous =
        diff("def f():\n    return 1\n\n\ndef g():\n    return 1\n", "@@ @@\n-    return 1\n+    return 2\n");
    assert_eq!(
        ambiguous,
        "refused: hunk 1 fits at 2 places; add context lines. Nothing was applied.\n  f at 2: return 1\n  g at 6: return 1\n"
    );
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

const INDENTED: &str =
    "class A:\n    def f(self):\n        a = 1\n\n        return a\n\n    def g(self):\n        a = “1”\n";

#[test]
fn a_quotation_at_another_indentation_shifts_what_it_adds() {
    let after = INDENTED.replace("return a\n", "if a:\n            return a\n        return 0\n");
    let patch = "@@ -1,4 +1,5 @@\n def f(self):\n     a = 1\n \n-    return a\n+    if a:\n+        return a\n+    return 0\n";
    assert_eq!(diff(INDENTED, patch), after);
    let deeper = "@@ @@\n             a = 1\n \n-            return a\n+            if a:\n+                return a\n+            return 0\n";
    assert_eq!(diff(INDENTED, deeper), after);
    assert_eq!(diff(&INDENTED.replace("    ", "\t"), patch), after.replace("    ", "\t"));
    let tabs =
        "@@ -1,4 +1,5 @@\n def f(self):\n \ta = 1\n \n-\treturn a\n+\tif a:\n+\t\treturn a\n+\treturn 0\n";
    assert_eq!(diff(INDENTED, tabs), after);
    let uneven = "@@ -1,4 +1,5 @@\n def f(self):\n         a = 1\n \n-    return a\n+    return 0\n";
    let refused = diff(INDENTED, uneven);
    assert!(
        refused.contains("line 3 differs first: expected `        a = 1`, found `        a = 1`"),
        "{refused}"
    );
    let too_far = "@@ @@\n             a = 1\n \n-            return a\n+return 0\n";
    assert!(diff(INDENTED, too_far).contains("its added lines cannot be moved"));
}

#[test]
fn look_alikes_are_found_and_what_is_added_stays_as_written() {
    let patch = "@@ -7,2 +7,2 @@\n def g(self):\n-    a = \"1\"\n+    a = \"2\"\n";
    assert_eq!(diff(INDENTED, patch), INDENTED.replace("“1”", "\"2\""));
    let spaces = "@@ @@\n-\u{a0}\u{a0}\u{a0}\u{a0}\u{a0}\u{a0}\u{a0}\u{a0}return a\n+        return 0\n";
    assert_eq!(diff(INDENTED, spaces), INDENTED.replace("return a", "return 0"));
    // Letters of other scripts are themselves.
    assert!(diff("a = 1\n", "@@ @@\n-а = 1\n+a = 2\n").contains("does not fit"));
}

#[test]
fn numbers_of_a_header_are_hints() {
    assert_eq!(diff(TEXT, "@@\n d\n-e\n+x\n"), TEXT.replace('e', "x"));
    assert_eq!(
        diff(TEXT, "@@ class A: @@\n d\n-e\n+x\n@@ def f():\n+y\n b\n c\n"),
        "a\nb\nc\nd\nx\ny\nb\nc\n"
    );
    let refused = diff(TEXT, "@@ -3,0 +4,1 @@\n+x\n");
    assert!(
        refused.contains("hunk 1 has no context; give lines of the file above or below what it adds"),
        "{refused}"
    );
    // Ruby's class variables are no hunks.
    assert_eq!(
        diff_of_text("a\n", "@@b = 1\n"),
        "refused: an existing file is never replaced as a whole; change the parts that differ by symbol or line_range. Nothing was applied.\n"
    );
}

#[test]
fn lines_that_look_like_headers_are_lines() {
    assert_eq!(diff("-- a\nb\n", "@@ -1,2 +1,2 @@\n--- a\n+++ x\n b\n"), "++ x\nb\n");
    for second in ["--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-b\n+c\n", "diff --git a/b.py b/b.py\n"] {
        let refused = diff(TEXT, &format!("@@ -1 +1 @@\n-a\n+x\n{second}"));
        assert!(refused.contains("it changes several files; make one edit of each"), "{refused}");
    }
}

#[test]
fn a_long_quotation_is_searched_for_quickly() {
    // Each of these took the product of both lengths line by line.
    let text = "    a\n".repeat(100_000);
    for (old, reason) in [("a", "fits at 100 places"), ("    a", "fits at"), ("b", "does not fit")] {
        let started = cpu_seconds();
        let patch = format!("@@ @@\n{} {old}\n+c\n", " a\n".repeat(10_000));
        let refused = diff_of_text(&text, &patch);
        assert!(refused.contains(reason), "{}", &refused[..200.min(refused.len())]);
        let spent = cpu_seconds() - started;
        assert!(spent < 30, "{spent} s");
    }
}

/// Processor time of this thread: a busy machine is no fault of ours.
fn cpu_seconds() -> i64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock").tv_sec()
}

/// A diff of a file without a language.
fn diff_of_text(before: &str, patch: &str) -> String {
    let edit = json!({"file_path": "a.txt", "edit_type": "replace", "patch": patch, "locator": {"whole_file": true}});
    outcome(&format!("//- a.txt\n{before}"), &[edit])
}
