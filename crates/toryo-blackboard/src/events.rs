//! Events: the append-only facts of a run, numbered without gaps.
//!
//! In a rolling upgrade a newer process may write types and steps that this one does not know. Whoever hands events on
//! takes [`Frame`]s, which carry them unread; whoever reads their facts takes [`Event`]s, without the unknown ones.

use crate::{Claim, Db, Error, db::Connection, row};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgRow;
use toryo_domain::{Event, EventType, NewEvent, RunId};

/// An event as it goes over a wire, its facts unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its number.
    pub seq: u64,
    /// Its type, known or not.
    pub kind: String,
    /// The whole event as one line of JSON, as [`Event`] is written.
    pub json: String,
}

/// The fields of an [`Event`], those of closed lists as texts.
#[derive(Serialize)]
struct Unread {
    run_id: RunId,
    seq: u64,
    at: DateTime<Utc>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    data: serde_json::Value,
}

fn frame(row: &PgRow) -> Result<Frame, Error> {
    let attempt: Option<i32> = row::get(row, "attempt")?;
    let unread = Unread {
        run_id: row::get::<uuid::Uuid>(row, "run_id")?.into(),
        seq: row::unsigned(row, "seq")?,
        at: row::get(row, "at")?,
        kind: row::get(row, "type")?,
        step_key: row::get(row, "step_key")?,
        attempt: attempt.and_then(|attempt| u32::try_from(attempt).ok()),
        data: row::get(row, "data")?,
    };
    let json = serde_json::to_string(&unread).map_err(|error| Error::corrupt("event", error))?;
    Ok(Frame { seq: unread.seq, kind: unread.kind, json })
}

fn from_row(row: &PgRow) -> Result<Event, Error> {
    let attempt: Option<i32> = row::get(row, "attempt")?;
    Ok(Event {
        run_id: row::get::<uuid::Uuid>(row, "run_id")?.into(),
        seq: row::unsigned(row, "seq")?,
        at: row::get(row, "at")?,
        kind: row::parse(row, "type")?,
        step_key: row::parse_opt(row, "step_key")?,
        attempt: attempt.and_then(|attempt| u32::try_from(attempt).ok()),
        data: row::get(row, "data")?,
    })
}

/// What is stored of new events, one array a column.
macro_rules! stored {
    () => {
        "numbered as (update runs set last_seq = last_seq + $2 from named where runs.id = named.id \
         returning runs.id, runs.last_seq), \
         stored as (insert into events (run_id, seq, at, type, step_key, attempt, data) \
         select numbered.id, numbered.last_seq - $2 + ordinality, clock_timestamp(), type, step_key, attempt, data \
         from numbered, unnest($3::text[], $4::text[], $5::int[], $6::jsonb[]) \
         with ordinality as new (type, step_key, attempt, data, ordinality)) \
         select last_seq from numbered"
    };
}

/// Appends events to a run and returns the number of the last one. Takes the run's row lock until the
/// transaction ends, so that a number that is seen has no gap before it.
///
/// # Errors
/// The database does not answer.
pub async fn append(db: &mut Connection, run: RunId, events: &[NewEvent]) -> Result<u64, Error> {
    let statement = concat!("with named as (select $1::uuid as id), ", stored!());
    let last = write(sqlx::query_scalar(statement), run, events, None, db).await?;
    last.ok_or_else(|| Error::NotFound { what: format!("run {run}") })
}

/// Appends events of an attempt, if its lease holds; both rows are looked at after their locks were taken, so that
/// a lease that ends at the same time is seen.
///
/// # Errors
/// [`Error::StaleFence`] where it does not.
pub async fn append_leased(db: &mut Connection, claim: &Claim, events: &[NewEvent]) -> Result<u64, Error> {
    let statement = concat!(
        "with named as materialized (select runs.id from runs join steps on steps.run_id = runs.id \
         where runs.id = $1 and steps.id = $7 and steps.fence = $8 and steps.status = 'running' \
         for update of runs, steps), ",
        stored!()
    );
    let last = write(sqlx::query_scalar(statement), claim.run_id, events, Some(claim), db).await?;
    last.ok_or(Error::StaleFence)
}

type Statement = sqlx::query::QueryScalar<'static, sqlx::Postgres, i64, sqlx::postgres::PgArguments>;

async fn write(
    statement: Statement,
    run: RunId,
    events: &[NewEvent],
    claim: Option<&Claim>,
    db: &mut Connection,
) -> Result<Option<u64>, Error> {
    let count = i64::try_from(events.len()).map_err(|error| Error::corrupt("events", error))?;
    let attempt = |event: &NewEvent| event.attempt.and_then(|n| i32::try_from(n).ok());
    let mut bound = statement
        .bind(run.uuid())
        .bind(count)
        .bind(events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.step_key.as_ref().map(ToString::to_string)).collect::<Vec<_>>())
        .bind(events.iter().map(attempt).collect::<Vec<_>>())
        .bind(events.iter().map(|event| row::without_nul(&event.data)).collect::<Vec<_>>());
    if let Some(claim) = claim {
        bound = bound.bind(claim.step_id.uuid()).bind(claim.fence);
    }
    let last = bound.fetch_optional(db).await?;
    Ok(last.map(|last| u64::try_from(last).unwrap_or_default()))
}

/// Whether a run has an event of this type. Holds until the transaction ends where the run is locked.
///
/// # Errors
/// The database does not answer.
pub async fn has(db: &mut Connection, run: RunId, kind: EventType) -> Result<bool, Error> {
    let statement = "select exists (select 1 from events where run_id = $1 and type = $2)";
    Ok(sqlx::query_scalar(statement).bind(run.uuid()).bind(kind.as_str()).fetch_one(db).await?)
}

/// Whether this very event of a step was stored within the last minutes: for a writer whose answer was lost.
///
/// # Errors
/// The database does not answer.
pub async fn is_stored(db: &mut Connection, run: RunId, event: &NewEvent) -> Result<bool, Error> {
    let statement = "select 1 from events where run_id = $1 and type = $2 and step_key is not distinct from $3 \
                     and attempt is not distinct from $4 and data = $5 and at > now() - interval '5 minutes' limit 1";
    let found: Option<i32> = sqlx::query_scalar(statement)
        .bind(run.uuid())
        .bind(event.kind.as_str())
        .bind(event.step_key.as_ref().map(ToString::to_string))
        .bind(event.attempt.and_then(|attempt| i32::try_from(attempt).ok()))
        .bind(row::without_nul(&event.data))
        .fetch_optional(db)
        .await?;
    Ok(found.is_some())
}

const AFTER: &str = "select * from events where run_id = $1 and seq > $2 order by seq limit $3";

async fn rows_after(db: &Db, run: RunId, seq: u64, limit: u32) -> Result<Vec<PgRow>, Error> {
    Ok(sqlx::query(AFTER)
        .bind(run.uuid())
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(db.pool())
        .await?)
}

/// At most `limit` stored events of a run after number `seq`, in order, but for those this process does not know.
///
/// # Errors
/// The database does not answer.
pub async fn after(db: &Db, run: RunId, seq: u64, limit: u32) -> Result<Vec<Event>, Error> {
    let rows = rows_after(db, run, seq, limit).await?;
    Ok(rows.iter().filter_map(|row| from_row(row).ok()).collect())
}

/// As [`after`], unread and with those this process does not know.
///
/// # Errors
/// The database does not answer.
pub async fn frames_after(db: &Db, run: RunId, seq: u64, limit: u32) -> Result<Vec<Frame>, Error> {
    rows_after(db, run, seq, limit).await?.iter().map(frame).collect()
}
