//! Terms: what a word of code or prose is searched by.
//!
//! `parseListHeader` and `parse_list_header` are both found by `parse`, `list`, `header` and by the whole name.
//! Parts are cut to their English stem by a few rules, so that "parsing headers" in an issue finds `parse_header`.

/// Longest word that is looked at, in bytes; longer ones are data, not names.
pub(crate) const LONGEST_WORD: usize = 80;

/// Words that say nothing about a place in code: English glue and the keywords of every file.
const STOP: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "because", "been",
    "before", "being", "but", "by", "can", "could", "def", "did", "do", "does", "doing", "done", "etc",
    "for", "from", "had", "has", "have", "having", "he", "here", "how", "however", "i", "if", "in",
    "instead", "into", "is", "it", "its", "just", "let", "like", "may", "me", "might", "more", "most",
    "much", "must", "my", "no", "not", "now", "of", "on", "only", "or", "other", "our", "out", "over",
    "please", "self", "should", "so", "some", "such", "than", "that", "the", "their", "them", "then",
    "there", "these", "they", "this", "those", "to", "too", "up", "us", "very", "was", "we", "well", "were",
    "what", "when", "where", "which", "while", "who", "why", "will", "with", "would", "you", "your",
];

/// Whether a lower-case word is left out of queries and of the index.
pub(crate) fn is_stop_word(word: &str) -> bool {
    STOP.binary_search(&word).is_ok()
}

/// Words of a text with the byte offset at which each starts: runs of letters, digits and `_`.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let bytes = text.as_bytes();
        while rest < bytes.len() && !is_word_byte(bytes[rest]) {
            rest += 1;
        }
        let start = rest;
        while rest < bytes.len() && is_word_byte(bytes[rest]) {
            rest += 1;
        }
        (rest > start).then(|| (start, &text[start..rest]))
    })
}

/// Bytes from 0x80 belong to letters of other scripts, so a cut never falls inside a character.
const fn is_word_byte(byte: u8) -> bool {
    IS_WORD[byte as usize]
}

/// Every byte of a text is asked, so the answers are made once.
const IS_WORD: [bool; 256] = {
    let mut answers = [false; 256];
    let mut byte = 0;
    while byte < answers.len() {
        answers[byte] = (byte as u8).is_ascii_alphanumeric() || byte == b'_' as usize || byte >= 0x80;
        byte += 1;
    }
    answers
};

/// Calls `each` with every term of a word: its stemmed parts and, for a name of several parts, the whole in
/// lower case.
pub(crate) fn terms_of(word: &str, mut each: impl FnMut(&str)) {
    let word = word.trim_matches('_');
    if word.is_empty() || word.len() > LONGEST_WORD {
        return;
    }
    if !word.is_ascii() {
        return foreign_terms(word, &mut each);
    }
    let mut parts = 0;
    for part in parts_of(word) {
        parts += 1;
        let lower = part.to_ascii_lowercase();
        if !is_stop_word(&lower) && (part.len() > 1 || !part.as_bytes()[0].is_ascii_digit()) {
            each(&stem(lower));
        }
    }
    if parts > 1 {
        each(&word.to_ascii_lowercase());
    }
}

/// Scripts without spaces are found by pairs of neighbouring characters.
fn foreign_terms(word: &str, each: &mut impl FnMut(&str)) {
    let lower = word.to_lowercase();
    each(&lower);
    let starts: Vec<usize> = lower.char_indices().map(|(at, _)| at).chain([lower.len()]).collect();
    for pair in starts.windows(3) {
        let pair = &lower[pair[0]..pair[2]];
        if !pair.is_ascii() {
            each(pair);
        }
    }
}

/// Parts of an ASCII name: cut at `_`, before an upper-case letter that starts a word, and nowhere else, so
/// that `HTTPServer` is `HTTP` and `Server`, and `utf8` stays whole.
pub(crate) fn parts_of(word: &str) -> impl Iterator<Item = &str> {
    word.split('_').filter(|piece| !piece.is_empty()).flat_map(|piece| {
        let bytes = piece.as_bytes();
        let mut start = 0;
        let mut cuts = Vec::new();
        for at in 1..bytes.len() {
            let upper = bytes[at].is_ascii_uppercase();
            let rises = upper && !bytes[at - 1].is_ascii_uppercase();
            let acronym_ends = upper
                && bytes[at - 1].is_ascii_uppercase()
                && bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
            if rises || acronym_ends {
                cuts.push(&piece[start..at]);
                start = at;
            }
        }
        cuts.push(&piece[start..]);
        cuts
    })
}

/// Cuts the commonest English endings. The result need not be a word, only the same for related words.
pub(crate) fn stem(mut word: String) -> String {
    if word.len() < 4 || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return word;
    }
    if let Some(cut) = word.strip_suffix("ies").filter(|cut| cut.len() > 1) {
        word = format!("{cut}y");
    } else if word.ends_with("sses") {
        word.truncate(word.len() - 2);
    } else if word.ends_with('s') && !["ss", "us", "is"].iter().any(|end| word.ends_with(end)) {
        word.pop();
    }
    for (ending, keep) in
        [("ations", "at"), ("ation", "at"), ("ators", "at"), ("ator", "at"), ("ing", ""), ("ed", "")]
    {
        let Some(cut) = word.strip_suffix(ending) else { continue };
        if cut.len() < 3 || !cut.bytes().any(|b| b"aeiouy".contains(&b)) {
            continue;
        }
        word = format!("{cut}{keep}");
        let last = word.as_bytes();
        let doubled = last.len() > 3 && last[last.len() - 1] == last[last.len() - 2];
        if keep.is_empty() && doubled && !b"lsz".contains(&last[last.len() - 1]) {
            word.pop();
        }
        break;
    }
    if word.len() > 3 && word.ends_with('e') {
        word.pop();
    }
    if word.len() > 3 && word.ends_with('y') {
        word.pop();
        word.push('i');
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(word: &str) -> Vec<String> {
        let mut all = Vec::new();
        terms_of(word, |term| all.push(term.to_owned()));
        all
    }

    #[test]
    fn stop_words_are_sorted_for_the_binary_search() {
        assert!(STOP.is_sorted());
    }

    #[test]
    fn names_are_cut_by_case_and_underscore() {
        assert_eq!(terms("parse_list_headers"), ["pars", "list", "header", "parse_list_headers"]);
        assert_eq!(terms("HTTPServerError"), ["http", "server", "error", "httpservererror"]);
        assert_eq!(terms("__init__"), ["init"]);
        assert_eq!(terms("utf8"), ["utf8"]);
        assert_eq!(terms("the"), Vec::<String>::new());
        assert_eq!(terms("日付の"), ["日付の", "日付", "付の"]);
    }

    #[test]
    fn related_words_share_a_stem() {
        for family in [
            &["parse", "parses", "parsed", "parsing"][..],
            &["validate", "validates", "validation", "validator", "validating"],
            &["query", "queries"],
            &["strip", "stripped", "stripping"],
            &["class", "classes"],
        ] {
            let stems: Vec<String> = family.iter().map(|word| stem((*word).to_owned())).collect();
            assert!(stems.iter().all(|s| *s == stems[0]), "{family:?} {stems:?}");
        }
        assert_eq!(stem("string".into()), "string");
        assert_eq!(stem("status".into()), "status");
    }

    proptest! {
        #[test]
        fn any_text_is_cut_without_panic(text in "\\PC{0,60}") {
            for (at, word) in words(&text) {
                prop_assert_eq!(&text[at..at + word.len()], word);
                terms_of(word, |term| assert!(!term.is_empty()));
            }
        }
    }
}
