//! Tenants: who shares the workers. A tenant is the owner of a repository; it needs no row unless it has a limit.

use crate::{Db, Error, row};
use serde::Serialize;
use sqlx::postgres::PgRow;

/// A tenant that has work or a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tenant {
    /// Its name, such as `github.com/acme`; `local` for repositories on the server's machine.
    pub name: String,
    /// Steps it may have running at once; `None` where the operator's default holds.
    pub max_steps: Option<u32>,
    /// Steps that are ready.
    pub ready: u64,
    /// Steps that run.
    pub running: u64,
}

/// Sets how many steps of a tenant may run at once; 0 stops it, `None` gives it the operator's default again. Steps that
/// run already are not stopped.
///
/// # Errors
/// The database does not answer.
pub async fn set_limit(db: &Db, name: &str, max_steps: Option<u32>) -> Result<(), Error> {
    let statement = "insert into tenants (name, max_steps) values ($1, $2) \
                     on conflict (name) do update set max_steps = excluded.max_steps";
    sqlx::query(statement)
        .bind(row::storable(name))
        .bind(max_steps.map(|most| i32::try_from(most).unwrap_or(i32::MAX)))
        .execute(db.pool())
        .await?;
    Ok(())
}

/// Tenants that have work or a limit, by name.
///
/// # Errors
/// The database does not answer.
pub async fn list(db: &Db) -> Result<Vec<Tenant>, Error> {
    let statement = "with open as (select tenant, status from steps where status = 'running' \
                     union all select tenant, status from steps where status = 'ready' and not parked) \
                     select coalesce(tenants.name, open.tenant) as name, max(tenants.max_steps) as max_steps, \
                     count(*) filter (where open.status = 'ready') as ready, \
                     count(*) filter (where open.status = 'running') as running \
                     from tenants full join open on open.tenant = tenants.name group by 1 \
                     having max(tenants.max_steps) is not null or count(open.status) > 0 order by 1";
    sqlx::query(statement).fetch_all(db.pool()).await?.iter().map(from_row).collect()
}

/// A tenant, whether it has work or not.
///
/// # Errors
/// The database does not answer.
pub async fn get(db: &Db, name: &str) -> Result<Tenant, Error> {
    let statement = "select $1 as name, (select max_steps from tenants where name = $1) as max_steps, \
                     count(*) filter (where status = 'ready' and not parked) as ready, \
                     count(*) filter (where status = 'running') as running \
                     from steps where tenant = $1 and status in ('ready', 'running')";
    from_row(&sqlx::query(statement).bind(row::storable(name)).fetch_one(db.pool()).await?)
}

fn from_row(row: &PgRow) -> Result<Tenant, Error> {
    let most: Option<i32> = row::get(row, "max_steps")?;
    Ok(Tenant {
        name: row::get(row, "name")?,
        max_steps: most.and_then(|most| u32::try_from(most).ok()),
        ready: row::unsigned(row, "ready")?,
        running: row::unsigned(row, "running")?,
    })
}
