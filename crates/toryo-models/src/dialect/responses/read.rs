//! The question.

use super::items;
use crate::chat::{Chat, Format, Part, ToolChoice, Turn};
use crate::dialect::at::{At, BadRequest, flag, leave, list, need_text, number, object, take, text};
use crate::dialect::completions::{effort, function, is_the_rule, json_schema, word_choice};
use crate::dialect::head::token_limit;
use serde_json::{Map, Value};

/// Reads a body whose head was read.
pub(in crate::dialect) fn read(mut body: Map<String, Value>) -> Result<Chat, BadRequest> {
    let mut chat = Chat::default();
    // The instructions come first, whatever the order of the keys.
    if let Some(instructions) = take(&mut body, "instructions") {
        let text = text(instructions, At::field("instructions"))?;
        chat.turns.push(Turn::System(vec![Part::Text(text)]));
    }
    let mut safety_identifier = None;
    for (name, value) in body {
        let at = At::field(&name);
        if value.is_null() || is_the_rule(&name, &value) {
            continue;
        }
        match name.as_str() {
            // Read with the head. Which tokens a cache is found by is a hint.
            "model" | "stream" | "stream_options" | "prompt_cache_key" | "prompt_cache_retention" => {}
            "input" => items::read(value, at, &mut chat)?,
            "tools" => tools(value, at, &mut chat)?,
            "tool_choice" => tool_choice(value, at, &mut chat)?,
            "parallel_tool_calls" => chat.parallel_tool_calls = Some(flag(&value, at)?),
            "text" => format(value, at, &mut chat)?,
            "reasoning" => reasoning(value, at, &mut chat)?,
            "max_output_tokens" => chat.max_output_tokens = Some(token_limit(&value, at)?),
            "temperature" => chat.sampling.temperature = Some(number(&value, at)?),
            "top_p" => chat.sampling.top_p = Some(number(&value, at)?),
            "user" => chat.user = Some(text(value, at)?),
            "safety_identifier" => safety_identifier = Some(text(value, at)?),
            "include" => include(value, at, &mut chat.extra)?,
            "truncation" if value == "disabled" => {}
            "background" if value == false => {}
            "store" | "previous_response_id" | "conversation" | "background" | "prompt" => {
                return Err(at.wrong(
                    "needs an earlier request to be kept; this gateway keeps none: send the whole conversation \
                     as `input`, with `store` false",
                ));
            }
            _ => drop(chat.extra.insert(name, value)),
        }
    }
    chat.user = safety_identifier.or(chat.user);
    Ok(chat)
}

fn tools(value: Value, at: At<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    for (index, value) in list(value, at)?.into_iter().enumerate() {
        let at = at.index(index);
        let mut tool = object(value, at)?;
        let kind = need_text(&mut tool, "type", &at)?;
        if kind != "function" {
            let what =
                format_args!("is `{kind:.60}`: of the tools of this dialect only `function` is served");
            return Err(at.key("type").wrong(what));
        }
        chat.tools.push(function(tool, at, &mut chat.extra)?);
    }
    Ok(())
}

fn tool_choice(value: Value, at: At<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let mut choice = match value {
        Value::String(word) => {
            chat.tool_choice = word_choice(&word, at)?;
            return Ok(());
        }
        other => object(other, at)?,
    };
    if choice.get("type").and_then(Value::as_str) == Some("function") {
        chat.tool_choice = ToolChoice::Named(need_text(&mut choice, "name", &at)?);
    } else {
        chat.extra.insert(at.to_string(), Value::Object(choice));
    }
    Ok(())
}

fn format(value: Value, at: At<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let mut text = object(value, at)?;
    // Chat completions have it one level higher, and no other dialect has it at all.
    if let Some(verbosity) = take(&mut text, "verbosity").filter(|verbosity| verbosity != "medium") {
        chat.extra.insert("verbosity".into(), verbosity);
    }
    if let Some(format) = take(&mut text, "format") {
        let at = at.key("format");
        let mut format = object(format, at)?;
        let kind = need_text(&mut format, "type", &at)?;
        chat.format = match kind.as_str() {
            "text" => Format::Text,
            "json_object" => Format::JsonObject,
            "json_schema" => json_schema(format, at, &mut chat.extra)?,
            _ => return Err(at.key("type").unknown(&kind, "text, json_object and json_schema")),
        };
    }
    leave(text, &at, &mut chat.extra);
    Ok(())
}

fn reasoning(value: Value, at: At<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let mut reasoning = object(value, at)?;
    if let Some(word) = take(&mut reasoning, "effort") {
        match effort(&text(word, at.key("effort"))?) {
            Ok(effort) => chat.reasoning = Some(effort),
            // Chat completions' name for it.
            Err(other) => drop(chat.extra.insert("reasoning_effort".into(), other)),
        }
    }
    // What the provider shows of its reasoning is passed on, always.
    reasoning.remove("summary");
    reasoning.remove("generate_summary");
    leave(reasoning, &at, &mut chat.extra);
    Ok(())
}

fn include(value: Value, at: At<'_>, extra: &mut Map<String, Value>) -> Result<(), BadRequest> {
    let mut list = list(value, at)?;
    // An answer carries it always.
    list.retain(|name| name != "reasoning.encrypted_content");
    if !list.is_empty() {
        extra.insert(at.to_string(), Value::Array(list));
    }
    Ok(())
}
