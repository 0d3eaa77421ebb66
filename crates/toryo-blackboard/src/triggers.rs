//! Triggers: what set a run off. One delivery, one body or one command on one object does so once, by unique constraints.

use crate::{Db, Error, db::Connection, row};
use toryo_domain::{Digest, RunId, TaskId};

/// What asks for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Where it comes from: `api`, `github`, `gitlab` …; the other fields are unique for each.
    pub source: &'static str,
    /// The sender's own number of the delivery; for the API its `Idempotency-Key`.
    pub delivery: Option<String>,
    /// Digest of the body.
    pub body: Digest,
    /// Whether the same body counts once, whatever delivery brings it.
    pub once_a_body: bool,
    /// Source object and command, such as `acme/shop#12 label:toryo`, where the same one counts once.
    pub logical_key: Option<String>,
}

/// What an earlier trigger of the same kind set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// The task.
    pub task_id: TaskId,
    /// Its run.
    pub run_id: RunId,
    /// Whether it was of the same delivery.
    pub same_delivery: bool,
    /// Whether it came with the same body.
    pub same_body: bool,
}

impl Trigger {
    fn once(&self) -> Option<String> {
        self.once_a_body.then(|| self.body.to_string())
    }
}

/// Stores what set this run off; `false` where something of the same delivery, body or logical key did so before: then
/// the caller rolls back. One that is under way is waited for.
///
/// # Errors
/// The database does not answer.
pub async fn insert(db: &mut Connection, trigger: &Trigger, task: TaskId, run: RunId) -> Result<bool, Error> {
    let statement = "insert into triggers (id, source, delivery, body_digest, once_a_body, logical_key, task_id, run_id) \
                     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing";
    let done = sqlx::query(statement)
        .bind(uuid::Uuid::now_v7())
        .bind(trigger.source)
        .bind(trigger.delivery.as_deref())
        .bind(trigger.body.to_string())
        .bind(trigger.once())
        .bind(trigger.logical_key.as_deref())
        .bind(task.uuid())
        .bind(run.uuid())
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// What a trigger of the same delivery, body or logical key set off; the delivery is looked at first.
///
/// # Errors
/// The database does not answer.
pub async fn earlier(db: &Db, trigger: &Trigger) -> Result<Option<Earlier>, Error> {
    let statement = "select task_id, run_id, body_digest = $3 as same_body, (delivery = $2) is true as same_delivery \
                     from triggers where (source = $1 and delivery = $2) or (source = $1 and once_a_body = $4) \
                     or (source = $1 and logical_key = $5) order by same_delivery desc, created_at limit 1";
    let found = sqlx::query(statement)
        .bind(trigger.source)
        .bind(trigger.delivery.as_deref())
        .bind(trigger.body.to_string())
        .bind(trigger.once())
        .bind(trigger.logical_key.as_deref())
        .fetch_optional(db.pool())
        .await?;
    let Some(found) = found else { return Ok(None) };
    Ok(Some(Earlier {
        task_id: row::get::<uuid::Uuid>(&found, "task_id")?.into(),
        run_id: row::get::<uuid::Uuid>(&found, "run_id")?.into(),
        same_delivery: row::get(&found, "same_delivery")?,
        same_body: row::get(&found, "same_body")?,
    }))
}
