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
    let unknown = b"# coding=cp437\nx = '\xe9'\ndef f():\n    return '\xe9'\n";
    assert_eq!(
        replaced(unknown, "def f(): pass"),
        Ok(b"# coding=cp437\nx = '\xe9'\ndef f(): pass\n".to_vec())
    );
    assert!(replaced(unknown, "def f(): 'é'").is_err());
    let undeclared = b"x = '\xe9'\ndef f():\n    pass\n";
    assert_eq!(replaced(undeclared, "def f(): pass"), Ok(b"x = '\xe9'\ndef f(): pass\n".to_vec()));
    let redeclared = edited(latin, "replace", json!({"line_range": [1, 1]}), "# coding: utf-8");
    assert!(redeclared.expect_err("a refusal").contains("the changed declaration does not fit"));
}

#[test]
fn long_lines_and_other_files_are_edited_alike() {
    let long = format!("x = '{}'\ndef f():\n    return 1\n", "é".repeat(100_000));
    let after = long.replace("return 1", "return 2");
    assert_eq!(replaced(long.as_bytes(), "def f():\n    return 2"), Ok(after.into_bytes()));
}

/// The bytes that CPython writes for a text in an encoding, between a declaration and a function to replace.
#[test]
fn declared_encodings_of_several_bytes_are_read_and_written() {
    let cases: [(&str, &[u8], &str, &[u8]); 13] = [
        ("shift_jis", b"\x83\x5c\x95\x5c\x81\x60", "ソ表〜−", b"\x83\x5c\x95\x5c\x81\x60\x81\x7c"),
        ("cp932", b"\x83\x5c\x87\x40\x81\x60", "ソ①～", b"\x83\x5c\x87\x40\x81\x60"),
        ("euc_jp", b"\xa5\xbd\xc9\xbd", "表〜", b"\xc9\xbd\xa1\xc1"),
        ("iso-2022-jp", b"\x1b$BI=\x1b(B", "表", b"\x1b$BI=\x1b(B"),
        ("gbk", b"\xd6\xd0\x81\x5c", "中乗", b"\xd6\xd0\x81\x5c"),
        ("gb2312", b"\xd6\xd0", "中", b"\xd6\xd0"),
        ("gb18030", b"\xd6\xd0\x81\x30\x81\x30", "中\u{80}", b"\xd6\xd0\x81\x30\x81\x30"),
        ("big5", b"\xa4\xa4\xa5\x5c", "中功", b"\xa4\xa4\xa5\x5c"),
        ("euc-kr", b"\xc7\xd1", "한", b"\xc7\xd1"),
        ("cp1252", b"\x80\x93", "€“", b"\x80\x93"),
        ("cp1251", b"\xe6", "ж", b"\xe6"),
        ("iso8859_15", b"\xa4", "€", b"\xa4"),
        ("koi8-r", b"\xc1", "а", b"\xc1"),
    ];
    for (name, kept, new, written) in cases {
        let file = |body: &[u8]| {
            let head = format!("# -*- coding: {name} -*-\r\nx = '").into_bytes();
            [&head, kept, b"'\r\ndef f():\r\n    return '", body, b"'\r\ny = '", kept, b"'"].concat()
        };
        let after = replaced(&file(kept), &format!("def f():\n    return '{new}'\n"));
        assert_eq!(after, Ok(file(written)), "{name}");
    }
}

#[test]
fn characters_that_a_declared_encoding_lacks_are_refused() {
    for (name, new) in [
        ("shift_jis", "①"),
        ("shift_jis", "～"),
        ("euc_jp", "①"),
        ("gb2312", "乗"),
        ("euc-kr", "똠"),
        ("iso-8859-9", "…"),
        ("cp1252", "表"),
        ("ascii", "é"),
        ("cp437", "é"),
        ("iso-2022-jp", "ｱ"),
        ("no-such-encoding", "é"),
    ] {
        let before = format!("# coding: {name}\ndef f():\n    return 1\n");
        let refused =
            replaced(before.as_bytes(), &format!("def f():\n    return '{new}'")).expect_err("a refusal");
        assert!(refused.contains("the new text holds characters it cannot write"), "{name}: {refused}");
        assert!(replaced(before.as_bytes(), "def f():\n    return 2").is_ok(), "{name}");
    }
}

#[test]
fn bytes_that_do_not_follow_the_declared_encoding_stay_or_refuse() {
    // A lead byte without its second: EUC can still be searched for ASCII, Shift JIS cannot.
    let broken = |name: &str| format!("# coding: {name}\nx = '").into_bytes();
    let file = |name: &str| [&broken(name), b"\xa4".as_slice(), b"\x83' \ndef f():\n    return 1\n"].concat();
    assert!(
        replaced(&file("euc-jp"), "def f(): pass")
            .is_ok_and(|after| after.ends_with(b"\xa4\x83' \ndef f(): pass\n"))
    );
    let refused = replaced(&file("shift_jis"), "def f(): pass").expect_err("a refusal");
    assert!(
        refused.starts_with("the file's encoding is shift_jis: files in it cannot be edited"),
        "{refused}"
    );
}

#[test]
fn utf_16_with_its_mark_is_text() {
    for big in [false, true] {
        let file = |text: &str| -> Vec<u8> {
            let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect()
        };
        let after =
            edited(&file("a = 1\r\n𝕏 = 2\r\n"), "replace", json!({"line_range": [2, 2]}), "b = '表'\n");
        assert_eq!(after, Ok(file("a = 1\r\nb = '表'\r\n")));
    }
    let half = edited(b"\xff\xfea\0b", "replace", json!({"line_range": [1, 1]}), "b");
    assert!(half.expect_err("a refusal").contains("binary"));
}

#[test]
fn a_new_file_is_written_as_it_declares() {
    let create = |text: &str| {
        let edit = json!({"file_path": "a.py", "edit_type": "insert", "locator": {"whole_file": true}, "patch": text});
        let set =
            EditSet::parse(&json!({"edits": [edit], "summary": null}).to_string()).expect("an edit set");
        let applied = apply(&set, &BTreeMap::new());
        applied.changes.and_then(|changes| changes.into_iter().next()?.after)
    };
    assert_eq!(create("# coding: latin-1\nx = 'é'\n"), Some(b"# coding: latin-1\nx = '\xe9'\n".to_vec()));
    assert_eq!(
        create("# coding: shift_jis\nx = '表'\n"),
        Some(b"# coding: shift_jis\nx = '\x95\x5c'\n".to_vec())
    );
    assert_eq!(create("# coding: latin-1\nx = '表'\n"), None);
    assert_eq!(create("x = 'é'\n"), Some("x = 'é'\n".as_bytes().to_vec()));
}

#[test]
fn the_syntax_of_declared_encodings_is_checked() {
    let errors = |bytes: &[u8]| toryo_code::syntax_errors(&"a.py".parse().expect("a path"), bytes);
    assert_eq!(errors(b"# coding: latin-1\nname = '\xe9'\n"), vec![]);
    let faulty = errors(b"# coding: latin-1\nname = '\xe9' +\n");
    assert_eq!(faulty.first().map(|error| error.line), Some(2), "{faulty:?}");
    let undeclared = errors(b"name = '\xe9'\n");
    assert_eq!(undeclared[0].what, "the text is neither UTF-8 nor what it declares");
    assert_eq!(undeclared.len(), 1);
}
