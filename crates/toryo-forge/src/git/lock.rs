//! One writer at a time for a mirror, across processes.

use crate::Error;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// How often a taken lock is tried again. Short beside a fetch, long beside a system call.
const PAUSE: Duration = Duration::from_millis(50);

/// After this time one of Git's own lock files belongs to a process that was killed: Git holds them while it writes
/// a reference or a small file, which takes milliseconds.
pub(crate) const DEAD: Duration = Duration::from_secs(30);

/// Removes a lock file of Git's that a killed process left, so that the next try succeeds.
pub(crate) fn break_dead(lock: &Path) {
    let modified = std::fs::metadata(lock).and_then(|found| found.modified());
    let age = modified.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    if age.is_ok_and(|age| age > DEAD) && std::fs::remove_file(lock).is_ok() {
        tracing::warn!("removed the lock {} that a killed process left", lock.display());
    }
}

/// A held lock. The operating system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock file at `path`, waiting up to `limit`.
    pub(crate) async fn take(
        path: PathBuf,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let trying = async {
            loop {
                if let Some(lock) = Self::attempt(&path)? {
                    return Ok(lock);
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            taken = tokio::time::timeout(limit, trying) => {
                taken.unwrap_or_else(|_| Err(Error::Locked { what: "the mirror of the repository".to_owned() }))
            }
        }
    }

    pub(super) fn attempt(path: &Path) -> Result<Option<Self>, Error> {
        let file =
            File::options().create(true).truncate(false).write(true).open(path).map_err(Error::Folder)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::Folder(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_lock_is_waited_for_and_no_longer_than_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let cancel = CancellationToken::new();
        let held = Lock::take(path.clone(), Duration::from_secs(1), &cancel).await.unwrap();
        let refused = Lock::take(path.clone(), Duration::from_millis(60), &cancel).await;
        assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");

        let (waiting, ()) = tokio::join!(Lock::take(path.clone(), Duration::from_secs(30), &cancel), async {
            drop(held);
        });
        let _held = waiting.unwrap();
        cancel.cancel();
        let cancelled = Lock::take(path, Duration::from_secs(30), &cancel).await;
        assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    }
}
