//! Users: people and services that belong to an organisation.

use super::keys::{change, page, remove};
use super::teams::make;
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Body, Id, IdempotencyKey, Params};
use crate::problem::{Problem, ProblemBody};
use crate::wire::accounts::{AccountParams, AccountView, CreateAccount, PatchAccount};
use crate::wire::lists::List;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use toryo_blackboard::accounts::Kind;
use toryo_domain::AccountId;

/// Makes a user.
#[utoipa::path(post, path = "/users", tag = "gateway", request_body = CreateAccount, security(("key" = [])),
    params(("idempotency-key" = Option<String>, Header, description = "Makes a repeated request harmless.")),
    responses((status = 201, description = "Made.", body = AccountView),
              (status = 403, description = "The caller may not.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The name is taken.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    IdempotencyKey(once): IdempotencyKey,
    Body(body): Body<CreateAccount>,
) -> Result<impl IntoResponse, Problem> {
    let scope = caller.scope()?;
    scope.above_teams()?;
    make(&app, scope, Kind::User, once, body).await.map(|view| (StatusCode::CREATED, Json(view)))
}

/// Users, newest first; for a lead those of the own team.
#[utoipa::path(get, path = "/users", tag = "gateway", params(AccountParams), security(("key" = [])),
    responses((status = 200, description = "A page of users.", body = List<AccountView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<AccountParams>,
) -> Result<Json<List<AccountView>>, Problem> {
    Ok(Json(List::of(page(&app, caller.scope()?, Kind::User, &params).await?, AccountView::from)))
}

/// Changes a user. The change holds at once, everywhere.
#[utoipa::path(patch, path = "/users/{id}", tag = "gateway", request_body = PatchAccount, security(("key" = [])),
    params(("id" = String, Path, description = "The user.", format = Uuid)),
    responses((status = 200, description = "Changed.", body = AccountView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn patch(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
    Body(body): Body<PatchAccount>,
) -> Result<Json<AccountView>, Problem> {
    change(&app, caller.scope()?, Kind::User, id, body).await.map(|user| Json(user.into()))
}

/// Removes a user: the user's keys work no more.
#[utoipa::path(delete, path = "/users/{id}", tag = "gateway", security(("key" = [])),
    params(("id" = String, Path, description = "The user.", format = Uuid)),
    responses((status = 200, description = "Removed.", body = AccountView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn drop_user(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
) -> Result<Json<AccountView>, Problem> {
    remove(&app, caller.scope()?, Kind::User, id).await
}
