//! The sample repository, its task and its recorded replies, for whoever has no model key yet.

use git2::{IndexEntry, IndexTime, Repository, RepositoryInitOptions, Signature, Time};
use rust_embed::RustEmbed;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toryo_domain::{Approval, CommitId, Limits, NewTask, Priority};

/// All samples: a folder with the repository's files, and beside it the task and the recording.
#[derive(RustEmbed)]
#[folder = "../../samples/"]
struct Files;

/// The name of the sample; the folder it is written to is usually called so.
pub const NAME: &str = "hirelog";

/// Its branch.
const BRANCH: &str = "main";

/// When and by whom the sample was committed: fixed, so that its commit id is. Seconds since 1970, 10 March 2025 in UTC.
const AUTHOR: (&str, &str) = ("Sample Author", "sample@example.org");
const COMMITTED_AT: i64 = 1_741_564_800;

/// Why the sample could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder holds something else.
    #[error("{0} is there already and is not the sample repository")]
    Taken(PathBuf),
    /// A file could not be written.
    #[error("the sample repository could not be written")]
    Folder(#[from] std::io::Error),
    /// Git refused.
    #[error("the sample repository could not be committed")]
    Git(#[from] git2::Error),
    /// Git's commit id is none of SHA-1.
    #[error(transparent)]
    CommitId(#[from] toryo_domain::ids::NotACommitId),
}

/// The recorded replies of a whole run on the sample's commit, as the replay provider reads them.
pub const RECORDING: &str = include_str!("../../../samples/hirelog.recording.json");

/// The sample's task as written: goal, constraints and criteria.
const TASK: &str = include_str!("../../../samples/hirelog.task.json");

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    goal: String,
    constraints: Vec<String>,
    acceptance_criteria: Vec<String>,
}

/// The sample's task for the repository in this folder.
#[must_use]
pub fn task(folder: &Path) -> NewTask {
    // The text is embedded and a test reads it, so the fallback is never seen.
    let written: Written = serde_json::from_str(TASK).unwrap_or_default();
    NewTask {
        repo_url: folder.to_string_lossy().into_owned(),
        goal: written.goal,
        issue_id: None,
        base_branch: None,
        constraints: written.constraints,
        acceptance_criteria: written.acceptance_criteria,
        priority: Priority::Normal,
        approval: Approval::None,
        limits: Limits::default(),
        labels: vec!["sample".to_owned()],
        source: "sample".to_owned(),
    }
}

/// The sample's files by path, sorted.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Files::iter()
        .filter_map(|name| {
            let path = name.strip_prefix(NAME)?.strip_prefix('/')?.to_owned();
            // What running the sample's tests in the source folder leaves.
            let left_over = path.contains("__pycache__") || path.contains(".pytest_cache");
            (!left_over).then(|| Some((path, Files::get(&name)?.data.into_owned())))?
        })
        .collect();
    files.sort();
    files
}

/// Writes the sample as a Git repository with one commit on `main` and a work tree. The commit id is always the same. A
/// folder that holds the sample already is left as it is, whatever branches were added since.
///
/// # Errors
/// The folder holds something else, or cannot be written.
pub fn materialise(folder: &Path) -> Result<CommitId, Error> {
    std::fs::create_dir_all(folder)?;
    let options = &mut RepositoryInitOptions::new();
    // No templates: hooks and settings of this machine have no place in the sample.
    options.initial_head(BRANCH).external_template(false);
    let files = files();
    if std::fs::read_dir(folder)?.next().is_none() {
        let repository = Repository::init_opts(folder, options)?;
        return check_out(&repository, &files);
    }
    // Made here, or by an earlier call that was broken off: the same commit either way.
    let taken = || Error::Taken(folder.to_owned());
    let repository = Repository::open(folder).map_err(|_| taken())?;
    if repository.is_empty()? && std::fs::read_dir(folder)?.count() == 1 {
        return check_out(&repository, &files);
    }
    let expected = commit_object(&repository, &files)?;
    let tip = repository.refname_to_id(&format!("refs/heads/{BRANCH}"));
    match tip {
        Ok(tip) if tip == expected || repository.graph_descendant_of(tip, expected)? => {}
        _ => return Err(taken()),
    }
    Ok(expected.to_string().parse()?)
}

fn check_out(repository: &Repository, files: &[(String, Vec<u8>)]) -> Result<CommitId, Error> {
    let id = commit_object(repository, files)?;
    repository.reference(&format!("refs/heads/{BRANCH}"), id, true, "sample")?;
    repository.reset(&repository.find_object(id, None)?, git2::ResetType::Hard, None)?;
    Ok(id.to_string().parse()?)
}

/// Writes the objects of the commit; moves nothing.
fn commit_object(repository: &Repository, files: &[(String, Vec<u8>)]) -> Result<git2::Oid, Error> {
    let mut index = git2::Index::new()?;
    for (path, bytes) in files {
        let blob = repository.blob(bytes)?;
        index.add(&entry(path, blob))?;
    }
    let tree = repository.find_tree(index.write_tree_to(repository)?)?;
    let who = Signature::new(AUTHOR.0, AUTHOR.1, &Time::new(COMMITTED_AT, 0))?;
    Ok(repository.commit(None, &who, &who, "Keep a small book of tool hires\n", &tree, &[])?)
}

fn entry(path: &str, blob: git2::Oid) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode: 0o100_644,
        uid: 0,
        gid: 0,
        file_size: 0,
        id: blob,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_always_the_same_and_the_work_tree_is_clean() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let commit = materialise(&one.path().join(NAME)).unwrap();
        assert_eq!(materialise(&other.path().join(NAME)).unwrap(), commit);
        assert_eq!(materialise(&one.path().join(NAME)).unwrap(), commit, "a second call changes nothing");
        let repository = Repository::open(one.path().join(NAME)).unwrap();
        assert!(repository.statuses(None).unwrap().iter().all(|entry| entry.status().is_empty()));
        assert_eq!(repository.head().unwrap().shorthand().unwrap(), BRANCH);
        let recording: serde_json::Value = serde_json::from_str(RECORDING).unwrap();
        assert_eq!(
            recording["repository_commit"],
            commit.as_str(),
            "the recording belongs to another commit"
        );
        assert!(files().len() >= 15);
        assert!(task(one.path()).goal.starts_with("The last day of a hire is not counted"));
    }

    #[test]
    fn a_folder_with_other_things_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine.txt"), "mine").unwrap();
        assert!(matches!(materialise(folder.path()), Err(Error::Taken(_))));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        Repository::init(folder.path()).unwrap();
        assert!(matches!(materialise(folder.path()), Err(Error::Taken(_))));
    }
}
