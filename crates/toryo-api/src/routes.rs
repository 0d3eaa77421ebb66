//! The API on a page. Each handler extracts, makes one call, and presents.

pub mod agents;
pub mod artifacts;
pub mod budgets;
pub mod control;
pub mod dead_letters;
pub mod health;
pub mod keys;
pub mod metrics;
pub mod pages;
pub mod repos;
pub mod runs;
pub mod steer;
pub mod stream;
pub mod tasks;
pub mod teams;
pub mod tenants;
pub mod usage;
pub mod users;

use crate::app::App;
use crate::problem::{Kind, Problem};
use crate::{docs, gateway, guard};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Toryo",
        description = "Turns a task into a tested, reviewed pull request. Errors are RFC 9457 `application/problem+json`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "tasks", description = "What somebody asked for."),
        (name = "runs", description = "Attempts to satisfy a task."),
        (name = "control", description = "What people do with a run."),
        (name = "repos", description = "Repositories and their settings."),
        (name = "gateway", description = "Keys, teams, users, budgets and usage of the model gateway. Needs a key: the operator's, or one that administers."),
        (name = "operation", description = "Agents, workers, health."),
    ),
    components(schemas(crate::problem::ProblemBody)),
    modifiers(&KeyScheme)
)]
struct Base;

/// How a key of the gateway is sent.
struct KeyScheme;

impl Modify for KeyScheme {
    fn modify(&self, document: &mut Document) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("key", scheme);
    }
}

fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(tasks::create, tasks::list))
        .routes(routes!(tasks::show))
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(stream::follow))
        .routes(routes!(runs::events))
        .routes(routes!(runs::steps))
        .routes(routes!(runs::diff))
        .routes(routes!(runs::artifacts))
        .routes(routes!(control::cancel))
        .routes(routes!(control::resume))
        .routes(routes!(control::retry))
        .routes(routes!(control::approve))
        .routes(routes!(control::reject))
        .routes(routes!(control::message))
        .routes(routes!(steer::pause))
        .routes(routes!(steer::limits))
        .routes(routes!(steer::replay))
        .routes(routes!(steer::fork, steer::forks))
        .routes(routes!(repos::list, repos::put))
        .routes(routes!(repos::show, repos::put_settings))
        .routes(routes!(repos::index))
        .routes(routes!(agents::show))
        .routes(routes!(tenants::list, tenants::put))
        .routes(routes!(artifacts::show))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::show))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::drop))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::show, keys::patch, keys::revoke))
        .routes(routes!(keys::rotate))
        .routes(routes!(teams::create, teams::list))
        .routes(routes!(teams::create_new))
        .routes(routes!(teams::show, teams::patch, teams::drop_team))
        .routes(routes!(teams::put_member))
        .routes(routes!(teams::drop_member))
        .routes(routes!(teams::create_organisation, teams::organisations))
        .routes(routes!(teams::patch_organisation))
        .routes(routes!(users::create, users::list))
        .routes(routes!(users::patch, users::drop_user))
        .routes(routes!(budgets::list, budgets::put))
        .routes(routes!(budgets::drop_budget))
        .routes(routes!(usage::show))
        .routes(routes!(usage::analysis))
        .routes(routes!(usage::words))
}

fn web() -> Router<App> {
    Router::new()
        .route("/", get(pages::home))
        .route("/ui/runs", get(pages::run_list))
        .route("/ui/runs/{id}", get(pages::run))
        .route("/ui/runs/{id}/parts", get(pages::run_parts))
        .route("/ui/runs/{id}/log", get(pages::run_log))
        .route("/ui/runs/{id}/compare/{other}", get(pages::compare))
        .route("/ui/pulls/{id}", get(pages::pull_request))
        .route("/ui/usage", get(pages::usage))
        .route("/docs", get(docs::page))
        .route("/openapi.json", get(docs::document))
        .route("/problems/{slug}", get(docs::problem))
        .route("/assets/{name}", get(crate::assets::serve))
        .route("/favicon.ico", get(crate::assets::icon))
}

/// The OpenAPI document, generated from the types of the handlers.
#[must_use]
pub fn openapi() -> Document {
    api().split_for_parts().1
}

/// Everything that is served, with what stands before it.
pub fn router(app: App) -> Router {
    let (routes, _) = api().split_for_parts();
    // Its bodies are long and its answers take minutes: it has limits of its own.
    let models = app.models.clone();
    let models = models.map(|door| gateway::router(door, app.config.max_model_body_bytes));
    // Together they are one layer of the router: it copies each of its own for every request.
    let in_front = ServiceBuilder::new()
        .map_response(guard::security_headers)
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            tracing::error!("a handler panicked");
            Problem::new(Kind::Internal, "the cause is in the server's log").into_response()
        }))
        .layer(from_fn_with_state(Arc::clone(&app.config), guard::admit));
    routes
        .merge(web())
        .fallback(|request: Request| async move { unknown(&request) })
        .method_not_allowed_fallback(|request: Request| async move { wrong_method(&request) })
        .layer(DefaultBodyLimit::max(app.config.max_body_bytes))
        .layer(from_fn_with_state(Arc::clone(&app.config), guard::time_limit))
        .merge(models.unwrap_or_default())
        .layer(in_front)
        .with_state(app)
}

fn unknown(request: &Request) -> Response {
    let problem = Problem::not_found(format!("`{}`", request.uri().path()));
    if pages::wants_page(request.headers()) { pages::problem(&problem) } else { problem.into_response() }
}

fn wrong_method(request: &Request) -> Response {
    let detail = format!("`{}` has no {}", request.uri().path(), request.method());
    Problem::new(Kind::MethodNotAllowed, detail).into_response()
}
