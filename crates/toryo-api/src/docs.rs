//! The API's documentation: the OpenAPI document, a page made of it, and a page for each kind of problem.

use crate::pages::layout::{Here, Shell, shell};
use crate::problem::{Kind, Problem};
use crate::routes::openapi;
use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::Value;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(openapi()).unwrap_or_default());

/// `GET /openapi.json`.
pub async fn document() -> Json<&'static Value> {
    Json(&DOCUMENT)
}

/// `GET /docs`.
pub async fn page() -> Markup {
    render(&DOCUMENT)
}

/// `GET /problems/{slug}`: what a kind of problem means.
pub async fn problem(Path(slug): Path<String>) -> Response {
    match Kind::ALL.iter().find(|kind| kind.slug() == slug) {
        Some(kind) => explain(*kind).into_response(),
        None => Problem::not_found(format!("`/problems/{slug}`")).into_response(),
    }
}

fn explain(kind: Kind) -> Markup {
    let content = html! {
        section.prose.narrow {
            h1 { (kind.title()) }
            p { "Status " strong { (kind.status().as_u16()) } ", type " code { "/problems/" (kind.slug()) } "." }
            p { (kind.help()) }
        }
    };
    shell(&Shell { title: kind.title(), here: Some(Here::Docs), script: None }, &content)
}

fn render(document: &Value) -> Markup {
    let empty = serde_json::Map::new();
    let paths = document["paths"].as_object().unwrap_or(&empty);
    let schemas = document["components"]["schemas"].as_object().unwrap_or(&empty);
    let content = html! {
        div.head { h1 { "API" } p { a href="/openapi.json" { "openapi.json" } } }
        p.narrow { (text(document, "/info/description")) }
        @for tag in document["tags"].as_array().into_iter().flatten() {
            @let name = tag["name"].as_str().unwrap_or_default();
            section.api-tag {
                h2 { (name) } p.faint { (text(tag, "/description")) }
                @for (path, methods) in paths {
                    @for (method, operation) in methods.as_object().into_iter().flatten() {
                        @if operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|it| it == name)) {
                            (operation_part(path, method, operation))
                        }
                    }
                }
            }
        }
        section.api-tag { h2 { "Types" } @for (name, schema) in schemas { (schema_part(name, schema)) } }
    };
    shell(&Shell { title: "API", here: Some(Here::Docs), script: None }, &content)
}

fn operation_part(path: &str, method: &str, operation: &Value) -> Markup {
    html! {
        details.operation.panel {
            summary {
                span.method.{ "m-" (method) } { (method.to_uppercase()) } " " code { (path) } " "
                span.faint { (text(operation, "/summary")) }
            }
            div.pad {
                p { (text(operation, "/description")) }
                @if let Some(parameters) = operation["parameters"].as_array().filter(|it| !it.is_empty()) {
                    h3 { "Parameters" }
                    dl.fields {
                        @for it in parameters {
                            div {
                                dt { code { (text(it, "/name")) } " " span.faint { (text(it, "/in")) ", " (type_of(&it["schema"])) } }
                                dd { (text(it, "/description")) }
                            }
                        }
                    }
                }
                @if operation["requestBody"].is_object() {
                    h3 { "Body" }
                    p { (type_link(&operation["requestBody"]["content"]["application/json"]["schema"])) }
                }
                h3 { "Responses" }
                dl.fields {
                    @for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                        div {
                            dt { code { (status) } " " @for (media, content) in response["content"].as_object().into_iter().flatten() { span.faint { (media) " " } (type_link(&content["schema"])) " " } }
                            dd { (text(response, "/description")) }
                        }
                    }
                }
            }
        }
    }
}

fn schema_part(name: &str, schema: &Value) -> Markup {
    html! {
        details.operation.panel id={ "type-" (name) } {
            summary { code { (name) } " " span.faint { (text(schema, "/description")) } }
            div.pad { (fields(schema)) }
        }
    }
}

fn fields(schema: &Value) -> Markup {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    html! {
        @for part in schema["allOf"].as_array().into_iter().flatten() { p { (type_link(part)) } (fields(part)) }
        dl.fields {
            @for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                div {
                    dt { code { (name) } " " (type_link(field)) @if !required.contains(&name.as_str()) { span.faint { " optional" } } }
                    dd { (text(field, "/description")) }
                }
            }
        }
    }
}

/// The schema's name as a link to it, or its plain type.
fn type_link(schema: &Value) -> Markup {
    let parts = ["oneOf", "anyOf"].iter().find_map(|it| schema[*it].as_array());
    let target = schema["$ref"].as_str().or_else(|| schema["items"]["$ref"].as_str());
    html! {
        @if let Some(name) = target.and_then(|it| it.rsplit('/').next()) {
            a href={ "#type-" (name) } { (name) } @if schema["items"].is_object() { " list" }
        } @else if let Some(parts) = parts {
            @for (index, part) in parts.iter().enumerate() { @if index > 0 { " or " } (type_link(part)) }
        } @else { span.faint { (type_of(schema)) } }
    }
}

fn type_of(schema: &Value) -> String {
    if let Some(list) = schema["enum"].as_array() {
        return list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | ");
    }
    let base = match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    };
    match schema["format"].as_str() {
        Some(format) => format!("{base}, {format}"),
        None => base,
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
