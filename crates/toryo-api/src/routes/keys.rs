//! Keys: make, list, change, rotate, revoke.

use crate::app::App;
use crate::caller::{Caller, Scope};
use crate::extract::{Body, Id, IdempotencyKey, OptionalBody, Params};
use crate::problem::{FieldError, Kind as ProblemKind, Problem, ProblemBody};
use crate::wire::accounts::{
    AccountParams, AccountView, CreateKey, NewKey, PatchAccount, Rotate, check_name, within,
};
use crate::wire::lists::{self, List};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use std::time::Duration;
use toryo_blackboard::accounts::{self, Account, Filter, KeyRole, Kind, NewAccount};
use toryo_blackboard::db::{self, Connection};
use toryo_blackboard::idempotency::{self, Seen};
use toryo_blackboard::{Db, Idempotency};
use toryo_domain::{AccountId, Digest};
use toryo_models::accounts::secret::{self, NewSecret};

/// Makes a key. Its secret is in the answer, and nowhere else ever again.
#[utoipa::path(post, path = "/keys", tag = "gateway", request_body = CreateKey, security(("key" = [])),
    params(("idempotency-key" = Option<String>, Header, description = "Makes a repeated request harmless: it makes no second key.")),
    responses((status = 201, description = "Made.", body = NewKey),
              (status = 403, description = "The caller may not.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 409, description = "The request came before; its secret was shown then.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 422, description = "A value cannot be accepted.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    IdempotencyKey(once): IdempotencyKey,
    Body(body): Body<CreateKey>,
) -> Result<impl IntoResponse, Problem> {
    let scope = caller.scope()?;
    let mut tx = app.db().begin().await?;
    let fresh = take(&mut tx, "gateway.keys", once, format!("{body:?}").as_bytes()).await?;
    if fresh == Seen::Before {
        let detail = "the key was made when the request came first, and its secret was shown then; rotate it for another";
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    let new = checked(&mut tx, scope, body).await?;
    let secret = new_secret()?;
    let id = AccountId::generate();
    let key = accounts::create(&mut tx, id, &new).await?;
    accounts::add_secret(&mut tx, id, &secret.digest, &secret.prefix, Duration::ZERO).await?;
    db::commit(tx).await?;
    let location = [(header::LOCATION, format!("/keys/{id}"))];
    Ok((StatusCode::CREATED, location, Json(shown(app.db(), key, &secret).await?)))
}

/// Keys, newest first; without their secrets.
#[utoipa::path(get, path = "/keys", tag = "gateway", params(AccountParams), security(("key" = [])),
    responses((status = 200, description = "A page of keys.", body = List<AccountView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<AccountParams>,
) -> Result<Json<List<AccountView>>, Problem> {
    let page = page(&app, caller.scope()?, Kind::Key, &params).await?;
    let ids: Vec<_> = page.items.iter().map(|key| key.id).collect();
    let secrets = accounts::secrets(app.db(), &ids).await?;
    Ok(Json(List::of(page, |key| AccountView::from(key).with_secrets(&secrets))))
}

/// One key, without its secret.
#[utoipa::path(get, path = "/keys/{id}", tag = "gateway", security(("key" = [])),
    params(("id" = String, Path, description = "The key.", format = Uuid)),
    responses((status = 200, description = "The key.", body = AccountView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
) -> Result<Json<AccountView>, Problem> {
    let scope = caller.scope()?;
    let mut tx = app.db().begin().await?;
    let key = scope.see(accounts::get(&mut tx, Kind::Key, id).await?)?;
    drop(tx);
    let secrets = accounts::secrets(app.db(), &[id]).await?;
    Ok(Json(AccountView::from(key).with_secrets(&secrets)))
}

/// Changes a key. The change holds at once, everywhere.
#[utoipa::path(patch, path = "/keys/{id}", tag = "gateway", request_body = PatchAccount, security(("key" = [])),
    params(("id" = String, Path, description = "The key.", format = Uuid)),
    responses((status = 200, description = "Changed.", body = AccountView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json"),
              (status = 422, description = "A value cannot be accepted.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn patch(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
    Body(body): Body<PatchAccount>,
) -> Result<Json<AccountView>, Problem> {
    change(&app, caller.scope()?, Kind::Key, id, body).await.map(|key| Json(key.into()))
}

/// Gives a key another secret, which is in the answer and nowhere else. The old one works until the overlap ends.
#[utoipa::path(post, path = "/keys/{id}/rotate", tag = "gateway", request_body = Option<Rotate>, security(("key" = [])),
    params(("id" = String, Path, description = "The key.", format = Uuid)),
    responses((status = 200, description = "The new secret.", body = NewKey),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn rotate(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
    OptionalBody(body): OptionalBody<Rotate>,
) -> Result<Json<NewKey>, Problem> {
    let (scope, overlap) = (caller.scope()?, body.check()?);
    let mut tx = app.db().begin().await?;
    let key = scope.see(accounts::get(&mut tx, Kind::Key, id).await?)?;
    scope.change(&key)?;
    if key.removed_at.is_some() {
        return Err(Problem::new(ProblemKind::Conflict, "the key was revoked"));
    }
    let secret = new_secret()?;
    accounts::add_secret(&mut tx, id, &secret.digest, &secret.prefix, overlap).await?;
    db::commit(tx).await?;
    Ok(Json(shown(app.db(), key, &secret).await?))
}

/// Revokes a key. It works no more, anywhere, at once; its row stays for the ledger.
#[utoipa::path(delete, path = "/keys/{id}", tag = "gateway", security(("key" = [])),
    params(("id" = String, Path, description = "The key.", format = Uuid)),
    responses((status = 200, description = "Revoked.", body = AccountView),
              (status = 404, description = "There is none.", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AccountId>,
) -> Result<Json<AccountView>, Problem> {
    remove(&app, caller.scope()?, Kind::Key, id).await
}

async fn checked(tx: &mut Connection, scope: Scope, body: CreateKey) -> Result<NewAccount, Problem> {
    let limits = body.limits()?;
    let name = check_name("/name", &body.name)?;
    let role = body.role.unwrap_or(KeyRole::Member);
    let at = |pointer: &str, detail: &str| Problem::invalid(vec![FieldError::at(pointer, detail)]);
    let named = match scope {
        Scope::Team { team, .. } => {
            if body.team_id.is_some_and(|other| other != team) {
                return Err(Problem::not_found("the team"));
            }
            Some(team)
        }
        Scope::All | Scope::Organisation(_) => body.team_id,
    };
    let mut organisation = scope.organisation(body.organisation_id)?;
    for (pointer, kind, id) in [("/team_id", Kind::Team, named), ("/user_id", Kind::User, body.user_id)] {
        let Some(id) = id else { continue };
        let account = accounts::get(tx, kind, id).await.ok().filter(|account| account.removed_at.is_none());
        let account = account.ok_or_else(|| at(pointer, "does not exist"))?;
        if organisation.is_some_and(|own| account.organisation != Some(own)) {
            return Err(at(pointer, "belongs to another organisation"));
        }
        organisation = account.organisation;
        if kind == Kind::Team && matches!(scope, Scope::Team { .. }) {
            within(&limits, &account.limits)?;
        }
    }
    if let (Some(team), Some(user)) = (named, body.user_id)
        && accounts::member_role(tx, team, user).await?.is_none()
    {
        return Err(at("/user_id", "is not in the team"));
    }
    if role == KeyRole::TeamAdmin && named.is_none() {
        return Err(at("/role", "a key that administers a team needs a team"));
    }
    if role == KeyRole::OrganisationAdmin {
        scope.above_teams()?;
    }
    let organisation = match organisation {
        Some(organisation) => organisation,
        None => accounts::default_organisation(tx).await?,
    };
    accounts::get(tx, Kind::Organisation, organisation)
        .await
        .map_err(|_| at("/organisation_id", "does not exist"))?;
    Ok(NewAccount {
        kind: Kind::Key,
        name,
        organisation: Some(organisation),
        team: named,
        user: body.user_id,
        role: Some(role),
        limits,
        expires_at: body.expires_at,
    })
}

fn new_secret() -> Result<NewSecret, Problem> {
    secret::generate().map_err(|error| Problem::internal(&error))
}

async fn shown(db: &Db, key: Account, secret: &NewSecret) -> Result<NewKey, Problem> {
    let secrets = accounts::secrets(db, &[key.id]).await?;
    Ok(NewKey { secret: secret.reveal().to_owned(), key: AccountView::from(key).with_secrets(&secrets) })
}

/// A page of what is in the scope.
pub(super) async fn page(
    app: &App,
    scope: Scope,
    kind: Kind,
    params: &AccountParams,
) -> Result<toryo_blackboard::Page<Account>, Problem> {
    let (limit, cursor) = lists::check(params.limit, params.cursor.as_deref())?;
    let organisation = scope.organisation(params.organisation_id)?;
    let team = match scope {
        Scope::Team { team, .. } => {
            if params.team_id.is_some_and(|other| other != team) {
                return Err(Problem::not_found("the team"));
            }
            Some(team)
        }
        Scope::All | Scope::Organisation(_) => params.team_id,
    };
    let filter = Filter { organisation, team, user: params.user_id, removed: params.removed };
    Ok(accounts::list(app.db(), kind, &filter, limit, cursor).await?)
}

/// Changes what is in the scope.
pub(super) async fn change(
    app: &App,
    scope: Scope,
    kind: Kind,
    id: AccountId,
    body: PatchAccount,
) -> Result<Account, Problem> {
    let change = body.check(kind)?;
    let mut tx = app.db().begin().await?;
    let account = scope.see(accounts::get(&mut tx, kind, id).await?)?;
    scope.change(&account)?;
    let changed = accounts::change(&mut tx, kind, id, &change).await?;
    if let Scope::Team { team, .. } = scope {
        let team = accounts::get(&mut tx, Kind::Team, team).await?;
        within(&changed.limits, &team.limits)?;
    }
    db::commit(tx).await?;
    Ok(changed)
}

/// Removes what is in the scope.
pub(super) async fn remove(
    app: &App,
    scope: Scope,
    kind: Kind,
    id: AccountId,
) -> Result<Json<AccountView>, Problem> {
    let mut tx = app.db().begin().await?;
    let account = scope.see(accounts::get(&mut tx, kind, id).await?)?;
    scope.change(&account)?;
    let removed = accounts::remove(&mut tx, kind, id).await?;
    db::commit(tx).await?;
    Ok(Json(removed.into()))
}

/// Whether a request is the first one of its key; without a key each is.
pub(super) async fn take(
    tx: &mut Connection,
    scope: &str,
    key: Option<String>,
    request: &[u8],
) -> Result<Seen, Problem> {
    let Some(key) = key else { return Ok(Seen::First) };
    match idempotency::take(tx, scope, &Idempotency { key, digest: Digest::of(request) }).await? {
        Seen::Other => {
            Err(Problem::new(ProblemKind::KeyReused, "the idempotency key came with another request before"))
        }
        seen @ (Seen::First | Seen::Before) => Ok(seen),
    }
}
