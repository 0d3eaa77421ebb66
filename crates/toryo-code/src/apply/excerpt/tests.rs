//! What an excerpt judges is what the whole file judges.

use super::super::{Source, changed, within_excerpt};
use crate::edit::{EditType, Locator, Operation, Patch, Position, ProposeEdit, Target};
use proptest::prelude::*;
use proptest::sample::select;

const SHAPES: &str = include_str!("../../../tests/fixtures/shapes.py");
const AWKWARD: &str = include_str!("../../../tests/fixtures/python/shapes.py");

/// Bodies and definitions, some of which reach beyond their place.
const TEXTS: [&str; 26] = [
    "pass",
    "return 1",
    "x = '''\n  raw\ndef f(): pass\n'''\n",
    "\"\"\"Says.\"\"\"",
    "def new(a):\n    return a\n",
    "@d\nclass New:\n    x = 1\n",
    "@d",
    "@d\n",
    "x = 1 \\",
    "x = 1 \\\n",
    "x = (1,",
    "x = '''open",
    "x = 'open",
    "f\"{x[\"a\"]}\"",
    "f\"{x['a']}\" + f'{y!r:>{z}}'",
    "else:\n    pass",
    "if a:\n    b\nelse:",
    "if a:",
    "try:\n    a",
    "  b\nc",
    "a\n  b",
    "print 'a'",
    "# only",
    "x = `1`",
    "a\x0c\nb",
    "match a:\n    case 1: pass\n",
];

fn edit(symbol: &str, edit_type: EditType, position: Option<Position>, patch: Patch) -> ProposeEdit {
    let locator = Locator { target: Target::Symbol(symbol.to_owned()), position };
    ProposeEdit { file_path: "a.py".to_owned(), edit_type, locator, patch, rationale_summary: String::new() }
}

/// Each kind of edit that an excerpt may judge.
fn edits(symbol: &str, text: &str) -> Vec<ProposeEdit> {
    let (owned, plain) = (|| text.to_owned(), || Patch::Text(text.to_owned()));
    let operations = [
        Operation::ReplaceBody { text: owned() },
        Operation::SetDocstring { text: owned() },
        Operation::AddDecorator { text: owned() },
        Operation::SetSignature { text: owned() },
        Operation::SetSignature { text: format!("def f({text})") },
        Operation::Wrap { before: owned(), after: String::new() },
        Operation::Wrap { before: String::new(), after: owned() },
        Operation::RemoveDecorator { name: "property".to_owned() },
    ];
    let mut edits = vec![
        edit(symbol, EditType::Replace, None, plain()),
        edit(symbol, EditType::Insert, Some(Position::BodyStart), plain()),
        edit(symbol, EditType::Insert, Some(Position::BodyEnd), plain()),
    ];
    let operation = |one| edit(symbol, EditType::AstPatch, None, Patch::Operations(vec![one]));
    edits.extend(operations.map(operation));
    edits
}

/// What an excerpt answers is what the whole file answers; whether it does.
fn agrees(edit: &ProposeEdit, source: &Source) -> bool {
    let unread = source.clone().whole();
    let Some(quick) = within_excerpt(edit, &unread) else { return false };
    let whole = changed(edit, source);
    let text = whole.as_ref().map(|next| next.text.as_str());
    assert_eq!(text, Ok(quick.text.as_str()), "{edit:?} of {:?}", source.text);
    true
}

fn source(text: &str) -> Source {
    Source::read(&"a.py".parse().expect("a path"), text.as_bytes()).expect("a text within bounds")
}

fn paths(source: &Source) -> Vec<String> {
    source.symbols().iter().map(|symbol| symbol.path.clone()).collect()
}

#[test]
fn excerpts_of_the_fixtures_agree_with_the_whole_files() {
    let (mut asked, mut answered) = (0, 0);
    for text in [SHAPES, AWKWARD, &SHAPES.replace('\n', "\r\n"), &SHAPES.replace("    ", "\t")] {
        let source = source(text);
        for (index, path) in paths(&source).iter().enumerate() {
            // Each text meets symbols of each kind in turn.
            let texts = TEXTS.iter().enumerate().filter(|(number, _)| (number + index) % 5 == 0);
            for edit in texts.flat_map(|(_, text)| edits(path, text)) {
                asked += 1;
                answered += usize::from(agrees(&edit, &source));
            }
        }
    }
    assert!(answered * 5 > asked, "{answered} of {asked}");
}

