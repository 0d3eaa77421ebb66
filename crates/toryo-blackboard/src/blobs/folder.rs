//! Age and end of the files of a folder of blobs.
//!
//! A file's time of change says when its blob was last put. Deleting is in two moves, because a put may find the file at
//! the same time: it is set aside under another name, looked at again, and removed or put back. A put makes the file young
//! *and then* looks whether it is still in its place. So either the second look finds it young, or the put finds it
//! gone and writes it anew.

use crate::Error;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use toryo_domain::Digest;

/// What ends the name of a file that was set aside.
const ASIDE: &str = "aside";

/// A folder of blobs.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    fn file(&self, digest: Digest) -> PathBuf {
        let text = digest.to_string();
        self.0.join(&text[..2]).join(&text[2..4]).join(text)
    }

    /// Makes a blob young; `false` where it is not there.
    pub(super) async fn touch(&self, digest: Digest) -> Result<bool, Error> {
        let file = self.file(digest);
        blocking(move || touch(&file)).await
    }

    /// Puts a blob back into its place that was set aside; `false` where none was.
    pub(super) async fn restore(&self, digest: Digest) -> Result<bool, Error> {
        let file = self.file(digest);
        blocking(move || restore(&file)).await
    }

    /// As [`BlobStore::old`](super::BlobStore::old). Files that a killed process has begun are removed in passing.
    pub(super) async fn old(&self, first: u8, age: Duration) -> Result<Vec<Digest>, Error> {
        let folder = self.0.join(format!("{first:02x}"));
        blocking(move || old(&folder, age)).await
    }

    /// As [`BlobStore::delete`](super::BlobStore::delete).
    pub(super) async fn delete(&self, digest: Digest, age: Duration) -> Result<bool, Error> {
        let file = self.file(digest);
        blocking(move || delete(&file, age)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let failed = |source| Error::Blobs(object_store::Error::Generic { store: "folder", source });
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| failed(error.into())),
        Err(error) => Err(failed(error.into())),
    }
}

/// `None` where there is no such file.
fn found<T>(done: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

fn touch(file: &Path) -> std::io::Result<bool> {
    let Some(open) = found(File::options().write(true).open(file))? else { return Ok(false) };
    open.set_modified(SystemTime::now())?;
    file.try_exists()
}

fn is_old(file: &Path, age: Duration) -> std::io::Result<Option<bool>> {
    let Some(changed) = found(fs::metadata(file).and_then(|about| about.modified()))? else {
        return Ok(None);
    };
    // What is from the future is young: a clock was put back.
    Ok(Some(SystemTime::now().duration_since(changed).is_ok_and(|passed| passed >= age)))
}

fn delete(file: &Path, age: Duration) -> std::io::Result<bool> {
    // Left by a call that was cut short: back into its place first, where it may have been put again since.
    restore(file)?;
    if is_old(file, age)? != Some(true) {
        return Ok(false);
    }
    let aside = file.with_extension(ASIDE);
    if found(fs::rename(file, &aside))?.is_none() {
        return Ok(false);
    }
    if is_old(&aside, age)? == Some(true) {
        return Ok(found(fs::remove_file(&aside))?.is_some());
    }
    restore(file)?;
    Ok(false)
}

fn restore(file: &Path) -> std::io::Result<bool> {
    let aside = file.with_extension(ASIDE);
    match fs::hard_link(&aside, file) {
        Ok(()) => {}
        // It was put again meanwhile, or two restore it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    found(fs::remove_file(aside))?;
    Ok(true)
}

fn old(folder: &Path, age: Duration) -> std::io::Result<Vec<Digest>> {
    let mut all = Vec::new();
    for second in entries(folder)? {
        for file in entries(&second)? {
            if is_old(&file, age)? != Some(true) {
                continue;
            }
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            match (name.parse(), name.strip_suffix(ASIDE).and_then(|name| name.strip_suffix('.'))) {
                (Ok(digest), _) => all.push(digest),
                (_, Some(_)) => drop(restore(&file.with_extension(""))?),
                // Whoever writes a blob ends within moments.
                _ => drop(found(fs::remove_file(&file))?),
            }
        }
    }
    Ok(all)
}

fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let Some(entries) = found(fs::read_dir(folder))? else { return Ok(vec![]) };
    entries.map(|entry| Ok(entry?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delete_that_was_cut_short_is_undone_by_whoever_comes_next() {
        let folder = tempfile::tempdir().unwrap();
        let (file, aside) = (folder.path().join("ab"), folder.path().join("ab.aside"));
        fs::write(&aside, "oak").unwrap();
        assert!(restore(&file).unwrap());
        assert!(!restore(&file).unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"oak");
        fs::rename(&file, &aside).unwrap();
        assert!(!delete(&file, Duration::from_secs(3600)).unwrap(), "it is young");
        assert!(file.exists() && !aside.exists());
    }

    #[test]
    fn what_was_put_anew_stays_where_the_old_one_is_still_aside() {
        let folder = tempfile::tempdir().unwrap();
        let (file, aside) = (folder.path().join("ab"), folder.path().join("ab.aside"));
        fs::write(&aside, "oak").unwrap();
        fs::write(&file, "oak").unwrap();
        assert!(restore(&file).unwrap());
        assert!(file.exists() && !aside.exists());
    }

    #[test]
    fn a_put_beside_a_delete_always_leaves_the_blob() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ab");
        let age = Duration::from_secs(3600);
        let long_ago = SystemTime::now() - 2 * age;
        for _ in 0..300 {
            fs::write(&file, "oak").unwrap();
            File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| delete(&file, age).unwrap());
                scope.spawn(|| {
                    while !touch(&file).unwrap() {
                        fs::write(&file, "oak").unwrap();
                    }
                });
            });
            assert!(file.exists(), "the put was answered, and the blob is gone");
        }
    }

    #[test]
    fn files_that_a_killed_writer_began_go() {
        let folder = tempfile::tempdir().unwrap();
        let second = folder.path().join("cd");
        fs::create_dir(&second).unwrap();
        fs::write(second.join("half#1"), "o").unwrap();
        assert_eq!(old(folder.path(), Duration::from_secs(3600)).unwrap(), []);
        assert!(second.join("half#1").exists(), "it may still be written");
        assert_eq!(old(folder.path(), Duration::ZERO).unwrap(), []);
        assert!(!second.join("half#1").exists());
    }
}
