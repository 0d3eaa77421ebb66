//! How several files change as one: copies first, then a plan, then the files, then the plan goes.
//!
//! The plan's file is the switch. While it is not there, no file has been touched; while it is there, the
//! change is unfinished and is taken back from the copies, by this call if it fails, or by the next one if this
//! one dies. Rolling back was preferred to completing: whoever was cut off has not been told of a success.

use super::{Error, WorkTree};
use crate::apply::{FileChange, Files};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use toryo_domain::{Digest, RepoPath};

/// What the plan says of one file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Planned {
    path: RepoPath,
    before: Option<Digest>,
    after: Option<Digest>,
    /// The first folder that has to be created for it, relative to the tree.
    new_folder: Option<RepoPath>,
}

fn plan_file(tree: &WorkTree) -> PathBuf {
    tree.state.join("plan.json")
}

fn copy_file(tree: &WorkTree, index: usize, side: &str) -> PathBuf {
    tree.state.join(format!("{index}.{side}"))
}

/// Where a file's new content is written before it takes the file's name: beside it, on the same file system.
fn temporary(place: &Path) -> PathBuf {
    let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // A name may be 255 bytes; a digest of a long one keeps within that.
    let name = if name.len() > 200 { Digest::of(&name).short() } else { name };
    place.with_file_name(format!(".{name}.toryo-new"))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

/// Holds the tree for one writer; the system lets go of it when the process ends, however it ends.
fn lock(tree: &WorkTree) -> Result<File, Error> {
    fs::create_dir_all(&tree.state).map_err(failed(&tree.state))?;
    let name = tree.state.join("lock");
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&name).map_err(failed(&name))?;
    match file.try_lock() {
        // The last writer may have removed the file after it was opened here; then this lock locks nobody out.
        Ok(()) if is_at(&file, &name) => Ok(file),
        Ok(()) => Err(Error::Busy),
        Err(TryLockError::WouldBlock) => Err(Error::Busy),
        Err(TryLockError::Error(error)) => Err(failed(&name)(error)),
    }
}

/// Whether this open file is the one that the name leads to.
#[cfg(unix)]
fn is_at(file: &File, name: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().map(id).ok() == fs::metadata(name).map(id).ok()
}

/// Whether this open file is the one that the name leads to; other systems do not remove open files.
#[cfg(not(unix))]
fn is_at(_file: &File, _name: &Path) -> bool {
    true
}

/// Writes changes as one. `point` is called before each step that a failure or crash may follow, with the
/// number of the step; its error counts as that step's. Behind the last step it is called once more, to no effect.
pub(super) fn write(
    tree: &WorkTree,
    changes: &[FileChange],
    point: &mut dyn FnMut(usize) -> io::Result<()>,
) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let lock = lock(tree)?;
    take_back(tree)?;
    for change in changes {
        unchanged(tree, change)?;
    }
    let mut points = 0..;
    let mut next_point = move || points.next().map_or(Ok(()), &mut *point);
    let written = plan(tree, changes, &mut next_point)
        .and_then(|()| changes.iter().try_for_each(|change| write_one(tree, change, &mut next_point)))
        .and_then(|()| next_point().map_err(failed(&plan_file(tree))))
        .and_then(|()| finish(tree));
    let result = written.or_else(|error| take_back(tree).and(Err(error)));
    // What is finished stays, whatever becomes of the rest of the journal.
    let _ = next_point();
    remove_state(tree);
    drop(lock);
    result
}

/// Takes back what an interrupted call left.
pub(super) fn recover(tree: &WorkTree) -> Result<(), Error> {
    let lock = lock(tree)?;
    let result = take_back(tree);
    remove_state(tree);
    drop(lock);
    result
}

/// Refuses a file that is not what it was when it was read.
fn unchanged(tree: &WorkTree, change: &FileChange) -> Result<(), Error> {
    let now =
        tree.read(&change.path).map_err(|reason| Error::Unsafe { path: change.path.clone(), reason })?;
    let same = now.as_ref().map(Digest::of) == change.before.as_ref().map(Digest::of);
    if same { Ok(()) } else { Err(Error::Changed(change.path.clone())) }
}

/// Where a failure or crash may follow, for tests.
type Point<'p> = &'p mut dyn FnMut() -> io::Result<()>;

/// Writes the copies and then, as the switch, the plan.
fn plan(tree: &WorkTree, changes: &[FileChange], point: Point<'_>) -> Result<(), Error> {
    let mut planned = Vec::with_capacity(changes.len());
    for (index, change) in changes.iter().enumerate() {
        for (side, content) in [("before", &change.before), ("after", &change.after)] {
            if let Some(content) = content {
                let name = copy_file(tree, index, side);
                point().map_err(failed(&name))?;
                write_durably(&name, content).map_err(failed(&name))?;
            }
        }
        if let (Some(_), Ok(place)) = (&change.before, tree.place(&change.path)) {
            let copy = copy_file(tree, index, "before");
            let permissions = fs::metadata(&place).map(|metadata| metadata.permissions());
            permissions
                .and_then(|permissions| fs::set_permissions(&copy, permissions))
                .map_err(failed(&copy))?;
        }
        planned.push(Planned {
            path: change.path.clone(),
            before: change.before.as_ref().map(Digest::of),
            after: change.after.as_ref().map(Digest::of),
            new_folder: first_missing_folder(tree, &change.path),
        });
    }
    let (name, draft) = (plan_file(tree), tree.state.join("plan.draft"));
    let text = serde_json::to_vec(&planned).map_err(io::Error::from).map_err(failed(&name))?;
    write_durably(&draft, &text).map_err(failed(&draft))?;
    point().map_err(failed(&name))?;
    fs::rename(&draft, &name).map_err(failed(&name))?;
    sync_folder(&tree.state);
    Ok(())
}

