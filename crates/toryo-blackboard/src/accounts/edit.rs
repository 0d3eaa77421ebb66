//! Making, changing and removing accounts.

use super::{Account, COLUMNS, KeyRole, Kind, Limits, MemberRole, Secret, announce, from_row};
use crate::db::Connection;
use crate::page::Page;
use crate::{Db, Error, row};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Row as _};
use std::time::Duration;
use toryo_domain::{AccountId, Digest};
use uuid::Uuid;

/// An account to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// What it is.
    pub kind: Kind,
    /// Its name; that of a team or user is unique in its organisation.
    pub name: String,
    /// The organisation it belongs to; `None` for an organisation.
    pub organisation: Option<AccountId>,
    /// The team of a key.
    pub team: Option<AccountId>,
    /// The user of a key.
    pub user: Option<AccountId>,
    /// What a key may administer; `None` for others.
    pub role: Option<KeyRole>,
    /// Its own limits.
    pub limits: Limits,
    /// When a key ends.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What changes; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Another name.
    pub name: Option<String>,
    /// Other routes; `Some(None)` takes the restriction away.
    pub routes: Option<Option<Vec<String>>>,
    /// Other requests a minute.
    pub requests_per_minute: Option<Option<i64>>,
    /// Other tokens a minute.
    pub tokens_per_minute: Option<Option<i64>>,
    /// Other calls at once.
    pub parallel: Option<Option<i64>>,
    /// Another end.
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

/// Which accounts to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of this organisation.
    pub organisation: Option<AccountId>,
    /// Those of this team: its keys, and the users who are in it.
    pub team: Option<AccountId>,
    /// Keys of this user.
    pub user: Option<AccountId>,
    /// Removed ones as well.
    pub removed: bool,
}

/// Who is in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: AccountId,
    /// The user's name.
    pub name: String,
    /// What the user is in the team.
    pub role: MemberRole,
}

/// The name of the organisation that holds what names no other.
const DEFAULT_ORGANISATION: &str = "default";

/// Makes an account.
///
/// # Errors
/// [`Error::Conflict`] where the name is taken.
pub async fn create(db: &mut Connection, id: AccountId, new: &NewAccount) -> Result<Account, Error> {
    let statement = format!(
        "insert into gateway_accounts (id, kind, name, organisation_id, team_id, user_id, role, routes, \
         requests_per_minute, tokens_per_minute, parallel, expires_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning {COLUMNS}"
    );
    let made = sqlx::query(AssertSqlSafe(statement))
        .bind(id.uuid())
        .bind(new.kind.as_str())
        .bind(row::storable(&new.name))
        .bind(new.organisation.map(AccountId::uuid))
        .bind(new.team.map(AccountId::uuid))
        .bind(new.user.map(AccountId::uuid))
        .bind(new.role.map(KeyRole::as_str))
        .bind(&new.limits.routes)
        .bind(new.limits.requests_per_minute)
        .bind(new.limits.tokens_per_minute)
        .bind(new.limits.parallel)
        .bind(new.expires_at)
        .fetch_one(&mut *db)
        .await
        .map_err(|error| taken(error, new.kind, &new.name))?;
    announce(db, id).await?;
    from_row(&made)
}

/// The organisation that holds what names no other; made when first needed.
///
/// # Errors
/// The database does not answer.
pub async fn default_organisation(db: &mut Connection) -> Result<AccountId, Error> {
    let make = "insert into gateway_accounts (id, kind, name) values ($1, 'organisation', $2) \
                on conflict (name) where removed_at is null and kind = 'organisation' do nothing";
    sqlx::query(make).bind(Uuid::now_v7()).bind(DEFAULT_ORGANISATION).execute(&mut *db).await?;
    let find =
        "select id from gateway_accounts where kind = 'organisation' and name = $1 and removed_at is null";
    Ok(sqlx::query_scalar::<_, Uuid>(find).bind(DEFAULT_ORGANISATION).fetch_one(db).await?.into())
}

/// An account of this kind, removed or not.
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub async fn get(db: &mut Connection, kind: Kind, id: AccountId) -> Result<Account, Error> {
    let statement = format!("select {COLUMNS} from gateway_accounts where id = $1 and kind = $2");
    let found =
        sqlx::query(AssertSqlSafe(statement)).bind(id.uuid()).bind(kind.as_str()).fetch_optional(db).await?;
    from_row(&found.ok_or_else(|| Error::NotFound { what: format!("{} {id}", kind.as_str()) })?)
}

