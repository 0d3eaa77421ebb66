//! From the message of a commit to what a person might have asked for.

use std::sync::LazyLock;

use regex::Regex;

/// Longest query, in bytes.
const LONGEST: usize = 2000;

/// A pattern of this file; each is exercised by the tests below.
macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
    };
}

pattern!(
    BUG_FIX,
    r"(?i)\b(?:fix(?:e[sd]|ing)?|bugs?|bugfix|issues?|errors?|crash(?:e[sd])?|wrong|incorrect|broken|regression|fails?|failing|failure)\b"
);
pattern!(
    CHORE,
    r"(?i)\b(?:typos?|docs?|docstrings?|documentation|readme|changelog|document|ci|pep8|flak[ey]+|lint|linter|flake8|mypy|pylint|ruff|typing|annotations?|tests?|release|bump|merge|revert|spelling|workflow|format(?:ting)?|pre-commit|travis|build|type hints?|markup|comments?)\b"
);
pattern!(
    TRAILER,
    r"(?im)^\s*(?:[\w-]+-by|change-id|git-svn-id|pr-url|reviewed|refs?|see also|cherry.picked|\(cherry picked).*$|^\s*[-*] \[[ x]\].*$|^\s*---+\s*$"
);
pattern!(COMMENT, r"(?s)<!--.*?-->|:(?:issue|pr|ghissue|pull):`[^`\n]*`");
pattern!(LINK, r"https?://\S+");
pattern!(
    NUMBER,
    r"(?i)\b(?:closes?|closed|fix(?:es|ed)?|resolves?|refs?|see|issue|pr|bug|ticket)?:?\s*(?:[\w.-]+/[\w.-]+)?\(?(?:#|\bgh-)\d+\)?(?:\s*--)?"
);
pattern!(HASH, r"\b[0-9a-f]{10,40}\b");
pattern!(BLANKS, r"\n\s*\n\s*\n+");
pattern!(ROLE, r":[a-z]+(?::[a-z]+)?:`");
pattern!(CODE, r"`+[^`\n]+`+");
pattern!(DOTTED, r"\b[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?:\(\))?");
pattern!(SNAKE, r"\b(?:_+\w+|[A-Za-z]\w*_\w*)(?:\([^)\n]*\))?");
pattern!(CAMEL, r"\b(?:[a-z]+[A-Z]\w*|[A-Z]+[a-z0-9]+[A-Z]\w*|[A-Z]{2,}[a-z]+\w*)(?:\([^)\n]*\))?");
pattern!(CALL, r"\b\w+\([^)\n]*\)");
pattern!(
    PATH,
    r"(?:[\w.-]+/)+[\w.-]+|\b[\w-]+\.(?:pyi?|rs|go|java|jsx?|tsx?|rst|md|txt|toml|cfg|ini|ya?ml|json)\b"
);
pattern!(WORD, r"[A-Za-z]{3,}");

fn without(pattern: &'static LazyLock<Option<Regex>>, text: &str) -> String {
    pattern.as_ref().map_or_else(|| text.to_owned(), |regex| regex.replace_all(text, " ").into_owned())
}

fn holds(pattern: &'static LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|regex| regex.is_match(text))
}

/// Whether a subject speaks of a fix of the product, not of its tests, prose or tools.
pub(super) fn is_bug_fix(subject: &str) -> bool {
    holds(&BUG_FIX, subject) && !holds(&CHORE, subject)
}

/// A message without trailers, links and numbers of issues: nothing in it points at the change itself.
pub(super) fn cleaned(message: &str) -> String {
    let mut text = without(&COMMENT, message);
    for pattern in [&TRAILER, &LINK, &NUMBER, &HASH] {
        text = without(pattern, &text);
    }
    text = text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    if let Some(blanks) = BLANKS.as_ref() {
        text = blanks.replace_all(&text, "\n\n").into_owned();
    }
    let text = text.trim();
    text[..text.floor_char_boundary(LONGEST)].to_owned()
}

/// The text without the names asked for, where they stand as code.
pub(super) fn hiding(text: &str, names: &[&str]) -> String {
    let mut text = text.to_owned();
    for name in names {
        let name = regex::escape(name);
        let shapes =
            format!(r"(?:[A-Za-z_][\w.]*\.)?\b{name}\b\(\)|[A-Za-z_][\w.]*\.{name}\b|(`+){name}(`+)");
        let Ok(shapes) = Regex::new(&shapes) else { continue };
        text = shapes.replace_all(&text, "$1 $2").into_owned();
        if name.contains('_')
            && let Ok(plain) = Regex::new(&format!(r"\b{name}\b"))
        {
            text = plain.replace_all(&text, " ").into_owned();
        }
    }
    text
}

/// The text in the words of somebody who does not know the code: no code spans, paths, or names of its shapes.
pub(super) fn in_users_words(text: &str) -> String {
    let mut text = without(&ROLE, text).replace(" `", "`");
    for pattern in [&CODE, &PATH, &DOTTED, &SNAKE, &CAMEL, &CALL] {
        text = without(pattern, &text);
    }
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n")
}

/// How many words a search could use.
pub(super) fn words(text: &str) -> usize {
    WORD.as_ref().map_or(0, |regex| regex.find_iter(text).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bug_fixes_are_told_from_chores() {
        assert!(is_bug_fix("Fix crash when the header is empty"));
        assert!(is_bug_fix("Wrong exit status after Ctrl-C"));
        assert!(!is_bug_fix("Fix flaky test"));
        assert!(!is_bug_fix("Add a command"));
    }

    #[test]
    fn what_points_at_the_change_is_cut() {
        let message = "Fixed #123 -- empty header (#456)\n\n<!-- fill in\nthis -->See https://example.org/x\n\
                       caused by 0123456789abcdef\n- [x] tests\n\nSigned-off-by: A <a@b>\n";
        assert_eq!(cleaned(message), "empty header\n\nSee\ncaused by");
    }

    #[test]
    fn names_asked_for_are_hidden_where_they_are_code() {
        let text = "match fails in `match` and Rule.match() but parse_it does a match";
        assert_eq!(hiding(text, &["match", "parse_it"]), "match fails in ` ` and   but   does a match");
    }

    #[test]
    fn users_do_not_know_the_names_of_code() {
        let text =
            "parse_header in src/http.py drops WWWAuthenticate, so `x` and http.parse fail; call f(1) twice";
        assert_eq!(in_users_words(text), "in drops , so and fail; call twice");
    }
}
