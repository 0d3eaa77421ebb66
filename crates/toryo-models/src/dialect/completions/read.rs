//! The question.

use super::parts;
use crate::chat::{Chat, Effort, Format, Part, Reasoning, Tool, ToolCall, ToolChoice, Turn};
use crate::dialect::at::{
    At, BadRequest, count, flag, leave, list, may_text, need_text, number, object, take, text, texts,
};
use crate::dialect::head::token_limit;
use serde_json::{Map, Value, json};

/// Reads a body whose head was read.
pub(in crate::dialect) fn read(body: Map<String, Value>) -> Result<Chat, BadRequest> {
    let mut chat = Chat::default();
    let mut safety_identifier = None;
    for (name, value) in body {
        let at = At::field(&name);
        if value.is_null() || is_the_rule(&name, &value) {
            continue;
        }
        match name.as_str() {
            // Read with the head. Which tokens a cache is found by is a hint.
            "model" | "stream" | "stream_options" | "prompt_cache_key" | "prompt_cache_retention" => {}
            "messages" => chat.turns = turns(value, at, &mut chat.extra)?,
            "tools" => chat.tools = tools(value, at, &mut chat.extra)?,
            "tool_choice" => match tool_choice(value, at)? {
                Ok(choice) => chat.tool_choice = choice,
                Err(other) => drop(chat.extra.insert(name, other)),
            },
            "functions" | "function_call" => {
                return Err(
                    at.wrong("is of an older version of this dialect: send `tools` and `tool_choice`")
                );
            }
            "parallel_tool_calls" => chat.parallel_tool_calls = Some(flag(&value, at)?),
            "response_format" => chat.format = format(value, at, &mut chat.extra)?,
            "max_completion_tokens" | "max_tokens" => {
                let limit = token_limit(&value, at)?;
                chat.max_output_tokens = Some(chat.max_output_tokens.map_or(limit, |other| other.min(limit)));
            }
            "temperature" => chat.sampling.temperature = Some(number(&value, at)?),
            "top_p" => chat.sampling.top_p = Some(number(&value, at)?),
            "top_k" => chat.sampling.top_k = Some(count(&value, at)?),
            "presence_penalty" => chat.sampling.presence_penalty = Some(number(&value, at)?),
            "frequency_penalty" => chat.sampling.frequency_penalty = Some(number(&value, at)?),
            "seed" => {
                let seed = value.as_i64().ok_or_else(|| at.wrong("has to be a whole number"))?;
                chat.sampling.seed = Some(seed);
            }
            "stop" => chat.sampling.stop = stop(value, at)?,
            "reasoning_effort" => match effort(&text(value, at)?) {
                Ok(reasoning) => chat.reasoning = Some(reasoning),
                Err(other) => drop(chat.extra.insert(name, other)),
            },
            "user" => chat.user = Some(text(value, at)?),
            "safety_identifier" => safety_identifier = Some(text(value, at)?),
            _ => drop(chat.extra.insert(name, value)),
        }
    }
    // OpenAI's newer name for the same thing.
    chat.user = safety_identifier.or(chat.user);
    Ok(chat)
}

