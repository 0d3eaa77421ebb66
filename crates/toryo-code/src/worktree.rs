//! The working-tree adapter: reads files of a folder and writes changes to it, the whole set or nothing.
//!
//! The only module of this crate that touches a file system. It follows no symbolic link and leaves the tree by
//! no path; it does not defend against another process that swaps folders for links while it works.

mod journal;

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn path(text: &str) -> RepoPath {
        text.parse().expect("a path")
    }

    fn change(name: &str, before: Option<&str>, after: Option<&str>) -> FileChange {
        let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        FileChange { path: path(name), before: bytes(before), after: bytes(after) }
    }

    /// A tree with `a` and `b/c`.
    fn tree(git: bool) -> (tempfile::TempDir, WorkTree) {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("b")).expect("created");
        fs::write(folder.path().join("a"), "1").expect("written");
        fs::write(folder.path().join("b/c"), "2").expect("written");
        if git {
            fs::create_dir(folder.path().join(".git")).expect("created");
        }
        let tree = WorkTree::open(folder.path()).expect("a tree");
        (folder, tree)
    }

    /// Every file and folder below a folder, with contents.
    fn listing(root: &Path) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![root.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let place = entry.expect("an entry").path();
                let name = place.strip_prefix(root).expect("below").display().to_string();
                if place.is_dir() {
                    found.insert(format!("{name}/"), String::new());
                    open.push(place);
                } else {
                    found.insert(name, fs::read_to_string(&place).expect("text"));
                }
            }
        }
        found
    }

    fn three_changes() -> [FileChange; 3] {
        [
            change("a", Some("1"), Some("one")),
            change("b/c", Some("2"), None),
            change("new/deep/d", None, Some("three")),
        ]
    }

    #[test]
    fn changes_are_written_and_nothing_else_is_left() {
        for git in [true, false] {
            let (folder, tree) = tree(git);
            tree.write(&three_changes()).expect("written");
            let mut found = listing(folder.path());
            found.retain(|name, _| !name.starts_with(".git"));
            let names: Vec<&str> = found.keys().map(String::as_str).collect();
            assert_eq!(names, ["a", "b/", "new/", "new/deep/", "new/deep/d"], "git: {git}");
            assert_eq!((found["a"].as_str(), found["new/deep/d"].as_str()), ("one", "three"));
            let inverse: Vec<FileChange> = three_changes().iter().map(FileChange::inverse).collect();
            tree.write(&inverse).expect("written");
            assert_eq!(tree.read(&path("b/c")), Ok(Some(b"2".to_vec())));
            assert_eq!(tree.read(&path("new/deep/d")), Ok(None));
        }
    }

    #[test]
    fn a_failure_at_any_point_takes_everything_back() {
        let points = {
            let (_folder, tree) = tree(true);
            let mut points = 0;
            let counted = journal::write(&tree, &three_changes(), &mut |_| {
                points += 1;
                Ok(())
            });
            counted.expect("written");
            points
        };
        assert_eq!(points, 6);
        for failing in 0..points {
            let (folder, tree) = tree(failing % 2 == 0);
            let before = listing(folder.path());
            let fail =
                &mut |point: usize| if point == failing { Err(io::Error::other("injected")) } else { Ok(()) };
            let error = journal::write(&tree, &three_changes(), fail).expect_err("a failure");
            assert!(matches!(error, Error::Io { .. }), "{error}");
            let mut after = listing(folder.path());
            after.retain(|name, _| !name.starts_with(".git/"));
            let mut before = before;
            before.retain(|name, _| !name.starts_with(".git/"));
            assert_eq!(after, before, "failing at {failing}");
        }
    }

    #[test]
    fn a_crash_at_any_point_is_recovered_by_the_next_call() {
        for crashing in 0..6 {
            let (folder, tree) = tree(true);
            let before = listing(folder.path());
            let crash = catch_unwind(AssertUnwindSafe(|| {
                journal::write(&tree, &three_changes(), &mut |point| {
                    assert!(point != crashing, "injected crash");
                    Ok(())
                })
            }));
            assert!(crash.is_err());
            WorkTree::open(folder.path()).expect("recovered");
            let mut after = listing(folder.path());
            after.retain(|name, _| !name.starts_with(".git/"));
            let mut before = before;
            before.retain(|name, _| !name.starts_with(".git/"));
            assert_eq!(after, before, "crashing at {crashing}");
            tree.write(&three_changes()).expect("written");
        }
    }

    #[test]
    fn what_somebody_changed_after_a_crash_is_kept() {
        let (folder, tree) = tree(true);
        let crash = catch_unwind(AssertUnwindSafe(|| {
            journal::write(&tree, &three_changes(), &mut |point| {
                assert!(point < 5, "injected crash");
                Ok(())
            })
        }));
        assert!(crash.is_err());
        fs::write(folder.path().join("a"), "mine").expect("written");
        let error = WorkTree::open(folder.path()).expect_err("a conflict");
        let Error::Unrecovered { paths, kept } = error else { panic!("{error}") };
        assert_eq!(paths, [path("a")]);
        assert!(kept.is_dir());
        assert_eq!(fs::read_to_string(folder.path().join("a")).expect("text"), "mine");
        assert_eq!(fs::read_to_string(folder.path().join("b/c")).expect("text"), "2");
        WorkTree::open(folder.path()).expect("a tree");
    }

    #[test]
    fn a_file_that_changed_since_it_was_read_is_not_overwritten() {
        let (folder, tree) = tree(true);
        fs::write(folder.path().join("b/c"), "other").expect("written");
        let error = tree.write(&three_changes()).expect_err("a refusal");
        assert!(matches!(&error, Error::Changed(changed) if *changed == path("b/c")), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join("a")).expect("text"), "1");
        let error = tree.write(&[change("a", None, Some("x"))]).expect_err("a refusal");
        assert!(matches!(error, Error::Changed(_)), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed_and_modes_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (folder, tree) = tree(true);
        let outside = tempfile::tempdir().expect("a folder");
        fs::write(outside.path().join("secret"), "s").expect("written");
        symlink(outside.path(), folder.path().join("out")).expect("a link");
        symlink("a", folder.path().join("link")).expect("a link");
        for name in ["out/secret", "out/new", "link", "b", "a/x"] {
            assert!(tree.read(&path(name)).is_err(), "{name}");
            assert!(tree.write(&[change(name, None, Some("x"))]).is_err(), "{name}");
        }
        assert_eq!(fs::read_dir(outside.path()).expect("a folder").count(), 1);
        let script = folder.path().join("a");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a mode");
        tree.write(&[change("a", Some("1"), Some("2"))]).expect("written");
        let mode = || fs::metadata(&script).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode(), 0o755);
        let deleted = [change("a", Some("2"), None), change("z", None, Some("x"))];
        let fail = &mut |point: usize| if point == 3 { Err(io::Error::other("injected")) } else { Ok(()) };
        journal::write(&tree, &deleted, fail).expect_err("a failure");
        assert_eq!(mode(), 0o755);
    }

    #[test]
    fn an_edit_set_is_applied_or_only_checked() {
        let (folder, tree) = tree(true);
        let set = "{\"edits\": [{\"file_path\": \"a\", \"edit_type\": \"replace\", \"patch\": \"9\", \
                   \"locator\": {\"line_range\": [1, 1], \"expect\": \"1\"}, \"rationale_summary\": \"\"}], \"summary\": \"\"}";
        let set = EditSet::parse(set).expect("an edit set");
        assert!(tree.apply(&set, true).expect("checked").changes.is_some());
        assert_eq!(fs::read_to_string(folder.path().join("a")).expect("text"), "1");
        assert!(tree.apply(&set, false).expect("applied").changes.is_some());
        assert_eq!(fs::read_to_string(folder.path().join("a")).expect("text"), "9");
        let refused = tree.apply(&set, false).expect("refused");
        let line = serde_json::to_string(&refused.results[0]).expect("JSON");
        assert_eq!(
            line,
            "{\"file_path\":\"a\",\"status\":\"refused\",\"reason\":\"line 1 differs: expected `1`, found `9`. Nothing was applied.\"}"
        );
        assert!(WorkTree::open(&folder.path().join("a")).is_err());
    }

    #[test]
    fn a_second_writer_waits_for_its_turn() {
        let (_folder, tree) = tree(true);
        let inner = journal::write(&tree, &three_changes(), &mut |point| {
            if point == 0 {
                assert!(matches!(tree.write(&[]), Ok(()) | Err(Error::Busy)));
                assert!(matches!(tree.write(&three_changes()), Err(Error::Busy)));
            }
            Ok(())
        });
        inner.expect("written");
    }
}
