//! What people do with a run.

use crate::app::App;
use crate::extract::{Body, Id, IdempotencyKey, OptionalBody};
use crate::problem::{FieldError, Problem, ProblemBody};
use crate::wire::actions::{
    ActionResult, Cancel, Decision, NewMessage, OPERATOR, Resume, Retry, optional_text,
};
use crate::wire::steer;
use axum::Json;
use axum::extract::State;
use toryo_blackboard::Idempotency;
use toryo_domain::{Digest, RunId};
use toryo_engine::control as engine;

type Reply = Result<Json<ActionResult>, Problem>;

/// Ends a run; its model calls and commands end within a second, and everything so far is kept.
#[utoipa::path(post, path = "/runs/{id}/cancel", tag = "control", request_body = Option<Cancel>,
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "Done.", body = ActionResult),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The run has ended.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn cancel(
    State(app): State<App>,
    Id(run_id): Id<RunId>,
    OptionalBody(body): OptionalBody<Cancel>,
) -> Reply {
    let reason = optional_text("/reason", body.reason.as_deref())?;
    let status = engine::cancel(&app.engine, run_id, OPERATOR, reason.as_deref()).await?;
    Ok(Json(ActionResult { run_id, status }))
}

/// Lets a run go on that was paused, or that stopped at a limit or a guardrail: with new limits, or as much once more.
#[utoipa::path(post, path = "/runs/{id}/resume", tag = "control", request_body = Option<Resume>,
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "Done.", body = ActionResult),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The run is not stopped so.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn resume(
    State(app): State<App>,
    Id(run_id): Id<RunId>,
    OptionalBody(body): OptionalBody<Resume>,
) -> Reply {
    let limits = steer::limits("/limits", &body.limits.unwrap_or_default().0, &app.config)?;
    let status = engine::resume_with(&app.engine, run_id, OPERATOR, &limits).await?;
    Ok(Json(ActionResult { run_id, status }))
}

/// Tries failed steps again, or goes back to a step; what is upstream of them is kept.
#[utoipa::path(post, path = "/runs/{id}/retry", tag = "control", request_body = Option<Retry>,
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "Done.", body = ActionResult),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "Nothing failed, or the step has not begun.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn retry(
    State(app): State<App>,
    Id(run_id): Id<RunId>,
    OptionalBody(body): OptionalBody<Retry>,
) -> Reply {
    let status = match (&body.from, &body.step_key) {
        (Some(_), Some(_)) => {
            let error = FieldError::at("/from", "either `from` or `step_key` is accepted, not both");
            return Err(Problem::invalid(vec![error]));
        }
        (Some(from), None) => engine::retry_from(&app.engine, run_id, OPERATOR, from).await?,
        (None, step) => engine::retry(&app.engine, run_id, OPERATOR, step.as_ref()).await?,
    };
    Ok(Json(ActionResult { run_id, status }))
}

/// Approves what the run waits with.
#[utoipa::path(post, path = "/runs/{id}/approve", tag = "control", request_body = Option<Decision>,
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "Done.", body = ActionResult),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The run does not wait for approval, or with something else.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn approve(
    State(app): State<App>,
    Id(run_id): Id<RunId>,
    OptionalBody(body): OptionalBody<Decision>,
) -> Reply {
    let comment = optional_text("/comment", body.comment.as_deref())?;
    let status = engine::approve_seen(&app.engine, run_id, OPERATOR, comment.as_deref(), body.seen()).await?;
    Ok(Json(ActionResult { run_id, status }))
}

/// Rejects what the run waits with: with a comment another round heeds it, without one the run ends.
#[utoipa::path(post, path = "/runs/{id}/reject", tag = "control", request_body = Option<Decision>,
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "Done.", body = ActionResult),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The run does not wait for approval, or with something else.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn reject(
    State(app): State<App>,
    Id(run_id): Id<RunId>,
    OptionalBody(body): OptionalBody<Decision>,
) -> Reply {
    let comment = optional_text("/comment", body.comment.as_deref())?;
    let status = engine::reject_seen(&app.engine, run_id, OPERATOR, comment.as_deref(), body.seen()).await?;
    Ok(Json(ActionResult { run_id, status }))
}

/// Writes to the agents of a run; where the run waits for input, this answers its questions and lets it go on.
///
/// With an `Idempotency-Key`, a repeated message is written once.
#[utoipa::path(post, path = "/runs/{id}/messages", tag = "control", request_body = NewMessage,
    params(("id" = String, Path, description = "The run.", format = Uuid),
           ("idempotency-key" = Option<String>, Header, description = "Makes a repeated request harmless; 1 to 255 visible ASCII characters.")),
    responses((status = 200, description = "Done.", body = ActionResult),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The run has ended.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 422, description = "The message is blank or too long, or the key was used for another one.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn message(
    State(app): State<App>,
    Id(run_id): Id<RunId>,
    IdempotencyKey(key): IdempotencyKey,
    Body(body): Body<NewMessage>,
) -> Reply {
    let (author, text) = body.check()?;
    let digest = Digest::of(format!("{author}\0{text}"));
    let key = key.map(|key| Idempotency { key, digest });
    let status = engine::message_once(&app.engine, run_id, &author, &text, key.as_ref()).await?;
    Ok(Json(ActionResult { run_id, status }))
}
