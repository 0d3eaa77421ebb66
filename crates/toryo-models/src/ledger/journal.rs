//! The journal's files. Each process writes into a folder of its own under a lock; a folder whose lock is free belongs
//! to a process that is gone, and is read by the next one that starts.
//!
//! A file begins with a mark that names its format. A row is its length (four bytes, little-endian), the CRC-32 of its
//! bytes, and its bytes. Reading ends at the first row that does not check: the tail that a crash tore.

use super::{LedgerError, LedgerRow};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use toryo_domain::InstanceId;

const MARK: &[u8; 8] = b"toryoL1\n";
/// A file that is longer is closed, so that reading one takes little memory.
const LONGEST_FILE: u64 = 4 * 1024 * 1024;
/// A row is some hundred bytes; names come from clients.
const LONGEST_ROW: usize = 64 * 1024;
/// What a file has to take before it is written to again after it took a row no more.
const ROOM: usize = 4 * 1024;
const LOCK: &str = "lock";
const INSTANCES: &str = "instances";

/// Writes the journal of this process.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    /// Holds the lock as long as the process lives.
    _lock: File,
    number: u64,
    file: File,
    len: u64,
    rows: u64,
    buffer: Vec<u8>,
}

impl Writer {
    pub fn create(shared: &Path) -> Result<Self, LedgerError> {
        let folder = shared.join(InstanceId::generate().to_string());
        fs::create_dir_all(&folder).map_err(io)?;
        let lock = File::create(folder.join(LOCK)).map_err(io)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => io(error),
            TryLockError::WouldBlock => LedgerError::Io(ErrorKind::ResourceBusy.into()),
        })?;
        let file = begin(&folder, 1)?;
        let len = MARK.len() as u64;
        Ok(Self { folder, _lock: lock, number: 1, file, len, rows: 0, buffer: Vec::with_capacity(512) })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the row is the first one since the last file was closed.
    pub fn append(&mut self, row: &LedgerRow) -> Result<bool, LedgerError> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; 8]);
        self.buffer = postcard::to_extend(row, std::mem::take(&mut self.buffer))
            .map_err(|error| LedgerError::Io(std::io::Error::other(error)))?;
        let body = &self.buffer[8..];
        if body.len() > LONGEST_ROW {
            return Err(LedgerError::TooLarge);
        }
        let (length, sum) = (body.len() as u32, crc32fast::hash(body));
        self.buffer[..4].copy_from_slice(&length.to_le_bytes());
        self.buffer[4..8].copy_from_slice(&sum.to_le_bytes());
        if let Err(error) = self.file.write_all(&self.buffer) {
            // Half a row would hide those after it.
            if self.file.set_len(self.len).is_err() {
                self.close().ok();
            }
            return Err(io(error));
        }
        self.len += self.buffer.len() as u64;
        self.rows += 1;
        if self.len > LONGEST_FILE {
            // Where the disk is full, the file goes on growing.
            self.close().ok();
            return Ok(true);
        }
        Ok(self.rows == 1)
    }

    /// Whether the file takes more than any usual row. What is tried with is cut off again; after a crash in between it
    /// is a torn tail.
    pub fn has_room(&mut self) -> bool {
        let takes = self.file.write_all(&[0; ROOM]).is_ok();
        if self.file.set_len(self.len).is_err() {
            self.close().ok();
        }
        takes
    }

    /// Closes the file for writing, where there are rows in it.
    pub fn close(&mut self) -> Result<(), LedgerError> {
        if self.rows > 0 {
            self.file = begin(&self.folder, self.number + 1)?;
            self.number += 1;
            (self.len, self.rows) = (MARK.len() as u64, 0);
        }
        Ok(())
    }

    /// The file that is written to now.
    pub fn current(&self) -> PathBuf {
        path(&self.folder, self.number)
    }

    pub fn note(&self, instance: InstanceId) -> Result<(), LedgerError> {
        let mut file =
            OpenOptions::new().append(true).create(true).open(self.folder.join(INSTANCES)).map_err(io)?;
        file.write_all(format!("{instance}\n").as_bytes()).map_err(io)
    }
}

/// The folder of a process that is gone; nobody else reads it while this lives.
#[derive(Debug)]
pub struct Left {
    pub folder: PathBuf,
    _lock: File,
}

impl Left {
    /// Under which ids the process held grants.
    pub fn instances(&self) -> Vec<InstanceId> {
        let text = fs::read_to_string(self.folder.join(INSTANCES)).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Whether no file of it waits, nor was put aside.
    pub fn is_read(&self) -> bool {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).all(|name| name == LOCK || name == INSTANCES)
    }

    /// Nothing in it is needed any more.
    pub fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, folder = %self.folder.display(), "a journal that was read cannot be removed");
        }
    }
}

/// Folders of processes that are gone.
pub fn left(shared: &Path) -> Vec<Left> {
    let entries = fs::read_dir(shared).into_iter().flatten().flatten();
    let locked = entries.filter_map(|entry| {
        let folder = entry.path();
        let lock = OpenOptions::new().read(true).write(true).open(folder.join(LOCK)).ok()?;
        lock.try_lock().ok()?;
        Some(Left { folder, _lock: lock })
    });
    locked.collect()
}

/// The files of a folder, oldest first.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "rows")).collect();
    files.sort();
    files
}

/// The rows of a file, and whether its tail was torn.
pub fn read(path: &Path) -> Result<(Vec<LedgerRow>, bool), LedgerError> {
    let bytes = fs::read(path).map_err(io)?;
    let Some(mut rest) = bytes.strip_prefix(MARK) else {
        // A crash may leave less than the mark; another mark is of another version, and not ours to judge.
        return if MARK.starts_with(&bytes) { Ok((vec![], !bytes.is_empty())) } else { Err(unknown()) };
    };
    let mut rows = Vec::new();
    while let Some((row, after)) = next(rest) {
        rows.push(row);
        rest = after;
    }
    Ok((rows, !rest.is_empty()))
}

fn next(bytes: &[u8]) -> Option<(LedgerRow, &[u8])> {
    let (length, bytes) = bytes.split_first_chunk()?;
    let (sum, bytes) = bytes.split_first_chunk()?;
    let (body, rest) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    Some((postcard::from_bytes(body).ok()?, rest))
}

fn begin(folder: &Path, number: u64) -> Result<File, LedgerError> {
    let path = path(folder, number);
    let mut file = OpenOptions::new().append(true).create_new(true).open(&path).map_err(io)?;
    file.write_all(MARK).map_err(|error| {
        // The next attempt makes it anew.
        let _gone = fs::remove_file(&path);
        io(error)
    })?;
    Ok(file)
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}.rows"))
}

fn unknown() -> LedgerError {
    LedgerError::Io(std::io::Error::new(ErrorKind::InvalidData, "a journal of another version"))
}

fn io(error: std::io::Error) -> LedgerError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            LedgerError::DiskFull(error)
        }
        _ => LedgerError::Io(error),
    }
}

#[cfg(test)]
mod tests;
