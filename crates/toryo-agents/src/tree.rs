//! A working tree without a folder: a base commit's objects and the files that differ from it.

use crate::failures::{forge, sandbox_path};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use toryo_blackboard::BlobStore;
use toryo_domain::{ChangeSet, CommitId, Digest, FailureClass, FileState, RepoPath};
use toryo_engine::Failure;
use toryo_forge::{Change, Content, Listing, Mirror, TreeFile};
use toryo_sandbox::WorkspaceFile;

/// Most bytes of all regular files together, 512 MiB: the sandbox and the index hold every file in memory.
const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// A working tree. Cloning is cheap as long as few files differ.
#[derive(Debug, Clone)]
pub struct Tree {
    mirror: Mirror,
    commit: CommitId,
    listing: Arc<Listing>,
    /// `None` where the file was removed.
    changes: BTreeMap<RepoPath, Option<File>>,
}

/// A file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its bytes.
    pub bytes: Bytes,
    /// Git's executable bit.
    pub executable: bool,
}

impl Tree {
    /// The tree of a commit.
    ///
    /// # Errors
    /// The commit cannot be read; [`FailureClass::Input`] where its files together are larger than 512 MiB.
    pub async fn of_commit(mirror: Mirror, commit: CommitId) -> Result<Self, Failure> {
        let listing = mirror.files(&commit).await.map_err(forge)?;
        refuse_too_large(&listing)?;
        let listing = Arc::new(listing);
        Ok(Self { mirror, commit, listing, changes: BTreeMap::new() })
    }

    /// The same commit with other changes.
    ///
    /// # Errors
    /// A blob is missing.
    pub async fn with_changes(&self, set: &ChangeSet, blobs: &dyn BlobStore) -> Result<Self, Failure> {
        let mut changes = BTreeMap::new();
        for (path, state) in &set.files {
            let file = match state {
                FileState::Present { digest, executable } => {
                    Some(File { bytes: blobs.get(digest).await?, executable: *executable })
                }
                FileState::Deleted => None,
            };
            changes.insert(path.clone(), file);
        }
        Ok(Self { changes, ..self.clone() })
    }

    /// The commit's own tree.
    #[must_use]
    pub fn base(&self) -> Self {
        Self { changes: BTreeMap::new(), ..self.clone() }
    }

    /// The commit.
    #[must_use]
    pub const fn commit(&self) -> &CommitId {
        &self.commit
    }

    /// The repository's objects.
    #[must_use]
    pub const fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// A file's content; `None` where there is none.
    ///
    /// # Errors
    /// The object database cannot be read.
    pub async fn read(&self, path: &RepoPath) -> Result<Option<File>, Failure> {
        if let Some(change) = self.changes.get(path) {
            return Ok(change.clone());
        }
        let Some(entry) = self.entry(path) else { return Ok(None) };
        let bytes = self.mirror.read(&self.commit, path).await.map_err(forge)?;
        Ok(bytes.map(|bytes| File { bytes: bytes.into(), executable: entry.executable }))
    }