#[test]
fn statements_are_those_of_the_parser() {
    for text in [
        "x = {\n1: '''\ny\n'''}\n@a\n# b\n@c\ndef f(): pass\nif a:\n  b\n# c\nelif d: e\nelse:\n  f\ng; h\n",
        "x = f\"{a['b']}{{}}\" f'''\n{c}'''\nrb'\\'' ; y = 1 + \\\n  2\nclass A: pass\nf(\n)",
        SHAPES,
    ] {
        let source = source(text);
        let root = source.analysis().expect("a language").tree.root_node();
        let lines = source.lines();
        let mut cursor = root.walk();
        let code = root.named_children(&mut cursor).filter(|node| node.kind() != "comment");
        let mut starts: Vec<usize> = code.map(|node| lines.start_of_line_at(node.start_byte())).collect();
        starts.dedup();
        let rules = source.language.and_then(|language| language.statements.as_ref()).expect("rules");
        let found = (rules.lines)(text).expect("certain lines");
        let statements = super::Lines { rules, text, lines: &found }.statements(0).expect("statements");
        let found: Vec<usize> = statements.iter().map(|range| found[range.start].start).collect();
        assert_eq!(found, starts, "{text}");
    }
}

#[test]
fn lines_that_may_be_read_in_another_way_are_not_certain() {
    let python = crate::language::of(&"a.py".parse().expect("a path"));
    let lines = python.and_then(|python| python.statements.as_ref()).expect("rules").lines;
    for text in [
        "x = (",
        "x = )",
        "x = 'a",
        "x = '''a",
        "x \\",
        "x \\\n",
        "x \\ \n",
        "\\\nx",
        "x\ry",
        "if a:\n\tb\n    c\n",
        "if a:\n \tb\n",
        "f'{x # c\n}'",
        "f'''{\nx}'''",
        "f'{'",
        "f'{\"}\"}'",
        "f'{a:\\n}'",
        "f'{\"\"\"a\"\"\"}'",
    ] {
        assert_eq!(lines(text), None, "{text}");
    }
    for text in [
        "x = f\"{a['b']:#x}{{\" '\\\n'",
        "f'{a!r:>{b}}'",
        "rf'\\{a}'",
        "f'{x['a']}'",
        "f'''{x['a']}'''",
        "'{' '\\\\'",
        "if a:\n\tb\nc\n",
    ] {
        assert!(lines(text).is_some(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_an_excerpt_answers_is_what_the_whole_file_answers(
        lines in prop::collection::vec(select(vec![
            "@d", "@property", "def f(a):", "def g(): pass", "class A:", "class B(f):", "if a:", "else:", "elif b:", "try:", "except f:",
            "    def f(self):", "    @d", "    def g(self): return 1", "    class A:", "    x = 1", "    f = 2", "  y",
            "        return f", "        pass", "    pass", "    # c", "# f", "", "f = 1", "A = f", "x = (", ")", "x = '''", "'''", "\\",
            "x = 1 \\", "match a:", "    case 1:", "        '''", "    else:", "    \"\"\"A f.\"\"\"", "f\"{A}\"", "\tf", "\x0c", "f = '",
            "async def f(): pass", "print f", "case = f",
        ]), 0..18),
        symbol in select(vec!["f", "A.f", "A", "g", "A.g", "f[2]", "A[2].f", "A.A.f", "f.f", "B.f[2]", "x", "A.f.x"]),
        texts in prop::collection::vec(select(TEXTS.to_vec()), 1..3),
    ) {
        let text = lines.join("\n");
        let Ok(source) = Source::read(&"a.py".parse().expect("a path"), text.as_bytes()) else { return Ok(()) };
        // Elsewhere broken text may be read anew around a change; an excerpt leaves it alone.
        if source.faults().is_empty() {
            for edit in edits(symbol, &texts.join("\n")) {
                agrees(&edit, &source);
            }
        }
    }
}
