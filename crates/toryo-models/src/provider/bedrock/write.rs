//! A question as Converse takes it.

use super::document;
use crate::chat::{Chat, Format, Image, Part, Reasoning, ToolCall, ToolChoice, Turn};
use crate::config::Aws;
use crate::provider::anthropic::{arguments, schema_of, thinking};
use crate::provider::parameters::{self, Wire};
use crate::provider::{Ask, ProviderError, forced};
use aws_sdk_bedrockruntime::error::BuildError;
use aws_sdk_bedrockruntime::primitives::Blob;
use aws_sdk_bedrockruntime::types::{
    AnyToolChoice, CachePointBlock, CachePointType, ContentBlock, ConversationRole, GuardrailConfiguration,
    GuardrailStreamConfiguration, GuardrailTrace, ImageBlock, ImageFormat, ImageSource,
    InferenceConfiguration, Message, ReasoningContentBlock, ReasoningTextBlock, ServiceTier, ServiceTierType,
    SpecificToolChoice, SystemContentBlock, Tool, ToolChoice as Choice, ToolConfiguration, ToolInputSchema,
    ToolResultBlock, ToolResultContentBlock, ToolResultStatus, ToolSpecification, ToolUseBlock,
};
use aws_smithy_types::Document;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The most pairs of metadata that a request takes.
const MOST_METADATA: usize = 16;

/// The parts of a request that Converse and ConverseStream share.
pub(super) struct Question {
    pub(super) messages: Vec<Message>,
    pub(super) system: Option<Vec<SystemContentBlock>>,
    pub(super) inference: InferenceConfiguration,
    pub(super) tools: Option<ToolConfiguration>,
    pub(super) extra: Option<Document>,
    pub(super) metadata: Option<HashMap<String, String>>,
    pub(super) service_tier: Option<ServiceTier>,
    /// The functions' schemas as they were written, in the order of the functions.
    pub(super) schemas: Vec<Value>,
}

/// Left out, because they are wishes and not contents: `temperature` and `top_p` for models that refuse them or think
/// visibly, how closely to look at a picture, and `strict` of functions, whose arguments are untrusted either way.
pub(super) fn question(ask: &Ask<'_>, aws: &Aws) -> Result<Question, ProviderError> {
    let chat = ask.chat;
    let wire = Wire::of_bedrock(ask.model);
    let of_anthropic = wire == Wire::BedrockClaude;
    let mut extra = parameters::extra(chat, wire)?;
    let service_tier = service_tier(extra.remove("service_tier"))?;
    let metadata = metadata(chat, extra.remove("metadata"), aws)?;
    let thinks = reason(ask, of_anthropic, &mut extra)?;
    if let Some(top_k) = chat.sampling.top_k {
        // Each family has its own place for it.
        let (name, value) = match wire {
            Wire::BedrockNova => ("inferenceConfig", json!({"topK": top_k})),
            _ => ("top_k", top_k.into()),
        };
        extra.insert(name.to_owned(), value);
    }
    let (system, messages) = conversation(&chat.turns)?;
    let tools = tools(chat, thinks, of_anthropic, &mut extra)?;
    let schemas = match &chat.format {
        Format::JsonSchema { schema, .. } => vec![schema_of(schema)],
        Format::Text | Format::JsonObject => {
            chat.tools.iter().map(|tool| schema_of(&tool.parameters)).collect()
        }
    };
    Ok(Question {
        messages,
        system: (!system.is_empty()).then_some(system),
        inference: inference(ask, thinks)?,
        tools,
        extra: (!extra.is_empty()).then(|| document::of(&Value::Object(extra))),
        metadata,
        service_tier,
        schemas,
    })
}

fn unsupported(what: &str) -> ProviderError {
    ProviderError::unsupported(what)
}

/// A part that the SDK does not take: nothing of it can be sent.
fn unbuilt(_: BuildError) -> ProviderError {
    unsupported("a part without what Bedrock requires of it")
}

/// Each family of models is told in its own way to reason; whether it will do so visibly.
fn reason(ask: &Ask<'_>, of_anthropic: bool, extra: &mut Map<String, Value>) -> Result<bool, ProviderError> {
    let Some(wanted) = ask.chat.reasoning else { return Ok(false) };
    if of_anthropic {
        let tokens = thinking(ask.chat, ask.max_output_tokens)?;
        if let Some(tokens) = tokens {
            extra.insert("thinking".to_owned(), json!({"type": "enabled", "budget_tokens": tokens}));
        }
        return Ok(tokens.is_some());
    }
    match wanted {
        Reasoning::Off => Ok(false),
        Reasoning::Effort(effort) if ask.model.contains("openai.") => {
            extra.insert("reasoning_effort".to_owned(), effort.as_str().into());
            Ok(false)
        }
        Reasoning::Effort(_) | Reasoning::Tokens(_) => Err(unsupported("reasoning of this model")),
    }
}