/// An account of any kind, removed or not.
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub async fn find(db: &mut Connection, id: AccountId) -> Result<Account, Error> {
    let statement = format!("select {COLUMNS} from gateway_accounts where id = $1");
    let found = sqlx::query(AssertSqlSafe(statement)).bind(id.uuid()).fetch_optional(db).await?;
    from_row(&found.ok_or_else(|| Error::NotFound { what: format!("account {id}") })?)
}

/// What a user is in a team; `None` where the user is not in it.
///
/// # Errors
/// The database does not answer.
pub async fn member_role(
    db: &mut Connection,
    team: AccountId,
    user: AccountId,
) -> Result<Option<MemberRole>, Error> {
    let statement = "select role from gateway_members where team_id = $1 and user_id = $2";
    let found = sqlx::query(statement).bind(team.uuid()).bind(user.uuid()).fetch_optional(db).await?;
    found.map(|found| row::parse(&found, "role")).transpose()
}

/// Accounts of a kind, newest first.
///
/// # Errors
/// The cursor is not one of a list's.
pub async fn list(
    db: &Db,
    kind: Kind,
    filter: &Filter,
    limit: u32,
    cursor: Option<&str>,
) -> Result<Page<Account>, Error> {
    let statement = format!(
        "select {COLUMNS} from gateway_accounts a where kind = $1 and id < $2 \
         and ($3::uuid is null or organisation_id = $3 or id = $3) \
         and ($4::uuid is null or team_id = $4 or id = $4 \
              or id in (select user_id from gateway_members where team_id = $4)) \
         and ($5::uuid is null or user_id = $5 or id = $5) and ($6 or removed_at is null) \
         order by id desc limit $7"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(kind.as_str())
        .bind(row::cursor(cursor)?)
        .bind(filter.organisation.map(AccountId::uuid))
        .bind(filter.team.map(AccountId::uuid))
        .bind(filter.user.map(AccountId::uuid))
        .bind(filter.removed)
        .bind(i64::from(limit) + 1)
        .fetch_all(db.pool())
        .await?;
    let items = rows.iter().map(from_row).collect::<Result<_, _>>()?;
    Ok(Page::of(items, limit, |account: &Account| account.id.to_string()))
}

/// Changes an account that is not removed.
///
/// # Errors
/// [`Error::NotFound`] where there is none, [`Error::Conflict`] where the name is taken.
pub async fn change(
    db: &mut Connection,
    kind: Kind,
    id: AccountId,
    change: &Change,
) -> Result<Account, Error> {
    let statement = format!(
        "update gateway_accounts set name = coalesce($3, name), \
         routes = case when $4 then $5 else routes end, \
         requests_per_minute = case when $6 then $7 else requests_per_minute end, \
         tokens_per_minute = case when $8 then $9 else tokens_per_minute end, \
         parallel = case when $10 then $11 else parallel end, \
         expires_at = case when $12 then $13 else expires_at end \
         where id = $1 and kind = $2 and removed_at is null returning {COLUMNS}"
    );
    let changed = sqlx::query(AssertSqlSafe(statement))
        .bind(id.uuid())
        .bind(kind.as_str())
        .bind(change.name.as_deref().map(row::storable))
        .bind(change.routes.is_some())
        .bind(change.routes.clone().flatten())
        .bind(change.requests_per_minute.is_some())
        .bind(change.requests_per_minute.flatten())
        .bind(change.tokens_per_minute.is_some())
        .bind(change.tokens_per_minute.flatten())
        .bind(change.parallel.is_some())
        .bind(change.parallel.flatten())
        .bind(change.expires_at.is_some())
        .bind(change.expires_at.flatten())
        .fetch_optional(&mut *db)
        .await
        .map_err(|error| taken(error, kind, change.name.as_deref().unwrap_or_default()))?
        .ok_or_else(|| Error::NotFound { what: format!("{} {id}", kind.as_str()) })?;
    announce(db, id).await?;
    from_row(&changed)
}

/// Removes an account: its keys work no more. Rows stay, so that the ledger can name them. Again is harmless.
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub async fn remove(db: &mut Connection, kind: Kind, id: AccountId) -> Result<Account, Error> {
    let statement = format!(
        "update gateway_accounts set removed_at = coalesce(removed_at, now()) \
         where id = $1 and kind = $2 returning {COLUMNS}"
    );
    let removed = sqlx::query(AssertSqlSafe(statement))
        .bind(id.uuid())
        .bind(kind.as_str())
        .fetch_optional(&mut *db)
        .await?
        .ok_or_else(|| Error::NotFound { what: format!("{} {id}", kind.as_str()) })?;
    announce(db, id).await?;
    from_row(&removed)
}

/// Gives a key another secret. Those it has end after `overlap`, or when they would have ended anyway.
///
/// # Errors
/// The database does not answer.
pub async fn add_secret(
    db: &mut Connection,
    key: AccountId,
    digest: &Digest,
    prefix: &str,
    overlap: Duration,
) -> Result<(), Error> {
    let end = "update gateway_secrets set expires_at = least(coalesce(expires_at, 'infinity'), now() + $2) \
               where key_id = $1";
    sqlx::query(end).bind(key.uuid()).bind(overlap).execute(&mut *db).await?;
    sqlx::query("insert into gateway_secrets (digest, key_id, prefix) values ($1, $2, $3)")
        .bind(&digest.bytes()[..])
        .bind(key.uuid())
        .bind(prefix)
        .execute(&mut *db)
        .await?;
    announce(db, key).await
}

/// How the secrets of keys are recognised, newest first; those that are over are left out.
///
/// # Errors
/// The database does not answer.
pub async fn secrets(db: &Db, keys: &[AccountId]) -> Result<Vec<(AccountId, Secret)>, Error> {
    let statement = "select key_id, prefix, created_at, expires_at from gateway_secrets \
                     where key_id = any($1) and coalesce(expires_at > now(), true) order by created_at desc, prefix";
    let keys: Vec<Uuid> = keys.iter().map(|key| key.uuid()).collect();
    let rows = sqlx::query(statement).bind(keys).fetch_all(db.pool()).await?;
    rows.iter()
        .map(|found| {
            let secret = Secret {
                prefix: row::get(found, "prefix")?,
                created_at: row::get(found, "created_at")?,
                expires_at: row::get(found, "expires_at")?,
            };
            Ok((row::get::<Uuid>(found, "key_id")?.into(), secret))
        })
        .collect()
}

/// Who is in a team, by name.
///
/// # Errors
/// The database does not answer.
pub async fn members(db: &Db, team: AccountId) -> Result<Vec<Member>, Error> {
    let statement = "select a.id, a.name, m.role from gateway_members m join gateway_accounts a on a.id = m.user_id \
                     where m.team_id = $1 and a.removed_at is null order by a.name";
    let rows = sqlx::query(statement).bind(team.uuid()).fetch_all(db.pool()).await?;
    rows.iter()
        .map(|found| {
            Ok(Member {
                user: row::get::<Uuid>(found, "id")?.into(),
                name: row::get(found, "name")?,
                role: row::parse(found, "role")?,
            })
        })
        .collect()
}

/// Puts a user into a team, or changes the role there.
///
/// # Errors
/// The database does not answer.
pub async fn put_member(
    db: &mut Connection,
    team: AccountId,
    user: AccountId,
    role: MemberRole,
) -> Result<(), Error> {
    let statement = "insert into gateway_members (team_id, user_id, role) values ($1, $2, $3) \
                     on conflict (team_id, user_id) do update set role = excluded.role";
    sqlx::query(statement).bind(team.uuid()).bind(user.uuid()).bind(role.as_str()).execute(&mut *db).await?;
    announce(db, user).await
}

/// Takes a user out of a team; keys of the user for this team work no more. `false` where the user was not in it.
///
/// # Errors
/// The database does not answer.
pub async fn drop_member(db: &mut Connection, team: AccountId, user: AccountId) -> Result<bool, Error> {
    let statement = "delete from gateway_members where team_id = $1 and user_id = $2";
    let gone = sqlx::query(statement).bind(team.uuid()).bind(user.uuid()).execute(&mut *db).await?;
    announce(db, user).await?;
    Ok(gone.rows_affected() > 0)
}

/// The user of this name in an organisation; made where there is none.
///
/// # Errors
/// The database does not answer.
pub async fn user_named(
    db: &mut Connection,
    organisation: AccountId,
    name: &str,
) -> Result<AccountId, Error> {
    let make = "insert into gateway_accounts (id, kind, name, organisation_id) values ($1, 'user', $2, $3) \
                on conflict do nothing";
    let name = row::storable(name);
    sqlx::query(make).bind(Uuid::now_v7()).bind(&name).bind(organisation.uuid()).execute(&mut *db).await?;
    let find = "select id from gateway_accounts \
                where kind = 'user' and name = $1 and organisation_id = $2 and removed_at is null";
    let found = sqlx::query(find).bind(&name).bind(organisation.uuid()).fetch_one(db).await?;
    found.try_get::<Uuid, _>(0).map(AccountId::from).map_err(|error| Error::corrupt("id", error))
}

fn taken(error: sqlx::Error, kind: Kind, name: &str) -> Error {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            Error::Conflict(format!("there is a {} named `{name}` already", kind.as_str()))
        }
        _ => error.into(),
    }
}
