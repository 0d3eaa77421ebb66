//! Past commits, and keeping them: what a commit changed costs a comparison of two trees and never changes.

use crate::record::{RecordKey, sealed, unsealed};
use crate::store::RecordStore;
use serde::{Deserialize, Serialize};
use std::io;
use toryo_domain::RepoPath;

/// A commit of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCommit {
    /// First line of its message.
    pub subject: String,
    /// Files it touched.
    pub paths: Vec<RepoPath>,
}

/// The history of a commit as it is kept in a store.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PastLog {
    /// Commits by id, newest first.
    pub commits: Vec<(String, PastCommit)>,
}

/// [`PastLog`] in storage.
#[derive(Serialize, Deserialize)]
struct Kept<'a>(#[serde(borrow)] Vec<(&'a str, &'a str, Vec<&'a str>)>);

impl PastLog {
    /// The history kept for a commit; `None` where none is, or it is damaged.
    #[must_use]
    pub fn load(store: &dyn RecordStore, commit: &str) -> Option<Self> {
        let bytes = store.load(&RecordKey::of_history(commit))?;
        let kept: Kept<'_> = postcard::from_bytes(unsealed(&bytes)?).ok()?;
        let commit = |(id, subject, paths): (&str, &str, Vec<&str>)| {
            let paths: Option<Vec<RepoPath>> = paths.into_iter().map(|path| path.parse().ok()).collect();
            Some((id.to_owned(), PastCommit { subject: subject.to_owned(), paths: paths? }))
        };
        Some(Self { commits: kept.0.into_iter().map(commit).collect::<Option<_>>()? })
    }

    /// Keeps it as the history of a commit.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn save(&self, store: &dyn RecordStore, commit: &str) -> io::Result<()> {
        let kept = Kept(self.commits.iter().map(kept).collect());
        let facts = postcard::to_stdvec(&kept).map_err(io::Error::other)?;
        store.save(&RecordKey::of_history(commit), &sealed(&facts))
    }
}

fn kept((id, past): &(String, PastCommit)) -> (&str, &str, Vec<&str>) {
    (id, &past.subject, past.paths.iter().map(RepoPath::as_str).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::at;
    use crate::store::MemoryStore;

    #[test]
    fn a_history_is_read_as_it_was_written() {
        let store = MemoryStore::default();
        let past =
            PastCommit { subject: "Round half up".into(), paths: vec![at("src/shop/money.py"), at("a.py")] };
        let log = PastLog {
            commits: vec![
                ("c1".into(), past),
                ("c0".into(), PastCommit { subject: String::new(), paths: vec![] }),
            ],
        };
        assert_eq!(PastLog::load(&store, "c1"), None);
        log.save(&store, "c1").expect("saved");
        assert_eq!(PastLog::load(&store, "c1"), Some(log));
        store.save(&RecordKey::of_history("c2"), b"damaged").expect("saved");
        assert_eq!(PastLog::load(&store, "c2"), None);
    }
}
