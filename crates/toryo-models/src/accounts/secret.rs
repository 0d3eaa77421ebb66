//! The text of a key: `tk-` and 256 random bits in the alphabet of base64url. It is shown once and kept as a digest.

use secrecy::{ExposeSecret, SecretString};

const BEGINNING: &str = "tk-";
/// 32 bytes, six bits a character.
const CHARACTERS: usize = 43;
/// Characters by which people recognise a key: enough to tell keys apart, too few to guess the rest.
const SHOWN: usize = 11;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The system has no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandomness;

/// A new key.
#[derive(Debug)]
pub struct NewSecret {
    /// The key itself, to be shown once.
    pub text: SecretString,
    /// Under what it is kept.
    pub digest: toryo_domain::Digest,
    /// How people recognise it.
    pub prefix: String,
}

impl NewSecret {
    /// The key itself, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.text.expose_secret()
    }
}

/// Makes a key.
///
/// # Errors
/// The system has no random numbers.
pub fn generate() -> Result<NewSecret, NoRandomness> {
    // One byte a character, of which six bits count: 258 bits.
    let mut random = [0; CHARACTERS];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut random)
        .map_err(|_: rustls::crypto::GetRandomFailed| NoRandomness)?;
    let letters = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)]));
    let text: String = BEGINNING.chars().chain(letters).collect();
    let (digest, prefix) = (toryo_domain::Digest::of(&text), text[..SHOWN].to_owned());
    Ok(NewSecret { text: text.into(), digest, prefix })
}

/// Whether a text may be a key at all.
#[must_use]
pub fn looks_like_one(text: &str) -> bool {
    text.len() == BEGINNING.len() + CHARACTERS && text.starts_with(BEGINNING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_and_never_the_same() {
        let (first, second) = (generate().unwrap(), generate().unwrap());
        let text = first.text.expose_secret();
        assert!(looks_like_one(text) && text.starts_with(&first.prefix), "{}", first.prefix);
        assert_eq!(first.digest, toryo_domain::Digest::of(text));
        assert_ne!(text, second.text.expose_secret());
        assert!(!format!("{first:?}").contains(text));
    }

    #[test]
    fn other_texts_are_none() {
        for text in ["", "tk-", "sk-proj-0123456789", &"t".repeat(46)] {
            assert!(!looks_like_one(text), "{text}");
        }
    }
}
