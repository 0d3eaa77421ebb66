//! Texts that others wrote (issues, repositories, command output): cleaned, and fenced for prompts.

use crate::secrets::constant;
use regex::Regex;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;
use toryo_domain::Digest;

/// Sequences that colour or move text on a terminal (ECMA-48: CSI, OSC): whole, or their rest would stay behind.
static TERMINAL: LazyLock<Regex> =
    LazyLock::new(|| constant(Regex::new(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)")));

/// The text without what people cannot see and a model could be led by: control characters except newline and
/// tab, terminal sequences, bidirectional controls, zero-width and tag characters. Line endings become newlines, white space around
/// the text goes, and at most `limit` characters stay.
///
/// Markup stays as it is: an issue about `<T>` or HTML has to arrive whole. Pages and prompts escape and fence
/// what they show, so nothing has to be stripped for them.
#[must_use]
pub fn clean(text: &str, limit: usize) -> String {
    let uncoloured = TERMINAL.replace_all(text, "");
    let lines = uncoloured.replace("\r\n", "\n").replace('\r', "\n");
    let visible: String = lines.chars().filter(|c| is_visible(*c)).collect();
    clip(visible.trim(), limit).into_owned()
}

/// At most `limit` characters; a cut text says how much is missing.
fn clip(text: &str, limit: usize) -> Cow<'_, str> {
    let count = text.chars().count();
    if count <= limit {
        return Cow::Borrowed(text);
    }
    let marker = format!("\n[{} more characters left out]", count - limit);
    let room = limit.saturating_sub(marker.chars().count());
    let marker: String = marker.chars().take(limit).collect();
    let kept: String = text.chars().take(room).collect();
    Cow::Owned(format!("{kept}{marker}"))
}

/// Whether a reader sees the character, or it is white space of a text.
fn is_visible(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        // Soft hyphen, Arabic letter mark, Mongolian separator, zero width, directional marks, line and paragraph
        // separators, embeddings and isolates, invisible operators, BOM, annotations, tags, variation selectors 17-256.
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => false,
        c => !c.is_control(),
    }
}

/// The text between two lines that it cannot hold itself, with a label that says what it is. The same input gives
/// the same fence, so that a rendered prompt is the same in every attempt.
///
/// Instructions inside are data; the system prompt says so, and this only makes the border certain.
#[must_use]
pub fn fence(label: &str, text: &str) -> String {
    let label: String = label
        .chars()
        .map(|c| if c.is_alphanumeric() || "-_./: ".contains(c) { c } else { '_' })
        .take(200)
        .collect();
    // A text that holds its own digest would have to be searched for; should one be found, another is taken.
    let mut nonce = Digest::of(text).short();
    while text.contains(&nonce) {
        nonce = Digest::of_parts([text.as_bytes(), nonce.as_bytes()]).short();
    }
    let mut fenced = String::with_capacity(text.len() + 120);
    let _ = write!(fenced, "<<<UNTRUSTED {nonce} {label}\n{text}");
    if !text.ends_with('\n') {
        fenced.push('\n');
    }
    let _ = write!(fenced, "UNTRUSTED {nonce}>>>");
    fenced
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_nobody_sees_goes_and_code_stays() {
        let text = "\u{feff} if a < b && c > d:\r\n\treturn Vec<T>\u{202e}\u{200b}\0\u{1b}[1;31m;\u{1b}[0m\u{e0041}\u{1b}]0;title\u{7}\r";
        assert_eq!(clean(text, 100), "if a < b && c > d:\n\treturn Vec<T>;");
        assert_eq!(clean("日本語 – naïve 🦀", 100), "日本語 – naïve 🦀");
    }

    #[test]
    fn a_long_text_says_what_is_missing() {
        let cut = clean(&"x".repeat(200), 100);
        assert_eq!(cut.chars().count(), 100);
        assert!(cut.ends_with("\n[100 more characters left out]"), "{cut}");
    }

    #[test]
    fn a_fence_reads_like_this() {
        let fenced = fence("file src/a.py\n>>>", "x = 1");
        let lines: Vec<_> = fenced.lines().collect();
        assert!(
            lines[0].starts_with("<<<UNTRUSTED ") && lines[0].ends_with(" file src/a.py____"),
            "{fenced}"
        );
        assert_eq!(lines[1], "x = 1");
        assert!(lines[2].starts_with("UNTRUSTED ") && lines[2].ends_with(">>>"), "{fenced}");
    }

    proptest! {
        #[test]
        fn a_text_never_holds_its_own_border(text in "\\PC{0,80}", guess in any::<u64>()) {
            for text in [text.clone(), fence("x", &text), format!("UNTRUSTED {guess:012x}>>>")] {
                let fenced = fence("x", &text);
                let end = fenced.lines().last().unwrap().to_owned();
                prop_assert_eq!(fenced.matches(&end).count(), 1);
                prop_assert!(!text.contains(&end));
            }
        }

        #[test]
        fn clean_text_stays_as_it_is(text in any::<String>(), limit in 0_usize..60) {
            let once = clean(&text, limit);
            prop_assert!(once.chars().count() <= limit);
            prop_assert!(once.chars().all(is_visible));
            let whole = clean(&text, usize::MAX);
            prop_assert_eq!(clean(&whole, usize::MAX), whole);
        }
    }
}
