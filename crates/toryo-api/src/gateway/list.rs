//! The list of models: the aliases of the routes that a key may use, in a form that OpenAI's and Anthropic's clients
//! both read.

use super::reply;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Serialize;
use toryo_models::front::Listed;
use toryo_models::inbound::Dialect;

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    /// OpenAI's members.
    object: &'static str,
    created: i64,
    owned_by: String,
    /// Anthropic's.
    #[serde(rename = "type")]
    kind: &'static str,
    display_name: &'a str,
    created_at: &'static str,
    /// What agents ask for; where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u32>,
    max_output_tokens: u32,
}

#[derive(Serialize)]
struct Page<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

/// The dialect of a client that asks for something that all dialects have.
pub(super) fn dialect(parts: &Parts) -> Dialect {
    if parts.headers.contains_key("anthropic-version") { Dialect::Messages } else { Dialect::Completions }
}

/// All routes.
pub(super) fn all(routes: &[Listed]) -> Response {
    json(&Page {
        object: "list",
        data: routes.iter().map(model).collect(),
        has_more: false,
        first_id: routes.first().map(|route| route.alias.as_str()),
        last_id: routes.last().map(|route| route.alias.as_str()),
    })
}

/// One of them.
pub(super) fn one(route: &Listed) -> Response {
    json(&model(route))
}

fn model(route: &Listed) -> Model<'_> {
    Model {
        id: &route.alias,
        object: "model",
        // A route has no birthday.
        created: 0,
        owned_by: route.providers.join(", "),
        kind: "model",
        display_name: &route.alias,
        created_at: "1970-01-01T00:00:00Z",
        context_window: route.context_tokens,
        max_output_tokens: route.max_output_tokens,
    }
}

fn json(value: &impl Serialize) -> Response {
    // Our own types have no keys but texts: this cannot fail.
    reply::json(serde_json::to_vec(value).unwrap_or_default(), None)
}
