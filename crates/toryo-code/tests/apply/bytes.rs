//! Bytes outside the edited span stay as they were.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use toryo_code::{EditSet, Status, apply};
use toryo_domain::RepoPath;

/// The bytes of `a.py` after one edit, or the refusal.
fn edited(before: &[u8], edit_type: &str, locator: Value, patch: &str) -> Result<Vec<u8>, String> {
    let path: RepoPath = "a.py".parse().expect("a path");
    let edit = json!({"file_path": "a.py", "edit_type": edit_type, "locator": locator, "patch": patch});
    let set = EditSet::parse(&json!({"edits": [edit], "summary": null}).to_string()).expect("an edit set");
    let applied = apply(&set, &BTreeMap::from([(path, before.to_vec())]));
    match (&applied.results[0].status, applied.changes) {
        (Status::Refused { reason, .. }, _) => Err(reason.to_string()),
        (Status::Applied, Some(changes)) => {
            Ok(changes.into_iter().next().and_then(|change| change.after).unwrap_or_else(|| before.to_vec()))
        }
        (Status::Applied, None) => panic!("applied without changes"),
    }
}

fn replaced(before: &[u8], patch: &str) -> Result<Vec<u8>, String> {
    edited(before, "replace", json!({"symbol": "f"}), patch)
}

#[test]
fn line_endings_and_final_newlines_stay() {
    let crlf = b"x = 1\r\ndef f():\r\n    return 1\r\ny = 2";
    assert_eq!(
        replaced(crlf, "def f():\n    return 2\n"),
        Ok(b"x = 1\r\ndef f():\r\n    return 2\r\ny = 2".to_vec())
    );
    let mixed = b"x = 1\ndef f():\r\n\treturn 1\r\ny = 2\n";
    assert_eq!(
        replaced(mixed, "def f():\n    return 2\n"),
        Ok(b"x = 1\ndef f():\r\n\treturn 2\r\ny = 2\n".to_vec())
    );
    let open = edited(b"x = 1", "insert", json!({"symbol": "x", "position": "after"}), "y = 2\n");
    assert_eq!(open, Ok(b"x = 1\ny = 2".to_vec()));
    let last = edited(b"x = 1\r\ny = 2", "replace", json!({"line_range": [2, 2]}), "y = 3\n");
    assert_eq!(last, Ok(b"x = 1\r\ny = 3".to_vec()));
    let lines = edited(b"a = 1\r\nb = 2\r\n", "replace", json!({"line_range": [1, 1]}), "c = 1\nd = 2\n");
    assert_eq!(lines, Ok(b"c = 1\r\nd = 2\r\nb = 2\r\n".to_vec()));
}

#[test]
fn a_byte_order_mark_stays() {
    let text = b"\xef\xbb\xbfdef f():\n    return 1\n";
    assert_eq!(replaced(text, "def f(): pass"), Ok(b"\xef\xbb\xbfdef f(): pass\n".to_vec()));
}

#[test]
fn form_feeds_and_odd_spaces_stay() {
    let text = b"\x0cx = 1 \t\n\x0c\ndef f():\n    a = 1\n\x0c\n    return a\n\x0c\ny = 2  \n";
    let after = b"\x0cx = 1 \t\n\x0c\ndef f():\n    pass\n\x0c\ny = 2  \n".to_vec();
    assert_eq!(replaced(text, "def f():\n    pass"), Ok(after));
}

#[test]
fn other_encodings_are_kept_byte_for_byte() {
    let latin = b"# -*- coding: latin-1 -*-\nname = '\xe9'\ndef f():\n    return '\xe9\xff'\n";
    let after = b"# -*- coding: latin-1 -*-\nname = '\xe9'\ndef f():\n    return '\xfc'\n".to_vec();
    assert_eq!(replaced(latin, "def f():\n    return 'ü'"), Ok(after));
    let refused = replaced(latin, "def f():\n    return '日'").expect_err("a refusal");
    assert!(
        refused.starts_with("the file's encoding is latin-1: the new text holds characters"),
        "{refused}"
    );
    let other = b"# coding=cp1251\ndef f():\n    return '\xe9'\n";
    assert_eq!(replaced(other, "def f(): pass"), Ok(b"# coding=cp1251\ndef f(): pass\n".to_vec()));
    assert!(replaced(other, "def f(): 'é'").is_err());
    let undeclared = b"x = '\xe9'\ndef f():\n    pass\n";
    assert_eq!(replaced(undeclared, "def f(): pass"), Ok(b"x = '\xe9'\ndef f(): pass\n".to_vec()));
    assert!(replaced(b"# coding: shift_jis\nx = '\x83\x5c'\ndef f(): pass\n", "def f(): ...").is_err());
    let redeclared = edited(latin, "replace", json!({"line_range": [1, 1]}), "# coding: utf-8");
    assert!(redeclared.expect_err("a refusal").contains("the changed declaration does not fit"));
}

#[test]
fn long_lines_and_other_files_are_edited_alike() {
    let long = format!("x = '{}'\ndef f():\n    return 1\n", "é".repeat(100_000));
    let after = long.replace("return 1", "return 2");
    assert_eq!(replaced(long.as_bytes(), "def f():\n    return 2"), Ok(after.into_bytes()));
}
