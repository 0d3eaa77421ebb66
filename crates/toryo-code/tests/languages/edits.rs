//! What every symbol of every fixture allows: it is found by its path, replaced by its own text, deleted and
//! restored, and takes text beside it and in its body, all without a change of a byte elsewhere.

use crate::{Fixture, fixtures};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use toryo_code::{Applied, EditSet, Status, Symbol, SymbolKind, apply, outline, syntax_errors};

/// A fixture as it is, with other line ends, and without its last one.
fn variants(fixture: Fixture) -> [Fixture; 3] {
    let other = |text: String| Fixture { path: fixture.path.clone(), text };
    let (crlf, open) = (other(fixture.text.replace('\n', "\r\n")), other(fixture.text.trim_end().to_owned()));
    [fixture, crlf, open]
}

fn applied(fixture: &Fixture, edit_type: &str, locator: Value, patch: Value) -> Applied {
    let edit = json!({"file_path": fixture.path.as_str(), "edit_type": edit_type, "locator": locator, "patch": patch});
    let set = EditSet::parse(&json!({"edits": [edit], "summary": ""}).to_string()).expect("an edit set");
    apply(&set, &BTreeMap::from([(fixture.path.clone(), fixture.text.clone().into_bytes())]))
}

/// The text after an edit, or why it was refused.
fn edited(fixture: &Fixture, edit_type: &str, locator: Value, patch: Value) -> Result<String, String> {
    let applied = applied(fixture, edit_type, locator, patch);
    let Some(changes) = &applied.changes else {
        let Some(Status::Refused { reason, .. }) = applied.results.first().map(|result| &result.status)
        else {
            panic!("neither changed nor refused");
        };
        return Err(reason.to_string());
    };
    let inverse = applied.inverse().expect("an inverse");
    let Some(change) = changes.first() else { return Ok(fixture.text.clone()) };
    assert_eq!(inverse[0].after.as_deref(), Some(fixture.text.as_bytes()), "{}", fixture.path);
    let text = String::from_utf8(change.after.clone().expect("a file")).expect("UTF-8");
    assert_eq!(syntax_errors(&fixture.path, text.as_bytes()), vec![], "{}:\n{text}", fixture.path);
    Ok(text)
}

/// The path that means this symbol alone.
pub(crate) fn alone(symbol: &Symbol, all: &[Symbol]) -> String {
    let twin = format!("{}[2]", symbol.path);
    if all.iter().any(|other| other.path == twin) {
        format!("{}[1]", symbol.path)
    } else {
        symbol.path.clone()
    }
}

/// Calls a check with every symbol of every fixture, each in one of the variants in turn.
fn each(check: impl Fn(&Fixture, &Symbol, &str, &[Symbol])) {
    for fixture in fixtures() {
        let variants = variants(fixture);
        let outlines = variants.each_ref().map(|variant| outline(&variant.path, &variant.text).symbols);
        for at in 0..outlines[0].len() {
            let (fixture, symbols) = (&variants[at % 3], &outlines[at % 3]);
            check(fixture, &symbols[at], &alone(&symbols[at], symbols), symbols);
        }
    }
}

fn starts_line(fixture: &Fixture, at: usize) -> bool {
    fixture.text[..at].rsplit('\n').next().is_some_and(|before| before.trim().is_empty())
}

/// Whether nothing but a comment follows on a symbol's last line.
fn ends_line(fixture: &Fixture, at: usize) -> bool {
    let rest = fixture.text[at..].lines().next().unwrap_or_default().trim();
    rest.is_empty() || rest.starts_with("//") || rest.starts_with('#')
}

#[test]
fn every_symbol_replaced_by_its_own_text_is_the_same_file() {
    each(|fixture, symbol, path, _| {
        let own = &fixture.text[symbol.span.range()];
        let after = edited(fixture, "replace", json!({"symbol": path}), json!(own));
        assert_eq!(after.as_ref(), Ok(&fixture.text), "{}: {path}", fixture.path);
    });
}