/// The outermost folder of a path that is not there.
fn first_missing_folder(tree: &WorkTree, path: &RepoPath) -> Option<RepoPath> {
    let ends = path.as_str().match_indices('/').map(|(at, _)| &path.as_str()[..at]);
    let missing = ends.into_iter().find(|folder| fs::symlink_metadata(tree.root.join(folder)).is_err());
    missing.and_then(|folder| folder.parse().ok())
}

/// Gives one file its new content.
fn write_one(tree: &WorkTree, change: &FileChange, point: Point<'_>) -> Result<(), Error> {
    let place =
        tree.place(&change.path).map_err(|reason| Error::Unsafe { path: change.path.clone(), reason })?;
    point().map_err(failed(&place))?;
    let Some(content) = &change.after else {
        unchanged(tree, change)?;
        point().map_err(failed(&place))?;
        return fs::remove_file(&place).map_err(failed(&place));
    };
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    let new = temporary(&place);
    write_durably(&new, content).map_err(failed(&new))?;
    if let Ok(metadata) = fs::metadata(&place) {
        fs::set_permissions(&new, metadata.permissions()).map_err(failed(&new))?;
    }
    point().map_err(failed(&place))?;
    unchanged(tree, change)?;
    fs::rename(&new, &place).map_err(failed(&place))?;
    place.parent().into_iter().for_each(sync_folder);
    Ok(())
}

/// Ends a change that is written: without its plan it is no longer unfinished.
fn finish(tree: &WorkTree) -> Result<(), Error> {
    let name = plan_file(tree);
    fs::remove_file(&name).map_err(failed(&name))?;
    sync_folder(&tree.state);
    Ok(())
}

/// Restores every file of an unfinished change. Files that are neither as before nor as after were changed by
/// somebody else and stay; then the copies are kept.
fn take_back(tree: &WorkTree) -> Result<(), Error> {
    let name = plan_file(tree);
    let text = match fs::read(&name) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(&name)(error)),
    };
    let planned: Vec<Planned> =
        serde_json::from_slice(&text).map_err(io::Error::from).map_err(failed(&name))?;
    let mut foreign = Vec::new();
    for (index, one) in planned.iter().enumerate().rev() {
        let Ok(place) = tree.place(&one.path) else {
            foreign.push(one.path.clone());
            continue;
        };
        let _ = fs::remove_file(temporary(&place));
        let now = tree.read(&one.path).ok().flatten().map(Digest::of);
        if now == one.after && now != one.before {
            restore(tree, index, one, &place)?;
        } else if now != one.before {
            foreign.push(one.path.clone());
        }
        if let Some(folder) = &one.new_folder {
            remove_empty_folders(&tree.root.join(folder.as_str()), &place);
        }
    }
    if foreign.is_empty() {
        return finish(tree);
    }
    foreign.reverse();
    let kept = (1_u32..).map(|number| tree.state.with_file_name(format!("kept-{number}")));
    let kept = kept.into_iter().find(|kept| !kept.exists()).unwrap_or_else(|| tree.state.join("kept"));
    fs::rename(&tree.state, &kept).map_err(failed(&kept))?;
    Err(Error::Unrecovered { paths: foreign, kept })
}

/// Gives one file its old content, or removes one that was not there.
fn restore(tree: &WorkTree, index: usize, one: &Planned, place: &Path) -> Result<(), Error> {
    if one.before.is_none() {
        return fs::remove_file(place).map_err(failed(place));
    }
    let copy = copy_file(tree, index, "before");
    let content = fs::read(&copy).map_err(failed(&copy))?;
    let new = temporary(place);
    write_durably(&new, &content).map_err(failed(&new))?;
    if let Ok(metadata) = fs::metadata(&copy) {
        fs::set_permissions(&new, metadata.permissions()).map_err(failed(&new))?;
    }
    fs::rename(&new, place).map_err(failed(place))
}

/// Removes the folders that were created for a file, from the innermost out, as long as they are empty.
fn remove_empty_folders(outermost: &Path, place: &Path) {
    let folders = place.ancestors().skip(1).take_while(|folder| folder.starts_with(outermost));
    for folder in folders {
        if fs::remove_dir(folder).is_err() && folder.exists() {
            return;
        }
    }
}

/// Removes what is left of a finished change. What stays is harmless: without a plan it means nothing.
fn remove_state(tree: &WorkTree) {
    if !plan_file(tree).exists() {
        let _ = fs::remove_dir_all(&tree.state);
        // The folder around it is ours as well; removal fails if anything is in it.
        let _ = tree.state.parent().map(fs::remove_dir);
    }
}

fn write_durably(name: &Path, content: &[u8]) -> io::Result<()> {
    // A name left by a crash, or a link put there, is replaced and not written through.
    let _ = fs::remove_file(name);
    let mut file = OpenOptions::new().write(true).create_new(true).open(name)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes names in a folder durable where the system can; a crash of the machine may otherwise undo a rename.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}