/// Whether a parameter says what is so without it: no demand that a provider could lack.
pub(in crate::dialect) fn is_the_rule(name: &str, value: &Value) -> bool {
    match name {
        "n" => value.as_u64() == Some(1),
        "store" | "logprobs" => value.as_bool() == Some(false),
        "top_logprobs" => value.as_u64() == Some(0),
        "service_tier" => matches!(value.as_str(), Some("auto" | "default")),
        "modalities" => value.as_array().is_some_and(|list| list.iter().all(|mode| mode == "text")),
        "logit_bias" | "metadata" => value.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

/// Effort in words; other words than ours come back as they are.
pub(in crate::dialect) fn effort(word: &str) -> Result<Reasoning, Value> {
    Ok(Reasoning::Effort(match word {
        "none" => return Ok(Reasoning::Off),
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        _ => return Err(word.into()),
    }))
}

fn turns(value: Value, at: At<'_>, extra: &mut Map<String, Value>) -> Result<Vec<Turn>, BadRequest> {
    let messages = list(value, at)?.into_iter().enumerate();
    messages.map(|(index, message)| turn(message, at.index(index), extra)).collect()
}

fn turn(message: Value, at: At<'_>, extra: &mut Map<String, Value>) -> Result<Turn, BadRequest> {
    let mut message = object(message, at)?;
    let role = need_text(&mut message, "role", &at)?;
    let content = take(&mut message, "content");
    let turn = match role.as_str() {
        "assistant" => assistant(content, &mut message, at, extra)?,
        "system" | "developer" | "user" | "tool" => {
            let at_content = at.key("content");
            let parts = parts::read(content.ok_or_else(|| at_content.missing())?, at_content, extra)?;
            match role.as_str() {
                "user" => Turn::User(parts),
                "tool" => {
                    let call_id = need_text(&mut message, "tool_call_id", &at)?;
                    // The function's name: the call has it.
                    message.remove("name");
                    Turn::Tool { call_id, parts, failed: false }
                }
                _ => Turn::System(parts),
            }
        }
        "function" => {
            return Err(at.key("role").wrong("is of an older version of this dialect: send the role `tool`"));
        }
        _ => return Err(at.key("role").unknown(&role, "system, developer, user, assistant and tool")),
    };
    leave(message, &at, extra);
    Ok(turn)
}

fn assistant(
    content: Option<Value>,
    message: &mut Map<String, Value>,
    at: At<'_>,
    extra: &mut Map<String, Value>,
) -> Result<Turn, BadRequest> {
    let mut said = Vec::new();
    if let Some(blocks) = take(message, "thinking_blocks") {
        said = parts::thinking(blocks, at.key("thinking_blocks"))?;
    }
    // Our own words come back: no provider takes reasoning that nobody signed.
    message.remove("reasoning_content");
    // What an answer says besides, and says so in vain when it comes back.
    message.remove("annotations");
    if let Some(content) = content {
        said.extend(parts::read(content, at.key("content"), extra)?);
    }
    if let Some(refusal) = may_text(message, "refusal", &at)? {
        said.push(Part::Refusal(refusal));
    }
    if take(message, "function_call").is_some() {
        return Err(at
            .key("function_call")
            .wrong("is of an older version of this dialect: send `tool_calls`"));
    }
    let at_calls = at.key("tool_calls");
    let calls = take(message, "tool_calls").map_or(Ok(Vec::new()), |calls| list(calls, at_calls))?;
    let calls = calls.into_iter().enumerate();
    let tool_calls =
        calls.map(|(index, call)| tool_call(call, at_calls.index(index), extra)).collect::<Result<_, _>>()?;
    Ok(Turn::Assistant { parts: said, tool_calls })
}

fn tool_call(call: Value, at: At<'_>, extra: &mut Map<String, Value>) -> Result<ToolCall, BadRequest> {
    let mut call = object(call, at)?;
    let kind = may_text(&mut call, "type", &at)?;
    if let Some(kind) = kind.filter(|kind| kind != "function") {
        return Err(at.key("type").unknown(&kind, "function"));
    }
    // A stream's number of the call, which some clients send back.
    call.remove("index");
    let at_function = at.key("function");
    let mut function =
        object(take(&mut call, "function").ok_or_else(|| at_function.missing())?, at_function)?;
    let id = need_text(&mut call, "id", &at)?;
    let name = need_text(&mut function, "name", &at_function)?;
    let arguments = need_text(&mut function, "arguments", &at_function)?;
    leave(call, &at, extra);
    leave(function, &at_function, extra);
    Ok(ToolCall { id, name, arguments })
}

fn tools(value: Value, at: At<'_>, extra: &mut Map<String, Value>) -> Result<Vec<Tool>, BadRequest> {
    let mut tools = Vec::new();
    for (index, value) in list(value, at)?.into_iter().enumerate() {
        let at = at.index(index);
        let mut tool = object(value, at)?;
        let kind = need_text(&mut tool, "type", &at)?;
        if kind != "function" {
            tool.insert("type".into(), kind.into());
            extra.insert(at.to_string(), Value::Object(tool));
            continue;
        }
        let at_function = at.key("function");
        let function = take(&mut tool, "function").ok_or_else(|| at_function.missing())?;
        tools.push(self::function(object(function, at_function)?, at_function, extra)?);
        // A hint: see `parts`.
        tool.remove("cache_control");
        leave(tool, &at, extra);
    }
    Ok(tools)
}

/// A function that may be called; the responses have the same members one level higher.
pub(in crate::dialect) fn function(
    mut function: Map<String, Value>,
    at: At<'_>,
    extra: &mut Map<String, Value>,
) -> Result<Tool, BadRequest> {
    let parameters = match take(&mut function, "parameters") {
        Some(schema) => Value::Object(object(schema, at.key("parameters"))?),
        None => json!({ "type": "object", "properties": {} }),
    };
    let tool = Tool {
        name: need_text(&mut function, "name", &at)?,
        description: may_text(&mut function, "description", &at)?,
        parameters,
        strict: take(&mut function, "strict").map(|strict| flag(&strict, at.key("strict"))).transpose()?,
    };
    leave(function, &at, extra);
    Ok(tool)
}

/// What we have no word for comes back.
fn tool_choice(value: Value, at: At<'_>) -> Result<Result<ToolChoice, Value>, BadRequest> {
    let mut choice = match value {
        Value::String(word) => return word_choice(&word, at).map(Ok),
        other => object(other, at)?,
    };
    if choice.get("type").and_then(Value::as_str) != Some("function") {
        return Ok(Err(Value::Object(choice)));
    }
    let at = at.key("function");
    let mut function = object(take(&mut choice, "function").ok_or_else(|| at.missing())?, at)?;
    Ok(Ok(ToolChoice::Named(need_text(&mut function, "name", &at)?)))
}

/// A choice in one word.
pub(in crate::dialect) fn word_choice(word: &str, at: At<'_>) -> Result<ToolChoice, BadRequest> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => Err(at.unknown(word, "auto, none, required and a function by its name")),
    }
}

fn format(value: Value, at: At<'_>, extra: &mut Map<String, Value>) -> Result<Format, BadRequest> {
    let mut format = object(value, at)?;
    let kind = need_text(&mut format, "type", &at)?;
    let read = match kind.as_str() {
        "text" => Format::Text,
        "json_object" => Format::JsonObject,
        "json_schema" => {
            let at = at.key("json_schema");
            let schema = take(&mut format, "json_schema").ok_or_else(|| at.missing())?;
            json_schema(object(schema, at)?, at, extra)?
        }
        _ => return Err(at.key("type").unknown(&kind, "text, json_object and json_schema")),
    };
    leave(format, &at, extra);
    Ok(read)
}

/// A schema with its name; the responses have the same members one level higher.
pub(in crate::dialect) fn json_schema(
    mut format: Map<String, Value>,
    at: At<'_>,
    extra: &mut Map<String, Value>,
) -> Result<Format, BadRequest> {
    let at_schema = at.key("schema");
    let schema = take(&mut format, "schema").ok_or_else(|| at_schema.missing())?;
    let read = Format::JsonSchema {
        name: need_text(&mut format, "name", &at)?,
        description: may_text(&mut format, "description", &at)?,
        schema: Value::Object(object(schema, at_schema)?),
        strict: take(&mut format, "strict").map(|strict| flag(&strict, at.key("strict"))).transpose()?,
    };
    leave(format, &at, extra);
    Ok(read)
}

fn stop(value: Value, at: At<'_>) -> Result<Vec<String>, BadRequest> {
    match value {
        Value::String(stop) => Ok(vec![stop]),
        other => texts(other, at),
    }
}
