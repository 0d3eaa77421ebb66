//! Locators: what they find, and what a miss says.

use crate::{edit, lines};
use serde_json::json;

const SHAPES: &str = include_str!("../fixtures/shapes.py");

#[test]
fn every_symbol_of_an_outline_is_found_by_its_path() {
    let path = "a.py".parse().expect("a path");
    let outline = toryo_code::outline(&path, SHAPES);
    assert!(outline.symbols.len() > 20);
    for symbol in &outline.symbols {
        let twin = outline.symbols.iter().any(|other| other.path == format!("{}[2]", symbol.path));
        let named = if twin { format!("{}[1]", symbol.path) } else { symbol.path.clone() };
        let text = &SHAPES[symbol.span.range()];
        let after = edit(SHAPES, "replace", json!({"symbol": named}), text);
        assert_eq!(after, SHAPES, "{named}");
        if twin {
            let refused = edit(SHAPES, "replace", json!({"symbol": symbol.path}), text);
            assert!(refused.contains("definitions are called"), "{refused}");
        }
    }
}

#[test]
fn a_miss_names_what_may_have_been_meant() {
    let missed = |symbol: &str| edit(SHAPES, "delete", json!({"symbol": symbol}), "");
    insta::assert_snapshot!(
        [missed("A.valeu"), missed("f"), missed("Inner.m"), missed("nothing")].join("\n")
    );
}

#[test]
fn a_wrong_expectation_names_the_line_and_where_it_stands() {
    let expecting = |first: u32, expect: &str| {
        edit(SHAPES, "replace", json!({"line_range": [first, first], "expect": expect}), "    count = 1")
    };
    assert_eq!(expecting(64, "count = 0"), SHAPES.replace("count = 0", "count = 1"));
    assert_eq!(expecting(64, "    count = 0  "), SHAPES.replace("count = 0", "count = 1"));
    assert_eq!(
        expecting(63, "    count = 0"),
        "refused: line 63 differs: expected `    count = 0`, found `    field: int`. Nothing was applied.\n  A.count at 64: count = 0\n"
    );
    assert_eq!(
        edit("a\n", "replace", lines(2, 3), "b"),
        "refused: there is no line 3; the file has 1 lines. Nothing was applied.\n"
    );
}

#[test]
fn a_query_finds_its_one_target() {
    let by = |query: &str, patch: &str| edit(SHAPES, "replace", json!({"ast_query": query}), patch);
    let limit = "(assignment left: (identifier) @n right: (_) @target (#eq? @n \"LIMIT\"))";
    assert_eq!(by(limit, "4"), SHAPES.replace("LIMIT: int = 3", "LIMIT: int = 4"));
    let lambda = "(lambda) @target";
    assert_eq!(by(lambda, "lambda x: x + 1"), SHAPES.replace("lambda x: x", "lambda x: x + 1"));
    insta::assert_snapshot!(
        [
            by("(class_definition) @target", "x"),
            by("(while_statement) @target", "x"),
            by("(lambda) @other", "x"),
            by("(nonsense) @target", "x"),
            by("(lambda", "x"),
        ]
        .join("\n")
    );
}

#[test]
fn each_candidate_of_equals_in_equals_has_a_path_of_its_own() {
    let text = "class A:\n    def f(self): pass\nclass A:\n    def f(self): pass\n    def f(self): pass\n";
    let refused = edit(text, "delete", json!({"symbol": "A.f"}), "");
    let candidates: Vec<&str> =
        refused.lines().skip(1).filter_map(|line| line.trim().split(' ').next()).collect();
    assert_eq!(candidates, ["A[1].f", "A[2].f[1]", "A[2].f[2]"]);
    for (path, line) in candidates.into_iter().zip([2, 4, 5]) {
        let after = edit(text, "delete", json!({"symbol": path}), "");
        let kept: Vec<&str> =
            text.lines().enumerate().filter(|(at, _)| at + 1 != line).map(|(_, text)| text).collect();
        assert!(after.lines().filter(|line| *line != "    pass").eq(kept), "{path}: {after}");
    }
}
