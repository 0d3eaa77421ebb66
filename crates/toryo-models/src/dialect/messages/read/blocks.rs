//! The blocks of which contents are made.

use super::cache_point;
use crate::chat::{Image, Part, ToolCall, Turn};
use crate::dialect::at::{At, BadRequest, flag, leave, need_text, object, take};
use crate::dialect::thinking::unseal;
use serde_json::{Map, Value};

/// A block without its `type`.
struct Block {
    kind: String,
    map: Map<String, Value>,
}

impl Block {
    fn of(value: Value, at: At<'_>) -> Result<Self, BadRequest> {
        let mut map = object(value, at)?;
        let kind = need_text(&mut map, "type", &at)?;
        Ok(Self { kind, map })
    }

    /// As it came.
    fn whole(mut self) -> Value {
        self.map.insert("type".into(), self.kind.into());
        Value::Object(self.map)
    }
}

/// The blocks of a content; a text is one block.
fn blocks(content: Value, at: At<'_>) -> Result<Vec<Value>, BadRequest> {
    match content {
        Value::String(_) => Ok(vec![content]),
        Value::Array(blocks) => Ok(blocks),
        _ => Err(at.wrong("has to be a string or a list of blocks")),
    }
}

/// Instructions.
pub(super) fn system(
    content: Value,
    at: At<'_>,
    extra: &mut Map<String, Value>,
) -> Result<Vec<Part>, BadRequest> {
    let mut parts = Vec::new();
    for (index, value) in blocks(content, at)?.into_iter().enumerate() {
        if let Value::String(text) = value {
            parts.push(Part::Text(text));
            continue;
        }
        let at = at.index(index);
        let block = Block::of(value, at)?;
        if block.kind != "text" {
            return Err(at.key("type").unknown(&block.kind, "text"));
        }
        part(block, &at, &mut parts, extra)?;
    }
    Ok(parts)
}

/// What a user says: results of functions are turns of their own.
pub(super) fn user(
    content: Value,
    at: At<'_>,
    turns: &mut Vec<Turn>,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    let mut parts = Vec::new();
    for (index, value) in blocks(content, at)?.into_iter().enumerate() {
        if let Value::String(text) = value {
            parts.push(Part::Text(text));
            continue;
        }
        let at = at.index(index);
        let block = Block::of(value, at)?;
        if block.kind != "tool_result" {
            part(block, &at, &mut parts, extra)?;
            continue;
        }
        if !parts.is_empty() {
            turns.push(Turn::User(std::mem::take(&mut parts)));
        }
        turns.push(tool_result(block.map, at, extra)?);
    }
    if !parts.is_empty() {
        turns.push(Turn::User(parts));
    }
    Ok(())
}

/// What the model said.
pub(super) fn assistant(
    content: Value,
    at: At<'_>,
    extra: &mut Map<String, Value>,
) -> Result<Turn, BadRequest> {
    let (mut parts, mut tool_calls) = (Vec::new(), Vec::new());
    for (index, value) in blocks(content, at)?.into_iter().enumerate() {
        if let Value::String(text) = value {
            parts.push(Part::Text(text));
            continue;
        }
        let at = at.index(index);
        let mut block = Block::of(value, at)?;
        match block.kind.as_str() {
            "tool_use" => {
                let at_input = at.key("input");
                let input = take(&mut block.map, "input").ok_or_else(|| at_input.missing())?;
                tool_calls.push(ToolCall {
                    id: need_text(&mut block.map, "id", &at)?,
                    name: need_text(&mut block.map, "name", &at)?,
                    arguments: Value::Object(object(input, at_input)?).to_string(),
                });
                parts.extend(cache_point(&mut block.map));
                leave(block.map, &at, extra);
            }
            "thinking" => parts.extend(thinking(block)),
            "redacted_thinking" => parts.push(Part::Reasoning(block.whole())),
            _ => part(block, &at, &mut parts, extra)?,
        }
    }
    Ok(Turn::Assistant { parts, tool_calls })
}

/// Reasoning as it came, or as we sealed it. What nobody signed is no use to any provider.
fn thinking(block: Block) -> Option<Part> {
    let signature = block.map.get("signature").and_then(Value::as_str).unwrap_or_default();
    if signature.is_empty() {
        return None;
    }
    let sealed = unseal(signature);
    Some(Part::Reasoning(sealed.unwrap_or_else(|| block.whole())))
}

fn tool_result(
    mut block: Map<String, Value>,
    at: At<'_>,
    extra: &mut Map<String, Value>,
) -> Result<Turn, BadRequest> {
    let call_id = need_text(&mut block, "tool_use_id", &at)?;
    let failed = take(&mut block, "is_error");
    let failed = failed.map_or(Ok(false), |failed| flag(&failed, at.key("is_error")))?;
    let cache = cache_point(&mut block);
    let mut parts = Vec::new();
    if let Some(content) = take(&mut block, "content") {
        let at = at.key("content");
        for (index, value) in blocks(content, at)?.into_iter().enumerate() {
            match value {
                Value::String(text) => parts.push(Part::Text(text)),
                value => part(Block::of(value, at.index(index))?, &at.index(index), &mut parts, extra)?,
            }
        }
    }
    parts.extend(cache);
    leave(block, &at, extra);
    Ok(Turn::Tool { call_id, parts, failed })
}

/// A block that may stand anywhere.
fn part(
    mut block: Block,
    at: &At<'_>,
    parts: &mut Vec<Part>,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    match block.kind.as_str() {
        "text" => parts.push(Part::Text(need_text(&mut block.map, "text", at)?)),
        "image" => match image(&mut block.map, at)? {
            Some(image) => parts.push(Part::Image(image)),
            None => return other(block, parts),
        },
        _ => return other(block, parts),
    }
    parts.extend(cache_point(&mut block.map));
    // Where earlier words came from: our answers never say so, and another provider cannot use it.
    if block.map.get("citations").is_some_and(|list| list.as_array().is_some_and(Vec::is_empty)) {
        block.map.remove("citations");
    }
    leave(block.map, at, extra);
    Ok(())
}

/// Documents, searches and what else one provider understands.
#[expect(clippy::unnecessary_wraps, reason = "it ends a function that can fail")]
fn other(mut block: Block, parts: &mut Vec<Part>) -> Result<(), BadRequest> {
    let cache = cache_point(&mut block.map);
    parts.push(Part::Other(block.whole()));
    parts.extend(cache);
    Ok(())
}

/// `None` where the picture is a file at the provider.
fn image(block: &mut Map<String, Value>, at: &At<'_>) -> Result<Option<Image>, BadRequest> {
    let at = at.key("source");
    let source = take(block, "source").ok_or_else(|| at.missing())?;
    let mut source = object(source, at)?;
    let kind = need_text(&mut source, "type", &at)?;
    Ok(Some(match kind.as_str() {
        "base64" => Image::Inline {
            media_type: need_text(&mut source, "media_type", &at)?,
            data: need_text(&mut source, "data", &at)?,
            detail: None,
        },
        "url" => Image::Url { url: need_text(&mut source, "url", &at)?, detail: None },
        "file" => {
            source.insert("type".into(), kind.into());
            block.insert("source".into(), Value::Object(source));
            return Ok(None);
        }
        _ => return Err(at.key("type").unknown(&kind, "base64, url and file")),
    }))
}
