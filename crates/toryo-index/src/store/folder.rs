//! Records as files of a folder, shared by processes.
//!
//! `<folder>/v<format>/<two digits>/<key>`. A file is written under another name and moved to its place, so readers
//! see it whole or not at all; what a crash leaves half written is damaged at worst, which the checksum finds. No
//! file is synced to disk: whatever is lost is made again.

use super::RecordStore;
use crate::record::{FORMAT, RecordKey};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Least age at which the use of a record is noted anew; a note costs a write.
const NOTED_AFTER: Duration = Duration::from_hours(24);
/// Age at which a half-written file belongs to nobody any more.
const ABANDONED_AFTER: Duration = Duration::from_hours(1);

/// Records in a folder of at most some bytes.
#[derive(Debug)]
pub struct FolderStore {
    folder: PathBuf,
    most_bytes: u64,
    /// Makes names of half-written files unique within the process.
    written: AtomicU64,
    /// Bytes written since the folder was last looked through.
    grown: AtomicU64,
}

/// A record's file as a look through the folder finds it.
struct Kept {
    used: SystemTime,
    bytes: u64,
    path: PathBuf,
}

impl FolderStore {
    /// A store in this folder, which is made when something is written. Above `most_bytes` the records used longest
    /// ago go. Records of other formats go at the first look through the folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, most_bytes: u64) -> Self {
        Self { folder: folder.into(), most_bytes, written: AtomicU64::new(0), grown: AtomicU64::new(0) }
    }

    fn version(&self) -> PathBuf {
        self.folder.join(format!("v{FORMAT}"))
    }

    fn path(&self, key: &RecordKey) -> PathBuf {
        let name = key.name();
        // The first two digits behind the kind of content: even folders for any digest.
        let digits = name.split_once('-').map_or("", |(_, digits)| digits.get(..2).unwrap_or_default());
        self.version().join(digits).join(name)
    }

    fn look_through(&self, now: SystemTime) -> io::Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for folder in entries(&self.version())? {
            for file in entries(&folder.path())? {
                // Another process may have taken it away meanwhile.
                let Ok(facts) = file.metadata() else { continue };
                let used = facts.modified()?;
                if file.file_name().to_string_lossy().starts_with('.') {
                    if now.duration_since(used).is_ok_and(|age| age > ABANDONED_AFTER) {
                        remove(&file.path())?;
                    }
                    continue;
                }
                kept.push(Kept { used, bytes: facts.len(), path: file.path() });
            }
        }
        Ok(kept)
    }

    /// Takes away the folders of other formats.
    fn drop_other_formats(&self) -> io::Result<()> {
        let own = self.version();
        for entry in entries(&self.folder)? {
            let name = entry.file_name();
            let format = name.to_str().and_then(|name| name.strip_prefix('v')).map(str::parse::<u32>);
            // A newer version of the program may be at work beside this one; its records stay.
            if entry.path() != own && matches!(format, Some(Ok(format)) if format < FORMAT) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

impl RecordStore for FolderStore {
    fn load(&self, key: &RecordKey) -> Option<Vec<u8>> {
        let path = self.path(key);
        let bytes = fs::read(&path).ok()?;
        note_use(&path);
        Some(bytes)
    }

    fn save(&self, key: &RecordKey, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.folder);
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let half = folder.join(format!(".{}-{number}", std::process::id()));
        let write = || File::create_new(&half)?.write_all(bytes).and_then(|()| fs::rename(&half, &path));
        let written = match write() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(folder).and_then(|()| write())
            }
            // A process of the same number was stopped half-way.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => remove(&half).and_then(|()| write()),
            other => other,
        };
        if written.is_err() {
            // The first failure is the one to tell.
            let _ = fs::remove_file(&half);
        }
        self.grown.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        written
    }

    fn tidy(&self) -> io::Result<()> {
        if self.grown.swap(0, Ordering::Relaxed) == 0 {
            return Ok(());
        }
        self.drop_other_formats()?;
        let mut kept = self.look_through(SystemTime::now())?;
        let mut bytes: u64 = kept.iter().map(|one| one.bytes).sum();
        if bytes <= self.most_bytes {
            return Ok(());
        }
        kept.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        // Somewhat below the bound, so that not every build has to look.
        let enough = self.most_bytes / 8 * 7;
        for one in kept {
            if bytes <= enough {
                break;
            }
            remove(&one.path)?;
            bytes -= one.bytes;
        }
        Ok(())
    }
}

/// The entries of a folder; none where it is not there.
fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Notes that a record was used, by its file's time. A folder that cannot be written keeps what it has.
fn note_use(path: &Path) {
    let note = || -> io::Result<()> {
        let now = SystemTime::now();
        let noted = fs::metadata(path)?.modified()?;
        if now.duration_since(noted).is_ok_and(|age| age > NOTED_AFTER) {
            File::options().write(true).open(path)?.set_modified(now)?;
        }
        Ok(())
    };
    let _ = note();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::at;
    use crate::record::ContentId;
    use crate::store::contract;

    fn key(number: u32) -> RecordKey {
        RecordKey::new(ContentId::git(&format!("{number:040x}")), &at("a.py"))
    }

    #[test]
    fn a_folder_keeps_the_contract_and_its_records_for_the_next_process() {
        let folder = tempfile::tempdir().expect("a folder");
        contract(&FolderStore::new(folder.path(), 1_000_000));
        FolderStore::new(folder.path(), 1_000_000).save(&key(1), b"kept").expect("saved");
        assert_eq!(FolderStore::new(folder.path(), 1_000_000).load(&key(1)).as_deref(), Some(&b"kept"[..]));
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FolderStore::new(folder.path(), 8_000);
        for number in 0..10 {
            store.save(&key(number), &[0; 1_000]).expect("saved");
            let days = 100 - u64::from(number);
            let used = SystemTime::now() - Duration::from_hours(24 * days);
            File::options().write(true).open(store.path(&key(number))).unwrap().set_modified(used).unwrap();
        }
        // Using it makes it new.
        assert!(store.load(&key(0)).is_some());
        store.tidy().expect("tidy");
        let left: Vec<u32> = (0..10).filter(|number| store.load(&key(*number)).is_some()).collect();
        assert_eq!(left, [0, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn older_formats_and_abandoned_files_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FolderStore::new(folder.path(), 8_000);
        fs::create_dir_all(folder.path().join("v0/aa")).unwrap();
        store.save(&key(1), b"new").expect("saved");
        let half = store.path(&key(1)).with_file_name(".1-1");
        fs::write(&half, b"half").unwrap();
        let old = SystemTime::now() - 2 * ABANDONED_AFTER;
        File::options().write(true).open(&half).unwrap().set_modified(old).unwrap();
        store.tidy().expect("tidy");
        assert!(!folder.path().join("v0").exists() && !half.exists());
        assert!(store.load(&key(1)).is_some());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_and_holds_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a file");
        fs::write(&file, b"").unwrap();
        let store = FolderStore::new(&file, 1_000);
        assert!(store.save(&key(1), b"x").is_err());
        assert_eq!(store.load(&key(1)), None);
    }
}
