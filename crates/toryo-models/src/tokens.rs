//! Counting tokens where a provider does not.

use tiktoken_rs::{CoreBPE, o200k_base_singleton};

/// Tokens of a text in OpenAI's vocabulary `o200k_base`. The first call reads the vocabulary: some tenths of a second and
/// some tens of mebibytes that a process which never counts does not spend.
#[must_use]
pub fn count(text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let vocabulary: &CoreBPE = o200k_base_singleton();
    vocabulary.encode_ordinary(text).len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_the_tokens_that_openai_says_they_have() {
        // The examples of OpenAI's cookbook, "How to count tokens with tiktoken", for o200k_base.
        for (text, tokens) in
            [("", 0), ("antidisestablishmentarianism", 6), ("2 + 2 = 4", 7), ("お誕生日おめでとう", 8)]
        {
            assert_eq!(count(text), tokens, "{text}");
        }
    }
}
