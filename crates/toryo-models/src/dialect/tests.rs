//! The dialects, by example and by property.

mod properties;
mod reader;
mod reading;
mod writing;

use super::{BadRequest, Facts, read_chat, read_head};
use crate::chat::Chat;
use crate::inbound::Dialect;
use bytes::Bytes;
use serde_json::Value;

const ALL: [Dialect; 3] = [Dialect::Completions, Dialect::Responses, Dialect::Messages];

fn facts() -> Facts {
    Facts { id: "call".into(), created: 1_700_000_000, alias: "coder".into() }
}

fn read(dialect: Dialect, body: &Value) -> Result<Chat, BadRequest> {
    read_head(dialect, Bytes::from(body.to_string())).and_then(|inbound| read_chat(&inbound))
}
