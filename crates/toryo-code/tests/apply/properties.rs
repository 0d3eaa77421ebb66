//! What holds for every edit.

use crate::{applied, files};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use toryo_code::{Applied, apply, outline, syntax_errors};

const SHAPES: &str = include_str!("../fixtures/shapes.py");

/// The fixture with tabs, CRLF and no newline at its end, and as it is.
fn variants() -> impl Strategy<Value = String> {
    let crlf = SHAPES.replace('\n', "\r\n");
    let tabs = SHAPES.replace("    ", "\t");
    let open = SHAPES.trim_end().to_owned();
    select(vec![SHAPES.to_owned(), crlf, tabs, open])
}

fn symbol() -> impl Strategy<Value = String> {
    let outline = outline(&"a.py".parse().expect("a path"), SHAPES);
    let paths: Vec<String> = outline.symbols.iter().map(|symbol| symbol.path.clone()).collect();
    let first = |path: &String| {
        if paths.contains(&format!("{path}[2]")) { format!("{path}[1]") } else { path.clone() }
    };
    select(paths.iter().map(first).collect::<Vec<_>>())
}

fn new_text() -> impl Strategy<Value = String> {
    let texts = [
        "z = 1\n",
        "def new(a):\n    return a\n",
        "@d\nclass New:\n    x = '''\n  raw\n'''\n",
        "    if a:\n        b()\n    c()\n",
        "pass",
        "# only a comment\n",
        "broken(\n",
    ];
    select(texts.map(str::to_owned).to_vec())
}

fn any_edit() -> impl Strategy<Value = Value> {
    let position = select(vec!["before", "after", "body_start", "body_end"]);
    let by_symbol = (symbol(), position, select(vec!["insert", "replace", "delete"]), new_text());
    let by_symbol = by_symbol.prop_map(|(symbol, position, edit_type, text)| {
        let position = if edit_type == "insert" { json!(position) } else { Value::Null };
        json!({"file_path": "a.py", "edit_type": edit_type, "patch": text,
               "locator": {"symbol": symbol, "position": position}})
    });
    let by_lines = (1_u32..98, 0_u32..4, select(vec!["replace", "delete"]), new_text());
    let by_lines = by_lines.prop_map(|(first, more, edit_type, text)| {
        let last = (first + more).min(98);
        json!({"file_path": "a.py", "edit_type": edit_type, "patch": text, "locator": {"line_range": [first, last]}})
    });
    prop_oneof![2 => by_symbol, 1 => by_lines]
}

