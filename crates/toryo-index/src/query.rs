//! What an issue-like text asks for: weighted terms, and what it mentions by name.

use crate::terms::{is_stop_word, terms_of, words};
use crate::vocabulary::{is_about_changes, joined, related};
use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Longest part of a query that is read, in bytes; a pasted log beyond it repeats itself.
const LONGEST_QUERY: usize = 64 * 1024;
/// Most mentions of one kind that are kept.
const MOST_MENTIONS: usize = 200;
/// What a related word counts beside the written one.
const RELATED: f64 = 0.5;
/// What a word about the change itself counts.
const ABOUT_CHANGES: f64 = 0.4;

/// A query, taken apart. Deterministic: everything is sorted or in the order of the text.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Query {
    /// Terms with their weight in the query.
    pub(crate) terms: BTreeMap<String, f64>,
    /// The first word that gave each term, for people to read.
    pub(crate) written: BTreeMap<String, String>,
    /// Paths of files, as written.
    pub(crate) paths: Vec<String>,
    /// Places in stack traces.
    pub(crate) frames: Vec<Frame>,
    /// Names as written, plain or dotted, with how sure it is that they name code (0 to 1).
    pub(crate) names: BTreeMap<String, f64>,
    /// Hashes of three words in a row of quoted texts and of traceback messages.
    pub(crate) phrases: Vec<u32>,
}

/// A place in a stack trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) path: String,
    pub(crate) line: u32,
    pub(crate) function: Option<String>,
    /// Whether it is written as Python writes it, with the innermost frame last.
    pub(crate) is_python: bool,
}

/// A pattern of this file; each is exercised by the tests below.
macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
    };
}

