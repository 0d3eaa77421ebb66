//! The model gateway: the one way from an agent to a language model.
//!
//! [`Gateway::complete`] is the road: look in the journal, check the run's limits, call the route's provider
//! (retries happen here and nowhere else), journal the reply, return it. A reply that was paid once is never
//! paid again for the same step, call and request (design §4.5).
//!
//! Texts become vectors for the code search through [`embeddings`].
//!
//! This crate does **not** read files or the environment, does not know what prompts or schemas say, does not
//! validate replies (agents do) and writes no SQL. Start with [`gateway`]; a new provider is one file in
//! [`provider`].

pub mod accounts;
pub mod allowance;
pub mod chat;
pub mod config;
pub mod dialect;
pub mod embeddings;
pub mod error;
pub mod front;
pub mod gateway;
pub mod inbound;
pub mod journal;
pub mod ledger;
pub mod mask;
pub mod prices;
pub mod provider;
pub mod reply;
pub mod request;
mod retry;
pub mod route;
pub mod tokens;
pub mod usage;

pub use config::Config;
pub use embeddings::{Embedder, EmbeddingProvider, TextKind};
pub use error::Error;
pub use gateway::Gateway;
pub use journal::{Journal, Spent};
pub use provider::{ModelProvider, Providers};
pub use reply::{Finish, Reply, Usage};
pub use request::{Caller, Message, MessageRole, OutputSchema, Request};
