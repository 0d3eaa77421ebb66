//! What people ask of a run on its way: pause, other limits, forks.

use crate::app::App;
use crate::extract::{Body, Id, IdempotencyKey, OptionalBody};
use crate::problem::{Kind, Problem, ProblemBody};
use crate::wire::actions::{ActionResult, OPERATOR, optional_text};
use crate::wire::lists::List;
use crate::wire::runs::RunView;
use crate::wire::steer::{self, Forked, NewFork, Pause};
use crate::wire::tasks::LimitsRequest;
use axum::Json;
use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use toryo_blackboard::runs;
use toryo_domain::RunId;
use toryo_engine::control as engine;

/// Makes a run stand still: its model calls and commands end within a second, what was paid for is kept, its clock stops.
///
/// The run is `needs_human` until it is resumed.
#[utoipa::path(post, path = "/runs/{id}/pause", tag = "control", request_body = Option<Pause>,
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "Done.", body = ActionResult),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The run does not run.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn pause(
    State(app): State<App>,
    Id(run_id): Id<RunId>,
    OptionalBody(body): OptionalBody<Pause>,
) -> Result<Json<ActionResult>, Problem> {
    let reason = optional_text("/reason", body.reason.as_deref())?;
    let status = engine::pause(&app.engine, run_id, OPERATOR, reason.as_deref()).await?;
    Ok(Json(ActionResult { run_id, status }))
}

/// Sets other limits of a run as a whole; what is not named stays. They hold from the next model call on.
#[utoipa::path(patch, path = "/runs/{id}/limits", tag = "control", request_body = LimitsRequest,
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "Done.", body = ActionResult),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The run has ended, or more is used already.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 422, description = "A limit is beyond what the operator allows.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn limits(
    State(app): State<App>,
    Id(run_id): Id<RunId>,
    Body(body): Body<LimitsRequest>,
) -> Result<Json<ActionResult>, Problem> {
    let change = steer::limits("", &body, &app.config)?;
    let status = engine::set_limits(&app.engine, run_id, OPERATOR, &change).await?;
    Ok(Json(ActionResult { run_id, status }))
}

/// Continues a run from a step as a new run, with other routes, prompts or a message.
///
/// What stands before the step is shared: it is neither executed nor paid again. With an `Idempotency-Key`, a repeated
/// request gives the same run.
#[utoipa::path(post, path = "/runs/{id}/forks", tag = "control", request_body = NewFork,
    params(("id" = String, Path, description = "The run.", format = Uuid),
           ("idempotency-key" = Option<String>, Header, description = "Makes a repeated request harmless; 1 to 255 visible ASCII characters.")),
    responses((status = 202, description = "Stored; it begins as soon as a worker is free.", body = Forked,
               headers(("location" = String, description = "The run."))),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The run has no such step.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 422, description = "A value cannot be accepted, or the key was used for another request.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn fork(
    State(app): State<App>,
    Id(from): Id<RunId>,
    IdempotencyKey(key): IdempotencyKey,
    Body(body): Body<NewFork>,
) -> Result<impl IntoResponse, Problem> {
    let run = engine::fork(&app.engine, from, OPERATOR, &body.check()?, key.as_deref()).await?;
    let forked = Forked::of(run, from);
    let location = [(header::LOCATION, forked.links.run.run.clone())];
    Ok((StatusCode::ACCEPTED, location, Json(forked)))
}

/// Executes a finished run again and compares: no model is asked, nothing is published, nothing is written.
///
/// The reply is a stream of JSON objects, a line each: `{"type":"step",…}` for every step as it ends, with where it
/// differs, and `{"type":"end","same":…}` at last. Tests run again in the sandbox.
#[utoipa::path(post, path = "/runs/{id}/replay", tag = "control",
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "What is the same and what differs.", body = String, content_type = "application/x-ndjson"),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The run has not ended, or another replay is under way.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn replay(State(app): State<App>, Id(run_id): Id<RunId>) -> Result<impl IntoResponse, Problem> {
    let Some(replayer) = &app.ports.replayer else {
        return Err(Problem::new(Kind::Conflict, "this server executes no steps; ask one that does"));
    };
    let lines = replayer.start(run_id).await?;
    let lines = futures::stream::unfold(lines, async |mut lines| {
        let line = lines.recv().await?;
        let text = serde_json::to_string(&line).map(|text| format!("{text}\n"));
        Some((text, lines))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Stream::from_stream(lines)))
}

/// The forks of a run, oldest first.
#[utoipa::path(get, path = "/runs/{id}/forks", tag = "runs",
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "Runs.", body = List<RunView>),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn forks(State(app): State<App>, Id(id): Id<RunId>) -> Result<Json<List<RunView>>, Problem> {
    runs::get(app.db(), id).await?;
    Ok(Json(List::whole(runs::forks(app.db(), id).await?.into_iter().map(RunView::from).collect())))
}
