//! Hostile edits end in a refusal.

use crate::{edit, operate, outcome};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

#[test]
fn paths_outside_the_repository_are_refused() {
    for path in ["../a.py", "/etc/passwd", "a/../../b", ".git/config", "a\0b", "", "C:\\x", "a//b", "\u{7f}"]
    {
        for edit_type in ["insert", "delete"] {
            let edit = json!({"file_path": path, "edit_type": edit_type, "patch": "x", "locator": {"whole_file": true}});
            let outcome = outcome("//- a.py\n", &[edit]);
            assert!(outcome.starts_with("refused: "), "{path:?}: {outcome}");
        }
    }
}

#[test]
fn large_patches_sets_and_files_are_refused() {
    let whole = |text: String| edit("", "insert", json!({"whole_file": true}), text);
    assert!(
        whole("#".repeat(201 * 1024)).starts_with("refused: the patch is too large: 205824, at most 204800")
    );
    let text = format!("//- a.py\n{}", "#\n".repeat(3 * 1024 * 1024));
    let delete = |locator: Value| json!({"file_path": "a.py", "edit_type": "delete", "locator": locator, "patch": null});
    let refused = outcome(&text, &[delete(json!({"line_range": [1, 1]}))]);
    assert!(refused.starts_with("refused: the file is too large: 6291456, at most 5242880"), "{refused}");
    assert_eq!(outcome(&text, &[delete(json!({"whole_file": true}))]), "");
    let many = vec![delete(json!({"line_range": [1, 1]})); 501];
    assert!(outcome("//- a.py\nx\n", &many).contains("the edit set is too large: 501, at most 500"));
}

/// Runs a check in a bounded processor time: far above what it takes, far below what a quadratic walk would.
fn bounded(check: impl FnOnce()) {
    let clock = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock");
    let started = clock();
    check();
    assert!((clock() - started).tv_sec() < 120, "{}", clock() - started);
}

#[test]
fn deep_nesting_is_refused_and_quickly() {
    bounded(|| {
        for (open, middle, close) in [
            ("(", "x", ")"),
            ("[", "", "]"),
            ("{", "", "}"),
            ("not ", "x", ""),
            ("f(", "", ")"),
            ("lambda: ", "x", ""),
            ("-", "x", ""),
            ("a.b[", "0", "]"),
            ("x if y else ", "z", ""),
            ("f'{", "x", "}'"),
            ("(", "", ""),
            ("f'{", "", ""),
        ] {
            let deep = format!("x = {}{middle}{}\n", open.repeat(10_000), close.repeat(10_000));
            let refused = edit("x = 1\n", "replace", json!({"symbol": "x"}), deep);
            assert!(
                refused.starts_with("refused: "),
                "{open}: {}",
                refused.chars().take(200).collect::<String>()
            );
        }
    });
}

#[test]
fn stairs_are_refused_and_quickly() {
    bounded(|| {
        let stairs: String = (0..1_000).map(|depth| format!("{}if a:\n", " ".repeat(depth % 190))).collect();
        assert!(edit("", "insert", json!({"whole_file": true}), stairs).starts_with("refused: "));
        let stairs: String = (0..400).map(|depth| format!("{}if a:\n", " ".repeat(depth))).collect();
        assert!(edit("", "insert", json!({"whole_file": true}), stairs).contains("nested deeper"));
    });
}

#[test]
fn patches_nearly_as_large_as_they_may_be_are_read_quickly() {
    bounded(|| {
        // Nearly as large as a patch may be: each of these once took minutes.
        for unit in ["#\n", "\\\n", "x=1;", "(", "lambda:", "if a:\n", "@a\n"] {
            let patch = unit.repeat(190_000 / unit.len());
            let outcome =
                edit("def f():\n    pass\n", "insert", json!({"symbol": "f", "position": "after"}), patch);
            assert_eq!(outcome.starts_with("refused"), unit != "x=1;", "{unit}");
        }
    });
}

#[test]
fn a_rename_of_very_many_uses_is_refused_and_quickly() {
    bounded(|| {
        let uses = format!("x = 1\n{}", "x\n".repeat(60_000));
        assert!(operate(&uses, "x", json!([{"op": "rename", "to": "y"}])).contains("too many places"));
    });
}

#[test]
fn awkward_texts_are_refused_or_applied_and_never_panic() {
    let awkward = [
        "",
        " ",
        "\n",
        "\r",
        "\r\n\r\n",
        "\t",
        "\0",
        "\u{feff}",
        "é",
        "\\",
        "\"\"\"",
        "'''\n",
        "#",
        "@",
        "@@ -1 +1 @@",
        "@@ -1 +1 @@\n",
        "@@ -99999999999 +1 @@\n-x\n",
        "@@ -0 +0 @@\n+x",
        "def",
        "def f(",
        "class",
        ":",
        "\x0c",
        "```",
        "from",
        "import",
        "import a,",
        "lambda:",
        "if x:\n",
        "  x\n y\n",
        "\u{2028}",
        "f'{'",
        "𝕏 = 1",
    ];
    let before =
        "@d\ndef f(a):\n    'é'\n    return a\n\n\nclass C:\n    x = 1\n\n    def m(self): return self.x\n";
    let locators = [
        json!({"symbol": "f", "position": "body_start"}),
        json!({"symbol": "C.m", "position": "body_end"}),
        json!({"symbol": "C.x", "position": "after"}),
        json!({"symbol": "C", "position": "before"}),
        json!({"line_range": [2, 3], "position": "after"}),
        json!({"ast_query": "(return_statement (identifier) @target)", "position": "before"}),
    ];
    for text in awkward {
        for locator in &locators {
            for edit_type in ["insert", "replace", "delete"] {
                assert!(!edit(before, edit_type, locator.clone(), text).is_empty());
            }
        }
        for symbol in ["f", "C.m", "C.x", "C", text] {
            for operation in [
                json!({"op": "replace_body", "text": text}),
                json!({"op": "set_signature", "text": text}),
                json!({"op": "add_decorator", "text": text}),
                json!({"op": "remove_decorator", "name": text}),
                json!({"op": "add_import", "text": text}),
                json!({"op": "rename", "to": text}),
                json!({"op": "wrap", "before": text, "after": text}),
                json!({"op": "set_docstring", "text": text}),
            ] {
                assert!(!operate(before, symbol, json!([operation])).is_empty());
            }
        }
        assert!(edit(before, "delete", json!({"ast_query": text}), "").starts_with("refused"));
    }
    for query in
        ["(".repeat(4_000), "[".repeat(4_000), "a:".repeat(2_000), "(_ ".repeat(1_300), "x".repeat(4_001)]
    {
        assert!(
            edit(before, "delete", json!({"ast_query": query}), "")
                .starts_with("refused: the query is not usable")
        );
    }
}

#[test]
fn binary_files_are_not_text() {
    let edit = json!({"file_path": "a.bin", "edit_type": "replace", "patch": "x", "locator": {"line_range": [1, 1]}});
    let refused = outcome("//- a.bin\na\0b\n", &[edit]);
    assert_eq!(refused, "refused: the file is binary; only text can be edited. Nothing was applied.\n");
}
