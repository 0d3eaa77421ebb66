//! Where a repository lies, as people write it: hostile until checked.

use crate::{Error, text};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toryo_domain::Digest;

/// Longest URL or path accepted, in bytes (Linux' `PATH_MAX`).
const LONGEST: usize = 4096;

/// A checked place: an absolute path on this machine, or an https or ssh URL without credentials.
///
/// Plain http, `git://` and helper schemes (`ext::…`, which would run a command) are refused. Its text form
/// holds no credential, so that it may be logged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RepoUrl {
    /// On this machine.
    Path(PathBuf),
    /// On another one, fetched by the `git` program.
    Remote {
        /// As Git takes it; scheme and host in lower case, no slash at the end.
        url: String,
        /// The host without port, in lower case.
        host: String,
    },
}

impl RepoUrl {
    /// A file name for this repository: readable, and different for different places.
    #[must_use]
    pub fn key(&self) -> String {
        let whole = self.to_string();
        let last =
            whole.rsplit(['/', ':']).find(|part| !part.is_empty() && *part != ".git").unwrap_or("repository");
        let last = last.strip_suffix(".git").unwrap_or(last);
        let plain: String =
            last.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(40).collect();
        format!("{plain}-{}", Digest::of(&whole).short())
    }

    fn from_path(text: &str, path: &str) -> Result<Self, Error> {
        if path.chars().any(char::is_control) {
            return Err(bad(text, "a path has no control characters"));
        }
        let path = Path::new(path);
        if !path.is_absolute() {
            return Err(bad(text, "a path has to be absolute"));
        }
        let path: PathBuf = path.components().collect();
        // Its text form would not lead back to it.
        if path.to_string_lossy().ends_with(char::is_whitespace) {
            return Err(bad(text, "a path must not end in white space"));
        }
        Ok(Self::Path(path))
    }

    fn from_file_url(text: &str, rest: &str) -> Result<Self, Error> {
        let path = rest.strip_prefix("localhost").unwrap_or(rest);
        if !path.starts_with('/') {
            return Err(bad(text, "a file URL has no host: file:///path"));
        }
        let path = percent_decoded(path).ok_or_else(|| bad(text, "it is not percent-encoded UTF-8"))?;
        Self::from_path(text, &path)
    }

    fn from_remote(text: &str, scheme: &str, rest: &str) -> Result<Self, Error> {
        let (authority, path) = rest.split_once('/').ok_or_else(|| bad(text, "it names no repository"))?;
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        // An ssh URL names the account (`git@`); anything more, and anything in https, is a credential.
        if user.is_some_and(|user| scheme == "https" || user.contains(':')) {
            return Err(Error::CredentialsInUrl { url: redacted(text) });
        }
        if user.is_some_and(|user| !is_account(user)) {
            return Err(bad(text, "the user name has unusual characters"));
        }
        let (host, port) = host_and_port(address).ok_or_else(|| bad(text, "the host name is not one"))?;
        let path = checked_path(text, path)?;
        let account = user.map(|user| format!("{user}@")).unwrap_or_default();
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self::Remote { url: format!("{scheme}://{account}{host}{port}/{path}"), host })
    }

    /// The short form `git@host:path`.
    fn from_scp(text: &str, user: &str, rest: &str) -> Result<Self, Error> {
        if user.contains(':') {
            return Err(Error::CredentialsInUrl { url: redacted(text) });
        }
        if !is_account(user) {
            return Err(bad(text, "the user name has unusual characters"));
        }
        let (address, path) = rest.split_once(':').ok_or_else(|| bad(text, HINT))?;
        let (host, _) = host_and_port(address)
            .filter(|(_, port)| port.is_none())
            .ok_or_else(|| bad(text, "the host name is not one"))?;
        let rooted = if path.starts_with('/') { "/" } else { "" };
        let path = checked_path(text, path.trim_start_matches('/'))?;
        Ok(Self::Remote { url: format!("{user}@{host}:{rooted}{path}"), host })
    }
}

const HINT: &str = "give an absolute path, or a URL that starts with file://, https:// or ssh://";

impl FromStr for RepoUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let whole = text.trim();
        if whole.is_empty() {
            return Err(bad(text, "it is empty"));
        }
        if whole.len() > LONGEST {
            return Err(bad(text, "it is too long"));
        }
        if whole.starts_with('/') {
            return Self::from_path(text, whole);
        }
        if let Some((scheme, rest)) = whole.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "file" => Self::from_file_url(text, rest),
                scheme @ ("https" | "ssh") => Self::from_remote(text, scheme, rest),
                "http" | "git" => Err(bad(text, "it is not encrypted; use https:// or ssh://")),
                _ => Err(bad(text, HINT)),
            };
        }
        match whole.rsplit_once('@') {
            Some((user, rest)) => Self::from_scp(text, user, rest),
            None => Err(bad(text, HINT)),
        }
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Remote { url, .. } => url.fmt(f),
        }
    }
}

fn bad(text: &str, reason: &'static str) -> Error {
    Error::BadUrl { url: redacted(text), reason }
}

