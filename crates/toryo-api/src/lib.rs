//! HTTP: routes, SSE, OpenAPI, and the web pages.
//!
//! Start at [`routes`]: it is the API on a page. A handler extracts, makes one call into the engine or the
//! blackboard, and presents. What goes over the wire is in [`wire`], every mapping of an error to a status in
//! [`problem`], what stands before all handlers in [`guard`]. Pages are functions from plain values to HTML in
//! [`pages`]; their text comes from repositories and models and is hostile, so everything is escaped.
//!
//! This crate holds **no state that matters**, writes no SQL, and knows no forge, model or sandbox: what it needs of
//! them are the [`ports`].

pub mod app;
pub mod assets;
pub mod caller;
mod config;
pub mod diff;
pub mod docs;
pub mod extract;
pub mod gateway;
pub mod guard;
pub mod pages;
pub mod ports;
pub mod problem;
pub mod routes;
pub mod sanitise;
pub mod serve;
pub mod sse;
pub mod wire;

pub use app::{App, Ports};
pub use config::Config;
pub use ports::{AgentManifest, Check, IndexError, Indexer, Readiness, RepositoryCheck, RepositoryError};
pub use routes::{openapi, router};
pub use serve::serve;
