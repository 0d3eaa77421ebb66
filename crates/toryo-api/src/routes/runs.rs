//! Runs: list, show, and their events, steps, diff and artifacts.

use crate::app::App;
use crate::diff::Diff;
use crate::extract::{Id, Params};
use crate::problem::{FieldError, Problem, ProblemBody};
use crate::wire::lists::{List, check};
use crate::wire::runs::{
    ArtifactView, DiffFile, DiffView, EventParams, Events, RunParams, RunView, RunWithSteps, StepView,
};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::collections::BTreeMap;
use toryo_blackboard::{Run, RunFilter, archive, artifacts as artifact_rows, runs, steps as step_rows};
use toryo_domain::{Output, RunId};
use toryo_engine::control::gate_round;

const MOST_EVENTS: u32 = 1000;

/// Runs, newest first.
#[utoipa::path(get, path = "/runs", tag = "runs", params(RunParams),
    responses((status = 200, description = "A page of runs.", body = List<RunView>),
              (status = 422, description = "A parameter cannot be accepted.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<App>,
    Params(wanted): Params<RunParams>,
) -> Result<Json<List<RunView>>, Problem> {
    let (limit, cursor) = check(wanted.limit, wanted.cursor.as_deref())?;
    let cursor = cursor.map(str::to_owned);
    let filter = RunFilter { status: wanted.status, repo: wanted.repo, since: wanted.since, limit, cursor };
    Ok(Json(List::of(runs::list(app.db(), &filter).await?, RunView::from)))
}

/// One run with its steps.
#[utoipa::path(get, path = "/runs/{id}", tag = "runs",
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "The run.", body = RunWithSteps),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn show(State(app): State<App>, Id(id): Id<RunId>) -> Result<Json<RunWithSteps>, Problem> {
    let run = runs::get(app.db(), id).await?;
    let steps = step_rows::of_run(app.db(), id).await?;
    let gate_round = gate_round(&run, &steps);
    let steps = steps.into_iter().map(StepView::brief).collect();
    Ok(Json(RunWithSteps { run: run.into(), gate_round, steps }))
}

/// Events of a run, oldest first.
#[utoipa::path(get, path = "/runs/{id}/events", tag = "runs",
    params(("id" = String, Path, description = "The run.", format = Uuid), EventParams),
    responses((status = 200, description = "Events.", body = Events),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn events(
    State(app): State<App>,
    Id(id): Id<RunId>,
    Params(wanted): Params<EventParams>,
) -> Result<Json<Events>, Problem> {
    let limit = wanted.limit.unwrap_or(200);
    if !(1..=MOST_EVENTS).contains(&limit) {
        return Err(Problem::invalid(vec![FieldError::at(
            "/limit",
            format!("`limit` is 1 to {MOST_EVENTS}"),
        )]));
    }
    let run = runs::get(app.db(), id).await?;
    let found =
        archive::events_after(app.db(), &*app.blobs, id, wanted.cursor.or(wanted.after).unwrap_or(0), limit)
            .await?;
    let next_cursor =
        found.last().filter(|event| event.seq < run.last_seq).map(|event| event.seq.to_string());
    Ok(Json(Events { items: found.into_iter().map(Into::into).collect(), next_cursor }))
}

/// The steps of a run with their outputs.
#[utoipa::path(get, path = "/runs/{id}/steps", tag = "runs",
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "Steps.", body = List<StepView>),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn steps(State(app): State<App>, Id(id): Id<RunId>) -> Result<Json<List<StepView>>, Problem> {
    runs::get(app.db(), id).await?;
    let rows = step_rows::of_run(app.db(), id).await?;
    let items = rows.into_iter().map(StepView::full).collect::<Result<_, _>>();
    Ok(Json(List::whole(items.map_err(|error| Problem::internal(&error))?)))
}

/// The change of a run against its base commit, in its best state so far.
///
/// `text/x-diff` where it is asked for by `Accept`, JSON otherwise.
#[utoipa::path(get, path = "/runs/{id}/diff", tag = "runs",
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "The diff; empty while there is none.",
               content((DiffView = "application/json"), (String = "text/x-diff"))),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn diff(
    State(app): State<App>,
    Id(id): Id<RunId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = runs::get(app.db(), id).await?;
    let bytes = diff_of(&app, &run).await?;
    let mut response = if wants_plain_diff(&headers) {
        ([(header::CONTENT_TYPE, "text/x-diff; charset=utf-8")], bytes).into_response()
    } else {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let files = Diff::parse(&text).files.iter().map(DiffFile::from).collect();
        Json(DiffView { digest: run.best_diff, files, diff: text }).into_response()
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// The artifacts of a run, oldest first.
#[utoipa::path(get, path = "/runs/{id}/artifacts", tag = "runs",
    params(("id" = String, Path, description = "The run.", format = Uuid)),
    responses((status = 200, description = "Artifacts.", body = List<ArtifactView>),
              (status = 404, description = "There is no such run.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn artifacts(
    State(app): State<App>,
    Id(id): Id<RunId>,
) -> Result<Json<List<ArtifactView>>, Problem> {
    runs::get(app.db(), id).await?;
    let rows = artifact_rows::of_run(app.db(), id).await?;
    Ok(Json(List::whole(rows.into_iter().map(Into::into).collect())))
}

/// The bytes of a run's diff: that of the join, and before there is one, that of each subtask after the other; none
/// while there is no change.
pub(crate) async fn diff_of(app: &App, run: &Run) -> Result<Bytes, Problem> {
    let (mut joined_diff, mut diffs) = (None, BTreeMap::new());
    // Steps come in the order of their rounds: the last one counts.
    for step in step_rows::of_run(app.db(), run.id).await? {
        match step.output {
            Some(Output::Merge(output)) => joined_diff = Some(output.diff),
            Some(Output::Code(output)) => drop(diffs.insert(step.key.subtask, output.diff)),
            _ => {}
        }
    }
    if let Some(diff) = joined_diff {
        return Ok(app.blobs.get(&diff).await?);
    }
    let mut joined = Vec::new();
    for diff in diffs.values() {
        joined.extend_from_slice(&app.blobs.get(diff).await?);
    }
    Ok(joined.into())
}

/// Whether the first acceptable type is a diff or plain text.
fn wants_plain_diff(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let types: Vec<&str> =
        accept.split(',').filter_map(|part| part.split(';').next()).map(str::trim).collect();
    let position = |wanted: &[&str]| types.iter().position(|it| wanted.contains(it));
    match (position(&["text/x-diff", "text/x-patch", "text/plain"]), position(&["application/json", "*/*"])) {
        (Some(plain), Some(json)) => plain < json,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_decides_the_form_of_a_diff() {
        let wants = |accept: &'static str| {
            let headers = [(header::ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
            wants_plain_diff(&headers)
        };
        assert!(wants("text/x-diff"));
        assert!(wants("text/x-diff, */*;q=0.1"));
        assert!(wants("text/plain"));
        assert!(!wants("application/json"));
        assert!(!wants("*/*"));
        assert!(!wants("application/json, text/plain"));
        assert!(!wants_plain_diff(&HeaderMap::new()));
    }
}
