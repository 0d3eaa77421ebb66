//! Repositories: list, register, settings, indexing.

use crate::app::App;
use crate::extract::{Body, Id, Params};
use crate::problem::{FieldError, Problem, ProblemBody};
use crate::wire::lists::{List, PageParams};
use crate::wire::repos::{PutRepo, PutSettings, RepoView};
use crate::wire::tasks::check_repo_url;
use crate::wire::tenants::check_settings;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::Value;
use toryo_blackboard::repos;
use toryo_domain::RepoId;

/// Repositories, newest first.
#[utoipa::path(get, path = "/repos", tag = "repos", params(PageParams),
    responses((status = 200, description = "A page of repositories.", body = List<RepoView>)))]
pub async fn list(
    State(app): State<App>,
    Params(page): Params<PageParams>,
) -> Result<Json<List<RepoView>>, Problem> {
    let (limit, cursor) = page.check()?;
    Ok(Json(List::of(repos::list(app.db(), limit, cursor).await?, RepoView::from)))
}

/// Registers a repository, or replaces the settings of the one with this URL.
#[utoipa::path(put, path = "/repos", tag = "repos", request_body = PutRepo,
    responses((status = 200, description = "Stored.", body = RepoView),
              (status = 422, description = "There is no such repository.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn put(State(app): State<App>, Body(body): Body<PutRepo>) -> Result<Json<RepoView>, Problem> {
    let url = check_repo_url("/url", &body.url)?;
    check_settings(&body.settings)?;
    app.ports.repositories.check(&url, None).await.map_err(|error| {
        let mut problem = Problem::from(error);
        problem.errors = problem.errors.into_iter().map(|it| FieldError::at("/url", it.detail)).collect();
        problem
    })?;
    Ok(Json(repos::upsert(app.db(), &url, &Value::Object(body.settings)).await?.into()))
}

/// One repository.
#[utoipa::path(get, path = "/repos/{id}", tag = "repos",
    params(("id" = String, Path, description = "The repository.", format = Uuid)),
    responses((status = 200, description = "The repository.", body = RepoView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn show(State(app): State<App>, Id(id): Id<RepoId>) -> Result<Json<RepoView>, Problem> {
    Ok(Json(repos::get(app.db(), id).await?.into()))
}

/// Replaces the settings of a repository.
#[utoipa::path(put, path = "/repos/{id}", tag = "repos", request_body = PutSettings,
    params(("id" = String, Path, description = "The repository.", format = Uuid)),
    responses((status = 200, description = "Stored.", body = RepoView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 422, description = "A setting cannot be accepted.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn put_settings(
    State(app): State<App>,
    Id(id): Id<RepoId>,
    Body(body): Body<PutSettings>,
) -> Result<Json<RepoView>, Problem> {
    check_settings(&body.settings)?;
    let repo = repos::get(app.db(), id).await?;
    Ok(Json(repos::upsert(app.db(), &repo.url, &Value::Object(body.settings)).await?.into()))
}

/// Begins to build or refresh the code index of a repository; its `indexed_commit` shows the end.
#[utoipa::path(post, path = "/repos/{id}/index", tag = "repos",
    params(("id" = String, Path, description = "The repository.", format = Uuid)),
    responses((status = 202, description = "Begun.", body = RepoView, headers(("location" = String, description = "The repository."))),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn index(State(app): State<App>, Id(id): Id<RepoId>) -> Result<impl IntoResponse, Problem> {
    let repo = repos::get(app.db(), id).await?;
    app.ports.indexer.start(&repo).await?;
    let location = [(header::LOCATION, format!("/repos/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(RepoView::from(repo))))
}
