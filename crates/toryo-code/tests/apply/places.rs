//! Insertions, replacements and deletions at their places: indentation, blank lines, neighbours.

use crate::{at, edit, lines, outcome};
use serde_json::{Value, json};

const CLASS: &str = "import os\n\n\nclass A:\n    \"\"\"Doc.\"\"\"\n\n    x = 1\n\n    def f(self):\n        return 1\n\n    # about g\n    @deco\n    def g(self):\n        return 2\n\n\n# about h\ndef h():\n    pass\n";

/// What differs after an edit, as `git diff` without context, to read a test at a glance.
fn change(edit_type: &str, locator: Value, patch: &str) -> String {
    let after = edit(CLASS, edit_type, locator, patch);
    if after.starts_with("refused") {
        return after;
    }
    let path = "a.py".parse().expect("a path");
    let diff = toryo_code::diff::unified(&path, Some(CLASS.as_bytes()), Some(after.as_bytes()));
    diff.lines().skip(4).filter(|line| line.starts_with(['+', '-'])).map(|line| format!("{line}\n")).collect()
}

#[test]
fn siblings_keep_the_distance_of_their_neighbours() {
    let method = "def new(self):\n    pass";
    assert_eq!(change("insert", at("A.f", "after"), method), "+    def new(self):\n+        pass\n+\n");
    assert_eq!(change("insert", at("A.f", "before"), method), "+    def new(self):\n+        pass\n+\n");
    assert_eq!(change("insert", at("A.g", "after"), method), "+    def new(self):\n+        pass\n+\n");
    assert_eq!(change("insert", at("A.x", "after"), "y = 2\n"), "+    y = 2\n");
    assert_eq!(change("insert", at("A.x", "before"), "y = 2\n"), "+    y = 2\n");
    assert_eq!(
        change("insert", at("h", "before"), "def new():\n    pass\n"),
        "+def new():\n+    pass\n+\n+\n"
    );
    assert_eq!(
        change("insert", at("h", "after"), "def new():\n    pass\n"),
        "+\n+\n+def new():\n+    pass\n"
    );
    assert_eq!(change("insert", at("A", "after"), "X = 1\n"), "+X = 1\n+\n+\n");
}

#[test]
fn an_insertion_above_stands_above_the_comments_of_its_neighbour() {
    let after = edit(CLASS, "insert", at("A.g", "before"), "def new(self): ...");
    assert!(after.contains("    def new(self): ...\n\n    # about g\n    @deco\n"), "{after}");
}

#[test]
fn bodies_take_text_at_both_ends() {
    assert_eq!(change("insert", at("A.f", "body_start"), "log()"), "+        log()\n");
    assert_eq!(change("insert", at("A.f", "body_end"), "log()"), "+        log()\n");
    assert_eq!(change("insert", at("A", "body_start"), "y = 2"), "+    y = 2\n");
    let end = edit(CLASS, "insert", at("A", "body_end"), "def new(self):\n    pass");
    assert!(end.contains("        return 2\n\n    def new(self):\n        pass\n\n\n# about h\n"), "{end}");
    assert_eq!(
        edit("def f(): return 1\n", "insert", at("f", "body_start"), "log()"),
        "def f():\n    log()\n    return 1\n"
    );
    assert_eq!(
        edit("def f(): return 1", "insert", at("f", "body_end"), "log()"),
        "def f():\n    return 1\n    log()"
    );
    assert_eq!(
        edit("class A: pass\n", "insert", at("A", "body_end"), "x = 1"),
        "class A:\n    pass\n    x = 1\n"
    );
    let doc = "def f():\n    \"\"\"Doc.\"\"\"\n";
    assert_eq!(edit(doc, "insert", at("f", "body_start"), "g()"), format!("{doc}    g()\n"));
    assert_eq!(
        edit("x = 1\n", "insert", at("x", "body_end"), "g()"),
        "refused: the symbol has no body. Nothing was applied.\n"
    );
    assert_eq!(
        edit("x = 1\n", "insert", json!({"symbol": "x"}), "g()"),
        "refused: an insert needs a position: before, after, body_start or body_end. Nothing was applied.\n"
    );
}