#[test]
fn a_deleted_symbol_is_gone_and_what_stood_around_it_is_not() {
    each(|fixture, symbol, path, symbols| {
        let at = format!("{}: {path}", fixture.path);
        let twin = symbols.iter().any(|other| other.span == symbol.span && other.name != symbol.name);
        match edited(fixture, "delete", json!({"symbol": path}), json!("")) {
            Ok(after) => {
                let (before, behind) = (&fixture.text[..symbol.span.start], &fixture.text[symbol.span.end..]);
                let kept = |text: &str| text.split_whitespace().collect::<String>();
                let filler = if after.len() > before.len() + behind.len() { "pass" } else { "" };
                let expected = format!("{}{filler}{}", kept(before), kept(behind));
                let comment = behind.lines().next().unwrap_or_default().trim().to_owned();
                let without = expected.replacen(&kept(&comment), "", 1);
                assert!(
                    kept(&after) == expected
                        || ends_line(fixture, symbol.span.end) && kept(&after) == without
                        || kept(&after) == format!("{}pass{}", kept(before), kept(behind)),
                    "{at}:\n{after}"
                );
                assert!(after.starts_with(before.trim_end()), "{at}");
                assert!(
                    after.ends_with(behind.split_once('\n').map_or("", |(_, rest)| rest.trim_start())),
                    "{at}"
                );
            }
            Err(refusal) => assert!(twin || refusal.contains("syntax error"), "{at}: {refusal}"),
        }
    });
}

/// A member or statement that fits wherever this symbol stands.
fn sibling(fixture: &Fixture, symbol: &Symbol, symbols: &[Symbol]) -> Option<&'static str> {
    let owner = symbol.parent.map(|parent| symbols[parent].kind);
    let in_class = owner == Some(SymbolKind::Class);
    let owner_header = symbol.parent.map_or("", |parent| symbols[parent].signature.as_str());
    let in_interface = owner_header.contains("interface") || owner_header.starts_with("type");
    Some(match (fixture.path.extension()?, in_class) {
        ("py", _) => "def added():\n    pass",
        ("rs", true) if owner_header.contains("enum ") => "Added,",
        // A structure, or a variant with fields.
        ("rs", true) if !["impl", "trait"].iter().any(|word| owner_header.contains(word)) => "added: u8,",
        ("rs", _) => "fn added() {\n    call();\n}",
        ("go", true) if in_interface => "Added() error",
        ("go", _)
            if fixture.text[symbol.span.range()].starts_with("func")
                || starts_line(fixture, symbol.span.start)
                    && owner.is_none()
                    && !fixture.text[..symbol.span.start].ends_with('\t') =>
        {
            "func added() {\n\tcall()\n}"
        }
        ("go", _) => return None,
        ("java", true) if in_interface => "void added();",
        ("java", _) => "void added() {\n    call();\n}",
        ("ts" | "tsx", true) if owner_header.contains("enum ") => "added = 9,",
        (_, true) if in_interface => "added(): void;",
        (_, true) => "added() {\n  call();\n}",
        (_, false) => "function added() {\n  call();\n}",
    })
}

#[test]
fn a_text_beside_a_symbol_takes_no_byte_away() {
    each(|fixture, symbol, path, symbols| {
        let Some(text) = sibling(fixture, symbol, symbols) else { return };
        for position in ["before", "after"] {
            let at = format!("{}: {position} {path}", fixture.path);
            let locator = json!({"symbol": path, "position": position});
            match edited(fixture, "insert", locator, json!(text)) {
                Ok(after) => {
                    let now = outline(&fixture.path, &after).symbols;
                    assert_eq!(now.len(), symbols.len() + 1, "{at}:\n{after}");
                    let added =
                        now.iter().find(|new| new.name.eq_ignore_ascii_case("added")).expect("the new one");
                    let owner = |symbol: &Symbol, all: &[Symbol]| {
                        symbol.parent.map(|parent| all[parent].path.clone())
                    };
                    assert_eq!(owner(added, &now), owner(symbol, symbols), "{at}:\n{after}");
                    let without = format!(
                        "{}{}",
                        &after[..added.span.start].trim_end(),
                        &after[added.span.end..].trim_start()
                    );
                    let kept = |text: &str| text.split_whitespace().collect::<String>();
                    assert_eq!(kept(&without), kept(&fixture.text), "{at}");
                    let common = after.bytes().zip(fixture.text.bytes()).take_while(|(a, b)| a == b).count();
                    let tail = after
                        .bytes()
                        .rev()
                        .zip(fixture.text.bytes().rev())
                        .take_while(|(a, b)| a == b)
                        .count();
                    assert!(common + tail >= fixture.text.trim_end().len(), "{at}");
                }
                Err(refusal) => {
                    let shares =
                        !starts_line(fixture, symbol.span.start) || !ends_line(fixture, symbol.span.end);
                    assert!(shares || refusal.contains("syntax error"), "{at}: {refusal}");
                }
            }
        }
    });
}

/// A statement of each language.
pub(crate) fn statement(fixture: &Fixture) -> &'static str {
    match fixture.path.extension() {
        Some("py") => "if ready:\n    call()",
        Some("rs") => "if ready {\n    call();\n}",
        Some("go") => "if ready {\n\tcall()\n}",
        _ => "if (ready) {\n    call();\n}",
    }
}

