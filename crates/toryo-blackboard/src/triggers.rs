//! Triggers: what set a run off. One delivery, one body or one command on one object does so once, by unique constraints.

use crate::{Db, Error, db::Connection, row};
use toryo_domain::{Digest, NewEvent, NewTask, RepoId, RunId, StepId, StepKey, TaskId, tenant};

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

/// A task that a trigger asks for, and how its first run begins.
#[derive(Debug)]
pub struct Submission<'a> {
    /// The task.
    pub task: TaskId,
    /// Its first run.
    pub run: RunId,
    /// What was asked for.
    pub wish: &'a NewTask,
    /// Who asked.
    pub trigger: &'a Trigger,
    /// The step that the run begins with.
    pub first: &'a StepKey,
    /// What happened, in order.
    pub events: &'a [NewEvent],
}

/// Stores all of it in a transaction of its own and returns the number of the last event; `None`, and nothing stored, where
/// something of the same delivery, body or logical key set off a run before. One that is under way is waited for.
///
/// # Errors
/// The database does not answer; whether it committed is then unknown.
pub async fn submit(db: &Db, new: &Submission<'_>) -> Result<Option<u64>, Error> {
    let Submission { wish, trigger, events, .. } = new;
    let statement = "select submit_task($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";
    let mut lane = db.lane().await?;
    let last = sqlx::query_scalar::<_, i64>(statement)
        .bind(new.task.uuid())
        .bind(new.run.uuid())
        .bind(RepoId::generate().uuid())
        .bind(&wish.repo_url)
        .bind(tenant::of_repository(&wish.repo_url))
        .bind(row::to_json("wish", wish)?)
        .bind(wish.priority.rank())
        .bind(uuid::Uuid::now_v7())
        .bind(trigger.source)
        .bind(trigger.delivery.as_deref())
        .bind(trigger.body.to_string())
        .bind(trigger.once())
        .bind(trigger.logical_key.as_deref())
        .bind(StepId::generate().uuid())
        .bind(new.first.to_string())
        .bind(new.first.kind.role().as_str())
        .bind(events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.step_key.as_ref().map(ToString::to_string)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| row::without_nul(&event.data)).collect::<Vec<_>>())
        .fetch_one(&mut lane.connection)
        .await;
    let last = match last {
        Err(error) if error.as_database_error().and_then(|it| it.constraint()) == Some("triggers_taken") => {
            None
        }
        last => Some(u64::try_from(last?).map_err(|error| Error::corrupt("event", error))?),
    };
    lane.done();
    Ok(last)
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
