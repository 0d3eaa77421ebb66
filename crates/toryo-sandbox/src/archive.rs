//! Tar streams: how files get into a sandbox and out of it. What comes out is hostile.

use crate::WorkspaceFile;
use bytes::{Bytes, BytesMut};
use std::io::Read;
use tar::{Builder, EntryType, Header};
use toryo_domain::RepoPath;

/// Size of a tar block in bytes (POSIX ustar).
const BLOCK: usize = 512;

/// How many files may come out of one archive.
const MOST_FILES: usize = 10_000;

/// The files as pieces of a tar stream. Contents are shared, not copied.
///
/// # Errors
/// A path that tar cannot express.
pub(crate) fn pack(files: &[WorkspaceFile]) -> std::io::Result<Vec<Bytes>> {
    let mut pieces = Vec::with_capacity(files.len() * 3 + 1);
    for file in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(if file.executable { 0o755 } else { 0o644 });
        header.set_size(file.content.len() as u64);
        // The header alone, with the extra entry of a long name: the builder copies no content.
        let mut builder = Builder::new(Vec::with_capacity(BLOCK));
        builder.append_data(&mut header, file.path.as_str(), std::io::empty())?;
        // Not `into_inner`, which would write the end of the archive.
        pieces.push(Bytes::copy_from_slice(builder.get_ref()));
        pieces.push(file.content.clone());
        let padding = file.content.len().next_multiple_of(BLOCK) - file.content.len();
        pieces.push(BytesMut::zeroed(padding).freeze());
    }
    pieces.push(BytesMut::zeroed(2 * BLOCK).freeze());
    Ok(pieces)
}

/// What an archive from a sandbox held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unpacked {
    /// The regular files with plain paths.
    pub(crate) files: Vec<WorkspaceFile>,
    /// Entries that were left out, with the reason.
    pub(crate) refused: Vec<String>,
}

/// Reads an archive that a sandbox wrote. Takes regular files only: no links, devices or sparse files (which could
/// grow without bound), no path that leaves the workspace, at most `limit` bytes and ten thousand files in all.
///
/// # Errors
/// The archive is broken or over a limit; nothing of it is used then.
pub(crate) fn unpack(archive: &[u8], limit: u64) -> Result<Unpacked, String> {
    let mut unpacked = Unpacked::default();
    let mut total = 0_u64;
    let broken = |error: std::io::Error| format!("the archive is broken: {error}");
    for entry in tar::Archive::new(archive).entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        if unpacked.files.len() + unpacked.refused.len() >= MOST_FILES {
            return Err(format!("the archive holds more than {MOST_FILES} entries"));
        }
        if kind != EntryType::Regular {
            unpacked.refused.push(format!("{name:?} is not a regular file"));
            continue;
        }
        let path = match name.strip_prefix("./").unwrap_or(&name).parse::<RepoPath>() {
            Ok(path) => path,
            Err(bad) => {
                unpacked.refused.push(bad.to_string());
                continue;
            }
        };
        total = total.saturating_add(entry.size());
        if total > limit {
            return Err(format!("the files are larger than {limit} bytes together"));
        }
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
        let mut content = Vec::new();
        entry.by_ref().take(limit).read_to_end(&mut content).map_err(broken)?;
        if content.len() as u64 != entry.size() {
            return Err(format!("the archive ends within {name:?}"));
        }
        unpacked.files.push(WorkspaceFile { path, content: content.into(), executable });
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(path: &str, content: &[u8], executable: bool) -> WorkspaceFile {
        WorkspaceFile { path: path.parse().unwrap(), content: Bytes::copy_from_slice(content), executable }
    }

    /// An archive with one entry whose raw name is not checked by the writer.
    fn raw(name: &[u8], kind: EntryType, size: u64, content: &[u8]) -> Vec<u8> {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(size);
        header.set_cksum();
        let mut archive = header.as_bytes().to_vec();
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
        archive
    }

    #[test]
    fn hostile_entries_are_left_out() {
        for (name, kind) in [
            (b"../up".as_slice(), EntryType::Regular),
            (b"/etc/passwd", EntryType::Regular),
            (b"a/../../b", EntryType::Regular),
            (b".git/config", EntryType::Regular),
            (b"link", EntryType::Symlink),
            (b"hard", EntryType::Link),
            (b"device", EntryType::Block),
            (b"pipe", EntryType::Fifo),
            (b"sparse", EntryType::GNUSparse),
        ] {
            let unpacked = unpack(&raw(name, kind, 0, b""), 1_000);
            // A broken sparse map is an error of its own; nothing may come out in either case.
            if let Ok(unpacked) = unpacked {
                assert_eq!((unpacked.files.len(), unpacked.refused.len()), (0, 1), "{name:?}");
            } else {
                assert_eq!(kind, EntryType::GNUSparse);
            }
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let lying = raw(b"big", EntryType::Regular, 1 << 40, b"x");
        assert!(unpack(&lying, 1_000).unwrap_err().contains("larger than 1000 bytes"));
        let short = raw(b"short", EntryType::Regular, 5_000, b"x");
        assert!(unpack(&short, 10_000).is_err(), "a file that ends early was accepted");
        let pieces = pack(&[file("a", &[0; 600], false), file("b", &[0; 600], false)]).unwrap().concat();
        assert!(unpack(&pieces, 1_199).is_err());
        assert_eq!(unpack(&pieces, 1_200).unwrap().files.len(), 2);
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            files in proptest::collection::vec(("[a-zé日]{1,30}(/[a-zé日 ]{1,60}x){0,4}", proptest::collection::vec(any::<u8>(), 0..1500), any::<bool>()), 0..6),
        ) {
            let files: Vec<_> = files.iter().map(|(path, content, executable)| file(path, content, *executable)).collect();
            let archive = pack(&files).unwrap().concat();
            prop_assert_eq!(archive.len() % BLOCK, 0);
            let unpacked = unpack(&archive, 1_000_000).unwrap();
            prop_assert_eq!(unpacked, Unpacked { files, refused: Vec::new() });
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let _ = unpack(&bytes, 10_000);
        }

        #[test]
        fn a_damaged_archive_never_panics(at in 0_usize..2_000, byte in any::<u8>()) {
            let mut archive = pack(&[file("some/path.txt", &[7; 700], true)]).unwrap().concat();
            let at = at % archive.len();
            archive[at] = byte;
            let _ = unpack(&archive, 10_000);
        }
    }
}
