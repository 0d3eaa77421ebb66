//! A question as OpenAI's chat completions take it: in neutral words, or the client's own with a few fields replaced.

use super::Rules;
use crate::chat::{Effort, Format, Image, Part, Reasoning, ToolCall, ToolChoice, Turn};
use crate::config::StructuredOutput;
use crate::inbound::Inbound;
use crate::provider::native::{Fields, json_text};
use crate::provider::{Ask, ProviderError, forced, number, parameters};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The client's own bytes with the model, the limit of tokens and what the gateway must add.
pub(super) fn native(inbound: &Inbound, ask: &Ask<'_>, rules: &Rules) -> Result<Vec<u8>, ProviderError> {
    let fields = Fields::read(&inbound.body)?;
    let limit = ask.max_output_tokens.to_string();
    let mut own: Vec<(&str, Cow<'_, str>)> =
        vec![("model", json_text(ask.model).into()), (rules.limit_field(), limit.into())];
    if ask.stream {
        own.push(("stream", "true".into()));
        own.push(("stream_options", with_usage(fields.get("stream_options"))));
    }
    // A server that may not know the field gets it only where its client sent it.
    if !rules.may_store && (rules.is_openai || fields.get("store").is_some()) {
        own.push(("store", "false".into()));
    }
    let without = ["max_tokens", "max_completion_tokens", "stream", "stream_options"];
    Ok(fields.with(&own, &without))
}

/// The client's options of a stream, and the tokens in its last chunk.
fn with_usage(options: Option<&str>) -> Cow<'static, str> {
    let options = options.and_then(|options| serde_json::from_str::<Map<String, Value>>(options).ok());
    match options {
        Some(mut options) if !options.is_empty() => {
            options.insert("include_usage".to_owned(), Value::Bool(true));
            Value::Object(options).to_string().into()
        }
        _ => r#"{"include_usage":true}"#.into(),
    }
}

/// The question in neutral words. A cache point is left out: OpenAI and the servers that follow it cache prefixes by
/// themselves. `temperature` and `top_p` are wishes: left out for models that refuse them.
pub(super) fn neutral(ask: &Ask<'_>, rules: &Rules) -> Result<Vec<u8>, ProviderError> {
    let chat = ask.chat;
    let mut body = parameters::extra(chat, rules.wire())?;
    let mut set = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    set("model", ask.model.into());
    let mut messages = chat.turns.iter().map(message).collect::<Result<Vec<_>, _>>()?;
    let sampling = &chat.sampling;
    if ask.takes_temperature {
        sampling.temperature.inspect(|value| set("temperature", number(*value)));
        sampling.top_p.inspect(|value| set("top_p", number(*value)));
    }
    sampling.top_k.inspect(|value| set("top_k", (*value).into()));
    if !sampling.stop.is_empty() {
        set("stop", json!(sampling.stop));
    }
    sampling.seed.inspect(|value| set("seed", (*value).into()));
    sampling.presence_penalty.inspect(|value| set("presence_penalty", number(*value)));
    sampling.frequency_penalty.inspect(|value| set("frequency_penalty", number(*value)));
    effort(chat.reasoning, ask.takes_temperature).inspect(|value| set("reasoning_effort", (*value).into()));
    chat.user.as_deref().inspect(|user| set("user", (*user).into()));
    set(rules.limit_field(), ask.max_output_tokens.into());
    if !chat.tools.is_empty() {
        set("tools", chat.tools.iter().map(tool).collect());
        chat.parallel_tool_calls.inspect(|value| set("parallel_tool_calls", (*value).into()));
        if let Some(choice) = tool_choice(&chat.tool_choice) {
            set("tool_choice", choice);
        }
    }
    for (name, value) in format(ask, &mut messages)? {
        set(name, value);
    }
    set("messages", Value::Array(messages));
    if ask.stream {
        set("stream", true.into());
        set("stream_options", json!({"include_usage": true}));
    }
    if !rules.may_store && (rules.is_openai || chat.extra.contains_key("store")) {
        set("store", false.into());
    }
    Ok(serde_json::to_vec(&body).unwrap_or_default())
}

fn unsupported(what: &str) -> ProviderError {
    ProviderError::unsupported(what)
}

/// Budgets in tokens become words at the borders that LiteLLM and OpenRouter draw near: below 2,048 is little,
/// from 8,192 a lot. Models that do not reason need not be told to stop it.
const fn effort(reasoning: Option<Reasoning>, takes_temperature: bool) -> Option<&'static str> {
    match reasoning {
        None => None,
        Some(Reasoning::Effort(effort)) => Some(effort.as_str()),
        Some(Reasoning::Tokens(..2_048)) => Some(Effort::Low.as_str()),
        Some(Reasoning::Tokens(..8_192)) => Some(Effort::Medium.as_str()),
        Some(Reasoning::Tokens(_)) => Some(Effort::High.as_str()),
        Some(Reasoning::Off) if takes_temperature => None,
        Some(Reasoning::Off) => Some(Effort::Minimal.as_str()),
    }
}

fn message(turn: &Turn) -> Result<Value, ProviderError> {
    Ok(match turn {
        Turn::System(parts) => json!({"role": "system", "content": content(parts, Speaker::System)?}),
        Turn::User(parts) => json!({"role": "user", "content": content(parts, Speaker::User)?}),
        Turn::Assistant { parts, tool_calls } => assistant(parts, tool_calls)?,
        Turn::Tool { call_id, parts, failed } => {
            let mut content = content(parts, Speaker::Tool)?;
            if *failed {
                // The dialect has no field for it.
                content = mark_failed(content);
            }
            json!({"role": "tool", "tool_call_id": call_id, "content": content})
        }
    })
}

