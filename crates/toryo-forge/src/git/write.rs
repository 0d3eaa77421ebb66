//! Making commits without a working tree.

use super::{Content, NewCommit, commit_id, read};
use crate::{Error, text};
use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType, Repository, Signature, Time, Tree};
use std::collections::BTreeMap;
use toryo_domain::{CommitId, RepoPath};

pub(super) fn commit(repository: &Repository, new: &NewCommit) -> Result<CommitId, Error> {
    let base = read::find(repository, &new.base)?;
    let before = base.tree()?;
    // By path, so that the order of the changes does not matter and the last one of a path counts.
    let changes: BTreeMap<_, _> = new.changes.iter().map(|change| (&change.path, &change.content)).collect();
    // Removals come first, so that a file may become a folder and the other way round.
    let left = removed(repository, &before, &changes)?;
    let tree = written(repository, &left, &changes)?;
    if tree.id() == before.id() {
        return Err(Error::NothingToCommit);
    }
    let author = signature(new)?;
    let message = text::with_final_newline(&text::plain_lines(&new.message));
    commit_id(repository.commit(None, &author, &author, &message, &tree, &[&base])?)
}

type Changes<'a> = BTreeMap<&'a RepoPath, &'a Option<Content>>;

fn removed<'repo>(
    repository: &'repo Repository,
    tree: &Tree<'_>,
    changes: &Changes<'_>,
) -> Result<Tree<'repo>, Error> {
    let mut update = TreeUpdateBuilder::new();
    for path in changes.iter().filter(|(_, content)| content.is_none()).map(|(path, _)| path) {
        if read::regular_file(tree, path)?.is_some() {
            update.remove(path.as_str());
        } else {
            free_for_a_file(tree, path)?;
        }
    }
    Ok(repository.find_tree(update.create_updated(repository, tree)?)?)
}

fn written<'repo>(
    repository: &'repo Repository,
    tree: &Tree<'_>,
    changes: &Changes<'_>,
) -> Result<Tree<'repo>, Error> {
    let mut update = TreeUpdateBuilder::new();
    for (path, content) in changes {
        if let Some(content) = content {
            free_for_a_file(tree, path)?;
            // Two changes of one commit can stand in each other's way as well.
            let is_written = |folder: &str| {
                let other = changes.iter().find(|(other, _)| other.as_str() == folder);
                other.is_some_and(|(_, content)| content.is_some())
            };
            if parents(path).any(is_written) {
                return Err(Error::NotAFile { path: (*path).clone() });
            }
            let mode = if content.executable { FileMode::BlobExecutable } else { FileMode::Blob };
            update.upsert(path.as_str(), repository.blob(&content.bytes)?, mode);
        }
    }
    Ok(repository.find_tree(update.create_updated(repository, tree)?)?)
}

/// Refuses a path where the tree has a link, a submodule or a folder, or one of them or a file where a folder
/// has to be.
fn free_for_a_file(tree: &Tree<'_>, path: &RepoPath) -> Result<(), Error> {
    let refused = || Error::NotAFile { path: path.clone() };
    for parent in parents(path) {
        if tree.get_path(parent.as_ref()).is_ok_and(|parent| parent.kind() != Some(ObjectType::Tree)) {
            return Err(refused());
        }
    }
    let occupied = tree.get_path(path.as_str().as_ref()).is_ok();
    if occupied && read::regular_file(tree, path)?.is_none() { Err(refused()) } else { Ok(()) }
}

/// The folders above a path, outermost first.
fn parents(path: &RepoPath) -> impl Iterator<Item = &str> {
    path.as_str().match_indices('/').map(|(end, _)| &path.as_str()[..end])
}

fn signature(new: &NewCommit) -> Result<Signature<'static>, Error> {
    let (name, email) = (text::identity(&new.author.name), text::identity(&new.author.email));
    if name.is_empty() || email.is_empty() {
        return Err(Error::BadIdentity);
    }
    Ok(Signature::new(&name, &email, &Time::new(new.when.timestamp(), 0))?)
}