/// The content of `a.py` after the edits; `None` if they were refused.
fn after(before: &str, edits: &[Value]) -> Option<String> {
    let applied: Applied = applied(&format!("//- a.py\n{before}"), edits);
    let changed = applied.changes?.into_iter().next().and_then(|change| change.after);
    Some(changed.map_or(before.to_owned(), |bytes| String::from_utf8(bytes).expect("UTF-8")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_edit_and_its_inverse_are_identity(before in variants(), edits in prop::collection::vec(any_edit(), 1..4)) {
        let text = format!("//- a.py\n{before}");
        let applied = applied(&text, &edits);
        prop_assert_eq!(applied.results.len(), edits.len());
        let mut tree = files(&text);
        let original = tree.clone();
        for change in applied.changes.iter().flatten() {
            prop_assert_eq!(tree.insert(change.path.clone(), change.after.clone().expect("a file")), change.before.clone());
        }
        for change in applied.inverse().into_iter().flatten() {
            prop_assert_eq!(tree.insert(change.path, change.after.expect("a file")), change.before);
        }
        prop_assert_eq!(tree, original);
    }

    #[test]
    fn no_edit_brings_a_syntax_error(before in variants(), edits in prop::collection::vec(any_edit(), 1..3)) {
        if let Some(after) = after(&before, &edits) {
            let path = "a.py".parse().expect("a path");
            prop_assert_eq!(syntax_errors(&path, after.as_bytes()), vec![]);
        }
    }

    #[test]
    fn a_replacement_touches_no_byte_outside(before in variants(), symbol in symbol(), text in new_text()) {
        let path = "a.py".parse().expect("a path");
        let name = symbol.replace("[1]", "");
        let outline = outline(&path, &before);
        let span = outline.symbols.iter().find(|other| other.path == name).expect("the symbol").span;
        let edit = json!({"file_path": "a.py", "edit_type": "replace", "patch": text, "locator": {"symbol": symbol}});
        if let Some(after) = after(&before, &[edit]) {
            prop_assert!(after.starts_with(&before[..span.start]));
            prop_assert!(after.ends_with(&before[span.end..]));
        }
    }

    #[test]
    fn an_insertion_takes_no_byte_away(before in variants(), symbol in symbol(), text in new_text()) {
        for position in ["before", "after", "body_end"] {
            let locator = json!({"symbol": symbol, "position": position});
            let edit = json!({"file_path": "a.py", "edit_type": "insert", "patch": text, "locator": locator});
            if let Some(after) = after(&before, &[edit]) {
                let common = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
                // One-line bodies are put on lines of their own, which only trades white space.
                let rest: String = before[..].chars().filter(|c| !c.is_whitespace()).collect();
                let now: String = after.chars().filter(|c| !c.is_whitespace()).collect();
                prop_assert!(common > 0 && now.len() > rest.len());
                let kept = rest.chars().fold(now.chars(), |mut now, c| { now.find(|other| *other == c); now });
                prop_assert!(kept.as_str().len() <= now.len());
            }
        }
    }

    #[test]
    fn edits_of_different_symbols_commute(before in variants(), text in new_text()) {
        let edit = |symbol: &str| {
            json!({"file_path": "a.py", "edit_type": "replace", "patch": text, "locator": {"symbol": symbol}})
        };
        for (one, other) in [("LIMIT", "A.s"), ("coroutine", "lam"), ("A.Inner", "A.count"), ("f[1]", "Pair")] {
            let forth = after(&before, &[edit(one), edit(other)]);
            let back = after(&before, &[edit(other), edit(one)]);
            prop_assert_eq!(forth, back);
        }
    }

    #[test]
    fn line_edits_far_apart_commute(first in 1_u32..40, second in 45_u32..98) {
        let edit = |line: u32| {
            json!({"file_path": "a.txt", "edit_type": "replace", "patch": "x\ny", "locator": {"line_range": [line, line]}})
        };
        let text = format!("//- a.txt\n{SHAPES}");
        prop_assert_eq!(applied(&text, &[edit(first), edit(second)]).changes, applied(&text, &[edit(second), edit(first)]).changes);
    }

    #[test]
    fn reading_and_writing_is_identity(content in prop::collection::vec(any::<u8>(), 0..200), head in select(vec!["", "# coding: latin-1\n", "\u{feff}"])) {
        let mut bytes = head.as_bytes().to_vec();
        bytes.extend(content.iter().map(|byte| if *byte == 0 { b'\n' } else { *byte }));
        bytes.extend(b"\n\n");
        let path: toryo_domain::RepoPath = "a.txt".parse().expect("a path");
        let lines = u32::try_from(bytes.split(|byte| *byte == b'\n').count() - 1).expect("few lines");
        let delete = json!({"file_path": "a.txt", "edit_type": "delete", "locator": {"line_range": [lines, lines]}});
        let set = json!({"edits": [delete], "summary": ""}).to_string();
        let set = toryo_code::EditSet::parse(&set).expect("an edit set");
        let applied = apply(&set, &std::collections::BTreeMap::from([(path, bytes.clone())]));
        let change = applied.changes.expect("changes").into_iter().next().expect("a change");
        prop_assert_eq!(change.after.as_deref(), Some(&bytes[..bytes.len() - 1]));
    }
}