pattern!(PYTHON_FRAME, r#"File "([^"\n]+)", line (\d+)(?:, in ([\w.<>]+))?"#);
pattern!(OTHER_FRAME, r"([\w@~+\-./]+\.[A-Za-z]{1,5}):(\d+)\b");
pattern!(
    PATH,
    r"[\w@~+\-./]*[\w\-]\.(?:pyi?|pyx|rs|go|java|kt|jsx?|tsx?|mjs|cjs|c|h|cc|cpp|hpp|cs|rb|php|toml|cfg|ini|ya?ml|json|md|rst|txt|sh|sql|html|css)\b"
);
pattern!(DOTTED, r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+");
pattern!(CODE_SPAN, r"`+([^`\n]+)`+");
pattern!(QUOTED, r#""([^"\n]{8,})"|'([^'\n]{8,})'|`([^`\n]{8,})`"#);
pattern!(RAISED, r"(?m)^\s*[\w.]*(?:Error|Exception|Warning|Failure|Exit)\w*: (.{4,})$");

fn captures<'t>(
    pattern: &'static LazyLock<Option<Regex>>,
    text: &'t str,
) -> impl Iterator<Item = regex::Captures<'t>> {
    pattern.iter().flat_map(move |regex| regex.captures_iter(text)).take(MOST_MENTIONS)
}

impl Query {
    /// Takes a text apart.
    pub(crate) fn parse(text: &str) -> Self {
        let mut end = text.len().min(LONGEST_QUERY);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = &text[..end];
        let mut query = Self::default();
        query.read_terms(text);
        query.read_frames(text);
        query.read_names(text);
        query.read_phrases(text);
        query
    }

    /// The first line says what it is about; what is set in code form was chosen with care.
    fn read_terms(&mut self, text: &str) {
        let title =
            text.trim_start().lines().next().map_or(0, str::len) + (text.len() - text.trim_start().len());
        let code: Vec<std::ops::Range<usize>> =
            captures(&CODE_SPAN, text).filter_map(|found| found.get(1).map(|span| span.range())).collect();
        let mut counts: BTreeMap<String, f64> = BTreeMap::new();
        for (at, word) in words(text) {
            let in_code = code.iter().any(|span| span.contains(&at));
            let weight = if at < title { 2.0 } else { 1.0 } * if in_code { 1.5 } else { 1.0 };
            terms_of(word, |term| {
                *counts.entry(term.to_owned()).or_default() += weight;
                self.written.entry(term.to_owned()).or_insert_with(|| word.to_owned());
            });
        }
        for term in joined(text) {
            counts.entry(term).or_insert(1.0);
        }
        for (term, weight) in counts {
            // Repetition says a little more, not so many times more.
            let weight =
                3.0 * weight / (weight + 2.0) * if is_about_changes(&term) { ABOUT_CHANGES } else { 1.0 };
            for related in related(&term) {
                self.term(related, weight * RELATED);
            }
            self.term(term, weight);
        }
    }

    fn term(&mut self, term: String, weight: f64) {
        let known = self.terms.entry(term).or_default();
        *known = known.max(weight);
    }

    fn read_frames(&mut self, text: &str) {
        let python = captures(&PYTHON_FRAME, text).map(|found| (found, true));
        for (found, is_python) in python.chain(captures(&OTHER_FRAME, text).map(|found| (found, false))) {
            let (Some(path), Some(line)) =
                (found.get(1), found.get(2).and_then(|line| line.as_str().parse().ok()))
            else {
                continue;
            };
            let function = found.get(3).map(|name| name.as_str().to_owned());
            let frame = Frame { path: path.as_str().to_owned(), line, function, is_python };
            if !self.frames.iter().any(|other| other.path == frame.path && other.line == line) {
                self.frames.push(frame);
            }
        }
        for found in captures(&PATH, text) {
            let path = found[0].trim_start_matches("./").to_owned();
            if !self.paths.contains(&path) {
                self.paths.push(path);
            }
        }
    }

    fn read_names(&mut self, text: &str) {
        for found in captures(&DOTTED, text) {
            self.mention(&found[0], 0.9);
        }
        for found in captures(&CODE_SPAN, text) {
            for (_, word) in words(&found[1]) {
                self.mention(word, 1.0);
            }
        }
        for (at, word) in words(text) {
            let called = text[at + word.len()..].starts_with('(');
            self.mention(word, if called { 1.0 } else { certainty(word) });
        }
    }

    fn mention(&mut self, name: &str, certainty: f64) {
        let short = name.trim_matches('_').len() < 2;
        if short || is_stop_word(&name.to_lowercase()) || self.names.len() >= 4 * MOST_MENTIONS {
            return;
        }
        let known = self.names.entry(name.to_owned()).or_default();
        *known = known.max(certainty);
    }

    fn read_phrases(&mut self, text: &str) {
        for found in captures(&QUOTED, text).chain(captures(&RAISED, text)) {
            for quoted in found.iter().skip(1).flatten() {
                self.phrases.extend(phrases_of(quoted.as_str()));
            }
        }
        self.phrases.sort_unstable();
        self.phrases.dedup();
    }
}

/// How sure it is that a bare word of prose names code, by its shape.
fn certainty(word: &str) -> f64 {
    let inner = word.trim_matches('_');
    let rises =
        inner.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    if inner.contains('_') || rises || inner.len() < word.len() {
        1.0
    } else if inner.starts_with(|c: char| c.is_ascii_uppercase()) {
        0.5
    } else {
        0.3
    }
}

/// Hashes of each three words in a row, in lower case. FNV-1a: fixed for all time and machines.
pub(crate) fn phrases_of(text: &str) -> Vec<u32> {
    let words: Vec<&str> = words(text).map(|(_, word)| word).take(100).collect();
    words
        .windows(3)
        .map(|three| three.iter().fold(0x811c_9dc5, |hash, word| fnv(lower_fnv(hash, word), b' ')))
        .collect()
}

/// Goes on with a word in lower case.
fn lower_fnv(hash: u32, word: &str) -> u32 {
    if word.is_ascii() {
        return word.bytes().map(|byte| byte.to_ascii_lowercase()).fold(hash, fnv);
    }
    word.to_lowercase().bytes().fold(hash, fnv)
}

fn fnv(hash: u32, byte: u8) -> u32 {
    (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_pattern_compiles() {
        for pattern in [&PYTHON_FRAME, &OTHER_FRAME, &PATH, &DOTTED, &CODE_SPAN, &QUOTED, &RAISED] {
            assert!(pattern.is_some());
        }
    }

    #[test]
    fn mentions_are_found_in_an_issue() {
        let query = Query::parse(
            "safe_join breaks on Windows\n\n`Response.json()` in src/app/http.py fails:\n  File \"app/wsgi.py\", line 12, in run\n\
             ValueError: not a valid header value\nsee lib/x.js:7",
        );
        assert_eq!(query.names["safe_join"], 1.0);
        assert_eq!(query.names["Windows"], 0.5);
        assert_eq!(query.names["Response.json"], 0.9);
        assert_eq!(query.paths, ["Response.json", "src/app/http.py", "app/wsgi.py", "lib/x.js"]);
        assert_eq!(
            query.frames,
            [
                Frame { path: "app/wsgi.py".into(), line: 12, function: Some("run".into()), is_python: true },
                Frame { path: "lib/x.js".into(), line: 7, function: None, is_python: false },
            ]
        );
        let message = phrases_of("not a valid header value");
        assert!(message.iter().all(|phrase| query.phrases.contains(phrase)));
        assert!(query.terms["safe_join"] > query.terms["header"]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart(text in "\\PC{0,200}") {
            prop_assert_eq!(Query::parse(&text), Query::parse(&text));
        }
    }
}
