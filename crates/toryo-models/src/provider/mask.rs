//! Makes a provider's words fit to be shown: cut, on one line, without anything that looks like a key.

use secrecy::{ExposeSecret, SecretString};

/// Characters of a message at most.
const LONGEST: usize = 500;
/// What keys of the common providers begin with.
const KEY_STARTS: [&str; 6] = ["sk-", "Bearer ", "AIza", "gsk_", "AKIA", "ASIA"];
/// Shorter words after such a beginning are ordinary text.
const SHORTEST_KEY: usize = 6;

/// The words, masked.
pub(super) fn masked(words: &str, key: &SecretString) -> String {
    let key = key.expose_secret();
    // Cut before masking bounds the work; the rest of a key that the cut leaves is found by its beginning.
    let head: String = words.chars().take(4 * LONGEST).collect();
    let mut text = if key.is_empty() { head } else { head.replace(key, "***") };
    for start in KEY_STARTS {
        text = mask_after(&text, start);
    }
    let line = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = line.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn mask_after(text: &str, start: &str) -> String {
    let mut parts = text.split(start);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked.push_str(start);
        let end = part.find(|c: char| !is_key_character(c)).unwrap_or(part.len());
        masked.push_str(if end >= SHORTEST_KEY { "***" } else { &part[..end] });
        masked.push_str(&part[end..]);
    }
    masked
}

fn is_key_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.*+/=~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(words: &str) -> String {
        masked(words, &SecretString::from("my-own-key"))
    }

    #[test]
    fn keys_are_masked_and_words_stay() {
        assert_eq!(mask("key my-own-key is wrong"), "key *** is wrong");
        assert_eq!(
            mask("Incorrect API key provided: sk-abcd****wxyz."),
            "Incorrect API key provided: sk-***"
        );
        assert_eq!(mask("got 'Bearer abc.def.ghi', sorry"), "got 'Bearer ***', sorry");
        assert_eq!(mask("a risk-free task"), "a risk-free task");
        assert_eq!(mask("two\n lines\t\u{0}here"), "two lines here");
        assert_eq!(mask(&"é".repeat(600)).chars().count(), 501);
    }

    proptest! {
        #[test]
        fn the_own_key_never_survives(before in ".{0,40}", after in ".{0,40}", key in "[a-zA-Z0-9]{12,40}") {
            let words = format!("{before}{key}{after}{key}");
            prop_assert!(!masked(&words, &SecretString::from(key.clone())).contains(&key));
        }

        #[test]
        fn the_cut_leaves_no_long_piece_of_a_key(pad in 1_900_usize..2_100) {
            let key = format!("sk-{}", "k".repeat(40));
            let words = format!("{}{key}", "a ".repeat(pad / 2));
            prop_assert!(!masked(&words, &SecretString::from(key)).contains("kkkkkk"));
        }
    }
}
