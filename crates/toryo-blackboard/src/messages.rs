//! Messages: what people wrote to a run.

use crate::{Db, Error, db::Connection, row};
use chrono::{DateTime, Utc};
use serde::Serialize;
use toryo_domain::{MessageId, RunId};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub author: String,
    /// What was written.
    pub body: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Stores a message.
///
/// # Errors
/// The database does not answer.
pub async fn insert(db: &mut Connection, run: RunId, author: &str, body: &str) -> Result<MessageId, Error> {
    let id = MessageId::generate();
    sqlx::query("insert into messages (id, run_id, author, body) values ($1, $2, $3, $4)")
        .bind(id.uuid())
        .bind(run.uuid())
        .bind(row::storable(author))
        .bind(row::storable(body))
        .execute(db)
        .await?;
    Ok(id)
}

/// The messages of a run, oldest first.
///
/// # Errors
/// The database does not answer.
pub async fn of_run(db: &Db, run: RunId) -> Result<Vec<Message>, Error> {
    let rows = sqlx::query("select * from messages where run_id = $1 order by created_at, id")
        .bind(run.uuid())
        .fetch_all(db.pool())
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Message {
                id: row::get::<uuid::Uuid>(row, "id")?.into(),
                author: row::get(row, "author")?,
                body: row::get(row, "body")?,
                created_at: row::get(row, "created_at")?,
            })
        })
        .collect()
}

/// Gives a fork what people wrote to the run it comes from.
///
/// # Errors
/// The database does not answer.
pub async fn copy(db: &mut Connection, from: RunId, to: RunId) -> Result<(), Error> {
    let statement = "insert into messages (id, run_id, author, body, created_at) \
                     select gen_random_uuid(), $2, author, body, created_at from messages where run_id = $1 order by id";
    sqlx::query(statement).bind(from.uuid()).bind(to.uuid()).execute(db).await?;
    Ok(())
}
