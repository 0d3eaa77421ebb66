//! The address of an endpoint: no key in it, so that it can be shown.

use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// `http` or `https`, a host and a path without a final slash; no user, password, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// OpenAI's own.
    #[must_use]
    pub fn open_ai() -> Self {
        Self("https://api.openai.com/v1".to_owned())
    }

    /// Anthropic's own.
    #[must_use]
    pub fn anthropic() -> Self {
        Self("https://api.anthropic.com".to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no address of an endpoint. It does not repeat the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotABaseUrl {
    /// Not a URL with a host.
    #[error("not an http or https URL such as https://api.openai.com/v1")]
    NotHttp,
    /// It carries what belongs elsewhere.
    #[error("a base URL holds no user, password, query or fragment; a key belongs into api_key")]
    NotPlain,
}

impl FromStr for BaseUrl {
    type Err = NotABaseUrl;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text.trim()).map_err(|_| NotABaseUrl::NotHttp)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(NotABaseUrl::NotHttp);
        }
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            return Err(NotABaseUrl::NotPlain);
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_has_no_final_slash() {
        assert_eq!(
            "http://127.0.0.1:11434/v1/".parse::<BaseUrl>().unwrap().as_str(),
            "http://127.0.0.1:11434/v1"
        );
        assert_eq!("https://host".parse::<BaseUrl>().unwrap().as_str(), "https://host");
        assert_eq!(BaseUrl::open_ai().as_str().parse(), Ok(BaseUrl::open_ai()));
    }

    #[test]
    fn a_url_with_a_secret_is_refused_without_repeating_it() {
        for text in ["https://me:hunter2@host/v1", "https://host/v1?key=hunter2", "https://host/#hunter2"] {
            let error = text.parse::<BaseUrl>().unwrap_err();
            assert_eq!(error, NotABaseUrl::NotPlain);
            assert!(!error.to_string().contains("hunter2"));
        }
        for text in ["", "host/v1", "ftp://host", "file:///etc/passwd", "unix:///run/x"] {
            assert_eq!(text.parse::<BaseUrl>(), Err(NotABaseUrl::NotHttp), "{text}");
        }
    }
}
