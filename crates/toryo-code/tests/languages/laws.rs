//! What holds for several edits at once, and for hostile texts, in every language.

use crate::edits::{alone, is_code, statement};
use crate::{Fixture, change, fixtures};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use toryo_code::{EditSet, FileChange, Symbol, apply, outline};

/// The changes that edits of a file make; `None` if they were refused.
fn changes(fixture: &Fixture, edits: &[Value]) -> Option<Vec<FileChange>> {
    let set = EditSet::parse(&json!({"edits": edits, "summary": ""}).to_string()).expect("an edit set");
    apply(&set, &BTreeMap::from([(fixture.path.clone(), fixture.text.clone().into_bytes())])).changes
}

/// Different edits within a definition's body, by number.
fn within(fixture: &Fixture, symbol: &Symbol, all: &[Symbol], number: usize) -> Value {
    let (path, text) = (fixture.path.as_str(), statement(fixture));
    let symbol = alone(symbol, all);
    let insert = |position: &str| {
        json!({"file_path": path, "edit_type": "insert", "patch": text,
               "locator": {"symbol": symbol, "position": position}})
    };
    match number % 3 {
        0 => json!({"file_path": path, "edit_type": "ast_patch", "locator": {"symbol": symbol},
                    "patch": [{"op": "replace_body", "text": text}]}),
        1 => insert("body_start"),
        _ => insert("body_end"),
    }
}

#[test]
fn edits_of_different_definitions_commute_and_leave_the_rest() {
    for fixture in fixtures() {
        let symbols = outline(&fixture.path, &fixture.text).symbols;
        let code: Vec<&Symbol> = symbols.iter().filter(|symbol| is_code(symbol)).collect();
        let pairs = code.windows(2).filter(|pair| pair[0].span.end <= pair[1].span.start);
        let mut applied = 0;
        for (number, pair) in pairs.enumerate() {
            let one = within(&fixture, pair[0], &symbols, number);
            let other = within(&fixture, pair[1], &symbols, number / 3);
            let forth = changes(&fixture, &[one.clone(), other.clone()]);
            assert_eq!(forth, changes(&fixture, &[other.clone(), one.clone()]), "{one} and {other}");
            let Some([changed]) = forth.as_deref() else { continue };
            applied += 1;
            let after = String::from_utf8(changed.after.clone().expect("a file")).expect("UTF-8");
            let header = |symbol: &Symbol| {
                let body = symbol.body.map_or(symbol.span.end, |body| body.start);
                fixture.text[..body].trim_end().trim_end_matches('{')
            };
            assert!(after.starts_with(header(pair[0])), "{one} and {other}:\n{after}");
            assert!(after.ends_with(&fixture.text[pair[1].span.end..]), "{one} and {other}:\n{after}");
            let between = &fixture.text[pair[0].span.end..pair[1].span.start];
            assert!(after.contains(between), "{one} and {other}:\n{after}");
            assert_eq!(changed.inverse().after.as_deref(), Some(fixture.text.as_bytes()));
        }
        assert!(applied > 0 || code.len() < 2, "{}", fixture.path);
    }
}

#[test]
fn a_body_changed_and_changed_back_is_the_same_file() {
    for fixture in fixtures() {
        let symbols = outline(&fixture.path, &fixture.text).symbols;
        for symbol in symbols.iter().filter(|symbol| is_code(symbol)).step_by(3) {
            let there = within(&fixture, symbol, &symbols, 0);
            let own = &fixture.text[symbol.span.range()];
            let back = json!({"file_path": fixture.path.as_str(), "edit_type": "replace", "patch": own,
                              "locator": {"symbol": alone(symbol, &symbols)}});
            assert_eq!(changes(&fixture, &[there, back]), Some(vec![]), "{}: {}", fixture.path, symbol.path);
        }
    }
}

/// What stands before and behind what nests.
type Nest = (&'static str, &'static str);

/// A small file of each language, by path and text, and what nests in it.
const NESTED: [(&str, &str, &[Nest]); 7] = [
    ("a.py", "x = 1\n", &[("(", ")"), ("[", "]"), ("f(", ")"), ("lambda: ", ""), ("if a:\n", "")]),
    ("a.js", "let x = 1;\n", &[("(", ")"), ("[", "]"), ("{", "}"), ("() => {", "}"), ("`${", "}`")]),
    ("a.ts", "let x = 1;\n", &[("(", ")"), ("[", "]"), ("{", "}"), ("namespace a {", "}"), ("A<", ">")]),
    ("a.tsx", "let x = 1;\n", &[("(", ")"), ("{", "}"), ("<a>", "</a>"), ("!", "")]),
    ("a.rs", "const X: u8 = 1;\n", &[("(", ")"), ("[", "]"), ("{", "}"), ("mod a {", "}"), ("vec![", "]")]),
    ("a.go", "package a\n\nvar x = 1\n", &[("(", ")"), ("{", "}"), ("[]", ""), ("func() {", "}()")]),
    ("A.java", "class A { int x = 1; }\n", &[("(", ")"), ("{", "}"), ("class B {", "}"), ("A<", ">")]),
];

#[test]
fn nesting_of_ten_thousand_levels_is_refused_with_little_work() {
    for (path, text, nests) in NESTED {
        for (open, close) in nests {
            let started = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock");
            for close in [*close, ""] {
                let deep = format!("{}1{}\n", open.repeat(10_000), close.repeat(10_000));
                let last = text.lines().count();
                let locator = json!({"line_range": [last, last], "position": "after"});
                let outcome = change(path, text, "insert", locator, json!(deep));
                let outcome: String = outcome.chars().take(200).collect();
                assert!(outcome.starts_with("refused: "), "{path}: {open}: {outcome}");
            }
            let ended = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock");
            // Of processor time, without optimisation; what is quadratic takes minutes.
            assert!((ended - started).tv_sec() < 30, "{path}: {open}");
        }
    }
}

#[test]
fn huge_and_binary_files_are_refused() {
    for (path, text, _) in NESTED {
        let edit = |text: &str| change(path, text, "delete", json!({"line_range": [1, 1]}), Value::Null);
        let huge = text.repeat(50 * 1_000 * 1_000 / text.len());
        let outcome = edit(&huge);
        assert!(outcome.starts_with("refused: the file is too large: "), "{path}: {outcome:.100}");
        let outcome = edit(&format!("{text}\0"));
        assert!(outcome.starts_with("refused: the file is binary"), "{path}: {outcome:.100}");
    }
    let patch = json!("x".repeat(50 * 1_000 * 1_000));
    let outcome = change("a.py", "x = 1\n", "replace", json!({"line_range": [1, 1]}), patch);
    assert!(outcome.starts_with("refused: the patch is too large: "), "{outcome:.100}");
}
