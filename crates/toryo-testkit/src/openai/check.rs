//! The rules of the protocol that a client has to follow: Toryo's own (headers, names) and OpenAI's for strict
//! structured output, from its guide "Structured model outputs" and its error messages.

use axum::http::HeaderMap;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The names of all outputs (design §5.2).
pub const OUTPUT_NAMES: [&str; 10] = [
    "refined_spec",
    "plan",
    "retrieval_query",
    "edit_set",
    "test_plan",
    "failure_analysis",
    "review",
    "pull_request",
    "doc_edits",
    "ci_edits",
];

/// Each request names its run, step and agent (design §5.2).
pub const REQUIRED_HEADERS: [&str; 3] = ["x-toryo-run", "x-toryo-step", "x-toryo-agent"];

/// Keywords that the strict mode does not know or does not permit.
const REFUSED_KEYWORDS: [&str; 18] = [
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "default",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "minProperties",
    "maxProperties",
    "uniqueItems",
    "contains",
    "minLength",
    "maxLength",
];

const MAX_DEPTH: usize = 10;

/// The values of the three headers.
pub(super) fn headers(headers: &HeaderMap) -> Result<[String; 3], String> {
    let mut values = REQUIRED_HEADERS.map(str::to_owned);
    for (name, value) in REQUIRED_HEADERS.iter().zip(&mut values) {
        let mut found = headers.get_all(*name).iter().filter_map(|value| value.to_str().ok());
        *value = match (found.next(), found.next()) {
            (Some(one), None) if !one.trim().is_empty() => one.to_owned(),
            (Some(_), Some(_)) => return Err(format!("header {name} is there twice")),
            _ => return Err(format!("header {name} is missing")),
        };
    }
    Ok(values)
}

/// The name of the output that a body asks for; empty for JSON without a schema.
pub(super) fn body(body: &Value) -> Result<String, String> {
    if body["model"].as_str().is_none_or(str::is_empty) {
        return Err("`model` is missing".to_owned());
    }
    let messages = messages(body)?;
    for limit in ["max_completion_tokens", "max_tokens"] {
        if body.get(limit).is_some_and(|value| value.as_u64().is_none_or(|tokens| tokens == 0)) {
            return Err(format!("`{limit}` is not a positive number"));
        }
    }
    if body.get("max_completion_tokens").is_some() && body.get("max_tokens").is_some() {
        return Err("`max_tokens` and `max_completion_tokens` are both set".to_owned());
    }
    match body["response_format"]["type"].as_str() {
        Some("json_schema") => json_schema(&body["response_format"]["json_schema"]),
        Some("json_object") if messages.to_lowercase().contains("json") => Ok(String::new()),
        Some("json_object") => Err("'messages' must contain the word 'json' in some form".to_owned()),
        Some(other) => Err(format!("response_format.type `{other}` is no structured output")),
        None => forced_tool(body),
    }
}

fn messages(body: &Value) -> Result<String, String> {
    let messages = body["messages"].as_array().filter(|messages| !messages.is_empty());
    let mut all = String::new();
    for message in messages.ok_or("`messages` is empty")? {
        let role = message["role"].as_str().unwrap_or_default();
        if !["system", "developer", "user", "assistant"].contains(&role) {
            return Err(format!("a message has the role `{role}`"));
        }
        all.push_str(message["content"].as_str().ok_or("a message's content is not a text")?);
        all.push('\n');
    }
    Ok(all)
}

fn json_schema(format: &Value) -> Result<String, String> {
    if format["strict"] != Value::Bool(true) {
        return Err("response_format.json_schema.strict is not true".to_owned());
    }
    strict_schema(&format["schema"])?;
    output_name(&format["name"])
}

fn forced_tool(body: &Value) -> Result<String, String> {
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [tool] = tools else {
        return Err("neither `response_format` nor exactly one tool asks for structured output".to_owned());
    };
    let function = &tool["function"];
    if tool["type"] != "function" || function["strict"] != Value::Bool(true) {
        return Err("the tool is not a strict function".to_owned());
    }
    if body["tool_choice"]["function"]["name"] != function["name"] {
        return Err("`tool_choice` does not force the tool".to_owned());
    }
    strict_schema(&function["parameters"])?;
    output_name(&function["name"])
}

fn output_name(name: &Value) -> Result<String, String> {
    let name = name.as_str().unwrap_or_default();
    if OUTPUT_NAMES.contains(&name) {
        Ok(name.to_owned())
    } else {
        Err(format!("`{name}` is not the name of an output; there are {OUTPUT_NAMES:?}"))
    }
}

/// Checks a schema against the rules of the strict mode.
pub(super) fn strict_schema(schema: &Value) -> Result<(), String> {
    if schema["type"] != "object" || schema.get("anyOf").is_some() {
        return Err("the schema's root must be an object and not `anyOf`".to_owned());
    }
    node(schema, "schema", 0)
}