#[test]
fn a_replaced_definition_is_fitted_to_its_place() {
    let new = "+    def f(self, a):\n+        return a\n";
    let old = "-    def f(self):\n-        return 1\n";
    for text in [
        "def f(self, a):\n    return a\n",
        "    def f(self, a):\n        return a",
        "def f(self, a):\n        return a",
        "\n\tdef f(self, a):\n\t\treturn a\n\n",
    ] {
        assert_eq!(change("replace", json!({"symbol": "A.f"}), text), format!("{old}{new}"), "{text:?}");
    }
    let after = edit(CLASS, "replace", json!({"symbol": "A.g"}), "def g(self):\n    return 3");
    assert!(after.contains("    # about g\n    def g(self):\n        return 3\n\n\n# about h"), "{after}");
    assert_eq!(edit("X = 1  # one\n", "replace", json!({"symbol": "X"}), "X = 2"), "X = 2  # one\n");
    assert_eq!(edit("a = 1; b = 2\n", "replace", json!({"symbol": "a"}), "a = 3"), "a = 3; b = 2\n");
}

#[test]
fn a_deletion_leaves_comments_and_blank_lines_above() {
    assert_eq!(change("delete", json!({"symbol": "A.f"}), ""), "-    def f(self):\n-        return 1\n-\n");
    let without_g = edit(CLASS, "delete", json!({"symbol": "A.g"}), "");
    assert!(without_g.contains("        return 1\n\n    # about g\n\n\n# about h\n"), "{without_g}");
    assert!(edit(CLASS, "delete", json!({"symbol": "h"}), "").ends_with("        return 2\n\n\n# about h\n"));
    let block = "if a:\n    def f():\n        pass\nx = 1\n";
    assert_eq!(edit(block, "delete", json!({"symbol": "f"}), ""), "if a:\n    pass\nx = 1\n");
    assert_eq!(
        edit("class A:\n    x = 1\n    # end\n", "delete", json!({"symbol": "A.x"}), ""),
        "class A:\n    pass\n    # end\n"
    );
    assert_eq!(edit("a = 1; b = 2; c = 3\n", "delete", json!({"symbol": "b"}), ""), "a = 1; c = 3\n");
    assert_eq!(edit("a = 1; b = 2\n", "delete", json!({"symbol": "b"}), ""), "a = 1\n");
    assert_eq!(edit("if a: b = 1\n", "delete", json!({"symbol": "b"}), ""), "if a: pass\n");
    assert_eq!(
        edit("a, b = 1, 2\n", "delete", json!({"symbol": "a"}), ""),
        "refused: `a` is assigned in one statement with `b`; edit it by line_range. Nothing was applied.\n"
    );
}

#[test]
fn a_comment_of_the_next_line_is_not_part_of_a_function() {
    let text = "class A:\n    def f(self):\n        return 1\n    # of the class\n\n    def g(self):\n        return 2\n# last\n";
    let after = edit(text, "replace", json!({"symbol": "A.f"}), "def f(self):\n    return 3");
    assert_eq!(after, text.replace("return 1", "return 3"));
    let after = edit(text, "delete", json!({"symbol": "A.g"}), "");
    assert_eq!(after, "class A:\n    def f(self):\n        return 1\n    # of the class\n\n# last\n");
}

#[test]
fn lines_take_text_as_it_is_or_at_their_indentation() {
    let text = "def f(a):\n    if a:\n        return 1\n    return 2\n";
    let after = text.replace("return 1", "return 3");
    for patch in ["        return 3\n", "return 3", "return 3\n"] {
        assert_eq!(edit(text, "replace", lines(3, 3), patch), after, "{patch:?}");
    }
    assert_eq!(edit(text, "replace", lines(2, 4), "    return a\n"), "def f(a):\n    return a\n");
    let below = json!({"line_range": [2, 2], "position": "after"});
    assert_eq!(edit(text, "insert", below, "log()"), text.replace("if a:\n", "if a:\n        log()\n"));
    let above = json!({"line_range": [4, 4], "position": "before"});
    assert_eq!(edit(text, "insert", above, "log()"), text.replace("    return 2", "    log()\n    return 2"));
    assert_eq!(edit(text, "delete", lines(2, 3), ""), "def f(a):\n    return 2\n");
    let end = json!({"line_range": [4, 4], "position": "after"});
    assert_eq!(
        edit(text, "insert", end, "\n\ndef g():\n    pass\n"),
        format!("{text}\n\ndef g():\n    pass\n")
    );
}

#[test]
fn a_method_without_indentation_finds_its_class() {
    let text = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n";
    let below = json!({"line_range": [3, 3], "position": "after"});
    let after = edit(text, "insert", below, "\ndef new(self):\n    pass\n");
    assert_eq!(after, text.replace("return 1\n", "return 1\n\n    def new(self):\n        pass\n"));
}

