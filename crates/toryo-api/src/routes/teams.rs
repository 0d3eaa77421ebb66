//! Teams with their members, and the organisations they belong to.

use super::keys::{change, page, remove, take};
use crate::app::App;
use crate::caller::{Caller, Scope};
use crate::extract::{Body, Id, IdempotencyKey, Params};
use crate::problem::{FieldError, Problem, ProblemBody};
use crate::wire::accounts::{
    AccountParams, AccountView, CreateAccount, NewTeam, PatchAccount, PutMember, check_name,
};
use crate::wire::lists::List;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use toryo_blackboard::accounts::{self, Account, Filter, Kind, NewAccount};
use toryo_blackboard::db::{self, Connection};
use toryo_blackboard::idempotency::Seen;
use toryo_domain::AccountId;

/// Makes a team.
#[utoipa::path(post, path = "/teams", tag = "gateway", request_body = CreateAccount, security(("key" = [])),
    params(("idempotency-key" = Option<String>, Header, description = "Makes a repeated request harmless.")),
    responses((status = 201, description = "Made.", body = AccountView),
              (status = 403, description = "The caller may not.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The name is taken.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 422, description = "A value cannot be accepted.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    IdempotencyKey(once): IdempotencyKey,
    Body(body): Body<CreateAccount>,
) -> Result<impl IntoResponse, Problem> {
    make(&app, caller.scope()?, Kind::Team, once, body).await.map(|view| (StatusCode::CREATED, Json(view)))
}

/// Makes a team, in the shape that other gateways take.
#[utoipa::path(post, path = "/team/new", tag = "gateway", request_body = NewTeam, security(("key" = [])),
    responses((status = 201, description = "Made.", body = AccountView),
              (status = 403, description = "The caller may not.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The name is taken.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create_new(
    State(app): State<App>,
    caller: Caller,
    IdempotencyKey(once): IdempotencyKey,
    Body(body): Body<NewTeam>,
) -> Result<impl IntoResponse, Problem> {
    let made = make(&app, caller.scope()?, Kind::Team, once, body.into()).await;
    made.map(|view| (StatusCode::CREATED, Json(view)))
}

/// Teams, newest first.
#[utoipa::path(get, path = "/teams", tag = "gateway", params(AccountParams), security(("key" = [])),
    responses((status = 200, description = "A page of teams.", body = List<AccountView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<AccountParams>,
) -> Result<Json<List<AccountView>>, Problem> {
    Ok(Json(List::of(page(&app, caller.scope()?, Kind::Team, &params).await?, AccountView::from)))
}

/// One team and who is in it.
#[utoipa::path(get, path = "/teams/{id}", tag = "gateway", security(("key" = [])),
    params(("id" = String, Path, description = "The team.", format = Uuid)),
    responses((status = 200, description = "The team.", body = AccountView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
) -> Result<Json<AccountView>, Problem> {
    let team = seen(&app, caller.scope()?, id).await?;
    Ok(Json(with_members(&app, team).await?))
}

/// Changes a team. The change holds at once, everywhere.
#[utoipa::path(patch, path = "/teams/{id}", tag = "gateway", request_body = PatchAccount, security(("key" = [])),
    params(("id" = String, Path, description = "The team.", format = Uuid)),
    responses((status = 200, description = "Changed.", body = AccountView),
              (status = 403, description = "The caller may not.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn patch(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
    Body(body): Body<PatchAccount>,
) -> Result<Json<AccountView>, Problem> {
    change(&app, caller.scope()?, Kind::Team, id, body).await.map(|team| Json(team.into()))
}

/// Removes a team: its keys work no more.
#[utoipa::path(delete, path = "/teams/{id}", tag = "gateway", security(("key" = [])),
    params(("id" = String, Path, description = "The team.", format = Uuid)),
    responses((status = 200, description = "Removed.", body = AccountView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn drop_team(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
) -> Result<Json<AccountView>, Problem> {
    remove(&app, caller.scope()?, Kind::Team, id).await
}

/// Puts a user into a team, or changes the role there.
#[utoipa::path(put, path = "/teams/{id}/members", tag = "gateway", request_body = PutMember, security(("key" = [])),
    params(("id" = String, Path, description = "The team.", format = Uuid)),
    responses((status = 200, description = "The team.", body = AccountView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn put_member(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
    Body(body): Body<PutMember>,
) -> Result<Json<AccountView>, Problem> {
    let team = seen(&app, caller.scope()?, id).await?;
    let mut tx = app.db().begin().await?;
    put_members(&mut tx, &team, vec![body], "").await?;
    db::commit(tx).await?;
    Ok(Json(with_members(&app, team).await?))
}

/// Takes a user out of a team: the user's keys for it work no more.
#[utoipa::path(delete, path = "/teams/{id}/members/{user}", tag = "gateway", security(("key" = [])),
    params(("id" = String, Path, description = "The team.", format = Uuid),
           ("user" = String, Path, description = "The user.", format = Uuid)),
    responses((status = 200, description = "The team.", body = AccountView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn drop_member(
    State(app): State<App>,
    caller: Caller,
    Path((id, user)): Path<(String, String)>,
) -> Result<Json<AccountView>, Problem> {
    let (Ok(id), Ok(user)) = (id.parse(), user.parse::<AccountId>()) else {
        return Err(Problem::not_found("the member"));
    };
    let team = seen(&app, caller.scope()?, id).await?;
    let mut tx = app.db().begin().await?;
    if !accounts::drop_member(&mut tx, id, user).await? {
        return Err(Problem::not_found("the member"));
    }
    db::commit(tx).await?;
    Ok(Json(with_members(&app, team).await?))
}

/// Makes an organisation.
#[utoipa::path(post, path = "/organisations", tag = "gateway", request_body = CreateAccount, security(("key" = [])),
    responses((status = 201, description = "Made.", body = AccountView),
              (status = 403, description = "The caller may not.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The name is taken.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create_organisation(
    State(app): State<App>,
    caller: Caller,
    IdempotencyKey(once): IdempotencyKey,
    Body(body): Body<CreateAccount>,
) -> Result<impl IntoResponse, Problem> {
    let scope = caller.scope()?;
    scope.operator()?;
    make(&app, scope, Kind::Organisation, once, body).await.map(|view| (StatusCode::CREATED, Json(view)))
}

/// Organisations, newest first.
#[utoipa::path(get, path = "/organisations", tag = "gateway", params(AccountParams), security(("key" = [])),
    responses((status = 200, description = "A page of organisations.", body = List<AccountView>)))]
pub async fn organisations(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<AccountParams>,
) -> Result<Json<List<AccountView>>, Problem> {
    let scope = caller.scope()?;
    scope.above_teams()?;
    Ok(Json(List::of(page(&app, scope, Kind::Organisation, &params).await?, AccountView::from)))
}

/// Changes an organisation. The change holds at once, everywhere.
#[utoipa::path(patch, path = "/organisations/{id}", tag = "gateway", request_body = PatchAccount, security(("key" = [])),
    params(("id" = String, Path, description = "The organisation.", format = Uuid)),
    responses((status = 200, description = "Changed.", body = AccountView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn patch_organisation(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
    Body(body): Body<PatchAccount>,
) -> Result<Json<AccountView>, Problem> {
    change(&app, caller.scope()?, Kind::Organisation, id, body).await.map(|it| Json(it.into()))
}

/// Makes a team, user or organisation. The same request again finds what it made.
pub(super) async fn make(
    app: &App,
    scope: Scope,
    kind: Kind,
    once: Option<String>,
    body: CreateAccount,
) -> Result<AccountView, Problem> {
    if kind == Kind::Team {
        scope.above_teams()?;
    }
    let (name, limits) = (check_name("/name", &body.name)?, body.limits()?);
    let mut tx = app.db().begin().await?;
    let seen = take(&mut tx, "gateway.accounts", once, format!("{kind:?} {body:?}").as_bytes()).await?;
    let organisation = match (kind, scope.organisation(body.organisation_id)?) {
        (Kind::Organisation, _) => None,
        (_, Some(organisation)) => {
            let found = accounts::get(&mut tx, Kind::Organisation, organisation).await;
            let missing = FieldError::at("/organisation_id", "does not exist");
            Some(found.map_err(|_| Problem::invalid(vec![missing]))?.id)
        }
        (_, None) => Some(accounts::default_organisation(&mut tx).await?),
    };
    if seen == Seen::Before {
        let filter = Filter { organisation, ..Filter::default() };
        let page = accounts::list(app.db(), kind, &filter, 200, None).await?;
        let made = page.items.into_iter().find(|account| account.name == name);
        return made.map(AccountView::from).ok_or_else(|| Problem::not_found(format!("`{name}`")));
    }
    let new =
        NewAccount { kind, name, organisation, team: None, user: None, role: None, limits, expires_at: None };
    let made = accounts::create(&mut tx, AccountId::generate(), &new).await?;
    if kind == Kind::Team {
        put_members(&mut tx, &made, body.members, "/members").await?;
    }
    db::commit(tx).await?;
    if kind == Kind::Team { with_members(app, made).await } else { Ok(made.into()) }
}

/// Users are named by id or name; a name that is not known yet becomes a user.
async fn put_members(
    tx: &mut Connection,
    team: &Account,
    members: Vec<PutMember>,
    pointer: &str,
) -> Result<(), Problem> {
    for (n, member) in members.into_iter().enumerate() {
        let at = if pointer.is_empty() { "/user".to_owned() } else { format!("{pointer}/{n}/user") };
        let user = match member.user.parse::<AccountId>() {
            Ok(id) => {
                let user = accounts::get(tx, Kind::User, id).await.ok();
                let user =
                    user.filter(|user| user.organisation == team.organisation && user.removed_at.is_none());
                user.ok_or_else(|| Problem::invalid(vec![FieldError::at(at, "does not exist")]))?.id
            }
            Err(_) => {
                let name = check_name(&at, &member.user)?;
                let organisation = team.organisation.ok_or_else(|| Problem::not_found("the organisation"))?;
                accounts::user_named(tx, organisation, &name).await?
            }
        };
        accounts::put_member(tx, team.id, user, member.role).await?;
    }
    Ok(())
}

async fn seen(app: &App, scope: Scope, id: AccountId) -> Result<Account, Problem> {
    let mut tx = app.db().begin().await?;
    scope.see(accounts::get(&mut tx, Kind::Team, id).await?)
}

async fn with_members(app: &App, team: Account) -> Result<AccountView, Problem> {
    let members = accounts::members(app.db(), team.id).await?;
    Ok(AccountView::from(team).with_members(members))
}
