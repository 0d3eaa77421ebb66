//! Ids: UUID version 7, so that they sort by creation; and the commit id of Git.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! uuid_id {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, later than all made before it on this machine.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The plain UUID, for a database or a wire.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// The last twelve hexadecimal digits: short enough for names people read, random enough to differ.
            #[must_use]
            pub fn short(self) -> String {
                let text = self.0.simple().to_string();
                text[20..].to_owned()
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+};
}

uuid_id! {
    /// What somebody asked for.
    TaskId,
    /// One attempt to satisfy a task.
    RunId,
    /// A node of a run's graph.
    StepId,
    /// A process that executes steps.
    WorkerId,
    /// One stored blob in its role (kind, name) for a run; the bytes are addressed by digest.
    ArtifactId,
    /// What a person wrote to a run.
    MessageId,
    /// A registered repository.
    RepoId,
    /// A pull request of the local forge.
    PullRequestId,
    /// A step that used up its attempts.
    DeadLetterId,
    /// An organisation, team, user or key of the gateway.
    AccountId,
    /// What an account may spend in a period.
    BudgetId,
    /// One call through the gateway: a row of the ledger.
    CallId,
    /// A process that serves the gateway.
    InstanceId,
}

/// A Git commit id: 40 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct CommitId(String);

impl CommitId {
    /// The 40 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first ten digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

/// Not 40 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a commit id is 40 hexadecimal digits")]
pub struct NotACommitId;

impl FromStr for CommitId {
    type Err = NotACommitId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NotACommitId)
        }
    }
}

impl<'de> Deserialize<'de> for CommitId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_creation_and_survive_text() {
        let first = RunId::generate();
        let second = RunId::generate();
        assert!(first < second);
        assert_eq!(first.to_string().parse::<RunId>(), Ok(first));
        assert_eq!(first.short().len(), 12);
    }

    #[test]
    fn a_commit_id_is_forty_digits() {
        assert!("12ab".parse::<CommitId>().is_err());
        assert!("zz".repeat(20).parse::<CommitId>().is_err());
        assert_eq!("AB".repeat(20).parse::<CommitId>().map(|c| c.short().to_owned()), Ok("ab".repeat(5)));
    }
}
