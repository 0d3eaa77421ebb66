//! The reader says what the tree says, or nothing.

use crate::language::{Language, of};
use crate::outline::{Outline, outline_of};
use crate::syntax;
use proptest::prelude::*;

/// The two fixtures with the most of Python in them.
const FIXTURES: [&str; 2] = [
    include_str!("../../../../tests/fixtures/shapes.py"),
    include_str!("../../../../tests/fixtures/reader.py"),
];

fn python() -> &'static Language {
    of(&"a.py".parse().expect("a path")).expect("a language")
}

/// What the reader says, if it is certain; then that is what the tree says.
fn check(text: &str) -> Option<Outline> {
    let read = super::read(text)?.outline(python(), text);
    let tree = syntax::parse(python(), text).expect("a text within bounds");
    assert_eq!(read, outline_of(python(), text, &tree), "{text}");
    Some(read)
}

#[test]
fn fixtures_are_read_as_they_are_parsed() {
    let read = check(FIXTURES[1]).expect("a text that is certain");
    assert_eq!((read.symbols.len(), read.references.len(), read.imports.len()), (31, 177, 11));
}

#[test]
fn what_is_not_certain_is_left_to_the_parser() {
    for text in [
        "print 'a'\n",
        "print >>a, b\n",
        "exec a in b\n",
        "match a:\n    case b: pass\n",
        "type A = b\n",
        "type(a).b = c\n",
        "def f[T](a): pass\n",
        "try:\n    a\nexcept* b: pass\n",
        "try:\n    a\nexcept b, c: pass\n",
        "a = *b, c\n",
        "f'{a!r:{b}' 'c'\n",
        "f'{a['b']}'\n",
        "f'{a:\\n}'\n",
        "f'{lambda a: b}'\n",
        "f'\\N{DASH}'\n",
        "t'{a}'\n",
        "if a:\n\tb\n        c\n",
        "if a:\n        b\n    c\n",
        "if a:\n    b = (c +\nd)\n",
        "if a:\n    b = (\n# c\n        d)\n",
        " a\n",
        "a\x0c\n",
        "a\rb\n",
        "é = 1\n",
        "a = 0777L\n",
        "a = 1if b else c\n",
        "a <> b\n",
        "`a`\n",
        "a ? b\n",
        "a + not b\n",
        "f(a for b in c, d)\n",
        "(*a)\n",
        "{*a: b}\n",
        "x[*a]\n",
        "def f((a, b)): pass\n",
        "a = b = (c, d) = e\n",
        "\\\na\n",
        "a = \\\n\n",
        "class A(b for c in d): pass\n",
        "a, + b = c\n",
        "f() = a\n",
        "a: b = c = d\n",
        "if a:\n# only a comment\n",
        "else: a\n",
        "a,\nb = c\n",
        "class A:\n    @a\n# b\n    def c(): pass\n",
        "from .\\\na import b\n",
        "a: b is c\n",
        "from __future__ import a.b\n",
        "def f(a: b[c:]): pass\n",
        "class A: \\\n  pass\n",
        "await (a)\n",
        "(a\n",
        "'a\n'",
        "'''a",
    ] {
        assert!(super::read(text).is_none(), "{text}");
    }
    let deep = |count: usize| format!("{}{}", "(".repeat(count), ")".repeat(count));
    assert!(check(&deep(40)).is_some() && super::read(&deep(100_000)).is_none());
}

/// Pieces of which much makes sense in any order.
fn soup() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b",
        "c",
        "self",
        "print",
        "type",
        "match",
        "_",
        "1",
        "2.5e3",
        "0x1f",
        "'s'",
        "f'{a!r:>{b}} {{c}}'",
        "rb'\\''",
        "\"\"\"d\ne\"\"\"",
        "None",
        "...",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ",",
        ":",
        ":",
        ";",
        ".",
        ".",
        "=",
        "=",
        "+",
        "-",
        "*",
        "**",
        "/",
        "@",
        "%",
        "<",
        "==",
        "+=",
        "->",
        ":=",
        "~",
        " and ",
        " or ",
        " not ",
        " in ",
        " is ",
        " if ",
        " else ",
        " for ",
        "lambda ",
        "yield ",
        "await ",
        "async ",
        "def f",
        "class C",
        "return ",
        "import ",
        "from ",
        "as ",
        "with ",
        "while ",
        "try:",
        "except ",
        "finally:",
        "else:",
        "elif ",
        "pass",
        "del ",
        "global ",
        "raise ",
        "assert ",
        " # c\n",
        "\n",
        "\n",
        "\n    ",
        "\n    ",
        "\n        ",
        "\n\t",
        "\\\n",
        "\r\n",
        " ",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_soup_of_words_is_read_as_it_is_parsed(text in soup()) {
        check(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Faults must not go unnoticed.
    #[test]
    fn a_damaged_text_is_read_as_it_is_parsed(
        fixture in 0..FIXTURES.len(),
        at in any::<prop::sample::Index>(),
        length in 0_usize..40,
        from in any::<prop::sample::Index>(),
        taken in 0_usize..40,
        soup in soup(),
        is_soup in any::<bool>(),
    ) {
        let text = FIXTURES[fixture];
        let cut = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let piece = |at: usize, length: usize| cut(at)..cut(at + length);
        let (gone, copied) = (piece(at.index(text.len()), length), piece(from.index(text.len()), taken));
        let new = if is_soup { soup.as_str() } else { &text[copied] };
        check(&format!("{}{new}{}", &text[..gone.start], &text[gone.end..]));
    }
}
