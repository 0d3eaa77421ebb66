//! Keys that callers give to requests which make something, so that a repeated request is harmless. What sets a run off
//! is kept apart, in [`triggers`](crate::triggers).

use crate::{Db, Error, Idempotency, db::Connection};
use std::time::Duration;
use toryo_domain::Digest;

/// Whether a request is the first one of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It is; the key is taken when the transaction commits.
    First,
    /// The same request came before, and was carried out.
    Before,
    /// The key came with another request before.
    Other,
}

/// Takes a key in this transaction. A request of the same key that is under way is waited for.
///
/// # Errors
/// The database does not answer.
pub async fn take(db: &mut Connection, scope: &str, wanted: &Idempotency) -> Result<Seen, Error> {
    let statement = "insert into idempotency_keys (scope, key, request_digest) values ($1, $2, $3) \
                     on conflict (scope, key) do nothing";
    let digest = wanted.digest.to_string();
    let made = sqlx::query(statement).bind(scope).bind(&wanted.key).bind(&digest).execute(&mut *db).await?;
    if made.rows_affected() == 1 {
        return Ok(Seen::First);
    }
    let before: Option<String> =
        sqlx::query_scalar("select request_digest from idempotency_keys where scope = $1 and key = $2")
            .bind(scope)
            .bind(&wanted.key)
            .fetch_optional(db)
            .await?;
    let same = before.and_then(|text| text.parse::<Digest>().ok()) == Some(wanted.digest);
    Ok(if same { Seen::Before } else { Seen::Other })
}

/// Forgets keys that are older than this; returns how many.
///
/// # Errors
/// The database does not answer.
pub async fn forget(db: &Db, older: Duration) -> Result<u64, Error> {
    let statement = "delete from idempotency_keys where created_at < now() - make_interval(secs => $1)";
    let done = sqlx::query(statement).bind(older.as_secs_f64()).execute(db.relaxed()).await?;
    Ok(done.rows_affected())
}
