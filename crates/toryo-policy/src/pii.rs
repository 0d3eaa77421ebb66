//! Finding personal data and secrets in texts, place by place, so that a caller may put something else there and
//! later take it back.
//!
//! What has a checksum is taken only where the sum is right ([`numbers`]); what has none (telephone numbers, network
//! addresses) is taken by its shape. Names and postal addresses have neither: they are **not** found.

mod numbers;

use crate::mask::{EMAIL, Masker};
use crate::secrets;
use regex::Regex;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::LazyLock;

/// `+`, a country code, and single separators between the digits; how many digits there are is counted afterwards.
static PHONE: LazyLock<Regex> = LazyLock::new(|| {
    secrets::constant(Regex::new(r"(?-u)\+[1-9][0-9]{0,2}(?:[ ./-]?(?:\([0-9]{1,5}\)|[0-9]{1,5})){1,7}"))
});
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    secrets::constant(Regex::new(
        r"(?-u)[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}",
    ))
});

/// Digits of a telephone number: 15 at most (ITU-T E.164), and fewer than 8 are too often something else.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// What a place holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A key, a token, a password.
    Secret,
    /// An e-mail address.
    Email,
    /// A bank account (ISO 13616).
    Iban,
    /// A payment card (ISO/IEC 7812).
    Card,
    /// A telephone number in international form.
    Phone,
    /// A network address that is not this machine's own.
    IpAddress,
}

impl Kind {
    /// As placeholders name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "SECRET",
            Self::Email => "EMAIL",
            Self::Iban => "IBAN",
            Self::Card => "CARD",
            Self::Phone => "PHONE",
            Self::IpAddress => "IP",
        }
    }
}

/// A place of a text, on character borders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its bytes.
    pub range: Range<usize>,
    /// What it holds.
    pub kind: Kind,
}

/// Finds secrets and personal data.
///
/// ```
/// use toryo_policy::pii::{Finder, Kind};
/// let found = Finder::default().find("write to ann@example.org");
/// assert_eq!((found[0].range.clone(), found[0].kind), (9..24, Kind::Email));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Finder {
    secrets: Masker,
    ip_addresses: bool,
}

impl Finder {
    /// Also finds the exact secrets that this masker knows.
    #[must_use]
    pub const fn new(secrets: Masker) -> Self {
        Self { secrets, ip_addresses: false }
    }

    /// Whether network addresses count. They look like version numbers, so they do not by default.
    #[must_use]
    pub const fn with_ip_addresses(mut self, found: bool) -> Self {
        self.ip_addresses = found;
        self
    }

    /// The places, in the text's order, without overlaps. Where two overlap the kind that is listed first in
    /// [`Kind`] counts.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        let mut take = |kind, places: &mut dyn Iterator<Item = Range<usize>>| {
            for range in places {
                let at = found.partition_point(|other| other.range.end <= range.start);
                if found.get(at).is_none_or(|next| range.end <= next.range.start) {
                    found.insert(at, Found { range, kind });
                }
            }
        };
        take(Kind::Secret, &mut self.secrets.known_places(text));
        take(Kind::Secret, &mut secrets::find(text).into_iter().map(|secret| secret.start..secret.end));
        if text.contains('@') {
            take(Kind::Email, &mut EMAIL.find_iter(text).map(|found| found.range()));
        }
        if text.bytes().any(|byte| byte.is_ascii_digit()) {
            take(Kind::Iban, &mut numbers::ibans(text).into_iter());
            take(Kind::Card, &mut numbers::cards(text).into_iter());
            take(Kind::Phone, &mut phones(text));
            if self.ip_addresses {
                take(Kind::IpAddress, &mut ip_addresses(text));
            }
        }
        found
    }
}

fn phones(text: &str) -> impl Iterator<Item = Range<usize>> {
    PHONE.find_iter(text).map(|found| found.range()).filter(|range| {
        let digits = text[range.clone()].bytes().filter(u8::is_ascii_digit).count();
        PHONE_DIGITS.contains(&digits) && stands_alone(text, range) && before(text, range) != Some('+')
    })
}

fn ip_addresses(text: &str) -> impl Iterator<Item = Range<usize>> {
    ADDRESS.find_iter(text).map(|found| found.range()).filter(|range| {
        let address = &text[range.clone()];
        let goes_on = if address.contains(':') { ':' } else { '.' };
        let mut rest = text[range.end..].chars();
        // A full stop may end the sentence.
        let longer =
            rest.next() == Some(goes_on) && rest.next().is_some_and(|c| c.is_alphanumeric() || c == ':');
        let part = before(text, range).is_some_and(|c| matches!(c, '.' | ':'));
        stands_alone(text, range) && !longer && !part && is_foreign(address)
    })
}

/// An address of another machine. `a::b` is one by the rules, but more often a path of code.
fn is_foreign(address: &str) -> bool {
    match (address.parse::<Ipv4Addr>(), address.parse::<Ipv6Addr>()) {
        (Ok(address), _) => !address.is_loopback() && !address.is_unspecified(),
        (_, Ok(six)) => {
            !six.is_loopback() && address.split(':').filter(|group| !group.is_empty()).count() >= 3
        }
        (Err(_), Err(_)) => false,
    }
}

fn before(text: &str, range: &Range<usize>) -> Option<char> {
    text[..range.start].chars().next_back()
}

fn after(text: &str, range: &Range<usize>) -> Option<char> {
    text[range.end..].chars().next()
}

/// No letter, digit or underscore touches it.
fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    !word(before(text, range)) && !word(after(text, range))
}

#[cfg(test)]
mod tests;