fn mark_failed(content: Value) -> Value {
    const MARK: &str = "The call failed:\n";
    match content {
        Value::String(text) => Value::String(format!("{MARK}{text}")),
        Value::Array(mut parts) => {
            parts.insert(0, json!({"type": "text", "text": MARK}));
            Value::Array(parts)
        }
        other => other,
    }
}

fn assistant(parts: &[Part], calls: &[ToolCall]) -> Result<Value, ProviderError> {
    let mut message = json!({"role": "assistant"});
    let (reasoning, said): (Vec<&Part>, Vec<&Part>) =
        parts.iter().partition(|part| matches!(part, Part::Reasoning(_)));
    let said: Vec<Part> = said.into_iter().cloned().collect();
    let content = content(&said, Speaker::Assistant)?;
    let empty = content.as_str().is_some_and(str::is_empty);
    message["content"] = if empty && !calls.is_empty() { Value::Null } else { content };
    for part in reasoning {
        // Servers that show reasoning take it back as a text; a signature only its own provider understands.
        let Part::Reasoning(Value::String(text)) = part else {
            return Err(unsupported("earlier reasoning of another provider"));
        };
        message["reasoning_content"] = text.as_str().into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.iter().map(call).collect();
    }
    Ok(message)
}

fn call(call: &ToolCall) -> Value {
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    System,
    User,
    Assistant,
    Tool,
}

/// One text is sent as a text, which every server takes; anything else in parts.
fn content(parts: &[Part], speaker: Speaker) -> Result<Value, ProviderError> {
    let mut written = Vec::with_capacity(parts.len());
    for part in parts {
        written.push(match (part, speaker) {
            (Part::CachePoint, _) => continue,
            (Part::Text(text), _) => json!({"type": "text", "text": text}),
            (Part::Image(image), Speaker::User) => {
                json!({"type": "image_url", "image_url": image_url(image)})
            }
            (Part::Image(_), _) => return Err(unsupported("a picture outside a user's message")),
            (Part::Refusal(words), Speaker::Assistant) => json!({"type": "refusal", "refusal": words}),
            (Part::Refusal(_), _) => return Err(unsupported("a refusal outside an assistant's message")),
            (Part::Reasoning(_), _) => return Err(unsupported("reasoning outside an assistant's message")),
            (Part::Other(value), Speaker::User)
                if matches!(value["type"].as_str(), Some("input_audio" | "file")) =>
            {
                value.clone()
            }
            (Part::Other(value), _) => {
                let kind: String = value["type"].as_str().unwrap_or("unknown").chars().take(40).collect();
                return Err(unsupported(&format!("content of the type `{kind}`")));
            }
        });
    }
    Ok(match written.as_mut_slice() {
        [] => Value::String(String::new()),
        [only] if only["type"] == "text" => only["text"].take(),
        _ => Value::Array(written),
    })
}

fn image_url(image: &Image) -> Value {
    let (url, detail) = match image {
        Image::Url { url, detail } => (url.clone(), detail),
        Image::Inline { media_type, data, detail } => (format!("data:{media_type};base64,{data}"), detail),
    };
    let mut value = json!({"url": url});
    if let Some(detail) = detail {
        value["detail"] = detail.as_str().into();
    }
    value
}

fn tool(tool: &crate::chat::Tool) -> Value {
    let mut function = json!({"name": tool.name, "parameters": tool.parameters});
    if let Some(description) = &tool.description {
        function["description"] = description.as_str().into();
    }
    if let Some(strict) = tool.strict {
        function["strict"] = strict.into();
    }
    json!({"type": "function", "function": function})
}

fn tool_choice(choice: &ToolChoice) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("none".into()),
        ToolChoice::Required => Some("required".into()),
        ToolChoice::Named(name) => Some(json!({"type": "function", "function": {"name": name}})),
    }
}

/// How the endpoint is told what the answer has to look like.
fn format(ask: &Ask<'_>, messages: &mut Vec<Value>) -> Result<Vec<(&'static str, Value)>, ProviderError> {
    let Format::JsonSchema { name, description, schema, strict } = &ask.chat.format else {
        return Ok(match ask.chat.format {
            Format::JsonObject => vec![("response_format", json!({"type": "json_object"}))],
            Format::Text | Format::JsonSchema { .. } => Vec::new(),
        });
    };
    let with_options = |mut named: Value| {
        description.as_deref().inspect(|description| named["description"] = (*description).into());
        strict.inspect(|strict| named["strict"] = (*strict).into());
        named
    };
    Ok(match ask.structured_output {
        StructuredOutput::JsonSchema => {
            let json_schema = with_options(json!({"name": name, "schema": schema}));
            vec![("response_format", json!({"type": "json_schema", "json_schema": json_schema}))]
        }
        StructuredOutput::ToolCall => {
            forced::check(ask.chat)?;
            let name = forced::name(&ask.chat.format);
            let function = with_options(json!({"name": name, "parameters": schema}));
            let tool = json!({"type": "function", "function": function});
            let choice = json!({"type": "function", "function": {"name": name}});
            vec![("tools", json!([tool])), ("tool_choice", choice)]
        }
        StructuredOutput::JsonObject => {
            // Part of the protocol rather than of a prompt: it stands for the schema that the endpoint cannot take.
            let words = format!(
                "Answer with one JSON object and nothing else. It follows this JSON Schema, `{name}`:\n{schema}"
            );
            messages.push(json!({"role": "system", "content": words}));
            vec![("response_format", json!({"type": "json_object"}))]
        }
    })
}