fn node(schema: &Value, at: &str, depth: usize) -> Result<(), String> {
    let Some(schema) = schema.as_object() else { return Err(format!("{at} is not a schema")) };
    if depth > MAX_DEPTH {
        return Err(format!("{at} is nested deeper than {MAX_DEPTH} levels"));
    }
    if let Some(keyword) = REFUSED_KEYWORDS.iter().find(|keyword| schema.contains_key(**keyword)) {
        return Err(format!("{at}: '{keyword}' is not permitted"));
    }
    if !["type", "anyOf", "$ref", "enum", "const"].iter().any(|keyword| schema.contains_key(*keyword)) {
        return Err(format!("{at}: schema must have a 'type' key"));
    }
    if is_object(schema) {
        closed_object(schema, at)?;
    }
    for (name, property) in children(schema, "properties").chain(children(schema, "$defs")) {
        node(property, &format!("{at}.{name}"), depth + 1)?;
    }
    if let Some(items) = schema.get("items") {
        node(items, &format!("{at}[]"), depth + 1)?;
    }
    for (n, variant) in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten().enumerate() {
        node(variant, &format!("{at}|{n}"), depth)?;
    }
    Ok(())
}

fn is_object(schema: &Map<String, Value>) -> bool {
    let named = |kind: &Value| kind == "object";
    let typed = schema
        .get("type")
        .is_some_and(|kind| named(kind) || kind.as_array().is_some_and(|kinds| kinds.iter().any(named)));
    typed || schema.contains_key("properties")
}

fn closed_object(schema: &Map<String, Value>, at: &str) -> Result<(), String> {
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Err(format!("{at}: 'additionalProperties' is required to be supplied and to be false"));
    }
    let properties: BTreeSet<&str> = children(schema, "properties").map(|(name, _)| name).collect();
    let listed = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: BTreeSet<&str> = listed.filter_map(Value::as_str).collect();
    if properties == required {
        return Ok(());
    }
    let missing: Vec<_> = properties.symmetric_difference(&required).collect();
    Err(format!("{at}: 'required' must name every key in properties and no other: {missing:?}"))
}

fn children<'a>(
    schema: &'a Map<String, Value>,
    keyword: &str,
) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    schema.get(keyword).and_then(Value::as_object).into_iter().flatten().map(|(name, v)| (name.as_str(), v))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn strict() -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["edits", "note"],
            "properties": {
                "note": {"type": ["string", "null"]},
                "edits": {"type": "array", "items": {"anyOf": [
                    {"type": "object", "additionalProperties": false, "required": ["path"],
                     "properties": {"path": {"type": "string"}}},
                    {"$ref": "#/$defs/other"}]}}
            },
            "$defs": {"other": {"type": "string", "enum": ["none"]}}
        })
    }

    fn request() -> Value {
        json!({
            "model": "m", "messages": [{"role": "user", "content": "hello"}],
            "response_format": {"type": "json_schema",
                "json_schema": {"name": "edit_set", "strict": true, "schema": strict()}}
        })
    }

    #[test]
    fn a_strict_request_passes() {
        assert_eq!(body(&request()), Ok("edit_set".to_owned()));
    }

    #[test]
    fn every_broken_rule_is_named() {
        let break_schema = |pointer: &str, value: Value| {
            let mut schema = strict();
            *schema.pointer_mut(pointer).unwrap() = value;
            strict_schema(&schema).unwrap_err()
        };
        let item = "/properties/edits/items/anyOf/0";
        let mut said = vec![
            break_schema("/additionalProperties", json!(true)),
            break_schema("/required", json!(["edits"])),
            break_schema("/required", json!(["edits", "note", "more"])),
            break_schema("/type", json!("array")),
            break_schema(&format!("{item}/additionalProperties"), json!({})),
            break_schema(&format!("{item}/required"), json!([])),
            break_schema("/properties/note", json!({"type": "string", "default": ""})),
            break_schema("/properties/note", json!({"description": "anything"})),
            break_schema("/$defs/other", json!({"oneOf": []})),
        ];
        let mut deep = json!({"type": "string"});
        for _ in 0..11 {
            deep = json!({"type": "array", "items": deep});
        }
        said.push(break_schema("/properties/note", deep));
        for (pointer, value) in [
            ("/model", json!("")),
            ("/messages", json!([])),
            ("/messages/0/role", json!("wizard")),
            ("/messages/0/content", json!(null)),
            ("/response_format/json_schema/strict", json!(false)),
            ("/response_format/json_schema/name", json!("poem")),
            ("/response_format/type", json!("text")),
            ("/response_format", json!({"type": "json_object"})),
            ("/response_format", json!(null)),
        ] {
            let mut broken = request();
            *broken.pointer_mut(pointer).unwrap() = value;
            said.push(body(&broken).unwrap_err());
        }
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn a_forced_strict_function_passes_and_a_free_one_does_not() {
        let mut request = json!({
            "model": "m", "messages": [{"role": "user", "content": "hello"}],
            "tools": [{"type": "function", "function": {"name": "plan", "strict": true, "parameters": strict()}}],
            "tool_choice": {"type": "function", "function": {"name": "plan"}}
        });
        assert_eq!(body(&request), Ok("plan".to_owned()));
        request["tool_choice"] = json!("auto");
        assert!(body(&request).is_err());
    }
}
