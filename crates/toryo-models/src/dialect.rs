//! The three dialects that clients speak, in and out: pure functions without I/O.
//!
//! A question comes in two steps. [`read_head`] is shallow: what decides who answers, and whether the body is sound
//! at all. [`read_chat`] reads everything, where somebody needs it. An answer goes out by [`whole`] or, in pieces,
//! by a [`Writer`]; a failure by [`Refused`].
//!
//! Nothing is dropped silently. What the neutral words of [`chat`](crate::chat) cannot say goes to
//! [`Chat::extra`](crate::chat::Chat::extra) under the name of the parameter, or under its path where it lies deeper
//! (`messages[3].name`), so that a provider refuses it by name. Three things are hints and may get lost between
//! dialects: who may cache what for how long, texts of earlier reasoning that no provider signed, and values that
//! say what is the rule anyway (`n: 1`).
//!
//! Each dialect is a folder with the same files: `read` (question), `write` (whole answer), `stream` (pieces).

mod at;
mod completions;
mod digest;
pub mod embeddings;
mod facts;
mod head;
mod messages;
mod refused;
mod responses;
mod thinking;
mod write;
mod writer;

pub use at::BadRequest;
pub use facts::Facts;
pub use head::read_head;
pub use refused::{Refused, RefusedKind};
pub use writer::Writer;

use crate::chat::{Chat, Completion};
use crate::inbound::{Dialect, Inbound};
use bytes::Bytes;
use serde_json::{Map, Value};

/// Reads the whole question.
///
/// # Errors
/// [`BadRequest`] names what breaks the dialect's rules, or what the gateway cannot do for anybody.
pub fn read_chat(inbound: &Inbound) -> Result<Chat, BadRequest> {
    let body: Map<String, Value> =
        serde_json::from_slice(&inbound.body).map_err(|error| at::syntax(&error))?;
    let chat = match inbound.dialect {
        Dialect::Completions => completions::read(body),
        Dialect::Responses => responses::read(body),
        Dialect::Messages => messages::read(body),
    }?;
    Ok(Chat { dialect: Some(inbound.dialect), ..chat })
}

/// Reads a question whose tokens are to be counted (Anthropic's `count_tokens`): a route's alias, and what would be asked.
///
/// # Errors
/// [`BadRequest`], as [`read_head`] and [`read_chat`]; no limit of tokens is needed.
pub fn read_count(body: &[u8]) -> Result<(String, Chat), BadRequest> {
    let body: Map<String, Value> = serde_json::from_slice(body).map_err(|error| at::syntax(&error))?;
    let model = match body.get("model") {
        Some(Value::String(model)) if !model.is_empty() => model.clone(),
        Some(_) => return Err(at::At::field("model").wrong("has to be a string that is not empty")),
        None => return Err(at::At::field("model").missing()),
    };
    if body.get("messages").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        return Err(at::At::field("messages").wrong("has to be a list that is not empty"));
    }
    Ok((model, messages::read(body)?))
}

/// A whole answer in the client's dialect.
#[must_use]
pub fn whole(dialect: Dialect, answer: &Completion, facts: &Facts) -> Bytes {
    match dialect {
        Dialect::Completions => completions::whole(answer, facts),
        Dialect::Responses => responses::whole(answer, facts),
        Dialect::Messages => messages::whole(answer, facts),
    }
}

#[cfg(test)]
mod tests;
