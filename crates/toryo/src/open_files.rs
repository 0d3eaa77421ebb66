//! How many files this process may have open: every connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit to what the system allows at most. Shells and service managers commonly start programs with 1,024,
/// which is fewer than the people who may follow runs on one server.
pub fn raise_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
