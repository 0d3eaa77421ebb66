//! Events: the append-only facts of a run, numbered without gaps.

use crate::{Db, Error, db::Connection, row};
use sqlx::postgres::PgRow;
use toryo_domain::{Event, NewEvent, RunId};

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

/// Appends events to a run and returns the number of the last one. Takes the run's row lock until the
/// transaction ends, so that a number that is seen has no gap before it.
///
/// # Errors
/// The database does not answer.
pub async fn append(db: &mut Connection, run: RunId, events: &[NewEvent]) -> Result<u64, Error> {
    let count = i64::try_from(events.len()).map_err(|error| Error::corrupt("events", error))?;
    let last: i64 =
        sqlx::query_scalar("update runs set last_seq = last_seq + $2 where id = $1 returning last_seq")
            .bind(run.uuid())
            .bind(count)
            .fetch_one(&mut *db)
            .await?;
    let statement = "insert into events (run_id, seq, at, type, step_key, attempt, data) \
                     select $1, $2 + ordinality, clock_timestamp(), type, step_key, attempt, data \
                     from unnest($3::text[], $4::text[], $5::int[], $6::jsonb[]) \
                     with ordinality as new (type, step_key, attempt, data, ordinality)";
    sqlx::query(statement)
        .bind(run.uuid())
        .bind(last - count)
        .bind(events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.step_key.as_ref().map(ToString::to_string)).collect::<Vec<_>>())
        .bind(
            events.iter().map(|event| event.attempt.and_then(|n| i32::try_from(n).ok())).collect::<Vec<_>>(),
        )
        .bind(events.iter().map(|event| row::without_nul(&event.data)).collect::<Vec<_>>())
        .execute(db)
        .await?;
    Ok(u64::try_from(last).unwrap_or_default())
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

/// At most `limit` events of a run after number `seq`, in order.
///
/// # Errors
/// The database does not answer.
pub async fn after(db: &Db, run: RunId, seq: u64, limit: u32) -> Result<Vec<Event>, Error> {
    let rows = sqlx::query("select * from events where run_id = $1 and seq > $2 order by seq limit $3")
        .bind(run.uuid())
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(db.pool())
        .await?;
    rows.iter().map(from_row).collect()
}
