//! Reading trees, files and history of a mirror.

use super::{LARGEST_FILE, LeftOut, Listing, LogEntry, MOST_LOG_PATHS, TreeFile, commit_id, oid};
use crate::Error;
use chrono::DateTime;
use git2::{FileMode, ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};
use std::collections::{BTreeMap, BTreeSet};
use toryo_domain::{CommitId, RepoPath};

/// The commit, or a typed error where it is not here.
pub(super) fn find<'repo>(
    repository: &'repo Repository,
    commit: &CommitId,
) -> Result<git2::Commit<'repo>, Error> {
    repository.find_commit(oid(commit)?).map_err(|error| match error.code() {
        git2::ErrorCode::NotFound => {
            Error::UnknownCommit { repo: "the mirror".to_owned(), commit: commit.clone() }
        }
        _ => error.into(),
    })
}

pub(super) fn files(repository: &Repository, commit: &CommitId) -> Result<Listing, Error> {
    let tree = find(repository, commit)?.tree()?;
    let odb = repository.odb()?;
    let mut listing = Listing::default();
    let mut failed = None;
    let walked = tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        match judge(&odb, folder, entry) {
            Ok(Judged::Folder) => {}
            Ok(Judged::File(file)) => listing.files.push(file),
            Ok(Judged::LeftOut(left_out)) => {
                listing.left_out.push(left_out);
                // Only matters for a folder whose name is refused: nothing below it is looked at.
                return TreeWalkResult::Skip;
            }
            Err(error) => {
                failed = Some(error);
                return TreeWalkResult::Abort;
            }
        }
        TreeWalkResult::Ok
    });
    if let Some(error) = failed {
        return Err(error);
    }
    walked?;
    // Git sorts a folder as if its name ended in a slash.
    listing.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

enum Judged {
    Folder,
    File(TreeFile),
    LeftOut(LeftOut),
}

fn judge(odb: &git2::Odb<'_>, folder: &str, entry: &git2::TreeEntry<'_>) -> Result<Judged, Error> {
    let name = String::from_utf8_lossy(entry.name_bytes());
    let full = format!("{folder}{name}");
    let left_out =
        |reason: String| Ok(Judged::LeftOut(LeftOut { path: full.escape_debug().to_string(), reason }));
    if entry.name().is_err() || folder.contains(char::REPLACEMENT_CHARACTER) {
        return left_out("the path is not UTF-8".to_owned());
    }
    let path = match full.parse::<RepoPath>() {
        Ok(path) => path,
        Err(bad) => return left_out(bad.to_string()),
    };
    match entry.filemode() {
        mode if mode == i32::from(FileMode::Tree) => Ok(Judged::Folder),
        mode if mode == i32::from(FileMode::Link) => left_out("it is a symbolic link".to_owned()),
        mode if mode == i32::from(FileMode::Commit) => left_out("it is a submodule".to_owned()),
        mode => {
            let (size, _) = odb.read_header(entry.id())?;
            let executable = mode == i32::from(FileMode::BlobExecutable);
            let blob = entry.id().to_string();
            Ok(Judged::File(TreeFile { path, size: size as u64, executable, blob }))
        }
    }
}

pub(super) fn one(
    repository: &Repository,
    commit: &CommitId,
    path: &RepoPath,
) -> Result<Option<Vec<u8>>, Error> {
    content(repository, &find(repository, commit)?.tree()?, path)
}

pub(super) fn many(
    repository: &Repository,
    commit: &CommitId,
    paths: Vec<RepoPath>,
) -> Result<BTreeMap<RepoPath, Vec<u8>>, Error> {
    let tree = find(repository, commit)?.tree()?;
    let mut contents = BTreeMap::new();
    for path in paths {
        if let Some(bytes) = content(repository, &tree, &path)? {
            contents.insert(path, bytes);
        }
    }
    Ok(contents)
}

/// What lies at the path, where it is a regular file.
pub(super) fn regular_file(tree: &git2::Tree<'_>, path: &RepoPath) -> Result<Option<(Oid, i32)>, Error> {
    match tree.get_path(path.as_str().as_ref()) {
        Ok(entry)
            if entry.kind() == Some(ObjectType::Blob) && entry.filemode() != i32::from(FileMode::Link) =>
        {
            Ok(Some((entry.id(), entry.filemode())))
        }
        Ok(_) => Ok(None),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn content(
    repository: &Repository,
    tree: &git2::Tree<'_>,
    path: &RepoPath,
) -> Result<Option<Vec<u8>>, Error> {
    let Some((id, _)) = regular_file(tree, path)? else { return Ok(None) };
    // The header is read first, so that a huge file is refused before it is in memory.
    let size = repository.odb()?.read_header(id)?.0 as u64;
    if size > LARGEST_FILE {
        return Err(Error::TooLarge { path: path.to_string(), size, limit: LARGEST_FILE });
    }
    Ok(Some(repository.find_blob(id)?.content().to_vec()))
}

pub(super) fn log(repository: &Repository, commit: &CommitId, count: usize) -> Result<Vec<LogEntry>, Error> {
    find(repository, commit)?;
    let mut walk = repository.revwalk()?;
    walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::TIME)?;
    walk.push(oid(commit)?)?;
    walk.take(count).map(|id| log_entry(repository, &repository.find_commit(id?)?)).collect()
}

/// Newest first by the time of their commit; unlike [`log`] it looks at no more of the history than it gives back.
pub(super) fn ancestors(
    repository: &Repository,
    commit: &CommitId,
    count: usize,
) -> Result<Vec<CommitId>, Error> {
    find(repository, commit)?;
    let mut walk = repository.revwalk()?;
    walk.set_sorting(git2::Sort::TIME)?;
    walk.push(oid(commit)?)?;
    walk.take(count).map(|id| commit_id(id?)).collect()
}

pub(super) fn entries(repository: &Repository, commits: &[CommitId]) -> Result<Vec<LogEntry>, Error> {
    commits.iter().map(|commit| log_entry(repository, &find(repository, commit)?)).collect()
}

fn log_entry(repository: &Repository, commit: &git2::Commit<'_>) -> Result<LogEntry, Error> {
    let subject = commit.summary_bytes().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    Ok(LogEntry {
        commit: commit_id(commit.id())?,
        subject,
        at: DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default(),
        paths: changed_paths(repository, commit)?,
    })
}

fn changed_paths(repository: &Repository, commit: &git2::Commit<'_>) -> Result<Vec<RepoPath>, Error> {
    let before = match commit.parent_count() {
        0 => None,
        1 => Some(commit.parent(0)?.tree()?),
        _ => return Ok(Vec::new()),
    };
    let diff = repository.diff_tree_to_tree(before.as_ref(), Some(&commit.tree()?), None)?;
    let paths: BTreeSet<RepoPath> = diff
        .deltas()
        .flat_map(|delta| [delta.old_file().path_bytes(), delta.new_file().path_bytes()])
        .flatten()
        .filter_map(|path| std::str::from_utf8(path).ok()?.parse().ok())
        .collect();
    Ok(paths.into_iter().take(MOST_LOG_PATHS).collect())
}