#[test]
fn edits_of_one_file_apply_in_order_and_lines_count_as_they_were_read() {
    let insert = |line: u32, text: &str| {
        json!({"file_path": "a.txt", "edit_type": "insert", "patch": text,
               "locator": {"line_range": [line, line], "position": "after"}})
    };
    let replace = |first: u32, last: u32, text: &str| json!({"file_path": "a.txt", "edit_type": "replace", "patch": text, "locator": {"line_range": [first, last]}});
    let before = "//- a.txt\n1\n2\n3\n4\n";
    let edits =
        [insert(1, "a\nb"), insert(1, "c"), replace(3, 3, "x\ny"), replace(2, 2, ""), insert(4, "end")];
    assert_eq!(outcome(before, &edits[..3]), "//- a.txt\n1\na\nb\nc\n2\nx\ny\n4\n");
    assert_eq!(outcome(before, &[edits[4].clone(), edits[0].clone()]), "//- a.txt\n1\na\nb\n2\n3\n4\nend\n");
    let touched = outcome(before, &[edits[2].clone(), replace(2, 3, "z")]);
    assert_eq!(
        touched,
        "refused: this edit would apply, but another edit of the set was refused. Nothing was applied.\n\
         refused: an earlier edit of this set changed lines 2 to 3; make one edit of both. Nothing was applied.\n"
    );
}

#[test]
fn files_are_created_and_deleted_and_never_replaced() {
    let whole = |edit_type: &str, path: &str, text: &str| json!({"file_path": path, "edit_type": edit_type, "patch": text, "locator": {"whole_file": true}});
    let before = "//- a.py\nx = 1\n//- b.py\n";
    assert_eq!(
        outcome(before, &[whole("insert", "c.py", "y = 1\n")]),
        "//- a.py\nx = 1\n//- b.py\n//- c.py\ny = 1\n"
    );
    assert_eq!(outcome(before, &[whole("insert", "b.py", "y = 1\n")]), "//- a.py\nx = 1\n//- b.py\ny = 1\n");
    assert_eq!(outcome(before, &[whole("delete", "a.py", "")]), "//- b.py\n");
    for (edit, reason) in [
        (whole("insert", "a.py", "y"), "the file exists already; change it by symbol or line_range"),
        (
            whole("replace", "a.py", "y"),
            "an existing file is never replaced as a whole; change the parts that differ by symbol or line_range",
        ),
        (whole("delete", "no.py", ""), "the file does not exist; to create it, insert with `whole_file`"),
        (
            whole("insert", "c.py", "def"),
            "the changed file would have a syntax error at line 1, column 1: unexpected text",
        ),
    ] {
        assert_eq!(outcome(before, &[edit]), format!("refused: {reason}. Nothing was applied.\n"));
    }
}

#[test]
fn only_new_syntax_errors_refuse() {
    let faulty = "def f(:\n    pass\n\n\ndef g():\n    return 1\n";
    let after = edit(faulty, "replace", lines(6, 6), "    return 2");
    assert_eq!(after, faulty.replace("return 1", "return 2"));
    let refused = edit(faulty, "replace", lines(6, 6), "    return (");
    assert!(refused.starts_with("refused: the changed file would have a syntax error"), "{refused}");
    let python_2 = "print 'a'\n\n\ndef f():\n    pass\n";
    assert_eq!(
        edit(python_2, "replace", lines(5, 5), "    print 'b'"),
        python_2.replace("pass", "print 'b'")
    );
}

#[test]
fn lines_that_go_on_take_nothing_between_them() {
    let text = "assert a, \\\n\"b\"\nx = 1\n";
    let after = |line: u32, patch: &str| {
        edit(text, "insert", json!({"line_range": [line, line], "position": "after"}), patch)
    };
    assert!(after(1, "log()\n").contains("goes on below"), "{}", after(1, "log()\n"));
    assert_eq!(after(2, "log()\n"), "assert a, \\\n\"b\"\nlog()\nx = 1\n");
    let before = edit(text, "insert", json!({"line_range": [2, 2], "position": "before"}), "log()\n");
    assert!(before.contains("goes on below"), "{before}");
    assert_eq!(after(1, "b + \\\n"), "assert a, \\\nb + \\\n\"b\"\nx = 1\n");
    // In a string a backslash is content.
    let doc = "def f():\n    \"\"\"\\\n    Says.\n    \"\"\"\n";
    let inside = edit(doc, "insert", json!({"line_range": [2, 2], "position": "after"}), "    More.\n");
    assert_eq!(inside, "def f():\n    \"\"\"\\\n    More.\n    Says.\n    \"\"\"\n");
}
