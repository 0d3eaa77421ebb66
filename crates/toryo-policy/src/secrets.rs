//! The shapes of secrets: one table for masking texts and for refusing changes.

use regex::{Regex, RegexSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// A shape. Its expression has a group `secret`; what the group holds is the secret.
struct Shape {
    kind: &'static str,
    expression: &'static str,
    judged: Judged,
}

/// What a match needs besides its shape.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// Nothing: the issuer's format is known.
    Shape,
    /// No placeholder, no reference to a variable: the name in front says that a key follows.
    Name,
    /// Besides, no plain word: the name in front is used for other things as well (labels, field names).
    Value,
    /// Besides, it looks random: without quotes it could be a name in code.
    Randomness,
}

/// Public token formats of their issuers' documentation, then values that follow a telling name. The order counts:
/// the first shape that takes a place names it. Word borders are ASCII and repetitions open, so that the automata
/// stay small and fast; the engine is linear in any case.
const SHAPES: &[Shape] = &[
    // A header with base64 behind it. The header alone is no secret: code that reads keys names it.
    Shape {
        kind: "private_key",
        expression: concat!(
            r#"(?P<secret>-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"#,
            r#"(?:(?:\\[nr]|[\s+>|])*[A-Za-z-]+: [^\n"\\]*)*"#,
            r#"(?:(?:\\[nr]|[\s+>|"',])*[A-Za-z0-9+/=]{16,})+"#,
            r#"(?:(?:\\[nr]|[\s+>|"',])*[A-Za-z0-9+/=]{1,15})?"#,
            r#"(?:(?:\\[nr]|[\s+>|"',])*-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)?)"#
        ),
        judged: Judged::Shape,
    },
    Shape {
        kind: "aws_key",
        expression: r"(?-u:\b)(?P<secret>(?:AKIA|ASIA)[A-Z0-9]{16})(?-u:\b)",
        judged: Judged::Shape,
    },
    Shape {
        kind: "github_token",
        expression: r"(?-u:\b)(?P<secret>gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})",
        judged: Judged::Shape,
    },
    Shape {
        kind: "gitlab_token",
        expression: r"(?-u:\b)(?P<secret>gl(?:pat|dt|rt|cbt|ptt|soat|ft)-[A-Za-z0-9_-]{20,})",
        judged: Judged::Shape,
    },
    Shape {
        kind: "model_key",
        expression: r"(?-u:\b)(?P<secret>sk-(?:ant-|proj-|svcacct-|admin-|or-v1-)[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{20,})",
        judged: Judged::Shape,
    },
    Shape {
        kind: "slack_token",
        expression: r"(?-u:\b)(?P<secret>xox[abposre]-[A-Za-z0-9-]{20,}|xapp-[0-9]-[A-Za-z0-9-]{20,})",
        judged: Judged::Shape,
    },
    Shape {
        kind: "slack_webhook",
        expression: r"(?P<secret>https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,})",
        judged: Judged::Shape,
    },
    Shape {
        kind: "google_key",
        expression: r"(?-u:\b)(?P<secret>AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28}|ya29\.[A-Za-z0-9_-]{20,})",
        judged: Judged::Shape,
    },
    Shape {
        kind: "stripe_key",
        expression: r"(?-u:\b)(?P<secret>(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9]{24,})",
        judged: Judged::Shape,
    },
    Shape {
        kind: "package_token",
        expression: r"(?-u:\b)(?P<secret>npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}|hf_[A-Za-z0-9]{30,}|dckr_pat_[A-Za-z0-9_-]{20,})",
        judged: Judged::Shape,
    },
    Shape {
        kind: "mail_key",
        expression: r"(?-u:\b)(?P<secret>SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{32,})",
        judged: Judged::Shape,
    },
    Shape {
        kind: "azure_key",
        expression: r"(?i-u)AccountKey=(?P<secret>[A-Za-z0-9+/]{40,}={0,2})",
        judged: Judged::Shape,
    },
    Shape {
        kind: "jwt",
        expression: r"(?-u:\b)(?P<secret>eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})",
        judged: Judged::Shape,
    },
    Shape {
        kind: "url_password",
        expression: r#"[A-Za-z][A-Za-z0-9+.-]+://[^\s:/@'"<>`]*:(?P<secret>[^\s/@'"<>`]+)@"#,
        judged: Judged::Name,
    },
    Shape {
        kind: "authorization",
        expression: r#"(?i)authorization["']?\s*[:=]\s*["']?(?:bearer|basic|token|apikey)\s+(?P<secret>[A-Za-z0-9+/=_.~-]{8,})"#,
        judged: Judged::Name,
    },
    Shape {
        kind: "bearer_token",
        expression: r"(?i)bearer\s+(?P<secret>[A-Za-z0-9+/=_.~-]{16,})",
        judged: Judged::Value,
    },
    Shape {
        kind: "assigned_secret",
        expression: r#"(?i)(?:api|access|auth|secret|private|encryption|signing|master|client|account|service)[_-]?(?:key|token|secret)["']?\s*(?::=|=>|[:=])\s*[bru]{0,2}["'`](?P<secret>[^\s"'`]{8,})["'`]"#,
        judged: Judged::Name,
    },
    Shape {
        kind: "assigned_secret",
        expression: r#"(?i)(?:password|passwd|passphrase|secret|token|credential)s?["']?\s*(?::=|=>|[:=])\s*[bru]{0,2}["'`](?P<secret>[^\s"'`]{6,})["'`]"#,
        judged: Judged::Value,
    },
    Shape {
        kind: "assigned_secret",
        expression: r#"(?i)(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|secret[_-]?key)[ \t]*[:=][ \t]*(?P<secret>[^\s"'`,;(){}\[\]<>$]{12,})"#,
        judged: Judged::Randomness,
    },
];

