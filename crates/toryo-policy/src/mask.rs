//! Taking secrets out of texts before they are logged, stored as artifacts or shown to a model.

use crate::secrets;
use regex::{NoExpand, Regex};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Shorter known secrets are not looked for: they would take ordinary words out of every text.
const SHORTEST_KNOWN: usize = 6;

/// More passes than any text needs; a bound, so that no text can keep the masker busy.
const MOST_PASSES: usize = 4;

pub(crate) static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    secrets::constant(Regex::new(
        r"(?-u)[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
    ))
});

/// Replaces secrets by `[masked:KIND]`.
///
/// Lines stay lines: where a secret spans several, as many newlines follow its mark. Give it whole texts: a key
/// that is cut into single lines is not recognised. A value that is only recognised by the name in front of it
/// (`api_key = "…"`) keeps that name.
///
/// ```
/// let masker = toryo_policy::Masker::new(["hunter2-of-the-operator"]);
/// let text = "key AKIAIOSFODNN7EXAMPLE, password hunter2-of-the-operator";
/// assert_eq!(masker.mask(text), "key [masked:aws_key], password [masked:known]");
/// ```
#[derive(Clone, Default)]
pub struct Masker {
    known: Option<Regex>,
    emails: bool,
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the expression: it holds the secrets.
        f.debug_struct("Masker").field("known", &self.known.is_some()).field("emails", &self.emails).finish()
    }
}

impl Masker {
    /// A masker that also knows these exact secrets, for example the service's own keys. Those with fewer than
    /// six characters are not looked for.
    #[must_use]
    pub fn new(known: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut known: Vec<String> = known
            .into_iter()
            .map(|secret| secret.as_ref().trim().to_owned())
            .filter(|secret| {
                secret.chars().count() >= SHORTEST_KNOWN && !"[masked:known]".contains(secret.as_str())
            })
            .collect();
        // The longest first, so that one that holds another is taken whole.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let expression = known.iter().map(|secret| regex::escape(secret)).collect::<Vec<_>>().join("|");
        // Literals are always an expression; the limit is out of reach for keys.
        let built = regex::RegexBuilder::new(&expression).size_limit(256 << 20).build();
        Self { known: (!known.is_empty()).then(|| secrets::constant(built)), emails: false }
    }

    /// Also replaces e-mail addresses.
    #[must_use]
    pub const fn with_emails(mut self) -> Self {
        self.emails = true;
        self
    }

    /// The text without secrets; borrowed where there was none. Masking twice changes nothing more.
    #[must_use]
    pub fn mask<'text>(&self, text: &'text str) -> Cow<'text, str> {
        let mut masked = Cow::Borrowed(text);
        // A mark may complete the context of another secret, so it is repeated until nothing changes.
        for _ in 0..MOST_PASSES {
            match self.pass(&masked) {
                Some(next) => masked = Cow::Owned(next),
                None => break,
            }
        }
        masked
    }

    /// Where the exact secrets stand that this masker knows.
    pub(crate) fn known_places(&self, text: &str) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.known.iter().flat_map(move |known| known.find_iter(text).map(|found| found.range()))
    }

    /// One pass; `None` where nothing was replaced.
    fn pass(&self, text: &str) -> Option<String> {
        let known = self
            .known
            .as_ref()
            .map_or(Cow::Borrowed(text), |known| known.replace_all(text, NoExpand("[masked:known]")));
        let shaped = match secrets::find(&known) {
            found if found.is_empty() => known,
            found => Cow::Owned(replaced(&known, &found)),
        };
        let masked = match self.emails.then(|| EMAIL.replace_all(&shaped, NoExpand("[masked:email]"))) {
            Some(Cow::Owned(masked)) => Cow::Owned(masked),
            Some(Cow::Borrowed(_)) | None => shaped,
        };
        match masked {
            Cow::Borrowed(_) => None,
            Cow::Owned(masked) => Some(masked).filter(|masked| masked != text),
        }
    }
}

fn replaced(text: &str, found: &[secrets::Found]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for secret in found {
        masked.push_str(&text[end..secret.start]);
        masked.extend(["[masked:", secret.kind, "]"]);
        let lines = text[secret.start..secret.end].matches('\n').count();
        masked.push_str(&"\n".repeat(lines));
        end = secret.end;
    }
    masked.push_str(&text[end..]);
    masked
}

#[cfg(test)]
mod tests;
