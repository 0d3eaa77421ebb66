//! Liveness and readiness.

use crate::app::App;
use crate::ports::Check;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

const PATIENCE: Duration = Duration::from_secs(5);

/// That the process answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    status: &'static str,
    /// Toryo's version.
    version: &'static str,
}

/// Whether requests and runs are possible.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ready {
    /// Whether everything required is there.
    ready: bool,
    /// One a need.
    checks: Vec<Check>,
}

/// Whether the process answers.
#[utoipa::path(get, path = "/health", tag = "operation",
    responses((status = 200, description = "It does.", body = Health)))]
pub async fn health() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Whether database, queue and sandbox are there.
#[utoipa::path(get, path = "/ready", tag = "operation",
    responses((status = 200, description = "They are.", body = Ready),
              (status = 503, description = "Something is missing; the checks say what.", body = Ready)))]
pub async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let checks = tokio::time::timeout(PATIENCE, app.ports.readiness.checks()).await;
    let checks = checks.unwrap_or_else(|_| vec![no_answer()]);
    let ready = checks.iter().all(|check| check.ok || !check.required);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, checks }))
}

fn no_answer() -> Check {
    let detail = Some("the checks did not end within five seconds".to_owned());
    Check { name: "checks".to_owned(), ok: false, required: true, detail }
}
