//! Keeping the first and last part of a text.

/// How many characters of an output are kept at each end for models and pages (issue-repair practice: the start
/// names the command and its set-up, the end the failure).
pub const KEPT: usize = 5_000;

/// The text with at most its first `first` and last `last` characters, and a line between them that says how many
/// were left out. Unchanged where nothing has to be left out.
#[must_use]
pub fn clip(text: &str, first: usize, last: usize) -> String {
    let total = text.chars().count();
    if total <= first.saturating_add(last) {
        return text.to_owned();
    }
    let at = |characters: usize| text.char_indices().nth(characters).map_or(text.len(), |(index, _)| index);
    let (head, tail) = (&text[..at(first)], &text[at(total - last)..]);
    format!("{head}{}{tail}", marker(total - first - last, "characters"))
}

/// The line that stands where something was left out.
pub(crate) fn marker(left_out: impl std::fmt::Display, unit: &str) -> String {
    format!("\n[... {left_out} {unit} left out ...]\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_text_stays_and_a_long_one_says_what_is_missing() {
        assert_eq!(clip("short", 3, 2), "short");
        assert_eq!(clip("äöüßabcdef", 2, 3), "äö\n[... 5 characters left out ...]\ndef");
        assert_eq!(clip("abc", 0, 0), "\n[... 3 characters left out ...]\n");
    }

    proptest! {
        #[test]
        fn both_ends_survive(text in ".{0,60}", first in 0_usize..20, last in 0_usize..20) {
            let clipped = clip(&text, first, last);
            let head: String = text.chars().take(first).collect();
            prop_assert!(clipped.starts_with(&head));
            let total = text.chars().count();
            let tail: String = text.chars().skip(total.saturating_sub(last)).collect();
            prop_assert!(clipped.ends_with(&tail));
            prop_assert!(clipped.chars().count() <= first + last + 50);
        }
    }
}
