//! Making commits without a working tree.

use super::{NewCommit, commit_id, read};
use crate::{Error, text};
use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType, Repository, Signature, Time, Tree};
use std::collections::BTreeMap;
use toryo_domain::{CommitId, RepoPath};

pub(super) fn commit(repository: &Repository, new: &NewCommit) -> Result<CommitId, Error> {
    let base = read::find(repository, &new.base)?;
    let before = base.tree()?;
    let mut update = TreeUpdateBuilder::new();
    // By path, so that the order of the changes does not matter and the last one of a path counts.
    let changes: BTreeMap<_, _> = new.changes.iter().map(|change| (&change.path, &change.content)).collect();
    for (path, content) in &changes {
        let there = read::regular_file(&before, path)?;
        match content {
            Some(content) => {
                free_for_a_file(&before, path, &changes)?;
                let mode = if content.executable { FileMode::BlobExecutable } else { FileMode::Blob };
                update.upsert(path.as_str(), repository.blob(&content.bytes)?, mode);
            }
            None if there.is_some() => {
                update.remove(path.as_str());
            }
            None => free_for_a_file(&before, path, &changes)?,
        }
    }
    let tree = update.create_updated(repository, &before)?;
    if tree == before.id() {
        return Err(Error::NothingToCommit);
    }
    let author = signature(new)?;
    let message = text::with_final_newline(&new.message);
    let tree = repository.find_tree(tree)?;
    commit_id(repository.commit(None, &author, &author, &message, &tree, &[&base])?)
}

/// Refuses a path where the base has something other than a regular file, or a file where a folder has to be.
fn free_for_a_file<T>(
    before: &Tree<'_>,
    path: &RepoPath,
    changes: &BTreeMap<&RepoPath, &Option<T>>,
) -> Result<(), Error> {
    let refused = || Error::NotAFile { path: path.clone() };
    let removed =
        |path: &str| changes.iter().any(|(other, content)| other.as_str() == path && content.is_none());
    for (end, _) in path.as_str().match_indices('/') {
        let parent = &path.as_str()[..end];
        let is_folder = before.get_path(parent.as_ref()).map(|entry| entry.kind() == Some(ObjectType::Tree));
        if is_folder.is_ok_and(|is_folder| !is_folder) && !removed(parent) {
            return Err(refused());
        }
    }
    let occupied = before.get_path(path.as_str().as_ref()).is_ok();
    if occupied && read::regular_file(before, path)?.is_none() { Err(refused()) } else { Ok(()) }
}

fn signature(new: &NewCommit) -> Result<Signature<'static>, Error> {
    let (name, email) = (text::identity(&new.author.name), text::identity(&new.author.email));
    if name.is_empty() || email.is_empty() {
        return Err(Error::BadIdentity);
    }
    Ok(Signature::new(&name, &email, &Time::new(new.when.timestamp(), 0))?)
}
