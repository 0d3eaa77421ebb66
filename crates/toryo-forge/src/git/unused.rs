//! Mirrors that nobody has used for long: they cost disk, and a fetch brings them back.
//!
//! A mirror's lock file says by its time of change when the mirror was last used. The file itself stays: whoever waits
//! for a lock has it open.

use super::lock::Lock;
use super::{Mirror, blocking};
use crate::Error;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What ends the name of a mirror that is being removed.
const GOING: &str = "unused";

/// Notes that a mirror is used now.
pub(crate) async fn used(mirror: &Mirror) -> Result<(), Error> {
    let lock = mirror.path().with_extension("lock");
    blocking(move || {
        if let Some(folder) = lock.parent() {
            fs::create_dir_all(folder).map_err(Error::Folder)?;
        }
        let file =
            File::options().create(true).truncate(false).write(true).open(&lock).map_err(Error::Folder)?;
        file.set_modified(SystemTime::now()).map_err(Error::Folder)
    })
    .await
}

/// Removes the mirrors of this folder that were last used longer ago than `age`, and says how many. One that somebody
/// holds stays; one that somebody is about to use may go under their hands in the worst case, which costs them another
/// attempt. A call that was cut short leaves nothing that the next one would not remove.
///
/// # Errors
/// The folder cannot be read, or a mirror cannot be removed.
pub async fn remove_unused_mirrors(mirrors: PathBuf, age: Duration) -> Result<usize, Error> {
    blocking(move || {
        let mut removed = 0;
        let entries = match fs::read_dir(&mirrors) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            entries => entries.map_err(Error::Folder)?,
        };
        for entry in entries {
            let path = entry.map_err(Error::Folder)?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("git") => removed += usize::from(remove(&path, age)?),
                Some(GOING) => gone(&path)?,
                _ => {}
            }
        }
        Ok(removed)
    })
    .await
}

fn remove(mirror: &Path, age: Duration) -> Result<bool, Error> {
    let lock = mirror.with_extension("lock");
    if !is_unused(&lock, age) {
        return Ok(false);
    }
    let Some(_held) = Lock::attempt(&lock)? else { return Ok(false) };
    // Whoever had the lock until now has used it.
    if !is_unused(&lock, age) {
        return Ok(false);
    }
    let going = mirror.with_extension(GOING);
    gone(&going)?;
    // Nobody ever sees a half of it.
    fs::rename(mirror, &going).map_err(Error::Folder)?;
    gone(&going)?;
    Ok(true)
}

fn is_unused(lock: &Path, age: Duration) -> bool {
    let used = fs::metadata(lock).and_then(|about| about.modified());
    used.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|passed| passed >= age))
}

fn gone(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::Folder(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    async fn mirror(folder: &Path, name: &str, days: u32) -> Mirror {
        let mirror = Mirror::at(folder.join(format!("{name}.git")));
        git2::Repository::init_bare(mirror.path()).unwrap();
        used(&mirror).await.unwrap();
        let lock = File::options().write(true).open(mirror.path().with_extension("lock")).unwrap();
        lock.set_modified(SystemTime::now() - DAY * days).unwrap();
        mirror
    }

    #[tokio::test]
    async fn only_what_nobody_has_used_for_long_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (old, young) = (mirror(folder.path(), "old", 9).await, mirror(folder.path(), "young", 1).await);
        let held = mirror(folder.path(), "held", 9).await;
        let again = mirror(folder.path(), "again", 9).await;
        used(&again).await.unwrap();
        let lock = held.path().with_extension("lock");
        let lock = Lock::take(lock, DAY, &CancellationToken::new()).await.unwrap();
        // Left by a process that was killed while it removed one.
        fs::create_dir(folder.path().join("half.unused")).unwrap();
        let remove = || remove_unused_mirrors(folder.path().to_owned(), 5 * DAY);
        assert_eq!(remove().await.unwrap(), 1);
        assert!(!old.path().exists() && !folder.path().join("half.unused").exists());
        assert!([&young, &held, &again].iter().all(|mirror| mirror.path().exists()));
        drop(lock);
        assert_eq!(remove().await.unwrap(), 1);
        assert!(!held.path().exists());
        assert_eq!(remove_unused_mirrors(folder.path().join("nowhere"), DAY).await.unwrap(), 0);
    }
}
