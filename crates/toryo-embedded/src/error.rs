//! What can go wrong with the embedded servers, each with what to do about it.

use std::{io, path::Path, path::PathBuf, process::ExitStatus, time::Duration};

/// A failure of the embedded servers.
///
/// It carries no failure class: this crate stands below the vocabulary of runs, and none of these happens
/// inside a run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No package is pinned for this operating system and processor.
    #[error(
        "no embedded servers exist for {os} on {arch}; \
         set DATABASE_URL and NATS_URL to use servers of your own"
    )]
    UnsupportedPlatform {
        /// The operating system.
        os: &'static str,
        /// The processor architecture.
        arch: &'static str,
    },
    /// No Python with pip was found.
    #[error(
        "Python 3 with pip is needed once to download {package}, and none was found; \
         install it (Debian, Ubuntu: `apt-get install -y python3-pip`), then start again. \
         The download is: {command}"
    )]
    PipMissing {
        /// The package that is missing.
        package: String,
        /// The command that would have been run.
        command: String,
    },
    /// pip could not download a package.
    #[error("the download of {package} failed: `{command}` said:\n{output}")]
    Download {
        /// Name and version.
        package: String,
        /// The command as run.
        command: String,
        /// The last lines of its output.
        output: String,
    },
    /// A downloaded file is not the pinned one.
    #[error("{package} has SHA-256 {found}, but {expected} is pinned; nothing was unpacked")]
    WrongHash {
        /// Name and version.
        package: String,
        /// The pinned digest, in hex.
        expected: &'static str,
        /// The digest of the file, in hex.
        found: String,
    },
    /// A downloaded archive cannot be unpacked.
    #[error("{package} cannot be unpacked")]
    Archive {
        /// Name and version.
        package: String,
        /// What the archive reader says.
        #[source]
        source: zip::result::ZipError,
    },
    /// The caller is root, and no account to run the servers as was found.
    #[error("Postgres does not run as root, and the account `nobody` does not exist here")]
    NoAccount,
    /// The folder holds a database of another user.
    #[error("{} belongs to another user; start Toryo as that user or choose another data folder", path.display())]
    ForeignFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds a database of another major version.
    #[error("{} was made by Postgres {found}, and this program brings {expected}; dump and restore it", path.display())]
    OtherMajor {
        /// The database's folder.
        path: PathBuf,
        /// Its major version.
        found: String,
        /// The version brought along.
        expected: &'static str,
    },
    /// The password of an existing database is gone.
    #[error("{} is missing, but the database that it belongs to exists; restore the file", path.display())]
    PasswordLost {
        /// The password's file.
        path: PathBuf,
    },
    /// A tool of the package failed.
    #[error("{tool} failed ({status}):\n{output}")]
    Tool {
        /// The tool's name.
        tool: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its output.
        output: String,
    },
    /// A server ended instead of becoming ready.
    #[error("{server} ended while starting ({status}); its log says:\n{log}")]
    Exited {
        /// The server's name.
        server: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// Something took too long.
    #[error("{what} took longer than {limit:?}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// A guest asked for what only the owner may do.
    #[error("another process started these servers; only that process stops or restarts them")]
    NotOwner,
    /// The system refused something.
    #[error("{what}")]
    Io {
        /// What was tried, with its path.
        what: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Says what was tried, and on which path, when the system refuses.
pub(crate) trait IoContext<T> {
    /// Adds `what` and `path` to an I/O error.
    fn doing(self, what: &str, path: &Path) -> Result<T, Error>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn doing(self, what: &str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: format!("cannot {what} {}", path.display()), source })
    }
}

/// The last `limit` bytes of a text, from the start of a line where one begins there.
pub(crate) fn tail(text: &str, limit: usize) -> String {
    let text = text.trim_end();
    let from = (text.len().saturating_sub(limit)..=text.len()).find(|at| text.is_char_boundary(*at));
    let cut = &text[from.unwrap_or(0)..];
    match cut.split_once('\n') {
        Some((_, rest)) if cut.len() < text.len() && !rest.is_empty() => rest.to_owned(),
        _ => cut.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn a_tail_starts_at_a_line_and_never_inside_a_character() {
        assert_eq!(tail("one\ntwo\n", 100), "one\ntwo");
        assert_eq!(tail("one\ntwo\nthree\n", 8), "three");
        assert_eq!(tail("ééé", 3), "é");
    }
}
