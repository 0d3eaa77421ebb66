//! A question as Anthropic's Messages take it.

use super::unsupported;
use crate::chat::{Chat, Effort, Format, Image, Part, Reasoning, ToolCall, ToolChoice, Turn};
use crate::provider::parameters::{self, Wire};
use crate::provider::{Ask, ProviderError, forced, number};
use reqwest::header::HeaderValue;
use serde_json::{Map, Value, json};

/// Where the names of beta features travel in a chat; over the wire they are a header.
pub(super) const BETA_FIELD: &str = "anthropic_beta";
/// The fewest tokens of visible reasoning that the API takes.
const LEAST_THINKING: u32 = 1_024;
/// The most cache points that the API takes.
const MOST_CACHE_POINTS: usize = 4;

/// What only this dialect knows and passes on as it came.
const OWN_BLOCKS: [&str; 11] = [
    "bash_code_execution_tool_result",
    "code_execution_tool_result",
    "container_upload",
    "document",
    "mcp_tool_result",
    "mcp_tool_use",
    "search_result",
    "server_tool_use",
    "text_editor_code_execution_tool_result",
    "web_fetch_tool_result",
    "web_search_tool_result",
];

/// The question in neutral words, and the header of beta features. Left out, because they are wishes and not
/// contents: `temperature`, `top_p` and `top_k` for models that refuse them or think visibly, how closely to look at
/// a picture, and `strict` of functions, whose arguments are untrusted either way.
pub(super) fn neutral(ask: &Ask<'_>) -> Result<(Vec<u8>, Option<HeaderValue>), ProviderError> {
    let chat = ask.chat;
    let mut body = parameters::extra(chat, Wire::Anthropic)?;
    let beta = betas(body.remove(BETA_FIELD).as_ref(), None)?;
    let thinking = thinking(chat, ask.max_output_tokens)?;
    let mut set = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    set("model", ask.model.into());
    set("max_tokens", ask.max_output_tokens.into());
    if ask.stream {
        set("stream", true.into());
    }
    let (system, messages) = conversation(&chat.turns)?;
    if !system.is_empty() {
        set("system", system.into());
    }
    set("messages", messages.into());
    sampling(ask, thinking.is_some(), &mut set)?;
    if let Some(tokens) = thinking {
        set("thinking", json!({"type": "enabled", "budget_tokens": tokens}));
    }
    if let Some(user) = &chat.user {
        set("metadata", json!({"user_id": user}));
    }
    let (tools, choice) = tools(chat, thinking.is_some())?;
    if !tools.is_empty() {
        set("tools", tools.into());
    }
    if let Some(choice) = choice {
        set("tool_choice", choice);
    }
    let mut body = Value::Object(body);
    keep_last_cache_points(&mut body);
    Ok((serde_json::to_vec(&body).unwrap_or_default(), beta))
}

/// The header's value: names of the body, as a text or a list of texts, and those of the client's own header, each
/// once. `None` where there are none.
pub(super) fn betas(
    body: Option<&Value>,
    header: Option<&str>,
) -> Result<Option<HeaderValue>, ProviderError> {
    let wrong = || unsupported("a beta feature without a name");
    let texts: Vec<&str> = match body {
        None => Vec::new(),
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => {
            names.iter().map(Value::as_str).collect::<Option<Vec<_>>>().ok_or_else(wrong)?
        }
        Some(_) => return Err(wrong()),
    };
    let mut names: Vec<&str> = Vec::new();
    for name in texts.into_iter().chain(header).flat_map(|text| text.split(',')).map(str::trim) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    let value = (!names.is_empty()).then(|| HeaderValue::from_str(&names.join(",")));
    value.transpose().map_err(|_| wrong())
}

/// Tokens of visible reasoning. Effort in words becomes budgets that fit into the answer's limit.
pub(in crate::provider) fn thinking(chat: &Chat, limit: u32) -> Result<Option<u32>, ProviderError> {
    let wanted = match chat.reasoning {
        None | Some(Reasoning::Off | Reasoning::Effort(Effort::Minimal)) => return Ok(None),
        Some(Reasoning::Tokens(tokens)) => tokens.max(LEAST_THINKING),
        Some(Reasoning::Effort(Effort::Low)) => LEAST_THINKING,
        Some(Reasoning::Effort(Effort::Medium)) => 4 * LEAST_THINKING,
        Some(Reasoning::Effort(Effort::High)) => 16 * LEAST_THINKING,
    };
    if limit <= LEAST_THINKING {
        return Err(unsupported("reasoning within so few tokens"));
    }
    Ok(Some(wanted.min(limit - 1)))
}

