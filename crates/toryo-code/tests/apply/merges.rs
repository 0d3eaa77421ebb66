//! What holds for every merge, over files of all languages.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use toryo_code::{Symbol, merge, outline, syntax_errors};
use toryo_domain::RepoPath;

const FILES: [(&str, &str, &str); 10] = [
    ("a.py", "#", include_str!("../fixtures/shapes.py")),
    ("b.py", "#", include_str!("../fixtures/python/shapes.py")),
    ("a.go", "//", include_str!("../fixtures/go/server.go")),
    ("A.java", "//", include_str!("../fixtures/java/Service.java")),
    ("a.cjs", "//", include_str!("../fixtures/javascript/legacy.cjs")),
    ("a.mjs", "//", include_str!("../fixtures/javascript/store.mjs")),
    ("a.jsx", "//", include_str!("../fixtures/javascript/view.jsx")),
    ("a.rs", "//", include_str!("../fixtures/rust/engine.rs")),
    ("a.ts", "//", include_str!("../fixtures/typescript/service.ts")),
    ("a.tsx", "//", include_str!("../fixtures/tsx/panel.tsx")),
];

/// A change of the lines of one symbol: what stands in the place of lines from `first` on (0-based).
#[derive(Debug, Clone)]
struct Change {
    first: usize,
    removed: usize,
    text: String,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    CommentOnLastLine,
    CommentBelow,
    Removal,
}

fn rows(symbol: &Symbol) -> std::ops::Range<usize> {
    symbol.first_line as usize - 1..symbol.last_line as usize
}

/// The change of a symbol; `None` where it would leave no whole file.
fn change(path: &RepoPath, text: &str, mark: &str, symbol: &Symbol, way: Way, name: &str) -> Option<Change> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let rows = rows(symbol);
    let last = lines[rows.end - 1];
    let comment = format!("{mark} {name}");
    let change = match way {
        Way::CommentOnLastLine => {
            Change { first: rows.end - 1, removed: 1, text: format!("{}  {comment}\n", last.trim_end()) }
        }
        Way::CommentBelow => {
            let indentation = &last[..last.len() - last.trim_start().len()];
            Change { first: rows.end, removed: 0, text: format!("{indentation}{comment}\n") }
        }
        Way::Removal => Change { first: rows.start, removed: rows.len(), text: String::new() },
    };
    let after = changed(text, &[&change]);
    // A comment inside a string, or a body that would be empty, is no change of an entity.
    let comments = |text: &str| text.matches(mark).count();
    let sound = syntax_errors(path, after.as_bytes()) == syntax_errors(path, text.as_bytes());
    let known = |text: &str| outline(path, text).symbols.len();
    let keeps =
        matches!(way, Way::Removal) || known(&after) == known(text) && comments(&after) == comments(text) + 1;
    (sound && keeps).then_some(change)
}

/// The text with changes of different lines.
fn changed(text: &str, changes: &[&Change]) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let mut changes: Vec<&Change> = changes.to_vec();
    changes.sort_by_key(|change| change.first);
    for change in changes.iter().rev() {
        lines.splice(change.first..change.first + change.removed, [change.text.clone()]);
    }
    lines.concat()
}

fn merged(path: &RepoPath, base: &str, ours: &str, theirs: &str) -> Result<String, String> {
    let merged = merge(path, Some(base.as_bytes()), Some(ours.as_bytes()), Some(theirs.as_bytes()));
    let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.expect("a file")).expect("UTF-8");
    merged.map(text).map_err(|conflict| conflict.to_string())
}

/// The lines but blank ones: how many of those are left between what goes is not the question here.
fn code(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

fn way() -> impl Strategy<Value = Way> {
    select(vec![Way::CommentOnLastLine, Way::CommentBelow, Way::Removal])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn changes_of_different_entities_never_conflict(
        file in select(&FILES[..]), one in any::<Index>(), other in any::<Index>(), ways in (way(), way())
    ) {
        let (name, mark, text) = file;
        let path: RepoPath = name.parse().expect("a path");
        let symbols = outline(&path, text).symbols;
        let (one, other) = (&symbols[one.index(symbols.len())], &symbols[other.index(symbols.len())]);
        let apart = rows(one).end <= rows(other).start || rows(other).end <= rows(one).start;
        prop_assume!(apart);
        let ours = change(&path, text, mark, one, ways.0, "ours");
        let theirs = change(&path, text, mark, other, ways.1, "theirs");
        prop_assume!(ours.is_some() && theirs.is_some());
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return Ok(()) };
        // A comment directly above a definition belongs to it, and would go with it.
        let is_comment_of = |comment: &Change, removal: &Change| comment.removed == 0 && comment.first == removal.first;
        prop_assume!(!is_comment_of(&ours, &theirs) && !is_comment_of(&theirs, &ours));
        // A removal may take a definition away that the other change needs, and so may an empty class.
        let expected = changed(text, &[&ours, &theirs]);
        prop_assume!(syntax_errors(&path, expected.as_bytes()) == syntax_errors(&path, text.as_bytes()));
        let (our_text, their_text) = (changed(text, &[&ours]), changed(text, &[&theirs]));
        prop_assert_eq!(merged(&path, text, &our_text, &their_text).map(|text| code(&text)), Ok(code(&expected)), "{} and {}", one.path, other.path);
        prop_assert_eq!(merged(&path, text, &their_text, &our_text).map(|text| code(&text)), Ok(code(&expected)), "{} and {}", other.path, one.path);
    }

    #[test]
    fn any_changes_merge_alike_from_both_sides_and_to_a_text_that_parses(
        file in select(&FILES[..]),
        ours in prop::collection::vec((any::<Index>(), way()), 0..4),
        theirs in prop::collection::vec((any::<Index>(), way()), 0..4),
    ) {
        let (name, mark, text) = file;
        let path: RepoPath = name.parse().expect("a path");
        let side = |changes: &[(Index, Way)], own: &str| {
            changes.iter().fold(text.to_owned(), |now, (index, way)| {
                let symbols = outline(&path, &now).symbols;
                let symbol = symbols.get(index.index(symbols.len().max(1)));
                let change = symbol.and_then(|symbol| change(&path, &now, mark, symbol, *way, own));
                change.map_or(now.clone(), |change| changed(&now, &[&change]))
            })
        };
        let (ours, theirs) = (side(&ours, "ours"), side(&theirs, "theirs"));
        prop_assert_eq!(merged(&path, text, &ours, &ours), Ok(ours.clone()));
        prop_assert_eq!(merged(&path, text, &ours, text), Ok(ours.clone()));
        prop_assert_eq!(merged(&path, text, text, &theirs), Ok(theirs.clone()));
        let forth = merged(&path, text, &ours, &theirs);
        let back = merged(&path, text, &theirs, &ours);
        prop_assert_eq!(forth.is_ok(), back.is_ok(), "{:?}\n{:?}", forth, back);
        if let (Ok(forth), Ok(back)) = (forth, back) {
            prop_assert_eq!(syntax_errors(&path, forth.as_bytes()), syntax_errors(&path, text.as_bytes()));
            let sorted = |text: &str| { let mut lines = code(text); lines.sort(); lines };
            prop_assert_eq!(sorted(&forth), sorted(&back));
        }
    }
}
