//! The question.

mod blocks;

use crate::chat::{Chat, Effort, Format, Part, Reasoning, Tool, ToolChoice, Turn};
use crate::dialect::at::{
    At, BadRequest, count, flag, leave, list, may_text, need_text, number, object, take, text, texts,
};
use crate::dialect::head::token_limit;
use serde_json::{Map, Value};

/// Reads a body whose head was read.
pub(in crate::dialect) fn read(mut body: Map<String, Value>) -> Result<Chat, BadRequest> {
    let mut chat = Chat::default();
    // Who is responsible comes first, whatever the order of the keys.
    if let Some(system) = take(&mut body, "system") {
        let parts = blocks::system(system, At::field("system"), &mut chat.extra)?;
        chat.turns.push(Turn::System(parts));
    }
    let output = take(&mut body, "output_config");
    let effort = output_config(output, &mut chat)?;
    for (name, value) in body {
        let at = At::field(&name);
        if value.is_null() {
            continue;
        }
        match name.as_str() {
            // Read with the head.
            "model" | "stream" => {}
            "messages" => turns(value, at, &mut chat)?,
            "tools" => chat.tools = tools(value, at, &mut chat.extra)?,
            "tool_choice" => tool_choice(value, at, &mut chat)?,
            "max_tokens" => chat.max_output_tokens = Some(token_limit(&value, at)?),
            "temperature" => chat.sampling.temperature = Some(number(&value, at)?),
            "top_p" => chat.sampling.top_p = Some(number(&value, at)?),
            "top_k" => chat.sampling.top_k = Some(count(&value, at)?),
            "stop_sequences" => chat.sampling.stop = texts(value, at)?,
            "thinking" => thinking(value, at, effort, &mut chat)?,
            "metadata" => metadata(value, at, &mut chat)?,
            "output_format" => chat.format = format(value, at, &mut chat.extra)?,
            "service_tier" if value == "auto" => {}
            _ => drop(chat.extra.insert(name, value)),
        }
    }
    Ok(chat)
}

fn turns(value: Value, at: At<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    for (index, message) in list(value, at)?.into_iter().enumerate() {
        let at = at.index(index);
        let mut message = object(message, at)?;
        let role = need_text(&mut message, "role", &at)?;
        let at_content = at.key("content");
        let content = take(&mut message, "content").ok_or_else(|| at_content.missing())?;
        match role.as_str() {
            "user" => blocks::user(content, at_content, &mut chat.turns, &mut chat.extra)?,
            "assistant" => chat.turns.push(blocks::assistant(content, at_content, &mut chat.extra)?),
            // Newer models take instructions in between.
            "system" => {
                let parts = blocks::system(content, at_content, &mut chat.extra)?;
                chat.turns.push(Turn::System(parts));
            }
            _ => return Err(at.key("role").unknown(&role, "user, assistant and system")),
        }
        leave(message, &at, &mut chat.extra);
    }
    Ok(())
}

fn tools(value: Value, at: At<'_>, extra: &mut Map<String, Value>) -> Result<Vec<Tool>, BadRequest> {
    let mut tools = Vec::new();
    for (index, value) in list(value, at)?.into_iter().enumerate() {
        let at = at.index(index);
        let mut tool = object(value, at)?;
        let kind = may_text(&mut tool, "type", &at)?;
        if let Some(kind) = kind.filter(|kind| kind != "custom") {
            // A tool that runs at the provider.
            tool.insert("type".into(), kind.into());
            extra.insert(at.to_string(), Value::Object(tool));
            continue;
        }
        let at_schema = at.key("input_schema");
        let schema = take(&mut tool, "input_schema").ok_or_else(|| at_schema.missing())?;
        tools.push(Tool {
            name: need_text(&mut tool, "name", &at)?,
            description: may_text(&mut tool, "description", &at)?,
            parameters: Value::Object(object(schema, at_schema)?),
            strict: take(&mut tool, "strict").map(|strict| flag(&strict, at.key("strict"))).transpose()?,
        });
        // A hint that the neutral words have no place for.
        tool.remove("cache_control");
        leave(tool, &at, extra);
    }
    Ok(tools)
}

