//! Syntax highlighting of Python on the server, line by line.

use std::sync::LazyLock;
use tree_sitter_highlight::{HighlightConfiguration, HighlightEvent, Highlighter};

/// Captures that get a colour; the class is the name's first part.
const NAMES: &[&str] = &[
    "comment",
    "constant",
    "constant.builtin",
    "constructor",
    "function",
    "function.builtin",
    "function.method",
    "keyword",
    "number",
    "operator",
    "property",
    "string",
    "escape",
    "type",
];

/// Longest text that is highlighted, in bytes; longer text is shown plain.
const LONGEST: usize = 200_000;

static PYTHON: LazyLock<Option<HighlightConfiguration>> = LazyLock::new(|| {
    let language = tree_sitter_python::LANGUAGE.into();
    let query = tree_sitter_python::HIGHLIGHTS_QUERY;
    let mut configuration = HighlightConfiguration::new(language, "python", query, "", "").ok()?;
    configuration.configure(NAMES);
    Some(configuration)
});

/// A piece of a line and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The class, where it has one.
    pub class: Option<&'static str>,
    /// The text.
    pub text: String,
}

/// The lines of a text as pieces; plain where the language is not known or the text is too long.
#[must_use]
pub fn lines(path: &str, lines: &[&str]) -> Vec<Vec<Piece>> {
    let text = lines.join("\n");
    let coloured = if is_python(path) && text.len() <= LONGEST { python(&text) } else { None };
    match coloured {
        Some(coloured) if coloured.len() == lines.len() => coloured,
        _ => lines.iter().map(|line| plain(line)).collect(),
    }
}

fn is_python(path: &str) -> bool {
    [".py", ".pyi"].iter().any(|extension| path.ends_with(extension))
}

fn plain(line: &str) -> Vec<Piece> {
    vec![Piece { class: None, text: line.to_owned() }]
}

fn python(text: &str) -> Option<Vec<Vec<Piece>>> {
    let configuration = PYTHON.as_ref()?;
    let mut highlighter = Highlighter::new();
    let events = highlighter.highlight(configuration, text.as_bytes(), None, None, |_| None).ok()?;
    let mut lines = vec![vec![]];
    let mut open: Vec<&'static str> = vec![];
    for event in events {
        match event.ok()? {
            HighlightEvent::HighlightStart(name) => open.push(class(name.0)),
            HighlightEvent::HighlightEnd => {
                open.pop();
            }
            HighlightEvent::Source { start, end } => {
                push(&mut lines, text.get(start..end)?, open.last().copied())
            }
        }
    }
    Some(lines)
}

fn class(index: usize) -> &'static str {
    NAMES.get(index).map_or("", |name| name.split('.').next().unwrap_or(name))
}

fn push(lines: &mut Vec<Vec<Piece>>, text: &str, class: Option<&'static str>) {
    for (index, part) in text.split('\n').enumerate() {
        if index > 0 {
            lines.push(vec![]);
        }
        if let (false, Some(line)) = (part.is_empty(), lines.last_mut()) {
            line.push(Piece { class, text: part.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn python_has_colours_and_other_files_have_none() {
        let coloured = lines("a.py", &["def days(a):  # count", "    return \"two", "lines\""]);
        let classes: Vec<_> = coloured[0].iter().filter_map(|piece| piece.class).collect();
        assert_eq!(classes, ["keyword", "function", "comment"]);
        assert_eq!(lines("a.txt", &["def x"]), vec![plain("def x")]);
    }

    proptest! {
        #[test]
        fn colours_change_no_text(text in "(?s)[a-zé(){}\\[\\]:\"'#\\\\ \n=.,0-9]{0,120}") {
            let wanted: Vec<&str> = text.split('\n').collect();
            let got: Vec<String> = lines("a.py", &wanted)
                .iter()
                .map(|pieces| pieces.iter().map(|piece| piece.text.as_str()).collect())
                .collect();
            prop_assert_eq!(got, wanted);
        }
    }
}