fn inference(ask: &Ask<'_>, thinks: bool) -> Result<InferenceConfiguration, ProviderError> {
    let sampling = &ask.chat.sampling;
    let takes = ask.takes_temperature && !thinks;
    if takes && sampling.temperature.is_some_and(|temperature| temperature > 1.0) {
        return Err(ProviderError::unsupported_value("temperature", "`temperature` above 1"));
    }
    let stop = (!sampling.stop.is_empty()).then(|| sampling.stop.clone());
    Ok(InferenceConfiguration::builder()
        .max_tokens(i32::try_from(ask.max_output_tokens).unwrap_or(i32::MAX))
        .set_temperature(sampling.temperature.filter(|_| takes))
        .set_top_p(sampling.top_p.filter(|_| takes))
        .set_stop_sequences(stop)
        .build())
}

/// OpenAI's word for how soon an answer is wanted, which is Bedrock's as well.
fn service_tier(asked: Option<Value>) -> Result<Option<ServiceTier>, ProviderError> {
    let Some(asked) = asked else { return Ok(None) };
    let tier = match asked.as_str() {
        Some("flex") => ServiceTierType::Flex,
        Some("priority") => ServiceTierType::Priority,
        _ => return Err(ProviderError::unsupported_value("service_tier", "this `service_tier`")),
    };
    ServiceTier::builder().r#type(tier).build().map(Some).map_err(unbuilt)
}

/// The client's pairs, whom the provider may hold responsible, and the deployment's own pairs, which count most.
fn metadata(
    chat: &Chat,
    asked: Option<Value>,
    aws: &Aws,
) -> Result<Option<HashMap<String, String>>, ProviderError> {
    let holds = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || " :_@$#=/+,-.".contains(c);
        text.len() <= 256 && text.chars().all(allowed)
    };
    let mut pairs = HashMap::new();
    for (name, value) in asked.as_ref().and_then(Value::as_object).into_iter().flatten() {
        match value.as_str() {
            Some(value) if holds(name) && holds(value) => pairs.insert(name.clone(), value.to_owned()),
            _ => {
                return Err(ProviderError::unsupported_value(
                    "metadata",
                    "`metadata` that Bedrock's cannot hold",
                ));
            }
        };
    }
    if let Some(user) = &chat.user {
        if !holds(user) {
            return Err(unsupported("a name of the user that Bedrock's metadata cannot hold"));
        }
        pairs.insert("user".to_owned(), user.clone());
    }
    pairs.extend(aws.request_metadata.clone());
    if pairs.len() > MOST_METADATA {
        return Err(unsupported("more than 16 pairs of metadata"));
    }
    Ok((!pairs.is_empty()).then_some(pairs))
}

pub(super) fn guardrail(aws: &Aws) -> Result<Option<GuardrailConfiguration>, ProviderError> {
    let Some(id) = &aws.guardrail_id else { return Ok(None) };
    let guardrail = GuardrailConfiguration::builder()
        .guardrail_identifier(id)
        .guardrail_version(aws.guardrail_version.as_deref().unwrap_or("DRAFT"))
        .trace(GuardrailTrace::Enabled)
        .build();
    Ok(Some(guardrail))
}

pub(super) fn guardrail_of_stream(aws: &Aws) -> Result<Option<GuardrailStreamConfiguration>, ProviderError> {
    let Some(id) = &aws.guardrail_id else { return Ok(None) };
    let guardrail = GuardrailStreamConfiguration::builder()
        .guardrail_identifier(id)
        .guardrail_version(aws.guardrail_version.as_deref().unwrap_or("DRAFT"))
        .trace(GuardrailTrace::Enabled)
        .build();
    Ok(Some(guardrail))
}

