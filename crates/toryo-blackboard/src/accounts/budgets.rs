//! Budgets: what an account may spend in a period, and what it has spent.

use super::announce;
use crate::allowances::Limit;
use crate::db::Connection;
use crate::{Db, Error, row};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use toryo_domain::{AccountId, BudgetId, Usd};
use uuid::Uuid;

/// A budget to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutBudget {
    /// Whose.
    pub account: AccountId,
    /// The period: one that counts money.
    pub limit: Limit,
    /// What may be spent; calls beyond it are refused.
    pub most: Usd,
    /// What raises an alert and refuses nothing.
    pub soft: Option<Usd>,
    /// Shares of the limit at which an alert is raised, in percent.
    pub alerts: Vec<u8>,
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its id.
    pub id: BudgetId,
    /// What was set.
    pub set: PutBudget,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A budget with what became of it in the present period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetState {
    /// The budget.
    pub budget: Budget,
    /// What kind of account it belongs to.
    pub kind: super::Kind,
    /// The account's name.
    pub name: String,
    /// When the period began.
    pub starts_at: DateTime<Utc>,
    /// What is settled.
    pub spent: Usd,
    /// What processes hold for calls.
    pub held: Usd,
    /// Thresholds of which an alert was raised, in percent; 0 is the soft limit.
    pub raised: Vec<u8>,
}

const STATE: &str = "select b.*, a.kind as account_kind, a.name, w.starts_at, \
     coalesce((select used from gateway_counters c where c.account_id = b.account_id and c.kind = b.kind \
               and c.starts_at = w.starts_at), 0) as spent, \
     coalesce((select sum(held) from gateway_grants g join gateway_instances i on i.id = g.instance_id \
               where g.account_id = b.account_id and g.kind = b.kind and g.starts_at = w.starts_at \
               and i.reaped_at is null), 0)::bigint as held, \
     array(select threshold from gateway_alerts r where r.budget_id = b.id and r.starts_at = w.starts_at \
           order by threshold) as raised \
     from gateway_budgets b join gateway_accounts a on a.id = b.account_id \
     cross join lateral (select gateway_window(b.kind, now()) as starts_at) w";

/// Sets a budget, in place of the account's older one of the same period.
///
/// # Errors
/// [`Error::NotFound`] where there is no such account.
pub async fn put_budget(db: &mut Connection, new: &PutBudget) -> Result<BudgetId, Error> {
    let statement = "insert into gateway_budgets (id, account_id, kind, limit_nano_usd, soft_nano_usd, alerts) \
         select $1, id, $3, $4, $5, $6 from gateway_accounts where id = $2 and removed_at is null \
         on conflict (account_id, kind) do update set limit_nano_usd = excluded.limit_nano_usd, \
         soft_nano_usd = excluded.soft_nano_usd, alerts = excluded.alerts returning id";
    let id: Option<Uuid> = sqlx::query_scalar(statement)
        .bind(Uuid::now_v7())
        .bind(new.account.uuid())
        .bind(new.limit.code())
        .bind(new.most.nanos())
        .bind(new.soft.map(Usd::nanos))
        .bind(new.alerts.iter().copied().map(i16::from).collect::<Vec<_>>())
        .fetch_optional(&mut *db)
        .await?;
    let id = id.ok_or_else(|| Error::NotFound { what: format!("account {}", new.account) })?;
    announce(db, new.account).await?;
    Ok(id.into())
}

/// Takes a budget away.
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub async fn drop_budget(db: &mut Connection, id: BudgetId) -> Result<(), Error> {
    let statement = "delete from gateway_budgets where id = $1 returning account_id";
    let account: Option<Uuid> =
        sqlx::query_scalar(statement).bind(id.uuid()).fetch_optional(&mut *db).await?;
    let account = account.ok_or_else(|| Error::NotFound { what: format!("budget {id}") })?;
    announce(db, account.into()).await
}

/// A budget with its state.
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub async fn get_budget(db: &Db, id: BudgetId) -> Result<BudgetState, Error> {
    let statement = format!("{STATE} where b.id = $1");
    let found = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(id.uuid()).fetch_optional(db.pool()).await?;
    state(&found.ok_or_else(|| Error::NotFound { what: format!("budget {id}") })?)
}

/// Budgets of accounts, in no order that matters.
///
/// # Errors
/// The database does not answer.
pub async fn budgets_of(db: &Db, accounts: &[AccountId]) -> Result<Vec<BudgetState>, Error> {
    let accounts: Vec<Uuid> = accounts.iter().map(|account| account.uuid()).collect();
    let statement = format!("{STATE} where b.account_id = any($1) order by b.account_id, b.kind");
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(accounts)
        .fetch_all(db.pool())
        .await?
        .iter()
        .map(state)
        .collect()
}

/// Budgets, newest first: all, those of one organisation with everything in it, or those of one team and its keys.
///
/// # Errors
/// The cursor is not one of a list's.
pub async fn list_budgets(
    db: &Db,
    organisation: Option<AccountId>,
    team: Option<AccountId>,
    limit: u32,
    cursor: Option<&str>,
) -> Result<crate::Page<BudgetState>, Error> {
    let statement = format!(
        "{STATE} where b.id < $1 and a.removed_at is null \
         and ($2::uuid is null or a.id = $2 or a.organisation_id = $2) \
         and ($3::uuid is null or a.id = $3 or a.team_id = $3) order by b.id desc limit $4"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(row::cursor(cursor)?)
        .bind(organisation.map(AccountId::uuid))
        .bind(team.map(AccountId::uuid))
        .bind(i64::from(limit) + 1)
        .fetch_all(db.pool())
        .await?;
    let items = rows.iter().map(state).collect::<Result<_, _>>()?;
    Ok(crate::Page::of(items, limit, |it: &BudgetState| it.budget.id.to_string()))
}

fn state(found: &PgRow) -> Result<BudgetState, Error> {
    let usd = |column| row::get::<i64>(found, column).map(Usd::from_nanos);
    let percent = |column| {
        row::get::<Vec<i16>>(found, column)
            .map(|shares| shares.into_iter().filter_map(|share| u8::try_from(share).ok()).collect())
    };
    let limit = Limit::of_code(row::get(found, "kind")?);
    Ok(BudgetState {
        budget: Budget {
            id: row::get::<Uuid>(found, "id")?.into(),
            set: PutBudget {
                account: row::get::<Uuid>(found, "account_id")?.into(),
                limit: limit.ok_or_else(|| Error::corrupt("kind", "of no limit"))?,
                most: usd("limit_nano_usd")?,
                soft: row::get::<Option<i64>>(found, "soft_nano_usd")?.map(Usd::from_nanos),
                alerts: percent("alerts")?,
            },
            created_at: row::get(found, "created_at")?,
        },
        kind: row::parse(found, "account_kind")?,
        name: row::get(found, "name")?,
        starts_at: row::get(found, "starts_at")?,
        spent: usd("spent")?,
        held: usd("held")?,
        raised: percent("raised")?,
    })
}