    /// A file's content as text; `None` where there is none, or it is not UTF-8.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_text(&self, path: &RepoPath) -> Result<Option<String>, Failure> {
        Ok(self.read(path).await?.and_then(|file| String::from_utf8(file.bytes.to_vec()).ok()))
    }

    /// Whether there is a file at this path.
    #[must_use]
    pub fn has(&self, path: &RepoPath) -> bool {
        self.changes.get(path).map_or_else(|| self.entry(path).is_some(), Option::is_some)
    }

    /// The paths of all files, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<RepoPath> {
        let mut paths: BTreeSet<RepoPath> = self.listing.files.iter().map(|file| file.path.clone()).collect();
        for (path, change) in &self.changes {
            if change.is_some() {
                paths.insert(path.clone());
            } else {
                paths.remove(path);
            }
        }
        paths.into_iter().collect()
    }

    /// Paths that differ from the commit, or did at some time.
    pub fn changed_paths(&self) -> impl Iterator<Item = &RepoPath> {
        self.changes.keys()
    }

    /// Sets a file's bytes; a new file is not executable, an old one stays as it is.
    pub fn write(&mut self, path: RepoPath, bytes: impl Into<Bytes>) {
        let executable = match self.changes.get(&path) {
            Some(change) => change.as_ref().is_some_and(|file| file.executable),
            None => self.entry(&path).is_some_and(|entry| entry.executable),
        };
        self.changes.insert(path, Some(File { bytes: bytes.into(), executable }));
    }

    /// Removes a file.
    pub fn remove(&mut self, path: RepoPath) {
        self.changes.insert(path, None);
    }

    /// Puts a file as it is in another tree.
    pub fn set(&mut self, path: RepoPath, file: Option<File>) {
        self.changes.insert(path, file);
    }

    /// The differences to the commit, without those that are none, their bytes stored.
    ///
    /// # Errors
    /// The blob store does not answer.
    pub async fn to_change_set(&self, blobs: &dyn BlobStore) -> Result<ChangeSet, Failure> {
        let mut set = ChangeSet::default();
        for (path, change) in self.real_changes().await? {
            let state = match change {
                Some(file) => {
                    FileState::Present { digest: blobs.put(file.bytes).await?, executable: file.executable }
                }
                None => FileState::Deleted,
            };
            set.files.insert(path, state);
        }
        Ok(set)
    }

    /// The differences to the commit as the forge commits them.
    ///
    /// # Errors
    /// The object database cannot be read.
    pub async fn to_commit_changes(&self) -> Result<Vec<Change>, Failure> {
        let changes = self.real_changes().await?.into_iter().map(|(path, change)| {
            let content =
                change.map(|file| Content { bytes: file.bytes.to_vec(), executable: file.executable });
            Change { path, content }
        });
        Ok(changes.collect())
    }

    async fn real_changes(&self) -> Result<BTreeMap<RepoPath, Option<File>>, Failure> {
        let base = self.base();
        let mut real = BTreeMap::new();
        for (path, change) in &self.changes {
            if base.read(path).await? != *change {
                real.insert(path.clone(), change.clone());
            }
        }
        Ok(real)
    }

    /// Every file, for the sandbox.
    ///
    /// # Errors
    /// The object database cannot be read.
    pub async fn workspace_files(&self) -> Result<Vec<WorkspaceFile>, Failure> {
        let unchanged: Vec<&TreeFile> =
            self.listing.files.iter().filter(|file| !self.changes.contains_key(&file.path)).collect();
        let paths = unchanged.iter().map(|file| file.path.clone());
        let mut contents = self.mirror.read_many(&self.commit, paths).await.map_err(forge)?;
        let mut files = Vec::with_capacity(unchanged.len() + self.changes.len());
        for entry in unchanged {
            let bytes = contents.remove(&entry.path).ok_or_else(|| sandbox_path(&entry.path))?;
            files.push(WorkspaceFile {
                path: entry.path.clone(),
                content: bytes.into(),
                executable: entry.executable,
            });
        }
        for (path, change) in &self.changes {
            if let Some(file) = change {
                files.push(WorkspaceFile {
                    path: path.clone(),
                    content: file.bytes.clone(),
                    executable: file.executable,
                });
            }
        }
        Ok(files)
    }

    /// What the tree is known by: commit and changed files.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut parts = vec![self.commit.as_str().as_bytes().to_vec()];
        for (path, change) in &self.changes {
            parts.push(path.as_str().as_bytes().to_vec());
            parts.push(match change {
                Some(file) => {
                    format!("{}{}", Digest::of(&file.bytes), u8::from(file.executable)).into_bytes()
                }
                None => Vec::new(),
            });
        }
        Digest::of_parts(parts.iter().map(Vec::as_slice))
    }

    /// The unified diff from another tree of the same commit to this one, for the paths that `wanted` accepts.
    ///
    /// # Errors
    /// The object database cannot be read.
    pub async fn diff_from(
        &self,
        from: &Self,
        wanted: impl Fn(&RepoPath) -> bool,
    ) -> Result<String, Failure> {
        let mut text = String::new();
        for path in self.paths_differing(from) {
            if !wanted(&path) {
                continue;
            }
            let (old, new) = (from.read(&path).await?, self.read(&path).await?);
            if old != new {
                let bytes = |file: &Option<File>| file.as_ref().map(|file| file.bytes.clone());
                let diff = toryo_code::diff::unified(&path, bytes(&old).as_deref(), bytes(&new).as_deref());
                text.push_str(&diff);
            }
        }
        Ok(text)
    }

    /// Paths at which two trees of one commit may differ.
    pub(crate) fn paths_differing(&self, other: &Self) -> BTreeSet<RepoPath> {
        self.changes.keys().chain(other.changes.keys()).cloned().collect()
    }

    fn entry(&self, path: &RepoPath) -> Option<&TreeFile> {
        let at = self.listing.files.binary_search_by(|file| file.path.cmp(path)).ok()?;
        self.listing.files.get(at)
    }
}

/// Sizes come from the object database's headers, so nothing was read yet.
fn refuse_too_large(listing: &Listing) -> Result<(), Failure> {
    let bytes = listing.files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    const MIB: u64 = 1024 * 1024;
    Err(Failure::new(
        FailureClass::Input,
        format!(
            "the files of the repository have {} MiB together; Toryo works on at most {} MiB",
            bytes.div_ceil(MIB),
            MOST_BYTES / MIB
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_as_large_as_allowed_and_no_larger() {
        let file = |name: &str, size| TreeFile {
            path: name.parse().unwrap(),
            size,
            executable: false,
            blob: String::new(),
        };
        let half = MOST_BYTES / 2;
        let mut listing = Listing { files: vec![file("a", half), file("b", half)], left_out: vec![] };
        assert!(refuse_too_large(&listing).is_ok());
        listing.files.push(file("c", 1));
        let failure = refuse_too_large(&listing).unwrap_err();
        assert_eq!(failure.class, FailureClass::Input);
        assert_eq!(
            failure.text,
            "the files of the repository have 513 MiB together; Toryo works on at most 512 MiB"
        );
        listing.files.push(file("d", u64::MAX));
        assert!(refuse_too_large(&listing).is_err());
    }
}
