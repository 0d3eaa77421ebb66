//! Where repositories and pull requests live: the [`Forge`] port, the local adapter, and the work with Git.
//!
//! Start with [`forge`] for what the rest of Toryo may ask, then [`local`] for how it is done. [`git`] reads
//! and writes bare mirrors; a person's work tree, index, `HEAD` and checked-out branch are **never touched**,
//! and there is no working tree anywhere: commits are made in the object database. This crate does **not**
//! know runs, agents or models, keeps no pull requests itself ([`PullRequestStore`] does), runs nothing of a
//! repository (no hook, no filter) and trusts no text of a model ([`naming`], [`commit_message`],
//! [`pull_request_body`]).

pub mod commit_message;
pub mod config;
pub mod error;
pub mod forge;
pub mod git;
pub mod local;
pub mod naming;
pub mod pull_request_body;
pub mod pulls;
pub mod repo_url;
mod text;

pub use commit_message::{CommitType, ConventionalCommit};
pub use config::Config;
pub use error::Error;
pub use forge::{Checkout, Forge, Opened};
pub use git::unused::remove_unused_mirrors;
pub use git::{Change, Content, Identity, LeftOut, Listing, LogEntry, Mirror, NewCommit, TreeFile};
pub use local::Local;
pub use pull_request_body::PullRequestBody;
pub use pulls::{InMemoryPulls, PullRequestStore};
pub use repo_url::RepoUrl;
