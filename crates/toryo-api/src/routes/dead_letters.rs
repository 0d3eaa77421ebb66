//! Dead letters: steps that used up their attempts.

use crate::app::App;
use crate::extract::{Id, Params};
use crate::problem::{Problem, ProblemBody};
use crate::wire::actions::{ActionResult, OPERATOR};
use crate::wire::lists::{List, PageParams};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use toryo_blackboard::{DeadLetter, dead_letters};
use toryo_domain::{DeadLetterId, FailureClass, RunId};
use toryo_engine::control;
use utoipa::ToSchema;

/// A step that used up its attempts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub struct DeadLetterView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    id: DeadLetterId,
    /// The run, which has failed.
    #[schema(value_type = String, format = Uuid)]
    run_id: RunId,
    /// The step.
    #[schema(example = "integrate")]
    step_key: String,
    /// Attempts it had.
    attempts: u32,
    /// What kind of failure the last one was.
    #[schema(value_type = String, example = "sandbox")]
    class: FailureClass,
    /// Why it failed.
    reason: String,
    /// When it was given up.
    #[schema(value_type = String, format = DateTime)]
    created_at: DateTime<Utc>,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { id, run_id, step_key, attempts, class, reason, created_at } = letter;
        Self { id, run_id, step_key: step_key.to_string(), attempts, class, reason, created_at }
    }
}

/// Dead letters, newest first. A run that is retried by another way takes its own with it.
#[utoipa::path(get, path = "/dead-letters", tag = "operation", params(PageParams),
    responses((status = 200, description = "A page of dead letters.", body = List<DeadLetterView>)))]
pub async fn list(
    State(app): State<App>,
    Params(page): Params<PageParams>,
) -> Result<Json<List<DeadLetterView>>, Problem> {
    let (limit, cursor) = page.check()?;
    Ok(Json(List::of(dead_letters::list(app.db(), limit, cursor).await?, DeadLetterView::from)))
}

/// Tries the step again, with as many attempts once more; what is upstream of it is kept.
#[utoipa::path(post, path = "/dead-letters/{id}/replay", tag = "operation",
    params(("id" = String, Path, description = "The dead letter.", format = Uuid)),
    responses((status = 200, description = "Its run goes on.", body = ActionResult),
              (status = 404, description = "There is none, or it was replayed already.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "Its run was cancelled.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn replay(State(app): State<App>, Id(id): Id<DeadLetterId>) -> Result<Json<ActionResult>, Problem> {
    let letter = dead_letters::get(app.db(), id).await?;
    let run_id = letter.run_id;
    let status = control::retry(&app.engine, run_id, OPERATOR, Some(&letter.step_key)).await?;
    Ok(Json(ActionResult { run_id, status }))
}

/// Forgets a dead letter; its step and run stay as they are.
#[utoipa::path(delete, path = "/dead-letters/{id}", tag = "operation",
    params(("id" = String, Path, description = "The dead letter.", format = Uuid)),
    responses((status = 204, description = "It is gone."),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn drop(State(app): State<App>, Id(id): Id<DeadLetterId>) -> Result<StatusCode, Problem> {
    dead_letters::remove(app.db(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