/// The text for a person: on one line, cut, and without what could be a credential.
pub(crate) fn redacted(text: &str) -> String {
    let line = text::one_line(text);
    let line = line.split_once('?').map_or(line.as_str(), |(before, _)| before);
    let shown = match (line.split_once("://"), line.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://[removed]@{rest}"),
        (None, Some((before, rest))) if before.contains(':') => format!("[removed]@{rest}"),
        _ => line.to_owned(),
    };
    text::cut(&shown, 200)
}

fn is_account(user: &str) -> bool {
    !user.is_empty()
        && !user.starts_with('-')
        && user.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// Host in lower case and port. A host that starts with `-` would be read as an option by ssh.
fn host_and_port(address: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (address, None),
    };
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let valid = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')),
    };
    (valid && !host.is_empty() && !host.starts_with(['-', '.'])).then(|| (host.to_ascii_lowercase(), port))
}

fn checked_path<'a>(text: &str, path: &'a str) -> Result<&'a str, Error> {
    let path = path.trim_end_matches('/');
    if path.contains(['?', '#']) {
        return Err(bad(text, "it has a query or a fragment"));
    }
    if path.is_empty() {
        return Err(bad(text, "it names no repository"));
    }
    let unusual = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '"' | '\'' | '`' | '$');
    if path.starts_with('-') || path.chars().any(unusual) || path.split('/').any(|part| part == "..") {
        return Err(bad(text, "its path has unusual characters"));
    }
    Ok(path)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> String {
        text.parse::<RepoUrl>().map_or_else(|error| format!("! {error}"), |url| url.to_string())
    }

    #[test]
    fn ordinary_places_are_accepted_in_one_form() {
        for (text, form) in [
            ("/srv/repo", "/srv/repo"),
            (" /srv//repo/./ ", "/srv/repo"),
            ("file:///srv/a%20b", "/srv/a b"),
            ("file://localhost/srv/repo", "/srv/repo"),
            ("HTTPS://GitHub.COM/Acme/App.git/", "https://github.com/Acme/App.git"),
            ("https://git.example:8443/a/b", "https://git.example:8443/a/b"),
            ("ssh://git@git.example:2222/a/b.git", "ssh://git@git.example:2222/a/b.git"),
            ("git@github.com:acme/app.git", "git@github.com:acme/app.git"),
            ("https://[::1]:8443/a", "https://[::1]:8443/a"),
        ] {
            assert_eq!(parsed(text), form, "{text}");
        }
    }

    #[test]
    fn hostile_places_are_refused() {
        for text in [
            "",
            "  ",
            "relative/path",
            "-oProxyCommand=touch /tmp/x",
            "--upload-pack=touch x",
            "ext::sh -c touch% /tmp/x",
            "fd::3",
            "http://host/a",
            "git://host/a",
            "file://other/srv/repo",
            "file:///a%00b",
            "file:///a%zz",
            "file:///a%20",
            "/a /",
            "file:///a%",
            "ssh://-oProxyCommand=x/a",
            "ssh://git@-oProxyCommand=x/a",
            "-x@host:a",
            "git@-host:a",
            "git@host:-a",
            "git@host:",
            "https://host",
            "https://host/",
            "https:///a",
            "https://host/a?private_token=1",
            "https://host/a#b",
            "https://host/../a",
            "https://ho st/a",
            "https://host/a b",
            "https://host/a\nb",
            "/srv/a\nb",
            "https://host:port/a",
            "javascript:alert(1)",
            "C:\\repo",
        ] {
            assert!(text.parse::<RepoUrl>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn credentials_are_refused_and_not_repeated() {
        for text in [
            "https://user:hunter2@host/a",
            "https://hunter2@host/a",
            "https://a@b:hunter2@host/a",
            "ssh://git:hunter2@host/a",
            "git:hunter2@host:a",
            "http://user:hunter2@host/a",
            "https://host/a?token=hunter2",
            "ftp://u:hunter2@host/a",
        ] {
            let message = text.parse::<RepoUrl>().unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(matches!("https://x@h/a".parse::<RepoUrl>(), Err(Error::CredentialsInUrl { .. })));
    }

    #[test]
    fn keys_are_file_names_and_differ() {
        let key = |text: &str| text.parse::<RepoUrl>().unwrap().key();
        assert!(key("git@github.com:acme/app.git").starts_with("app-"));
        assert!(key("/srv/日本/..repo").starts_with("repo-"));
        assert_ne!(key("/srv/a/app"), key("/srv/b/app"));
    }

    proptest! {
        #[test]
        fn an_accepted_place_is_stable_and_never_an_option(text in "(https://|ssh://|file://|/|git@|)[-a-zA-Z0-9@:./%? ]{0,40}") {
            if let Ok(url) = text.parse::<RepoUrl>() {
                let form = url.to_string();
                prop_assert!(!form.starts_with('-'));
                prop_assert!(!form.contains("::") || form.contains('[') || form.starts_with('/') || form.contains('@'));
                prop_assert_eq!(form.parse::<RepoUrl>().unwrap(), url);
            }
        }
    }
}