fn sampling(ask: &Ask<'_>, thinks: bool, set: &mut impl FnMut(&str, Value)) -> Result<(), ProviderError> {
    let sampling = &ask.chat.sampling;
    if !sampling.stop.is_empty() {
        set("stop_sequences", json!(sampling.stop));
    }
    if thinks || !ask.takes_temperature {
        return Ok(());
    }
    if sampling.temperature.is_some_and(|temperature| temperature > 1.0) {
        return Err(ProviderError::unsupported_value("temperature", "`temperature` above 1"));
    }
    sampling.temperature.inspect(|value| set("temperature", number(*value)));
    sampling.top_p.inspect(|value| set("top_p", number(*value)));
    sampling.top_k.inspect(|value| set("top_k", (*value).into()));
    Ok(())
}

/// Instructions, and turns of user and model by turns.
fn conversation(turns: &[Turn]) -> Result<(Vec<Value>, Vec<Value>), ProviderError> {
    let mut system = Vec::new();
    let mut messages: Vec<(&str, Vec<Value>)> = Vec::new();
    for turn in turns {
        let (role, mut blocks) = match turn {
            Turn::System(parts) => {
                push_parts(&mut system, parts, Speaker::System)?;
                continue;
            }
            Turn::User(parts) => ("user", parts_of(parts, Speaker::User)?),
            Turn::Assistant { parts, tool_calls } => {
                let mut blocks = parts_of(parts, Speaker::Assistant)?;
                for call in tool_calls {
                    blocks.push(tool_use(call)?);
                }
                ("assistant", blocks)
            }
            Turn::Tool { call_id, parts, failed } => ("user", vec![tool_result(call_id, parts, *failed)?]),
        };
        match messages.last_mut() {
            Some((last, before)) if *last == role => {
                // Results come first in their message, whatever was said in between.
                let results = before.iter().take_while(|block| block["type"] == "tool_result").count();
                let at = if matches!(turn, Turn::Tool { .. }) { results } else { before.len() };
                before.splice(at..at, blocks.drain(..));
            }
            _ => messages.push((role, blocks)),
        }
    }
    let message = |(role, content): (&str, Vec<Value>)| json!({"role": role, "content": content});
    // A turn of nothing would be refused, and says nothing.
    let messages = messages.into_iter().filter(|(_, blocks)| !blocks.is_empty()).map(message);
    Ok((system, messages.collect()))
}

fn tool_use(call: &ToolCall) -> Result<Value, ProviderError> {
    let input = arguments(call)?;
    Ok(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}))
}

/// Arguments as an object; none are none.
pub(in crate::provider) fn arguments(call: &ToolCall) -> Result<Value, ProviderError> {
    if call.arguments.trim().is_empty() {
        return Ok(json!({}));
    }
    let arguments = serde_json::from_str(&call.arguments).ok().filter(Value::is_object);
    arguments.ok_or_else(|| unsupported("a function call whose arguments are not a JSON object"))
}

fn tool_result(call_id: &str, parts: &[Part], failed: bool) -> Result<Value, ProviderError> {
    let mut content = parts_of(parts, Speaker::Tool)?;
    let mut result = json!({"type": "tool_result", "tool_use_id": call_id});
    // A cache point after the result is the result's own.
    if let Some(control) = content.last_mut().and_then(|last| last.as_object_mut()?.remove("cache_control")) {
        result["cache_control"] = control;
    }
    if !content.is_empty() {
        result["content"] = content.into();
    }
    if failed {
        result["is_error"] = true.into();
    }
    Ok(result)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    System,
    User,
    Assistant,
    Tool,
}

fn parts_of(parts: &[Part], speaker: Speaker) -> Result<Vec<Value>, ProviderError> {
    let mut blocks = Vec::with_capacity(parts.len());
    push_parts(&mut blocks, parts, speaker)?;
    Ok(blocks)
}