static EXPRESSIONS: LazyLock<Vec<Regex>> =
    LazyLock::new(|| SHAPES.iter().map(|shape| constant(Regex::new(shape.expression))).collect());
static SET: LazyLock<RegexSet> =
    LazyLock::new(|| constant(RegexSet::new(SHAPES.iter().map(|shape| shape.expression))));

/// An expression of this crate's own. Going on without it would let secrets through.
#[expect(clippy::expect_used, reason = "the expressions are constants, and a test compiles each of them")]
pub(crate) fn constant<T>(built: Result<T, regex::Error>) -> T {
    built.expect("an expression of this crate compiles")
}

/// A secret's place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: &'static str,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether it is certainly one: a known shape or a random value, and no documented example.
    pub(crate) certain: bool,
}

/// The secrets of a text, in its order, without overlaps.
pub(crate) fn find(text: &str) -> Vec<Found> {
    let mut found: BTreeMap<usize, Found> = BTreeMap::new();
    for index in SET.matches(text) {
        let (shape, expression) = (&SHAPES[index], &EXPRESSIONS[index]);
        for secret in expression.captures_iter(text).filter_map(|captures| captures.name("secret")) {
            let value = secret.as_str();
            if !shape.judged.accepts(value) {
                continue;
            }
            let certain = (shape.judged == Judged::Shape || is_random(value)) && !value.contains("EXAMPLE");
            let new = Found { kind: shape.kind, start: secret.start(), end: secret.end(), certain };
            let before = found.range(..new.end).next_back();
            if before.is_none_or(|(_, before)| before.end <= new.start) {
                found.insert(new.start, new);
            }
        }
    }
    found.into_values().collect()
}

impl Judged {
    fn accepts(self, value: &str) -> bool {
        match self {
            Self::Shape => true,
            Self::Name => !is_placeholder(value),
            Self::Value => !is_placeholder(value) && !is_plain_word(value),
            Self::Randomness => !is_placeholder(value) && is_random(value),
        }
    }
}

/// What stands for a secret, or refers to one, or is computed.
fn is_placeholder(value: &str) -> bool {
    const SIGNS: [&str; 16] = [
        "[masked:",
        "placeholder",
        "changeme",
        "change-me",
        "change_me",
        "your-",
        "your_",
        "xxxx",
        "****",
        "....",
        "redacted",
        "os.environ",
        "getenv",
        "process.env",
        "{{",
        "${",
    ];
    let lower = value.to_ascii_lowercase();
    let reference =
        value.starts_with(['$', '{', '%', '<', '&']) || value.contains("::") || value.contains('(');
    let distinct = value.bytes().collect::<BTreeSet<_>>().len();
    reference || distinct < 4 || SIGNS.iter().any(|sign| lower.contains(sign))
}

/// A word or a name of code or prose: letters of one case, with dashes, dots or underscores.
fn is_plain_word(value: &str) -> bool {
    let joined = |c: char| matches!(c, '_' | '-' | '.' | ':' | '/');
    let lower = value.chars().all(|c| c.is_lowercase() || joined(c));
    let upper = value.chars().all(|c| c.is_uppercase() || joined(c));
    let mut letters = value.chars();
    let capitalised =
        letters.next().is_some_and(char::is_uppercase) && letters.all(|c| c.is_lowercase() || joined(c));
    lower || upper || capitalised
}

/// Letters and several digits without the regularity of words.
fn is_random(value: &str) -> bool {
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let separators = value.chars().filter(|c| matches!(c, '_' | '/' | ':')).count();
    // `sha256_of_the_token` has many letters for a digit; a random text has about one digit for five.
    value.len() >= 12
        && !value.contains('.')
        && letters >= 2
        && digits >= 3
        && digits * 6 >= letters
        && separators * 8 <= value.len()
        && entropy(value) >= 3.0
}

/// Bits that a character of the text carries, by the frequency of its own letters.
fn entropy(text: &str) -> f64 {
    let mut counts: BTreeMap<char, u32> = BTreeMap::new();
    for c in text.chars() {
        *counts.entry(c).or_default() += 1;
    }
    let total = f64::from(counts.values().sum::<u32>());
    counts.values().map(|count| f64::from(*count) / total).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_compiles_and_names_its_secret() {
        assert_eq!(EXPRESSIONS.len(), SHAPES.len());
        assert_eq!(SET.len(), SHAPES.len());
        for (shape, expression) in SHAPES.iter().zip(EXPRESSIONS.iter()) {
            assert!(expression.capture_names().flatten().any(|name| name == "secret"), "{}", shape.kind);
        }
    }

    #[test]
    fn names_in_code_are_not_random() {
        for value in [
            "hashed_password",
            "self.token_value",
            "sha256_of_the_token",
            "base64.b64encode",
            "2024-02-29T12:00",
        ] {
            assert!(!is_random(value), "{value}");
        }
        for value in ["9f86d081884c7d65", "kJ8s7dHq2LmZ0xPv", "c2VjcmV0LXRva2VuLTEyMzQ1"] {
            assert!(is_random(value), "{value}");
        }
    }
}
