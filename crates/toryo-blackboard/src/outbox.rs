//! The outbox: messages that were decided in a transaction and are sent after it.

use crate::{Error, db::Connection, row};
use serde_json::Value;
use std::time::Duration;

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the outbox.
    pub id: i64,
    /// What it is: `step_ready` or `step_dead`.
    pub kind: String,
    /// The queue keeps one message of this id.
    pub dedup_id: String,
    /// Its body.
    pub payload: Value,
}

/// Puts a message into the outbox, to be sent after `delay`.
///
/// # Errors
/// The database does not answer.
pub async fn push(
    db: &mut Connection,
    kind: &str,
    dedup_id: &str,
    payload: &Value,
    delay: Duration,
) -> Result<(), Error> {
    let statement = "insert into outbox (kind, dedup_id, payload, due_at) \
                     values ($1, $2, $3, now() + make_interval(secs => $4))";
    sqlx::query(statement)
        .bind(kind)
        .bind(dedup_id)
        .bind(payload)
        .bind(delay.as_secs_f64())
        .execute(db)
        .await?;
    Ok(())
}

/// Messages that are due, locked for this transaction; another relay passes over them.
///
/// # Errors
/// The database does not answer.
pub async fn take_due(db: &mut Connection, limit: i64) -> Result<Vec<Entry>, Error> {
    let statement = "select id, kind, dedup_id, payload from outbox where due_at <= now() \
                     order by due_at, id limit $1 for update skip locked";
    let rows = sqlx::query(statement).bind(limit).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(Entry {
                id: row::get(row, "id")?,
                kind: row::get(row, "kind")?,
                dedup_id: row::get(row, "dedup_id")?,
                payload: row::get(row, "payload")?,
            })
        })
        .collect()
}

/// Forgets messages that were sent.
///
/// # Errors
/// The database does not answer.
pub async fn delete(db: &mut Connection, ids: &[i64]) -> Result<(), Error> {
    sqlx::query("delete from outbox where id = any($1)").bind(ids).execute(db).await?;
    Ok(())
}

/// How many messages wait, due or not.
///
/// # Errors
/// The database does not answer.
pub async fn len(db: &crate::Db) -> Result<u64, Error> {
    let count: i64 = sqlx::query_scalar("select count(*) from outbox").fetch_one(db.pool()).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}
