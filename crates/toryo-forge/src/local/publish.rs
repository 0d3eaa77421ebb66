//! Writing a branch into a repository on this machine: objects and one reference, nothing else. No hook runs;
//! work tree, index and `HEAD` are never opened for writing.

use super::path;
use crate::git::{Mirror, lock, oid};
use crate::{Error, commit_message};
use git2::{ErrorCode, Oid, Repository, Signature};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toryo_domain::CommitId;

/// How often a lock of a living process is tried again, and how long is waited in between.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Makes `branch` of the repository at `git_dir` point to `commit`, which the mirror holds.
pub(super) async fn to_path(
    git_dir: PathBuf,
    mirror: &Mirror,
    branch: &str,
    commit: &CommitId,
) -> Result<(), Error> {
    for _ in 1..TRIES {
        match attempt(git_dir.clone(), mirror, branch, commit).await {
            Err(Error::Locked { .. }) => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
    }
    attempt(git_dir, mirror, branch, commit).await
}

async fn attempt(git_dir: PathBuf, mirror: &Mirror, branch: &str, commit: &CommitId) -> Result<(), Error> {
    let (branch, commit) = (branch.to_owned(), commit.clone());
    mirror
        .work(move |mirror| {
            let target = path::open(&git_dir, &git_dir.display().to_string())?;
            let new = mirror.find_commit(oid(&commit)?).map_err(|_| Error::UnknownCommit {
                repo: "the mirror".to_owned(),
                commit: commit.clone(),
            })?;
            refuse_checked_out(target.commondir(), &branch)?;
            copy_objects(mirror, &target, &new)?;
            move_branch(&target, &branch, new.id())
        })
        .await
}

/// A branch that a `HEAD` names, born or not: that of the main work tree and of every linked one.
fn refuse_checked_out(git_dir: &Path, branch: &str) -> Result<(), Error> {
    let linked = std::fs::read_dir(git_dir.join("worktrees")).into_iter().flatten().flatten();
    let folders = linked.map(|entry| entry.path()).chain([git_dir.to_owned()]);
    let named = format!("ref: refs/heads/{branch}");
    for folder in folders {
        // A folder without a HEAD is no work tree.
        let head = std::fs::read_to_string(folder.join("HEAD")).unwrap_or_default();
        if head.trim_end() == named {
            return Err(Error::BranchCheckedOut { branch: branch.to_owned() });
        }
    }
    Ok(())
}

/// Adds what the repository lacks as one pack, which appears whole or not at all.
pub(super) fn copy_objects(
    mirror: &Repository,
    target: &Repository,
    commit: &git2::Commit<'_>,
) -> Result<(), Error> {
    let there = target.odb()?;
    let mut walk = mirror.revwalk()?;
    let (mut queue, mut seen, mut missing) = (vec![commit.id()], BTreeSet::new(), false);
    while let Some(id) = queue.pop() {
        if !seen.insert(id) {
            continue;
        }
        if there.exists(id) {
            walk.hide(id)?;
        } else {
            missing = true;
            walk.push(id)?;
            queue.extend(mirror.find_commit(id)?.parent_ids());
        }
    }
    if !missing {
        return Ok(());
    }
    let mut builder = mirror.packbuilder()?;
    builder.insert_walk(&mut walk)?;
    let mut pack = git2::Buf::new();
    builder.write_buf(&mut pack)?;
    let mut writer = there.packwriter()?;
    writer.write_all(&pack).map_err(|error| Error::Repository(Box::new(error)))?;
    writer.commit()?;
    Ok(())
}

/// Compare-and-swap under Git's own lock of the reference.
fn move_branch(target: &Repository, branch: &str, commit: Oid) -> Result<(), Error> {
    let name = format!("refs/heads/{branch}");
    let taken = || Error::BranchTaken { branch: branch.to_owned() };
    // `toryo` as a branch leaves no room for `toryo/x`, and the other way round.
    for (end, _) in branch.match_indices('/') {
        if target.find_reference(&format!("refs/heads/{}", &branch[..end])).is_ok() {
            return Err(taken());
        }
    }
    if target.references_glob(&format!("{name}/*"))?.names().next().is_some() {
        return Err(taken());
    }
    let mut transaction = target.transaction()?;
    if let Err(error) = transaction.lock_ref(&name) {
        lock::break_dead(&target.commondir().join(format!("{name}.lock")));
        return Err(error.into());
    }
    match target.refname_to_id(&name) {
        Ok(tip) if tip == commit => return Ok(()),
        Ok(tip) if is_earlier_of_ours(target, tip, commit) => {}
        Err(error) if error.code() == ErrorCode::NotFound => {}
        Ok(_) => return Err(taken()),
        Err(error) => return Err(error.into()),
    }
    let who = Signature::now("Toryo", "toryo@localhost")?;
    transaction.set_target(&name, commit, Some(&who), "toryo: publish")?;
    transaction.commit()?;
    Ok(())
}

/// Whether the branch may be moved from `tip` to `commit` without losing anything: `tip` was made by the same run
/// and nobody rewrote it, for a rewrite changes the committer.
pub(super) fn is_earlier_of_ours(repository: &Repository, tip: Oid, commit: Oid) -> bool {
    let (Ok(old), Ok(new)) = (repository.find_commit(tip), repository.find_commit(commit)) else {
        return false;
    };
    let run =
        |commit: &git2::Commit<'_>| commit_message::run_of(&String::from_utf8_lossy(commit.message_bytes()));
    let who = |of: &Signature<'_>| (of.name_bytes().to_vec(), of.email_bytes().to_vec());
    run(&new).is_some()
        && run(&old) == run(&new)
        && who(&old.author()) == who(&new.author())
        && who(&old.committer()) == who(&new.committer())
        // A commit of ours on top of somebody else's is only replaced by one that keeps theirs.
        && old.parent_ids().all(|parent| {
            new.parent_ids().any(|other| other == parent || repository.graph_descendant_of(other, parent).unwrap_or(false))
        })
}
