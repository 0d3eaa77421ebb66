//! Tokens of a question that is not asked: coding agents want to know whether their conversation still fits.

use super::guess::{self, PER_TURN};
use super::{Front, refused};
use crate::accounts::Principal;
use crate::chat::{Chat, Format, Image, Part, Turn};
use crate::dialect::{self, Refused, RefusedKind};
use crate::tokens;
use bytes::Bytes;

/// Bytes of texts that are counted on the spot; longer ones are counted where blocking is allowed.
const AT_ONCE: usize = 16 * 1024;
/// What Anthropic's models are told of their functions beside their definitions, by its documentation of tool use.
const TOOLS: u64 = 346;

impl Front {
    /// Tokens of a question in Anthropic's dialect, counted here with OpenAI's newest public vocabulary: near the truth
    /// for every model and exact for none of Anthropic's, whose vocabulary is not public. Nothing is asked and nothing
    /// is paid.
    ///
    /// # Errors
    /// The question cannot be read, or the key may not use its route.
    pub async fn count_tokens(&self, who: &Principal, body: Bytes) -> Result<u64, Refused> {
        let (alias, chat) = dialect::read_count(&body)?;
        self.router.settings(&alias).map_err(|error| refused(&error))?;
        if !who.allows(&alias) {
            let text = format!("the key may not use the route `{alias}`");
            return Err(Refused::new(RefusedKind::Forbidden, text));
        }
        if body.len() <= AT_ONCE {
            return Ok(count(&chat));
        }
        let counted = tokio::task::spawn_blocking(move || count(&chat)).await;
        counted.map_err(|_| Refused::new(RefusedKind::Internal, "the tokens could not be counted"))
    }
}

fn count(chat: &Chat) -> u64 {
    let turns: u64 = chat.turns.iter().map(|turn| PER_TURN + of_turn(turn)).sum();
    let tools: u64 = chat
        .tools
        .iter()
        .map(|tool| {
            let description = tool.description.as_deref().map_or(0, tokens::count);
            PER_TURN + tokens::count(&tool.name) + description + tokens::count(&tool.parameters.to_string())
        })
        .sum();
    let format = match &chat.format {
        Format::Text | Format::JsonObject => 0,
        Format::JsonSchema { schema, .. } => tokens::count(&schema.to_string()),
    };
    // Tools that run at the provider, and whatever else has no neutral word.
    let extra: u64 = chat.extra.values().map(|value| tokens::count(&value.to_string())).sum();
    turns + tools + format + extra + if tools > 0 { TOOLS } else { 0 }
}

fn of_turn(turn: &Turn) -> u64 {
    let calls = match turn {
        Turn::Assistant { tool_calls, .. } => tool_calls.as_slice(),
        Turn::System(_) | Turn::User(_) | Turn::Tool { .. } => &[],
    };
    let calls = calls.iter().map(|call| tokens::count(&call.name) + tokens::count(&call.arguments));
    turn.parts().iter().map(of_part).chain(calls).sum()
}

fn of_part(part: &Part) -> u64 {
    match part {
        Part::Text(text) | Part::Refusal(text) => tokens::count(text),
        Part::Image(Image::Url { .. } | Image::Inline { .. }) => guess::IMAGE,
        Part::CachePoint => 0,
        Part::Reasoning(value) | Part::Other(value) => tokens::count(&value.to_string()),
    }
}
