//! The working-tree adapter: reads files of a folder and writes changes to it, the whole set or nothing.
//!
//! The only module of this crate that touches a file system. It follows no symbolic link and leaves the tree by
//! no path; it does not defend against another process that swaps folders for links while it works.

mod journal;
#[cfg(test)]
mod tests;

use crate::apply::{Applied, FileChange, Files, ReadError, apply};
use crate::edit::EditSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use toryo_domain::{FailureClass, RepoPath};

/// The largest file that is read, in bytes; the text to edit has a smaller limit of its own.
const LARGEST_READ: u64 = 64 * 1024 * 1024;

/// Why a working tree could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path is no folder.
    #[error("`{0}` is not a folder")]
    NotATree(PathBuf),
    /// Another process is writing to the tree.
    #[error("another process is applying edits to this working tree")]
    Busy,
    /// A file is not what it was when it was read.
    #[error("`{0}` was changed by somebody else in the meantime; nothing was applied")]
    Changed(RepoPath),
    /// A file cannot be read or written safely.
    #[error("`{path}`: {reason}; nothing was applied")]
    Unsafe {
        /// The file.
        path: RepoPath,
        /// What is in the way.
        reason: ReadError,
    },
    /// The file system failed. What was written before was taken back.
    #[error("`{path}` cannot be written; nothing was applied")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// An earlier call was cut short, and files have since been changed by somebody else: they stay as they
    /// are, and the copies are kept for a person.
    #[error("an interrupted change could not be taken back in {}; the copies are in `{kept}`", names(.paths))]
    Unrecovered {
        /// The files that stay as they are.
        paths: Vec<RepoPath>,
        /// The folder with the contents before and after.
        kept: PathBuf,
    },
}

fn names(paths: &[RepoPath]) -> String {
    paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ")
}

impl Error {
    /// What the failure is to a step.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::NotATree(_) | Self::Unsafe { .. } | Self::Unrecovered { .. } => FailureClass::Input,
            Self::Busy | Self::Changed(_) | Self::Io { .. } => FailureClass::Transient,
        }
    }
}

/// A folder with files, usually a Git working tree.
#[derive(Debug)]
pub struct WorkTree {
    root: PathBuf,
    /// Where the journal of a change lies while it is written.
    state: PathBuf,
}

impl WorkTree {
    /// Opens a tree, and takes back what an interrupted call left half written.
    ///
    /// # Errors
    /// The path is no folder, another process is writing, or an interrupted change cannot be taken back.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let root = path.canonicalize().ok().filter(|root| root.is_dir());
        let root = root.ok_or_else(|| Error::NotATree(path.to_owned()))?;
        let state =
            git_folder(&root).map_or_else(|| root.join(".toryo"), |git| git.join("toryo")).join("edit");
        let tree = Self { root, state };
        if tree.state.exists() {
            journal::recover(&tree)?;
        }
        Ok(tree)
    }

    /// Applies an edit set to the tree; with `check` only reports what would become of it.
    ///
    /// # Errors
    /// The tree could not be written; then it is as it was. Refused edits are no errors.
    pub fn apply(&self, edits: &EditSet, check: bool) -> Result<Applied, Error> {
        let applied = apply(edits, self);
        match &applied.changes {
            Some(changes) if !check => self.write(changes)?,
            _ => {}
        }
        Ok(applied)
    }

    /// Writes changes if every file still is what it was before.
    ///
    /// # Errors
    /// A file has changed, or the file system failed; then the tree is as it was.
    pub fn write(&self, changes: &[FileChange]) -> Result<(), Error> {
        journal::write(self, changes, &mut |_| Ok(()))
    }

    /// The place of a file, if no symbolic link leads to it and it is a regular file or nothing.
    fn place(&self, path: &RepoPath) -> Result<PathBuf, ReadError> {
        let mut place = self.root.clone();
        let parts: Vec<&str> = path.as_str().split('/').collect();
        for (index, part) in parts.iter().enumerate() {
            place.push(part);
            let is_last = index + 1 == parts.len();
            let kind = match fs::symlink_metadata(&place) {
                Ok(metadata) => metadata.file_type(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    place.extend(&parts[index + 1..]);
                    return Ok(place);
                }
                Err(error) => return Err(ReadError(error.to_string())),
            };
            if kind.is_symlink() {
                return Err(ReadError(
                    "a symbolic link stands in the way; links are not followed".to_owned(),
                ));
            }
            if !is_last && !kind.is_dir() {
                return Err(ReadError("a file stands where the path needs a folder".to_owned()));
            }
            if is_last && !kind.is_file() {
                return Err(ReadError("it is not a regular file".to_owned()));
            }
        }
        Ok(place)
    }
}

impl Files for WorkTree {
    fn read(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, ReadError> {
        let place = self.place(path)?;
        let refused = |error: io::Error| ReadError(error.to_string());
        let file = match fs::File::open(&place) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(error)),
        };
        let mut content = Vec::new();
        file.take(LARGEST_READ + 1).read_to_end(&mut content).map_err(refused)?;
        if content.len() as u64 > LARGEST_READ {
            return Err(ReadError("it is larger than 64 MiB".to_owned()));
        }
        Ok(Some(content))
    }
}

/// The folder in which Git keeps its data of this tree: `.git`, or where a `.git` file points.
fn git_folder(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let pointer = fs::read_to_string(&git).ok()?;
    let folder = root.join(pointer.strip_prefix("gitdir:")?.trim());
    folder.is_dir().then_some(folder)
}
