//! Dead letters: steps that used up their attempts. A letter is open as long as its step stands as that attempt left it,
//! so whoever retries the run by another way closes it as well.

use crate::leases::Claim;
use crate::page::Page;
use crate::steps::StepFailure;
use crate::{Db, Error, db::Connection, row};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgRow;
use toryo_domain::{DeadLetterId, FailureClass, RunId, StepKey};

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Its id.
    pub id: DeadLetterId,
    /// The run.
    pub run_id: RunId,
    /// The step.
    pub step_key: StepKey,
    /// Attempts it had.
    pub attempts: u32,
    /// What kind of failure the last one was.
    pub class: FailureClass,
    /// Why it failed, for people.
    pub reason: String,
    /// When it was given up.
    pub created_at: DateTime<Utc>,
}

macro_rules! open {
    ($rest:literal) => {
        concat!(
            "select dead_letters.* from dead_letters join steps on steps.id = dead_letters.step_id ",
            "and steps.fence = dead_letters.fence and steps.status = 'failed' where ",
            $rest
        )
    };
}

fn from_row(row: &PgRow) -> Result<DeadLetter, Error> {
    Ok(DeadLetter {
        id: row::get::<uuid::Uuid>(row, "id")?.into(),
        run_id: row::get::<uuid::Uuid>(row, "run_id")?.into(),
        step_key: row::parse(row, "step_key")?,
        attempts: u32::try_from(row::get::<i32>(row, "attempts")?)
            .map_err(|error| Error::corrupt("attempts", error))?,
        class: row::parse(row, "class")?,
        reason: row::get(row, "reason")?,
        created_at: row::get(row, "created_at")?,
    })
}

fn not_found(id: DeadLetterId) -> Error {
    Error::NotFound { what: format!("dead letter {id}") }
}

/// Stores that a step was given up; storing it twice is harmless.
///
/// # Errors
/// The database does not answer.
pub async fn insert(db: &mut Connection, claim: &Claim, failure: &StepFailure) -> Result<(), Error> {
    let statement = "insert into dead_letters (id, run_id, step_id, step_key, fence, attempts, class, reason) \
                     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict on constraint dead_letters_once do nothing";
    sqlx::query(statement)
        .bind(DeadLetterId::generate().uuid())
        .bind(claim.run_id.uuid())
        .bind(claim.step_id.uuid())
        .bind(claim.key.to_string())
        .bind(claim.fence)
        .bind(i32::try_from(claim.attempt).unwrap_or(i32::MAX))
        .bind(failure.class.as_str())
        .bind(row::storable(&failure.text))
        .execute(db)
        .await?;
    Ok(())
}

/// One open letter.
///
/// # Errors
/// There is none of this id, or it is no longer open.
pub async fn get(db: &Db, id: DeadLetterId) -> Result<DeadLetter, Error> {
    let found = sqlx::query(open!("dead_letters.id = $1")).bind(id.uuid()).fetch_optional(db.pool()).await?;
    found.as_ref().map(from_row).transpose()?.ok_or_else(|| not_found(id))
}

/// Open letters, newest first.
///
/// # Errors
/// The cursor is not one, or the database does not answer.
pub async fn list(db: &Db, limit: u32, cursor: Option<&str>) -> Result<Page<DeadLetter>, Error> {
    let rows = sqlx::query(open!("dead_letters.id < $1 order by dead_letters.id desc limit $2"))
        .bind(row::cursor(cursor)?)
        .bind(i64::from(limit) + 1)
        .fetch_all(db.pool())
        .await?;
    let items = rows.iter().map(from_row).collect::<Result<_, _>>()?;
    Ok(Page::of(items, limit, |letter: &DeadLetter| letter.id.to_string()))
}

/// Forgets a letter; its step and run stay as they are.
///
/// # Errors
/// There is none of this id.
pub async fn remove(db: &Db, id: DeadLetterId) -> Result<(), Error> {
    let done =
        sqlx::query("delete from dead_letters where id = $1").bind(id.uuid()).execute(db.pool()).await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(not_found(id)) }
}