pub(crate) fn is_code(symbol: &Symbol) -> bool {
    symbol.body.is_some()
        && matches!(symbol.kind, SymbolKind::Function | SymbolKind::Method)
        && !symbol.signature.starts_with("macro_rules!")
}

#[test]
fn a_body_is_replaced_between_its_header_and_its_end() {
    each(|fixture, symbol, path, symbols| {
        let Some(body) = symbol.body.filter(|_| is_code(symbol)) else { return };
        let at = format!("{}: {path}", fixture.path);
        let patch = json!([{"op": "replace_body", "text": statement(fixture)}]);
        let after = edited(fixture, "ast_patch", json!({"symbol": path}), patch);
        let after = after.unwrap_or_else(|refusal| panic!("{at}: {refusal}"));
        let now = outline(&fixture.path, &after).symbols;
        let new = now.iter().find(|new| new.path == symbol.path).expect("the symbol");
        assert_eq!(new.signature, symbol.signature, "{at}");
        let kept = |text: &str| text.split_whitespace().collect::<String>();
        assert!(
            kept(&after[new.body.expect("a body").range()]).ends_with(&kept(statement(fixture))),
            "{at}:\n{after}"
        );
        assert!(after.starts_with(fixture.text[..body.start].trim_end().trim_end_matches('{')), "{at}");
        assert!(after.ends_with(&fixture.text[symbol.span.end..]), "{at}");
        assert!(symbols.len() >= now.len(), "{at}");
    });
}

#[test]
fn a_body_takes_text_at_both_ends() {
    each(|fixture, symbol, path, symbols| {
        let Some(body) = symbol.body.filter(|_| is_code(symbol)) else { return };
        for position in ["body_start", "body_end"] {
            let at = format!("{}: {position} of {path}", fixture.path);
            let locator = json!({"symbol": path, "position": position});
            match edited(fixture, "insert", locator, json!(statement(fixture))) {
                Ok(after) => {
                    assert_eq!(outline(&fixture.path, &after).symbols.len(), symbols.len(), "{at}:\n{after}");
                    let kept = |text: &str| text.split_whitespace().collect::<String>();
                    let (was, now) = (kept(&fixture.text), kept(&after));
                    let more = now.len() - was.len() - kept(statement(fixture)).len();
                    // Rust's last expression becomes a statement.
                    let closed = position == "body_end" && fixture.path.extension() == Some("rs");
                    assert!(more == 0 || more == 1 && closed, "{at}:\n{after}");
                    assert!(after.starts_with(fixture.text[..body.start].trim_end()), "{at}:\n{after}");
                    let line_ends = after.matches("\r\n").count();
                    assert!(line_ends == 0 || line_ends == after.matches('\n').count(), "{at}");
                }
                Err(refusal) => assert!(
                    refusal.contains("the body is an expression")
                        || position == "body_end" && refusal.contains("ends with its value"),
                    "{at}: {refusal}"
                ),
            }
        }
    });
}

#[test]
fn a_class_takes_members_at_its_end() {
    each(|fixture, symbol, path, symbols| {
        let class = symbol.body.is_some() && symbol.kind == SymbolKind::Class;
        let child = |other: &&Symbol| {
            other.parent.is_some_and(|parent| symbols[parent].path == symbol.path) && is_code(other)
        };
        let Some(child) = symbols.iter().find(child).filter(|_| class) else { return };
        let Some(text) = sibling(fixture, child, symbols) else { return };
        let at = format!("{}: {path}", fixture.path);
        let after = edited(fixture, "insert", json!({"symbol": path, "position": "body_end"}), json!(text));
        let after = after.unwrap_or_else(|refusal| panic!("{at}: {refusal}"));
        let now = outline(&fixture.path, &after).symbols;
        let added = now.iter().find(|new| new.name.eq_ignore_ascii_case("added")).expect("the new one");
        let owner = |path: &str| path.rsplit_once('.').map_or("", |(owner, _)| owner).to_owned();
        assert_eq!(owner(&added.path), owner(&child.path), "{at}:\n{after}");
    });
}

#[test]
fn continued_lines_that_do_not_change_stay_where_they_are() {
    let text = "class A {\n  private final List<String> names =\n      new ArrayList<>();\n}\n".to_owned();
    let fixture = Fixture { path: "A.java".parse().expect("a path"), text };
    let renewed = |line: &str| {
        let patch = json!(format!("{line} List<String> names =\n      new ArrayList<>();"));
        edited(&fixture, "replace", json!({"symbol": "A.names"}), patch)
    };
    assert_eq!(renewed("private final").as_ref(), Ok(&fixture.text));
    assert_eq!(renewed("public"), Ok(fixture.text.replace("private final", "public")));
}