/// Instructions, and turns of user and model by turns.
fn conversation(turns: &[Turn]) -> Result<(Vec<SystemContentBlock>, Vec<Message>), ProviderError> {
    let mut system = Vec::new();
    let mut messages: Vec<(ConversationRole, Vec<ContentBlock>)> = Vec::new();
    for turn in turns {
        let (role, blocks) = match turn {
            Turn::System(parts) => {
                for part in parts {
                    system.extend(instruction(part)?);
                }
                continue;
            }
            Turn::User(parts) => (ConversationRole::User, blocks(parts, Speaker::User)?),
            Turn::Assistant { parts, tool_calls } => {
                let mut blocks = blocks(parts, Speaker::Assistant)?;
                for call in tool_calls {
                    blocks.push(ContentBlock::ToolUse(tool_use(call)?));
                }
                (ConversationRole::Assistant, blocks)
            }
            Turn::Tool { call_id, parts, failed } => {
                (ConversationRole::User, tool_result(call_id, parts, *failed)?)
            }
        };
        match messages.last_mut() {
            Some((last, before)) if *last == role => {
                // Results come first in their message, whatever was said in between.
                let of_results = |block: &&ContentBlock| {
                    matches!(block, ContentBlock::ToolResult(_) | ContentBlock::CachePoint(_))
                };
                let results = before.iter().take_while(of_results).count();
                let at = if matches!(turn, Turn::Tool { .. }) { results } else { before.len() };
                before.splice(at..at, blocks);
            }
            _ => messages.push((role, blocks)),
        }
    }
    // A turn of nothing would be refused, and says nothing.
    let messages = messages.into_iter().filter(|(_, blocks)| !blocks.is_empty());
    let message =
        |(role, blocks)| Message::builder().role(role).set_content(Some(blocks)).build().map_err(unbuilt);
    Ok((system, messages.map(message).collect::<Result<_, _>>()?))
}

fn cache_point() -> Result<CachePointBlock, ProviderError> {
    CachePointBlock::builder().r#type(CachePointType::Default).build().map_err(unbuilt)
}

fn instruction(part: &Part) -> Result<Option<SystemContentBlock>, ProviderError> {
    Ok(match part {
        Part::Text(text) if text.is_empty() => None,
        Part::Text(text) => Some(SystemContentBlock::Text(text.clone())),
        Part::CachePoint => Some(SystemContentBlock::CachePoint(cache_point()?)),
        Part::Image(_) | Part::Refusal(_) | Part::Reasoning(_) | Part::Other(_) => {
            return Err(unsupported("instructions other than text"));
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    Assistant,
}

fn blocks(parts: &[Part], speaker: Speaker) -> Result<Vec<ContentBlock>, ProviderError> {
    let mut blocks = Vec::with_capacity(parts.len());
    for part in parts {
        match (part, speaker) {
            (Part::Text(text) | Part::Refusal(text), _) if text.is_empty() => {}
            (Part::Text(text), _) | (Part::Refusal(text), Speaker::Assistant) => {
                blocks.push(ContentBlock::Text(text.clone()));
            }
            (Part::Image(image), Speaker::User) => blocks.push(ContentBlock::Image(picture(image)?)),
            // A point with nothing before it caches nothing.
            (Part::CachePoint, _) if blocks.is_empty() => {}
            (Part::CachePoint, _) => blocks.push(ContentBlock::CachePoint(cache_point()?)),
            (Part::Reasoning(block), Speaker::Assistant) => {
                blocks.push(ContentBlock::ReasoningContent(thought(block)?));
            }
            (Part::Image(_), _) => return Err(unsupported("a picture of the model's")),
            (Part::Refusal(_), _) => return Err(unsupported("a refusal outside an assistant's message")),
            (Part::Reasoning(_), _) => return Err(unsupported("reasoning outside an assistant's message")),
            (Part::Other(block), _) => {
                let kind: String = block["type"].as_str().unwrap_or("unknown").chars().take(40).collect();
                return Err(unsupported(&format!("content of the type `{kind}`")));
            }
        }
    }
    Ok(blocks)
}

/// Reasoning comes in Anthropic's form, whose models sign it.
fn thought(block: &Value) -> Result<ReasoningContentBlock, ProviderError> {
    let foreign = || unsupported("earlier reasoning of another provider");
    match block["type"].as_str() {
        Some("thinking") => {
            let text = ReasoningTextBlock::builder()
                .text(block["thinking"].as_str().unwrap_or_default())
                .set_signature(block["signature"].as_str().map(str::to_owned));
            Ok(ReasoningContentBlock::ReasoningText(text.build().map_err(unbuilt)?))
        }
        Some("redacted_thinking") => {
            let data = block["data"].as_str().ok_or_else(foreign)?;
            let data = aws_smithy_types::base64::decode(data).map_err(|_| foreign())?;
            Ok(ReasoningContentBlock::RedactedContent(Blob::new(data)))
        }
        _ => Err(foreign()),
    }
}

fn picture(image: &Image) -> Result<ImageBlock, ProviderError> {
    let Image::Inline { media_type, data, .. } = image else {
        return Err(unsupported("a picture by its address"));
    };
    let format = match media_type.as_str() {
        "image/png" => ImageFormat::Png,
        "image/jpeg" | "image/jpg" => ImageFormat::Jpeg,
        "image/gif" => ImageFormat::Gif,
        "image/webp" => ImageFormat::Webp,
        _ => return Err(unsupported("a picture other than PNG, JPEG, GIF or WebP")),
    };
    let bytes =
        aws_smithy_types::base64::decode(data).map_err(|_| unsupported("a picture that is not Base64"))?;
    let source = ImageSource::Bytes(Blob::new(bytes));
    ImageBlock::builder().format(format).source(source).build().map_err(unbuilt)
}

fn tool_use(call: &ToolCall) -> Result<ToolUseBlock, ProviderError> {
    let input = document::of(&arguments(call)?);
    let block = ToolUseBlock::builder().tool_use_id(&call.id).name(&call.name).input(input);
    block.build().map_err(unbuilt)
}

/// A result, and the cache point after it, which is a block of its own here.
fn tool_result(call_id: &str, parts: &[Part], failed: bool) -> Result<Vec<ContentBlock>, ProviderError> {
    let mut content = Vec::with_capacity(parts.len());
    let mut points = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) if text.is_empty() => {}
            Part::Text(text) => content.push(ToolResultContentBlock::Text(text.clone())),
            Part::Image(image) => content.push(ToolResultContentBlock::Image(picture(image)?)),
            Part::CachePoint => points = vec![ContentBlock::CachePoint(cache_point()?)],
            Part::Refusal(_) | Part::Reasoning(_) | Part::Other(_) => {
                return Err(unsupported("a function's result other than text and pictures"));
            }
        }
    }
    if content.is_empty() {
        // The field is required; what returned nothing returned this.
        content.push(ToolResultContentBlock::Json(Document::Object(HashMap::new())));
    }
    let result = ToolResultBlock::builder()
        .tool_use_id(call_id)
        .set_content(Some(content))
        .set_status(failed.then_some(ToolResultStatus::Error));
    let mut blocks = vec![ContentBlock::ToolResult(result.build().map_err(unbuilt)?)];
    blocks.append(&mut points);
    Ok(blocks)
}

