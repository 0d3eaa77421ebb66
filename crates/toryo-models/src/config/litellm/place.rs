//! Where a model of LiteLLM is: `provider/model` with an address, a key, a region.

use crate::config::BaseUrl;
use serde_json::{Map, Value};

/// What LiteLLM writes before the name of an environment variable.
const VARIABLE: &str = "os.environ/";

/// Prefixes of providers that speak OpenAI's protocol, with their addresses; empty where the file has to say it.
const OPENAI_LIKE: &[(&str, &str)] = &[
    ("openai", "https://api.openai.com/v1"),
    ("custom_openai", ""),
    ("openai_like", ""),
    ("hosted_vllm", ""),
    ("vllm", ""),
    ("lm_studio", ""),
    ("llamafile", ""),
    ("litellm_proxy", ""),
    ("ollama", "http://127.0.0.1:11434/v1"),
    ("ollama_chat", "http://127.0.0.1:11434/v1"),
    ("cerebras", "https://api.cerebras.ai/v1"),
    ("deepseek", "https://api.deepseek.com/v1"),
    ("fireworks_ai", "https://api.fireworks.ai/inference/v1"),
    ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai"),
    ("groq", "https://api.groq.com/openai/v1"),
    ("mistral", "https://api.mistral.ai/v1"),
    ("nvidia_nim", "https://integrate.api.nvidia.com/v1"),
    ("openrouter", "https://openrouter.ai/api/v1"),
    ("perplexity", "https://api.perplexity.ai"),
    ("together_ai", "https://api.together.xyz/v1"),
    ("xai", "https://api.x.ai/v1"),
];

/// An endpoint.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Provider {
    pub(super) name: String,
    /// `openai`, `anthropic` or `bedrock`.
    pub(super) kind: &'static str,
    pub(super) base_url: Address,
    pub(super) key: Key,
}

/// Where an endpoint is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// The kind's own.
    Usual,
    Written(String),
    /// In an environment variable of this name.
    Variable(String),
}

/// The key of an endpoint.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Key {
    None,
    /// In an environment variable of this name.
    Variable(String),
    /// In the file: kept to tell keys apart, never written.
    Literal(String),
}

