//! What each fixture defines, imports and uses.

use crate::fixtures;
use std::fmt::Write;
use toryo_code::{Outline, outline, syntax_errors};

/// One line a symbol: kind, path, lines, signature, documentation; then the imports and the uses.
fn listing(outline: &Outline) -> String {
    let mut text = String::new();
    for symbol in &outline.symbols {
        let body = if symbol.body.is_some() { "" } else { " -" };
        let lines = format!("{}-{}{body}", symbol.first_line, symbol.last_line);
        let doc = symbol.doc.as_deref().map(|doc| format!(" # {doc}")).unwrap_or_default();
        writeln!(text, "{:?} {} {lines}: {}{doc}", symbol.kind, symbol.path, symbol.signature)
            .expect("a String");
    }
    for import in &outline.imports {
        let aliases: Vec<String> =
            import.aliases.iter().map(|(there, here)| format!("{there}={here}")).collect();
        let (names, aliases) = (import.names.join(" "), aliases.join(" "));
        writeln!(text, "import {}: {} [{names}] {aliases}", import.line, import.module).expect("a String");
    }
    let uses: Vec<String> =
        outline.references.iter().map(|used| format!("{}:{}", used.line, used.name)).collect();
    writeln!(text, "uses {}", uses.join(" ")).expect("a String");
    text
}

#[test]
fn every_fixture_has_its_outline() {
    for fixture in fixtures() {
        let errors = syntax_errors(&fixture.path, fixture.text.as_bytes());
        assert_eq!(errors, vec![], "{}", fixture.path);
        let name = fixture.path.as_str().replace(['/', '.'], "_");
        insta::assert_snapshot!(name, listing(&outline(&fixture.path, &fixture.text)));
    }
}

#[test]
fn symbols_nest_and_their_parts_lie_in_them() {
    for fixture in fixtures() {
        let outline = outline(&fixture.path, &fixture.text);
        assert!(outline.symbols.len() > 3, "{}", fixture.path);
        for symbol in &outline.symbols {
            let at = format!("{}: {}", fixture.path, symbol.path);
            assert!(symbol.span.holds(symbol.definition), "{at}");
            assert!(symbol.definition.holds(symbol.name_span), "{at}");
            assert!(symbol.body.is_none_or(|body| symbol.definition.holds(body)), "{at}");
            let parent = symbol.parent.map(|parent| outline.symbols[parent].span);
            assert!(parent.is_none_or(|parent| parent.holds(symbol.span)), "{at}");
            let equal = outline.symbols.iter().filter(|other| other.path == symbol.path).count();
            assert_eq!(equal, 1, "{at}");
        }
    }
}

#[test]
fn comments_inside_of_attributes_are_no_documentation() {
    let text = "#[derive(\n    /// Inside.\n    Clone,\n)]\n/// Says.\n#[b(/* c */)]\npub struct A;\n";
    let outline = outline(&"a.rs".parse().expect("a path"), text);
    let symbol = &outline.symbols[0];
    assert_eq!((symbol.span.start, symbol.doc.as_deref()), (0, Some("Says.")));
}
