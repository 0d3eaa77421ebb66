//! A person's repository, only read: for commands that work on a folder without a server.

use super::{Mirror, blocking};
use crate::Error;
use std::path::{Path, PathBuf};
use toryo_domain::CommitId;

/// A repository found at or above a folder. Its objects are read in place; nothing in it is changed.
#[derive(Debug, Clone)]
pub struct Found {
    folder: PathBuf,
    mirror: Mirror,
}

/// The repository at or above this folder; a bare one too.
///
/// # Errors
/// [`Error::NotARepository`].
pub async fn discover(folder: &Path) -> Result<Found, Error> {
    let folder = folder.to_owned();
    blocking(move || {
        let missing = |_| Error::NotARepository { repo: folder.display().to_string() };
        let repository = git2::Repository::discover(&folder).map_err(missing)?;
        let mirror = Mirror::at(repository.commondir());
        Ok(Found { folder: folder.clone(), mirror })
    })
    .await
}

impl Found {
    /// Its objects.
    #[must_use]
    pub fn objects(&self) -> &Mirror {
        &self.mirror
    }

    /// The commit of a revision such as `HEAD`, `main~2` or an id.
    ///
    /// # Errors
    /// [`Error::UnknownRevision`].
    pub async fn resolve(&self, rev: &str) -> Result<CommitId, Error> {
        let (folder, rev) = (self.folder.clone(), rev.to_owned());
        blocking(move || {
            let unknown = || Error::UnknownRevision {
                repo: folder.display().to_string(),
                rev: rev.chars().take(200).collect(),
            };
            // Discovered anew, because a linked work tree has a HEAD of its own.
            let repository = git2::Repository::discover(&folder)?;
            let object = repository.revparse_single(&rev).map_err(|_| unknown())?;
            let commit = object.peel_to_commit().map_err(|_| unknown())?;
            commit.id().to_string().parse().map_err(|_| unknown())
        })
        .await
    }
}