fn tool_choice(value: Value, at: At<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let mut choice = object(value, at)?;
    let kind = need_text(&mut choice, "type", &at)?;
    chat.tool_choice = match kind.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(need_text(&mut choice, "name", &at)?),
        _ => return Err(at.key("type").unknown(&kind, "auto, any, tool and none")),
    };
    if let Some(one) = take(&mut choice, "disable_parallel_tool_use") {
        let one = flag(&one, at.key("disable_parallel_tool_use"))?;
        chat.parallel_tool_calls = Some(!one);
    }
    leave(choice, &at, &mut chat.extra);
    Ok(())
}

/// What the answer looks like, and the effort. The rest stays in its place.
fn output_config(value: Option<Value>, chat: &mut Chat) -> Result<Option<Effort>, BadRequest> {
    let at = At::field("output_config");
    let Some(value) = value else { return Ok(None) };
    let mut config = object(value, at)?;
    if let Some(format) = take(&mut config, "format") {
        chat.format = self::format(format, at.key("format"), &mut chat.extra)?;
    }
    let effort = match config.get("effort").and_then(Value::as_str) {
        Some("low") => Some(Effort::Low),
        Some("medium") => Some(Effort::Medium),
        Some("high") => Some(Effort::High),
        _ => None,
    };
    if let Some(effort) = effort {
        config.remove("effort");
        chat.reasoning = Some(Reasoning::Effort(effort));
    }
    if config.values().any(|value| !value.is_null()) {
        chat.extra.insert("output_config".into(), Value::Object(config));
    }
    Ok(effort)
}

fn thinking(value: Value, at: At<'_>, effort: Option<Effort>, chat: &mut Chat) -> Result<(), BadRequest> {
    let mut thinking = object(value, at)?;
    let kind = need_text(&mut thinking, "type", &at)?;
    chat.reasoning = Some(match kind.as_str() {
        "disabled" => Reasoning::Off,
        "enabled" => {
            let at = at.key("budget_tokens");
            let budget = take(&mut thinking, "budget_tokens").ok_or_else(|| at.missing())?;
            Reasoning::Tokens(count(&budget, at)?)
        }
        // As much as the model finds right, under an effort that is high where nothing else is said.
        "adaptive" => Reasoning::Effort(effort.unwrap_or(Effort::High)),
        _ => return Err(at.key("type").unknown(&kind, "enabled, disabled and adaptive")),
    });
    // Whether a summary of it is shown: as the provider likes.
    thinking.remove("display");
    leave(thinking, &at, &mut chat.extra);
    Ok(())
}

fn metadata(value: Value, at: At<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let mut metadata = object(value, at)?;
    chat.user = take(&mut metadata, "user_id").map(|user| text(user, at.key("user_id"))).transpose()?;
    if metadata.values().any(|value| !value.is_null()) {
        chat.extra.insert("metadata".into(), Value::Object(metadata));
    }
    Ok(())
}

fn format(value: Value, at: At<'_>, extra: &mut Map<String, Value>) -> Result<Format, BadRequest> {
    let mut format = object(value, at)?;
    let kind = need_text(&mut format, "type", &at)?;
    if kind != "json_schema" {
        return Err(at.key("type").unknown(&kind, "json_schema"));
    }
    let at_schema = at.key("schema");
    let schema = take(&mut format, "schema").ok_or_else(|| at_schema.missing())?;
    let schema = Value::Object(object(schema, at_schema)?);
    leave(format, &at, extra);
    // The dialect has no names for schemas, and always keeps to them.
    Ok(Format::JsonSchema { name: "answer".into(), description: None, schema, strict: Some(true) })
}

/// Whether a block carries the mark that the prefix up to it is worth caching. For how long is a hint.
fn cache_point(block: &mut Map<String, Value>) -> Option<Part> {
    take(block, "cache_control").map(|_| Part::CachePoint)
}