/// The functions, and which has to be called.
fn tools(
    chat: &Chat,
    thinks: bool,
    of_anthropic: bool,
    extra: &mut Map<String, Value>,
) -> Result<Option<ToolConfiguration>, ProviderError> {
    match &chat.format {
        Format::Text => {}
        Format::JsonObject => return Err(unsupported("a JSON object without a schema")),
        Format::JsonSchema { description, schema, .. } => {
            forced::check(chat)?;
            if thinks {
                return Err(unsupported("a JSON schema together with visible reasoning"));
            }
            let name = forced::name(&chat.format).unwrap_or_default();
            let description = description.as_deref().unwrap_or("Gives the answer.");
            return config(vec![tool(&name, Some(description), schema)?], Some(named(&name)?)).map(Some);
        }
    }
    if chat.tools.is_empty() {
        return Ok(None);
    }
    let choice = match &chat.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::Required => Some(Choice::Any(AnyToolChoice::builder().build())),
        ToolChoice::Named(name) => Some(named(name)?),
        // Without its functions a model calls none; a history of calls needs them, though.
        ToolChoice::None if !has_calls(chat) => return Ok(None),
        ToolChoice::None => return Err(unsupported("functions that must not be called")),
    };
    if chat.parallel_tool_calls == Some(false) {
        if !of_anthropic || choice.is_some() {
            return Err(unsupported("one function call at a time"));
        }
        let choice = json!({"type": "auto", "disable_parallel_tool_use": true});
        extra.insert("tool_choice".to_owned(), choice);
    }
    let written = |of: &crate::chat::Tool| tool(&of.name, of.description.as_deref(), &of.parameters);
    let tools = chat.tools.iter().map(written).collect::<Result<_, _>>()?;
    config(tools, choice).map(Some)
}

fn has_calls(chat: &Chat) -> bool {
    chat.turns.iter().any(|turn| match turn {
        Turn::Assistant { tool_calls, .. } => !tool_calls.is_empty(),
        Turn::Tool { .. } => true,
        Turn::System(_) | Turn::User(_) => false,
    })
}

fn named(name: &str) -> Result<Choice, ProviderError> {
    Ok(Choice::Tool(SpecificToolChoice::builder().name(name).build().map_err(unbuilt)?))
}

fn config(tools: Vec<Tool>, choice: Option<Choice>) -> Result<ToolConfiguration, ProviderError> {
    ToolConfiguration::builder().set_tools(Some(tools)).set_tool_choice(choice).build().map_err(unbuilt)
}

fn tool(name: &str, description: Option<&str>, parameters: &Value) -> Result<Tool, ProviderError> {
    let specification = ToolSpecification::builder()
        .name(name)
        // An empty description would be refused.
        .set_description(description.filter(|text| !text.is_empty()).map(str::to_owned))
        .input_schema(ToolInputSchema::Json(document::of(&schema_of(parameters))));
    Ok(Tool::ToolSpec(specification.build().map_err(unbuilt)?))
}
