//! A key by its secret, with everything that limits it, in one statement.

use super::{Account, COLUMNS, KeyRole, Kind, Limits, from_row};
use crate::allowances::Limit;
use crate::{Db, Error, row};
use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use toryo_domain::{AccountId, Digest};
use uuid::Uuid;

/// What came of looking for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No secret has this digest.
    Nothing,
    /// The key, or an account above it, was removed, or its user left the team.
    Revoked,
    /// It is over since then.
    Expired,
    /// It holds.
    Key(Box<KeyRecord>),
}

/// A key and the accounts above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key.
    pub key: Account,
    /// What it may administer now.
    pub role: KeyRole,
    /// Its accounts with their limits, widest first, the key last.
    pub levels: Vec<Level>,
    /// When its secret ends.
    pub expires_at: Option<DateTime<Utc>>,
}

/// One account of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Which.
    pub account: AccountId,
    /// What it is.
    pub kind: Kind,
    /// Its own limits.
    pub limits: Limits,
    /// Its budgets in billionths of a dollar.
    pub budgets: Vec<(Limit, i64)>,
}

/// How people recognise a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its beginning.
    pub prefix: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

/// How many changes of accounts there were.
///
/// # Errors
/// The database does not answer.
pub async fn version(db: &Db) -> Result<i64, Error> {
    Ok(sqlx::query_scalar("select version from gateway_version").fetch_one(db.pool()).await?)
}

/// The key whose secret has this digest.
///
/// # Errors
/// The database does not answer.
pub async fn find_key(db: &Db, digest: &Digest) -> Result<Found, Error> {
    let secret = "select key_id, expires_at, coalesce(expires_at <= now(), false) as over \
                  from gateway_secrets where digest = $1";
    let Some(secret) = sqlx::query(secret).bind(&digest.bytes()[..]).fetch_optional(db.pool()).await? else {
        return Ok(Found::Nothing);
    };
    let key: Uuid = row::get(&secret, "key_id")?;
    let levels = format!(
        "select {COLUMNS}, coalesce(expires_at <= now(), false) as over, \
         array(select kind from gateway_budgets where account_id = a.id order by kind) as budget_kinds, \
         array(select limit_nano_usd from gateway_budgets where account_id = a.id order by kind) as budget_limits, \
         (select m.role from gateway_members m where m.team_id = a.team_id and m.user_id = a.user_id) as member_role \
         from gateway_accounts a where id = $1 or id in (select unnest(array[organisation_id, team_id, user_id]) \
         from gateway_accounts where id = $1) \
         order by array_position(array['organisation', 'team', 'user', 'key'], kind)"
    );
    let rows = sqlx::query(AssertSqlSafe(levels)).bind(key).fetch_all(db.pool()).await?;
    let Some(last) = rows.last() else { return Ok(Found::Nothing) };
    let key = from_row(last)?;
    let mut levels = Vec::with_capacity(rows.len());
    for found in &rows {
        let account = from_row(found)?;
        if account.removed_at.is_some() {
            return Ok(Found::Revoked);
        }
        let kinds: Vec<i16> = row::get(found, "budget_kinds")?;
        let limits: Vec<i64> = row::get(found, "budget_limits")?;
        levels.push(Level {
            account: account.id,
            kind: account.kind,
            limits: account.limits,
            budgets: kinds
                .into_iter()
                .zip(limits)
                .filter_map(|(kind, limit)| Some((Limit::of_code(kind)?, limit)))
                .collect(),
        });
    }
    if row::get(&secret, "over")? || row::get(last, "over")? {
        return Ok(Found::Expired);
    }
    let membership: Option<String> = row::get(last, "member_role")?;
    let role = match (key.role.unwrap_or(KeyRole::Member), key.team, key.user, membership.as_deref()) {
        // Who left the team, or leads it no more, loses what came with it.
        (_, Some(_), Some(_), None) => return Ok(Found::Revoked),
        (KeyRole::TeamAdmin, Some(_), Some(_), Some(role)) if role != "admin" => KeyRole::Member,
        (role, ..) => role,
    };
    let ends = [row::get(&secret, "expires_at")?, key.expires_at];
    Ok(Found::Key(Box::new(KeyRecord { role, levels, expires_at: ends.into_iter().flatten().min(), key })))
}
