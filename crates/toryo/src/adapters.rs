//! Ports wired to adapters, where a port is declared in one crate and its adapter needs another.

pub mod indexer;
pub mod manifests;
pub mod pulls;
pub mod readiness;
pub mod replayer;
pub mod repositories;
pub mod sensitive;