fn push_parts(blocks: &mut Vec<Value>, parts: &[Part], speaker: Speaker) -> Result<(), ProviderError> {
    for part in parts {
        match (part, speaker) {
            (Part::Text(text) | Part::Refusal(text), _) if text.is_empty() => {}
            (Part::Text(text), _) | (Part::Refusal(text), Speaker::Assistant) => {
                blocks.push(json!({"type": "text", "text": text}));
            }
            (Part::Image(image), Speaker::User | Speaker::Tool) => blocks.push(picture(image)),
            (Part::CachePoint, _) => {
                if let Some(last) = blocks.last_mut().filter(|last| last["type"] != "thinking") {
                    last["cache_control"] = json!({"type": "ephemeral"});
                }
            }
            (Part::Reasoning(block), Speaker::Assistant)
                if matches!(block["type"].as_str(), Some("thinking" | "redacted_thinking")) =>
            {
                blocks.push(block.clone());
            }
            (Part::Other(block), _)
                if block["type"].as_str().is_some_and(|kind| OWN_BLOCKS.contains(&kind)) =>
            {
                blocks.push(block.clone());
            }
            (Part::Image(_), _) => return Err(unsupported("a picture of the model's or in instructions")),
            (Part::Refusal(_), _) => return Err(unsupported("a refusal outside an assistant's message")),
            (Part::Reasoning(_), _) => return Err(unsupported("earlier reasoning of another provider")),
            (Part::Other(block), _) => {
                let kind: String = block["type"].as_str().unwrap_or("unknown").chars().take(40).collect();
                return Err(unsupported(&format!("content of the type `{kind}`")));
            }
        }
    }
    Ok(())
}

fn picture(image: &Image) -> Value {
    let source = match image {
        Image::Url { url, .. } => json!({"type": "url", "url": url}),
        Image::Inline { media_type, data, .. } => {
            json!({"type": "base64", "media_type": media_type, "data": data})
        }
    };
    json!({"type": "image", "source": source})
}

/// The tools, and which has to be called.
fn tools(chat: &Chat, thinks: bool) -> Result<(Vec<Value>, Option<Value>), ProviderError> {
    match &chat.format {
        Format::Text => {}
        Format::JsonObject => return Err(unsupported("a JSON object without a schema")),
        Format::JsonSchema { description, schema, .. } => {
            forced::check(chat)?;
            if thinks {
                return Err(unsupported("a JSON schema together with visible reasoning"));
            }
            let name = forced::name(&chat.format);
            let description = description.as_deref().unwrap_or("Gives the answer.");
            let tool = json!({"name": name, "description": description, "input_schema": schema});
            let choice = json!({"type": "tool", "name": name, "disable_parallel_tool_use": true});
            return Ok((vec![tool], Some(choice)));
        }
    }
    let tools: Vec<Value> = chat.tools.iter().map(tool).collect();
    if tools.is_empty() {
        return Ok((tools, None));
    }
    let one_by_one = chat.parallel_tool_calls == Some(false);
    let mut choice = match &chat.tool_choice {
        ToolChoice::Auto if one_by_one => json!({"type": "auto"}),
        ToolChoice::Auto => return Ok((tools, None)),
        ToolChoice::None => return Ok((tools, Some(json!({"type": "none"})))),
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Named(name) => json!({"type": "tool", "name": name}),
    };
    if one_by_one {
        choice["disable_parallel_tool_use"] = true.into();
    }
    Ok((tools, Some(choice)))
}

fn tool(tool: &crate::chat::Tool) -> Value {
    let mut written = json!({"name": tool.name, "input_schema": schema_of(&tool.parameters)});
    if let Some(description) = &tool.description {
        written["description"] = description.as_str().into();
    }
    written
}

/// A function without arguments may have no schema elsewhere.
pub(in crate::provider) fn schema_of(parameters: &Value) -> Value {
    if parameters.get("type").is_some() {
        parameters.clone()
    } else {
        json!({"type": "object", "properties": {}})
    }
}

/// More cache points than the API takes would fail the call; the last ones stand for the longest prefixes.
fn keep_last_cache_points(body: &mut Value) {
    let mut count = 0_usize;
    walk(body, &mut |_| count += 1);
    let mut too_many = count.saturating_sub(MOST_CACHE_POINTS);
    walk(body, &mut |block| {
        if too_many > 0 {
            too_many -= 1;
            block.remove("cache_control");
        }
    });
}

/// Visits the blocks with a cache point: instructions first, then messages in order, as the API caches them.
fn walk(body: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    fn blocks(list: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
        for block in list.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            if block.contains_key("cache_control") {
                visit(block);
            }
        }
    }
    blocks(&mut body["system"], visit);
    for message in body["messages"].as_array_mut().into_iter().flatten() {
        blocks(&mut message["content"], visit);
    }
    // Looking made a field where there was none.
    if let Some(body) = body.as_object_mut() {
        body.retain(|_, value| !value.is_null());
    }
}
