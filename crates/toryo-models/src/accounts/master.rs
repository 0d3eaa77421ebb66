//! The operator's key of a server that serves this machine only and was given none: made once, kept in a file that
//! nobody else may read, found there by the command line.

use super::secret;
use secrecy::{ExposeSecret, SecretString};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where the key is kept in a folder.
#[must_use]
pub fn file(folder: &Path) -> PathBuf {
    folder.join("master.key")
}

/// The key kept in this folder; made where there is none.
///
/// # Errors
/// The folder cannot be written, or the system has no random numbers.
pub fn in_folder(folder: &Path) -> io::Result<SecretString> {
    fs::create_dir_all(folder)?;
    let path = file(folder);
    if let Ok(kept) = fs::read_to_string(&path)
        && !kept.trim().is_empty()
    {
        return Ok(kept.trim().to_owned().into());
    }
    let made = secret::generate().map_err(io::Error::other)?;
    // Whole or not at all: a crash leaves no half key behind, and of two processes the first one makes it for both.
    let new = folder.join(format!("master.key.{}", made.digest.short()));
    let mut written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    writeln!(written, "{}", made.text.expose_secret())?;
    written.sync_all()?;
    match fs::hard_link(&new, &path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            fs::remove_file(&new)?;
            return Err(error);
        }
        Ok(()) | Err(_) => fs::remove_file(&new)?,
    }
    let kept = fs::read_to_string(&path)?;
    if kept.trim().is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file of the operator's key is empty: remove it",
        ));
    }
    Ok(kept.trim().to_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = in_folder(&folder.path().join("gateway")).unwrap();
        let again = in_folder(&folder.path().join("gateway")).unwrap();
        assert!(secret::looks_like_one(first.expose_secret()));
        assert_eq!(first.expose_secret(), again.expose_secret());
        let kept = fs::metadata(file(&folder.path().join("gateway"))).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("gateway")).unwrap().count(), 1);
        fs::write(file(folder.path()), "\n").unwrap();
        assert!(in_folder(folder.path()).is_err(), "an empty key would open the door to everybody");
    }
}
