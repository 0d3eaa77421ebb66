//! Messages: what people wrote to a run, and which of them a step was shown at which of its model calls.

use crate::{Db, Error, db::Connection, row};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgRow;
use std::collections::{BTreeMap, HashMap};
use toryo_domain::{MessageId, RunId, StepId};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Its place among the run's messages; with gaps.
    pub n: i64,
    /// Who wrote it.
    pub author: String,
    /// What was written.
    pub body: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// What a step was shown since it was last opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// The newest message as of a call, for those calls that showed more than the one before; call 0 is the beginning.
    pub through: BTreeMap<u32, i64>,
    /// The last of its calls that was answered; 0 where none was. Nothing can be added to those up to it.
    pub answered: u32,
}

/// Stores a message. The caller holds the lock of the run's row: that makes the order of messages one that only grows.
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
    let rows = sqlx::query("select * from messages where run_id = $1 order by n")
        .bind(run.uuid())
        .fetch_all(db.pool())
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Message {
                id: row::get::<uuid::Uuid>(row, "id")?.into(),
                n: row::get(row, "n")?,
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
                     select gen_random_uuid(), $2, author, body, created_at from messages where run_id = $1 order by n";
    sqlx::query(statement).bind(from.uuid()).bind(to.uuid()).execute(db).await?;
    Ok(())
}

/// One row for each call that showed more, and one for the last answered call.
macro_rules! shown {
    ($steps:literal) => {
        concat!(
            "select steps.id, shown.call_no, shown.through from messages_shown shown ",
            "join steps on steps.id = shown.step_id and steps.epoch = shown.epoch where ",
            $steps,
            " union all select steps.id, max(calls.call_no), null from model_calls calls ",
            "join steps on steps.id = calls.step_id and steps.epoch = calls.epoch where ",
            $steps,
            " group by steps.id"
        )
    };
}

fn gathered(rows: &[PgRow]) -> Result<HashMap<StepId, Shown>, Error> {
    let mut all: HashMap<StepId, Shown> = HashMap::new();
    for row in rows {
        let call: i32 = row::get(row, "call_no")?;
        let call = u32::try_from(call).map_err(|error| Error::corrupt("call number", error))?;
        let shown = all.entry(row::get::<uuid::Uuid>(row, "id")?.into()).or_default();
        match row::get::<Option<i64>>(row, "through")? {
            Some(through) => drop(shown.through.insert(call, through)),
            None => shown.answered = call,
        }
    }
    Ok(all)
}

/// What a step was shown.
///
/// # Errors
/// The database does not answer.
pub async fn shown(db: &Db, step: StepId) -> Result<Shown, Error> {
    let rows = sqlx::query(shown!("steps.id = $1")).bind(step.uuid()).fetch_all(db.pool()).await?;
    Ok(gathered(&rows)?.remove(&step).unwrap_or_default())
}

/// What each step of a run was shown.
///
/// # Errors
/// The database does not answer.
pub async fn shown_in_run(db: &Db, run: RunId) -> Result<HashMap<StepId, Shown>, Error> {
    gathered(&sqlx::query(shown!("steps.run_id = $1")).bind(run.uuid()).fetch_all(db.pool()).await?)
}

/// Remembers up to which message a call of a step shows what people wrote; returns what was remembered first. The caller
/// has checked the lease in the same transaction.
///
/// # Errors
/// The database does not answer.
pub async fn show(db: &mut Connection, step: StepId, call_no: u32, through: i64) -> Result<i64, Error> {
    let statement = "insert into messages_shown (step_id, epoch, call_no, through) \
                     select id, epoch, $2, $3 from steps where id = $1 \
                     on conflict (step_id, epoch, call_no) do update set through = messages_shown.through \
                     returning through";
    let call_no = i32::try_from(call_no).map_err(|error| Error::corrupt("call number", error))?;
    Ok(sqlx::query_scalar(statement).bind(step.uuid()).bind(call_no).bind(through).fetch_one(db).await?)
}
