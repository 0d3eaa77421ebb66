//! What CPython refuses and the grammar lets pass.

use crate::outline::column;
use crate::syntax::{self, Fault, Walk};
use tree_sitter::Node;

/// Blocks without statements, lines that do not align, and statements and quotes of Python 2.
pub(super) fn faults(root: Node<'_>, text: &str) -> Vec<Fault> {
    let mut found = Vec::new();
    // Expressions hold no statements; in them only back quotes are at fault.
    let quotes: Vec<usize> = text.match_indices('`').map(|(at, _)| at).collect();
    let holds_quotes = |node: Node<'_>| {
        let first = quotes.partition_point(|quote| *quote < node.start_byte());
        quotes.get(first).is_some_and(|quote| *quote < node.end_byte())
    };
    syntax::walk(root, |node, _| {
        let kind = node.kind();
        match kind {
            "module" => misaligned(node, Some((0, 0)), text, &mut found),
            "block" => {
                let mut cursor = node.walk();
                if !node.named_children(&mut cursor).any(|child| child.kind() != "comment") {
                    found.push((node.start_byte(), "an indented block is missing".to_owned()));
                }
                misaligned(node, None, text, &mut found);
            }
            "decorated_definition" => misaligned(node, None, text, &mut found),
            "if_statement" | "for_statement" | "while_statement" | "try_statement" => {
                misaligned_clauses(node, text, &mut found);
                if node.kind() == "try_statement" && !has_handler(node) {
                    found.push((node.start_byte(), "a `try` without `except` or `finally`".to_owned()));
                }
            }
            "print_statement" | "exec_statement" => {
                found.push((node.start_byte(), "a statement of Python 2".to_owned()))
            }
            "string" if text[node.byte_range()].starts_with('`') => {
                found.push((node.start_byte(), "a back quote is not Python 3".to_owned()));
            }
            _ => {}
        }
        if holds_statements(kind) || node.has_error() || holds_quotes(node) { Walk::On } else { Walk::Skip }
    });
    found
}

/// Whether statements may stand below this kind of node.
fn holds_statements(kind: &str) -> bool {
    let compound = "module block decorated_definition class_definition function_definition if_statement for_statement \
        while_statement try_statement with_statement match_statement";
    kind.ends_with("_clause")
        || kind.ends_with("_group")
        || compound.split_ascii_whitespace().any(|word| word == kind)
}

/// Whether a `try` has what makes it one.
fn has_handler(node: Node<'_>) -> bool {
    let mut cursor = node.walk();
    let is_handler = |kind: &str| kind.starts_with("except") || kind == "finally_clause";
    node.named_children(&mut cursor).any(|clause| is_handler(clause.kind()) || clause.is_error())
}

/// The columns at which a line's code starts with tabs as eight and as one, if `at` is where its code starts.
/// CPython compares both (Python reference, 2.1.8).
fn columns(at: usize, text: &str) -> Option<(usize, usize)> {
    // Back from the code, not forth from the line's start: lines may be long and hold many statements.
    let before = text[..at].trim_end_matches([' ', '\t', '\x0c']);
    let before = before.strip_prefix('\u{feff}').filter(|rest| rest.is_empty()).unwrap_or(before);
    let starts = before.is_empty() || before.ends_with('\n');
    if !starts || before.trim_end_matches(['\n', '\r']).ends_with('\\') {
        return None;
    }
    let indentation = text[before.len()..at].rsplit(['\x0c', '\u{feff}']).next().unwrap_or_default();
    Some((column(indentation), indentation.len()))
}

/// Adds children that start a line at another column than the first one, or than `expected`.
fn misaligned(node: Node<'_>, expected: Option<(usize, usize)>, text: &str, found: &mut Vec<Fault>) {
    let mut expected = expected;
    let mut cursor = node.walk();
    for child in node.named_children(&mut cursor) {
        if child.kind() == "comment" || child.is_error() || child.byte_range().is_empty() {
            continue;
        }
        let Some(columns) = columns(child.start_byte(), text) else { continue };
        if *expected.get_or_insert(columns) != columns {
            found.push((child.start_byte(), "the indentation does not match".to_owned()));
        }
    }
}

/// Adds clauses such as `else` that do not stand below their statement's first word.
fn misaligned_clauses(node: Node<'_>, text: &str, found: &mut Vec<Fault>) {
    let Some(expected) = columns(node.start_byte(), text) else { return };
    let mut cursor = node.walk();
    for clause in node.named_children(&mut cursor).filter(|child| child.kind().ends_with("_clause")) {
        if columns(clause.start_byte(), text).is_some_and(|columns| columns != expected) {
            found.push((clause.start_byte(), "the indentation does not match".to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::syntax_errors;

    fn faults(text: &str) -> Vec<String> {
        let errors = syntax_errors(&"a.py".parse().expect("a path"), text.as_bytes());
        errors.iter().map(|error| format!("{}:{} {}", error.line, error.column, error.what)).collect()
    }

    #[test]
    fn what_python_accepts_has_no_fault() {
        for text in [
            "",
            "\u{feff}import a\nx = 1\n",
            "if a:\n\tb\n\tc\nelse:\n  d\n",
            "def f(): return 1\nclass A: ...\n",
            "x = (1,\n 2)\nif a: b; c\n",
            "if a and \\\n   b:\n    c\n",
            "def f():\n    a\n\x0c\n    b\n\x0c\ndef g():\n    pass\n",
            "def f():\n\x0c    a\n    b\n",
            "try:\n    a\n# c\nexcept* E:\n    b\nelse:\n    c\nfinally:\n    d",
            "match a:\n    case 1:\n        b\n    case _:\n        c\n",
            "for a in b: c\nelse: d\nwhile a:\n    b\nelse:\n    c\n",
            "@a\n@b\nasync def f[T](x: T, /, *, y=1) -> T:\n    async with a as b, c: await d\n",
            "x = f\"{a!r:>{width}} {'b'}\"\ny = '''\n  z\n'''\r\nif a:\r\n    b\r\n",
            "print(1, file=a)\nprint\nexec('a')\ntype X = int\n",
            "class A:\n\n    # c\n\n    x = 1\n  # odd\n    y = 2\n",
        ] {
            assert_eq!(faults(text), Vec::<String>::new(), "{text:?}");
        }
    }

    #[test]
    fn what_python_refuses_has_a_fault_at_its_place() {
        for (text, fault) in [
            ("def f():\n\nx = 1\n", "1:9 an indented block is missing"),
            ("def f():\n    # only\n", "1:9 an indented block is missing"),
            ("x = 1\n    y = 2\n", "2:5 the indentation does not match"),
            ("if a:\n        b\n    c\n", "3:5 the indentation does not match"),
            ("if a:\n    b\n  else:\n    c\n", "3:3 the indentation does not match"),
            ("if a:\n        b\n\tc\n", "3:2 the indentation does not match"),
            ("  x = 1\n", "1:3 the indentation does not match"),
            ("print 'a'\n", "1:1 a statement of Python 2"),
            ("x = `a`\n", "1:5 a back quote is not Python 3"),
            ("try:\n    a\nelse:\n    b\n", "1:1 a `try` without `except` or `finally`"),
            ("x = (1\n", "1:1 unexpected text"),
            ("def f(:\n    pass\n", "1:7 `)` is missing"),
        ] {
            assert_eq!(faults(text).first().map(String::as_str), Some(fault), "{text:?}");
        }
    }
}
