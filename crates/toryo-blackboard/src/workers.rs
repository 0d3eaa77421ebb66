//! Workers: who executes steps, and who is still alive.

use crate::{Db, Error, row};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::time::Duration;
use toryo_domain::{Role, WorkerId};

/// A live worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Worker {
    /// Its id; a new one for each start.
    pub id: WorkerId,
    /// The machine.
    pub host: String,
    /// Toryo's version.
    pub version: String,
    /// Steps it executes at once, at most.
    pub capacity: u32,
    /// Steps it executes now.
    pub running: u32,
    /// Whether it stops, and takes no further steps.
    pub draining: bool,
    /// The newest graph it understands.
    pub engine_version: i16,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it was last heard of.
    pub last_heartbeat: DateTime<Utc>,
}

/// A worker that was not heard of for so long counts as gone (R129).
pub const GONE_AFTER: Duration = Duration::from_secs(60);

/// What a worker says of itself.
#[derive(Debug, Clone)]
pub struct Heartbeat<'a> {
    /// The worker.
    pub id: WorkerId,
    /// The machine.
    pub host: &'a str,
    /// Toryo's version.
    pub version: &'a str,
    /// The newest graph it understands.
    pub engine_version: i16,
    /// Steps it executes at once, at most.
    pub capacity: u32,
    /// Whether it stops.
    pub draining: bool,
}

/// Registers a worker or says that it is alive.
///
/// # Errors
/// The database does not answer.
pub async fn heartbeat(db: &Db, worker: &Heartbeat<'_>) -> Result<(), Error> {
    let statement = "insert into workers (id, host, version, engine_version, capacity, draining) \
                     values ($1, $2, $3, $4, $5, $6) on conflict (id) do update \
                     set last_heartbeat = now(), capacity = excluded.capacity, draining = excluded.draining";
    sqlx::query(statement)
        .bind(worker.id.uuid())
        .bind(worker.host)
        .bind(worker.version)
        .bind(worker.engine_version)
        .bind(i32::try_from(worker.capacity).unwrap_or(i32::MAX))
        .bind(worker.draining)
        .execute(db.relaxed())
        .await?;
    Ok(())
}

/// Forgets a worker that stops.
///
/// # Errors
/// The database does not answer.
pub async fn remove(db: &Db, id: WorkerId) -> Result<(), Error> {
    sqlx::query("delete from workers where id = $1").bind(id.uuid()).execute(db.pool()).await?;
    Ok(())
}

/// Forgets workers that were not heard of for long.
///
/// # Errors
/// The database does not answer.
pub async fn remove_gone(db: &Db) -> Result<u64, Error> {
    let done = sqlx::query("delete from workers where last_heartbeat < now() - make_interval(secs => $1)")
        .bind(GONE_AFTER.as_secs_f64())
        .execute(db.relaxed())
        .await?;
    Ok(done.rows_affected())
}

/// Workers that are alive.
///
/// # Errors
/// The database does not answer.
pub async fn live(db: &Db) -> Result<Vec<Worker>, Error> {
    let statement = "select workers.*, (select count(*) from steps where steps.worker_id = workers.id \
                     and steps.status = 'running') as running from workers \
                     where last_heartbeat >= now() - make_interval(secs => $1) order by id";
    let rows = sqlx::query(statement).bind(GONE_AFTER.as_secs_f64()).fetch_all(db.pool()).await?;
    rows.iter()
        .map(|row| {
            Ok(Worker {
                id: row::get::<uuid::Uuid>(row, "id")?.into(),
                host: row::get(row, "host")?,
                version: row::get(row, "version")?,
                capacity: u32::try_from(row::get::<i32>(row, "capacity")?)
                    .map_err(|error| Error::corrupt("capacity", error))?,
                running: u32::try_from(row::get::<i64>(row, "running")?)
                    .map_err(|error| Error::corrupt("running", error))?,
                draining: row::get(row, "draining")?,
                engine_version: row::get(row, "engine_version")?,
                started_at: row::get(row, "started_at")?,
                last_heartbeat: row::get(row, "last_heartbeat")?,
            })
        })
        .collect()
}

/// How the steps of a role went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoleFigures {
    /// The role.
    pub role: Role,
    /// Steps that ended.
    pub steps: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// Median time from the first attempt to the end, in milliseconds.
    pub median_ms: f64,
}

/// Figures of every role that ended a step in the last thirty days.
///
/// # Errors
/// The database does not answer.
pub async fn figures(db: &Db) -> Result<Vec<RoleFigures>, Error> {
    let statement = "select role, count(*) as steps, count(*) filter (where status = 'succeeded') as succeeded, \
         count(*) filter (where status = 'failed') as failed, \
         percentile_cont(0.5) within group (order by extract(epoch from finished_at - started_at)::float8 * 1000) \
         as median_ms from steps where finished_at > now() - interval '30 days' and started_at is not null \
         and status in ('succeeded', 'failed') group by role order by role";
    let rows = sqlx::query(statement).fetch_all(db.pool()).await?;
    rows.iter()
        .map(|row| {
            Ok(RoleFigures {
                role: row::parse(row, "role")?,
                steps: row::unsigned(row, "steps")?,
                succeeded: row::unsigned(row, "succeeded")?,
                failed: row::unsigned(row, "failed")?,
                median_ms: row::get(row, "median_ms")?,
            })
        })
        .collect()
}
