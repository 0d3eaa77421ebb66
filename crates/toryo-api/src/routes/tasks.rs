//! Tasks: submit, list, show.

use crate::app::App;
use crate::extract::{Body, Id, IdempotencyKey, Params};
use crate::problem::{Problem, ProblemBody};
use crate::wire::lists::{List, PageParams};
use crate::wire::runs::RunLinks;
use crate::wire::tasks::{Accepted, CreateTask, TaskView};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use toryo_blackboard::{Idempotency, tasks};
use toryo_domain::{Digest, NewTask, TaskId};

/// Stores a task and queues its first run.
///
/// With an `Idempotency-Key`, a repeated request gives the same run.
#[utoipa::path(
    post, path = "/tasks", tag = "tasks", request_body = CreateTask,
    params(("idempotency-key" = Option<String>, Header, description = "Makes a repeated request harmless; 1 to 255 visible ASCII characters.")),
    responses(
        (status = 202, description = "Stored; the run begins as soon as a worker is free.", body = Accepted,
         headers(("location" = String, description = "The run."))),
        (status = 400, description = "Not JSON.", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large.", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Another media type.", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A value cannot be accepted, or the key was used for another request.", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn create(
    State(app): State<App>,
    IdempotencyKey(key): IdempotencyKey,
    Body(body): Body<CreateTask>,
) -> Result<impl IntoResponse, Problem> {
    let task = body.check(&app.config)?;
    let idempotency = key.map(|key| idempotency(key, &task)).transpose()?;
    let earlier = match &idempotency {
        Some(idempotency) => toryo_engine::submit::earlier(&app.engine, idempotency).await?,
        None => None,
    };
    let submitted = match earlier {
        Some(earlier) => earlier,
        None => {
            app.ports.repositories.check(&task.repo_url, task.base_branch.as_deref()).await?;
            toryo_engine::submit(&app.engine, &task, idempotency.as_ref()).await?
        }
    };
    let links = RunLinks::of(submitted.run_id);
    let location = [(header::LOCATION, links.run.clone())];
    let accepted = Accepted { task_id: submitted.task_id, run_id: submitted.run_id, links };
    Ok((StatusCode::ACCEPTED, location, Json(accepted)))
}

/// Requests that mean the same task are the same request, however their JSON is laid out.
fn idempotency(key: String, task: &NewTask) -> Result<Idempotency, Problem> {
    let text = serde_json::to_vec(task).map_err(|error| Problem::internal(&error))?;
    Ok(Idempotency { key, digest: Digest::of(text) })
}

/// Tasks, newest first.
#[utoipa::path(get, path = "/tasks", tag = "tasks", params(PageParams),
    responses((status = 200, description = "A page of tasks.", body = List<TaskView>)))]
pub async fn list(
    State(app): State<App>,
    Params(page): Params<PageParams>,
) -> Result<Json<List<TaskView>>, Problem> {
    let (limit, cursor) = page.check()?;
    Ok(Json(List::of(tasks::list(app.db(), limit, cursor).await?, TaskView::from)))
}

/// One task and its runs.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks",
    params(("id" = String, Path, description = "The task.", format = Uuid)),
    responses((status = 200, description = "The task.", body = TaskView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn show(State(app): State<App>, Id(id): Id<TaskId>) -> Result<Json<TaskView>, Problem> {
    Ok(Json(tasks::get(app.db(), id).await?.into()))
}
