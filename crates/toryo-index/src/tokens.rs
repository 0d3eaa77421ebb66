//! How many model tokens a text is likely to cost, without a tokenizer.
//!
//! Vendors' tokenizers differ and are large, so this is an estimate that errs upwards: a word costs one token
//! for each started 6 characters, a run of digits one for each started 3, a punctuation mark or a line break
//! one each, a run of two or more spaces one (a single space goes with the word behind it), any other character
//! (such as Japanese) one. Source code comes out at 2.5 to 4 characters a token, where real tokenizers need
//! about 3 to 4.5.

/// The estimated number of tokens of a text. Additive over whole lines.
#[must_use]
pub fn estimate(text: &str) -> usize {
    let mut tokens = 0;
    let mut run = (Kind::Mark, 0_usize);
    for c in text.chars() {
        let kind = Kind::of(c);
        run = if kind == run.0 { (kind, run.1 + 1) } else { (kind, 1) };
        let starts_token = match kind {
            Kind::Letter => run.1 % 6 == 1,
            Kind::Digit => run.1 % 3 == 1,
            // One token holds any indentation that people write; 16 keeps a file of spaces from being free.
            Kind::Space => run.1 % 16 == 2,
            Kind::Mark => true,
        };
        tokens += usize::from(starts_token);
    }
    tokens
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Digit,
    Space,
    Mark,
}

impl Kind {
    fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' => Self::Letter,
            '0'..='9' => Self::Digit,
            ' ' => Self::Space,
            _ => Self::Mark,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn code_costs_what_tokenizers_roughly_charge() {
        let code = "def parse_date(text):\n    return datetime.strptime(text, \"%Y-%m-%d\")\n";
        let characters_per_token = code.len() as f64 / estimate(code) as f64;
        assert!((2.0..4.5).contains(&characters_per_token), "{characters_per_token}");
        assert_eq!(estimate(""), 0);
        assert_eq!(estimate("日本"), 2);
    }

    proptest! {
        #[test]
        fn lines_add_up(a in "[ -~]{0,60}", b in "\\PC{0,60}") {
            let both = format!("{a}\n{b}");
            prop_assert_eq!(estimate(&both), estimate(&a) + 1 + estimate(&b));
        }
    }
}
