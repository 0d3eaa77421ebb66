//! Tokens of a prompt before a provider has counted them.

use super::Call;
use crate::chat::{Chat, Format, Image, Part, Turn};
use crate::dialect::Refused;
use crate::prices::guess_tokens;
use memchr::memmem;

/// A picture counts as this many tokens: the largest that the three providers document for one picture at full
/// detail (OpenAI, high detail, 2,048 x 2,048: 1,105 and more with newer models; Anthropic: about 1,600).
pub(super) const IMAGE: u64 = 1_600;
/// What providers add of their own where functions may be called: instructions of up to 530 tokens for Anthropic's models
/// (its documentation of tool use), less elsewhere.
const TOOLS: u64 = 600;
/// Roles and separators of one message.
pub(super) const PER_TURN: u64 = 8;

/// A careful guess that stays above the true count. The bytes of the body are enough for it, unless pictures are
/// among them: their Base64 would count as text.
pub(super) fn input_tokens(call: &Call) -> Result<u64, Refused> {
    let body = &call.inbound.body;
    let tools = if memmem::find(body, b"\"tools\"").is_some() { TOOLS } else { 0 };
    let words = if has_pictures(body) { of_chat(&*call.chat()?) } else { of_bytes(body) };
    Ok(words + tools)
}

fn has_pictures(body: &[u8]) -> bool {
    // Every dialect names the type of the part; what merely talks about pictures is only read a little longer.
    const NAMES: [&[u8]; 3] = [b"\"image\"", b"\"image_url\"", b"\"input_image\""];
    body.len() > 1024 && NAMES.iter().any(|name| memmem::find(body, name).is_some())
}

/// Three bytes of ASCII a token, two tokens any other character: see [`guess_tokens`], whose rule this is.
fn of_bytes(body: &[u8]) -> u64 {
    let ascii = body.iter().filter(|byte| byte.is_ascii()).count() as u64;
    // Every character beyond ASCII has one byte that does not go on with another one.
    let others = body.iter().filter(|byte| **byte >= 0xC0).count() as u64;
    ascii.div_ceil(3) + 2 * others
}

fn of_chat(chat: &Chat) -> u64 {
    let turns: u64 = chat.turns.iter().map(|turn| PER_TURN + of_turn(turn)).sum();
    let tools: u64 = chat
        .tools
        .iter()
        .map(|tool| {
            let description = tool.description.as_deref().map_or(0, guess_tokens);
            PER_TURN + guess_tokens(&tool.name) + description + guess_tokens(&tool.parameters.to_string())
        })
        .sum();
    let format = match &chat.format {
        Format::Text | Format::JsonObject => 0,
        Format::JsonSchema { schema, .. } => guess_tokens(&schema.to_string()),
    };
    turns + tools + format
}

fn of_turn(turn: &Turn) -> u64 {
    let parts: u64 = turn.parts().iter().map(of_part).sum();
    match turn {
        Turn::Assistant { tool_calls, .. } => {
            let calls =
                tool_calls.iter().map(|call| guess_tokens(&call.name) + guess_tokens(&call.arguments));
            parts + calls.sum::<u64>()
        }
        Turn::System(_) | Turn::User(_) | Turn::Tool { .. } => parts,
    }
}

fn of_part(part: &Part) -> u64 {
    match part {
        Part::Text(text) | Part::Refusal(text) => guess_tokens(text),
        Part::Image(Image::Url { .. } | Image::Inline { .. }) => IMAGE,
        Part::CachePoint => 0,
        Part::Reasoning(value) | Part::Other(value) => guess_tokens(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_and_text_are_guessed_alike(text in ".{0,200}") {
            prop_assert_eq!(of_bytes(text.as_bytes()), guess_tokens(&text));
        }
    }
}