impl Provider {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// Where a model is.
pub(super) struct Place {
    pub(super) provider: Provider,
    pub(super) fields: Vec<(&'static str, toml::Value)>,
    pub(super) notes: Vec<String>,
}

impl Place {
    /// Takes what says it out of the parameters.
    pub(super) fn of(parameters: &mut Map<String, Value>) -> Result<Self, String> {
        let Some(Value::String(model)) = parameters.remove("model") else {
            return Err("has no `litellm_params.model`".to_owned());
        };
        let given = parameters.remove("custom_llm_provider");
        let (prefix, name) = match (given.as_ref().and_then(Value::as_str), model.split_once('/')) {
            (Some(prefix), Some((same, name))) if prefix == same => (prefix.to_owned(), name),
            (Some(prefix), _) => (prefix.to_owned(), model.as_str()),
            (None, Some((prefix, name))) => (prefix.to_owned(), name),
            (None, None) if model.starts_with("claude") => ("anthropic".to_owned(), model.as_str()),
            (None, None) => ("openai".to_owned(), model.as_str()),
        };
        let key = match text(parameters, "api_key") {
            None => Key::None,
            Some(key) => match key.strip_prefix(VARIABLE) {
                Some(name) => Key::Variable(name.to_owned()),
                None => Key::Literal(key),
            },
        };
        let base = text(parameters, "api_base").or_else(|| text(parameters, "base_url"));
        let base = match base {
            None => None,
            Some(base) => match base.strip_prefix(VARIABLE) {
                Some(name) => Some(Address::Variable(name.to_owned())),
                None if base.parse::<BaseUrl>().is_ok() => Some(Address::Written(base)),
                // Another address in its place would be shown the key.
                None => {
                    return Err(
                        "its address is no plain URL: a base URL holds no user and no query".to_owned()
                    );
                }
            },
        };
        if name.trim().is_empty() {
            return Err("names no model".to_owned());
        }
        let mut notes = Vec::new();
        let provider = |kind, base_url| Provider { name: prefix.clone(), kind, base_url, key: key.clone() };
        let mut fields = Vec::new();
        let provider = match prefix.as_str() {
            "anthropic" => provider("anthropic", base.unwrap_or(Address::Usual)),
            "bedrock" => {
                fields = bedrock(parameters, name, &mut notes);
                let found = provider("bedrock", base.unwrap_or(Address::Usual));
                return Ok(Self { provider: found, fields, notes });
            }
            "azure" => {
                parameters.remove("api_version");
                let base = match base.ok_or("has no `api_base`")? {
                    Address::Written(url) => Address::Written(azure(&url)),
                    other => {
                        notes.push("its address has to end in /openai/v1".to_owned());
                        other
                    }
                };
                provider("openai", base)
            }
            _ => {
                let Some((_, usual)) = OPENAI_LIKE.iter().find(|(known, _)| *known == prefix) else {
                    return Err(format!("the provider `{prefix}` is not spoken here"));
                };
                let base = match base {
                    Some(Address::Written(url)) => Address::Written(openai_like(&prefix, &url)),
                    Some(base) => base,
                    None if prefix == "openai" => Address::Usual,
                    None if usual.is_empty() => return Err("has no `api_base`".to_owned()),
                    None => Address::Written((*usual).to_owned()),
                };
                provider("openai", base)
            }
        };
        fields.insert(0, ("model", name.into()));
        Ok(Self { provider, fields, notes })
    }
}

/// Names and what stands in the same file under another key are told apart by numbers. Environment variables cannot
/// hold dashes, so names do not either.
pub(super) fn name_apart(providers: &mut [Provider]) {
    for at in 0..providers.len() {
        let plain: String = providers[at]
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
            .collect();
        let taken = |name: &str| providers[..at].iter().any(|other| other.name == name);
        let numbered = (2..).map(|number| format!("{plain}_{number}"));
        let name = std::iter::once(plain.clone()).chain(numbered).find(|name| !taken(name));
        providers[at].name = name.unwrap_or(plain);
    }
}

fn text(parameters: &mut Map<String, Value>, name: &str) -> Option<String> {
    match parameters.remove(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    }
}

/// Ollama's own protocol is left for its OpenAI face.
fn openai_like(prefix: &str, url: &str) -> String {
    let url = url.trim_end_matches('/');
    let own = prefix.starts_with("ollama") && !url.ends_with("/v1");
    if own { format!("{url}/v1") } else { url.to_owned() }
}

/// Azure's face that speaks OpenAI's protocol without a version in the query.
fn azure(url: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.ends_with("/openai/v1") { url.to_owned() } else { format!("{url}/openai/v1") }
}

/// `bedrock/[converse/][region/]model`, and where the account is.
fn bedrock(
    parameters: &mut Map<String, Value>,
    name: &str,
    notes: &mut Vec<String>,
) -> Vec<(&'static str, toml::Value)> {
    let name = ["converse/", "invoke/"].iter().find_map(|way| name.strip_prefix(way)).unwrap_or(name);
    let (region, model) = match name.split_once('/') {
        Some((region, model)) if is_region(region) => (Some(region.to_owned()), model),
        _ => (None, name),
    };
    let mut aws = toml::Table::new();
    let mut put = |ours: &str, value: Option<String>| match value {
        Some(value) if value.starts_with(VARIABLE) => {
            notes.push(format!("aws.{ours} is in an environment variable: write its value"));
        }
        Some(value) => {
            aws.insert(ours.to_owned(), value.into());
        }
        None => {}
    };
    let written = text(parameters, "aws_region_name");
    put("region", region.or(written));
    put("role_arn", text(parameters, "aws_role_name"));
    put("session_name", text(parameters, "aws_session_name"));
    put("external_id", text(parameters, "aws_external_id"));
    if let Some(Value::Object(mut guardrail)) = parameters.remove("guardrailConfig") {
        put("guardrail_id", text(&mut guardrail, "guardrailIdentifier"));
        put("guardrail_version", text(&mut guardrail, "guardrailVersion"));
    }
    let credentials = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_profile_name"];
    // All of them are taken out, so not `any`.
    if credentials.iter().filter(|name| parameters.remove(**name).is_some()).count() > 0 {
        notes.push("its AWS credentials are not copied: Toryo takes those of its environment".to_owned());
    }
    let mut fields = vec![("model", model.into())];
    if !aws.is_empty() {
        fields.push(("aws", aws.into()));
    }
    fields
}

/// Such as `eu-central-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number =
        parts.last().is_some_and(|last| last.len() == 1 && last.bytes().all(|byte| byte.is_ascii_digit()));
    parts.len() >= 3 && parts[0].len() == 2 && number
}
