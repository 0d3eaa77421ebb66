//! Paths inside a repository, from people, models and archives: all of them hostile until checked.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest path accepted, in bytes (Linux' `PATH_MAX`).
const LONGEST: usize = 4096;

/// A relative path with `/` between its parts, that stays inside the repository and outside `.git`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RepoPath(String);

/// Why a text is not a path inside a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Nothing, or only white space.
    #[error("the path is empty")]
    Empty,
    /// Over 4,096 bytes.
    #[error("the path is longer than {LONGEST} bytes")]
    TooLong,
    /// Starts with `/` or a drive letter.
    #[error("`{0}` is absolute; paths are relative to the repository")]
    Absolute(String),
    /// Holds a part that is empty, `.` or `..`.
    #[error("`{0}` leaves the repository or is not in its shortest form")]
    NotPlain(String),
    /// Holds a control character or a backslash.
    #[error("the path holds a control character or a backslash")]
    Character,
    /// Lies in a `.git` folder.
    #[error("`{0}` belongs to Git itself")]
    InsideGit(String),
}

impl RepoPath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// What follows the last dot of the file name, if it is not its first character.
    #[must_use]
    pub fn extension(&self) -> Option<&str> {
        self.file_name().rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension)
    }
}

impl FromStr for RepoPath {
    type Err = BadPath;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Err(BadPath::Empty);
        }
        if text.len() > LONGEST {
            return Err(BadPath::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c == '\\') {
            return Err(BadPath::Character);
        }
        let drive = text.as_bytes().get(1) == Some(&b':') && text.as_bytes()[0].is_ascii_alphabetic();
        if text.starts_with('/') || drive {
            return Err(BadPath::Absolute(text.to_owned()));
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(BadPath::NotPlain(text.to_owned()));
        }
        // Git's own rule is case-insensitive, because some file systems are.
        if text.split('/').any(|part| part.eq_ignore_ascii_case(".git")) {
            return Err(BadPath::InsideGit(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for RepoPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for RepoPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_paths_are_refused() {
        for hostile in [
            "",
            " ",
            "/etc/passwd",
            "../up",
            "a/../../b",
            "a//b",
            "./a",
            "a/",
            "C:/x",
            "a\\b",
            "a\0b",
            ".git/config",
            "sub/.GIT/hooks/pre-commit",
            "a\nb",
        ] {
            assert!(hostile.parse::<RepoPath>().is_err(), "{hostile:?} was accepted");
        }
    }

    #[test]
    fn ordinary_paths_are_accepted() {
        for path in ["a", "src/pkg/mod.py", ".github/workflows/ci.yml", "日本語/ファイル.py", "a b/c"]
        {
            assert_eq!(path.parse::<RepoPath>().map(|p| p.to_string()), Ok(path.to_owned()));
        }
        assert_eq!("src/.env".parse::<RepoPath>().map(|p| p.extension().map(str::to_owned)), Ok(None));
    }

    proptest! {
        #[test]
        fn an_accepted_path_never_leaves_the_repository(text in ".{0,40}") {
            if let Ok(path) = text.parse::<RepoPath>() {
                let joined = std::path::Path::new("/repo").join(path.as_str());
                prop_assert!(joined.starts_with("/repo"));
                prop_assert!(joined.components().all(|c| c != std::path::Component::ParentDir));
            }
        }
    }
}
