//! The items of which a conversation is made. What the model said in one go is several items here and one turn in
//! neutral words.

use crate::chat::{Chat, Part, ToolCall, Turn};
use crate::dialect::at::{At, BadRequest, leave, list, may_text, need_text, object, take, text};
use crate::dialect::completions::image;
use crate::dialect::thinking::unseal;
use serde_json::{Map, Value};

/// Reads `input`.
pub(super) fn read(input: Value, at: At<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    if let Value::String(text) = input {
        chat.turns.push(Turn::User(vec![Part::Text(text)]));
        return Ok(());
    }
    let items = list(input, at)?;
    items.into_iter().enumerate().try_for_each(|(index, value)| item(value, at.index(index), chat))
}

fn item(value: Value, at: At<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let mut item = object(value, at)?;
    let kind = may_text(&mut item, "type", &at)?;
    match kind.as_deref().unwrap_or("message") {
        "message" => message(&mut item, at, chat)?,
        "function_call" => {
            let call = ToolCall {
                id: need_text(&mut item, "call_id", &at)?,
                name: need_text(&mut item, "name", &at)?,
                arguments: need_text(&mut item, "arguments", &at)?,
            };
            say(&mut chat.turns, Vec::new(), Some(call));
        }
        "function_call_output" => {
            let call_id = need_text(&mut item, "call_id", &at)?;
            let at_output = at.key("output");
            let output = take(&mut item, "output").ok_or_else(|| at_output.missing())?;
            let parts = content(output, at_output, &mut chat.extra)?;
            chat.turns.push(Turn::Tool { call_id, parts, failed: false });
        }
        "reasoning" => return reasoning(item, at, chat),
        "item_reference" => {
            return Err(
                at.wrong("refers to an earlier answer, which this gateway does not keep: send the item")
            );
        }
        other => {
            let known = "message, function_call, function_call_output and reasoning";
            return Err(at.key("type").unknown(other, known));
        }
    }
    // The client's copy of what an answer said about itself.
    item.remove("id");
    item.remove("status");
    leave(item, &at, &mut chat.extra);
    Ok(())
}

fn message(item: &mut Map<String, Value>, at: At<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let role = need_text(item, "role", &at)?;
    let at_content = at.key("content");
    let value = take(item, "content").ok_or_else(|| at_content.missing())?;
    let parts = content(value, at_content, &mut chat.extra)?;
    match role.as_str() {
        "user" => chat.turns.push(Turn::User(parts)),
        "system" | "developer" => chat.turns.push(Turn::System(parts)),
        "assistant" => say(&mut chat.turns, parts, None),
        _ => return Err(at.key("role").unknown(&role, "user, assistant, system and developer")),
    }
    Ok(())
}

/// Adds to the model's turn, or begins one.
fn say(turns: &mut Vec<Turn>, more: Vec<Part>, call: Option<ToolCall>) {
    if let Some(Turn::Assistant { parts, tool_calls }) = turns.last_mut() {
        parts.extend(more);
        tool_calls.extend(call);
    } else {
        turns.push(Turn::Assistant { parts: more, tool_calls: call.into_iter().collect() });
    }
}

/// Reasoning as we sealed it, or as it came. What nobody signed is no use to any provider.
fn reasoning(mut item: Map<String, Value>, at: At<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let Some(sealed) = may_text(&mut item, "encrypted_content", &at)? else { return Ok(()) };
    let native = unseal(&sealed).unwrap_or_else(|| {
        item.insert("type".into(), "reasoning".into());
        item.insert("encrypted_content".into(), sealed.into());
        Value::Object(item)
    });
    say(&mut chat.turns, vec![Part::Reasoning(native)], None);
    Ok(())
}

fn content(value: Value, at: At<'_>, extra: &mut Map<String, Value>) -> Result<Vec<Part>, BadRequest> {
    let list = match value {
        Value::String(text) => return Ok(vec![Part::Text(text)]),
        Value::Array(list) => list,
        _ => return Err(at.wrong("has to be a string or a list of parts")),
    };
    let parts = list.into_iter().enumerate();
    parts.map(|(index, value)| part(value, at.index(index), extra)).collect()
}

fn part(value: Value, at: At<'_>, extra: &mut Map<String, Value>) -> Result<Part, BadRequest> {
    let mut part = object(value, at)?;
    let kind = need_text(&mut part, "type", &at)?;
    let read = match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            // What an answer says about its words.
            part.remove("annotations");
            part.remove("logprobs");
            Part::Text(need_text(&mut part, "text", &at)?)
        }
        "refusal" => Part::Refusal(need_text(&mut part, "refusal", &at)?),
        "input_image" if part.get("file_id").is_none_or(Value::is_null) => {
            let at_url = at.key("image_url");
            let url = text(take(&mut part, "image_url").ok_or_else(|| at_url.missing())?, at_url)?;
            image(url, may_text(&mut part, "detail", &at)?, at_url)?
        }
        "input_image" | "input_file" | "input_audio" => {
            part.insert("type".into(), kind.into());
            return Ok(Part::Other(Value::Object(part)));
        }
        _ => {
            let known = "input_text, output_text, refusal, input_image, input_file and input_audio";
            return Err(at.key("type").unknown(&kind, known));
        }
    };
    leave(part, &at, extra);
    Ok(read)
}
