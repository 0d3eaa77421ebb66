//! The configuration of this crate: section `forge`.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What may be fetched, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folders under which repositories given by path must lie, after links are resolved. Empty: anywhere.
    pub allowed_roots: Vec<PathBuf>,
    /// Hosts from which repositories may be fetched by https or ssh, without port. Empty: any.
    pub allowed_hosts: Vec<String>,
    /// Longest look at a repository, in seconds.
    pub check_timeout_seconds: u64,
    /// Longest fetch, in seconds. The first one of a large repository takes longest.
    pub fetch_timeout_seconds: u64,
    /// Longest push, in seconds.
    pub push_timeout_seconds: u64,
    /// Longest wait, in seconds, for another process that works on the same mirror.
    pub lock_timeout_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allowed_roots: Vec::new(),
            allowed_hosts: Vec::new(),
            check_timeout_seconds: 30,
            fetch_timeout_seconds: 900,
            push_timeout_seconds: 120,
            lock_timeout_seconds: 900,
        }
    }
}
