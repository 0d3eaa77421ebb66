//! Steps: the graph of a run. Who executes them is in [`leases`](crate::leases).
//!
//! Locks are taken in one order: the run's row, then steps.

pub use crate::leases::{
    Claim, Written, cancel_all, check_fence, claim_step as claim, close_attempt, expired, extend, fail, held,
    is_expired, release_all, requeue, retry, succeed,
};

use crate::{Db, Error, db::Connection, row};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgRow;
use toryo_domain::{FailureClass, Output, Priority, Role, RunId, StepId, StepKey, StepSignal, StepStatus};

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepRow {
    /// Its id.
    pub id: StepId,
    /// Its run.
    pub run_id: RunId,
    /// Its address in the run.
    pub key: StepKey,
    /// The agent that executes it.
    pub role: Role,
    /// Where it stands.
    pub status: StepStatus,
    /// What it waits for.
    pub depends_on: Vec<StepKey>,
    /// Attempts so far.
    pub attempts: u32,
    /// How often it was opened again; its outcome never changes within one.
    pub epoch: u32,
    /// What it left on the blackboard.
    pub output: Option<Output>,
    /// Why its last attempt failed.
    pub failure: Option<StepFailure>,
    /// From when on it may be claimed.
    pub ready_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepFailure {
    /// What kind of failure it is.
    pub class: FailureClass,
    /// The text for people.
    pub text: String,
}

/// A step to append to a run's graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStep {
    /// Its address; appending one that exists is harmless.
    pub key: StepKey,
    /// What it waits for.
    pub depends_on: Vec<StepKey>,
}

fn from_row(row: &PgRow) -> Result<StepRow, Error> {
    let class: Option<FailureClass> = row::parse_opt(row, "failure_class")?;
    let text: Option<String> = row::get(row, "failure")?;
    let depends_on = row::get::<Vec<String>>(row, "depends_on")?
        .iter()
        .map(|key| key.parse().map_err(|error| Error::corrupt("depends_on", error)))
        .collect::<Result<_, _>>()?;
    Ok(StepRow {
        id: row::get::<uuid::Uuid>(row, "id")?.into(),
        run_id: row::get::<uuid::Uuid>(row, "run_id")?.into(),
        key: row::parse(row, "step_key")?,
        role: row::parse(row, "role")?,
        status: row::parse(row, "status")?,
        depends_on,
        attempts: u32::try_from(row::get::<i32>(row, "attempts")?)
            .map_err(|e| Error::corrupt("attempts", e))?,
        epoch: u32::try_from(row::get::<i32>(row, "epoch")?).map_err(|e| Error::corrupt("epoch", e))?,
        output: row::json_opt(row, "output")?,
        failure: class.map(|class| StepFailure { class, text: text.unwrap_or_default() }),
        ready_at: row::get(row, "ready_at")?,
        created_at: row::get(row, "created_at")?,
        started_at: row::get(row, "started_at")?,
        finished_at: row::get(row, "finished_at")?,
    })
}

const OF_RUN: &str = "select * from steps where run_id = $1 order by position";

/// The graph of a run, in the order its steps were appended.
///
/// # Errors
/// The database does not answer.
pub async fn of_run(db: &Db, run: RunId) -> Result<Vec<StepRow>, Error> {
    let rows = sqlx::query(OF_RUN).bind(run.uuid()).fetch_all(db.pool()).await?;
    rows.iter().map(from_row).collect()
}

/// The graph of a run as a transaction sees it.
///
/// # Errors
/// The database does not answer.
pub async fn of_run_in(db: &mut Connection, run: RunId) -> Result<Vec<StepRow>, Error> {
    let rows = sqlx::query(OF_RUN).bind(run.uuid()).fetch_all(db).await?;
    rows.iter().map(from_row).collect()
}

/// Appends a pending step; `false` where it is there already.
///
/// # Errors
/// The database does not answer.
pub async fn append(db: &mut Connection, run: RunId, priority: i16, step: &NewStep) -> Result<bool, Error> {
    let depends_on: Vec<String> = step.depends_on.iter().map(ToString::to_string).collect();
    let statement = "insert into steps (id, run_id, step_key, role, status, depends_on, priority, tenant, repo_id, parked) \
                     select $1, runs.id, $3, $4, 'pending', $5, $6, tasks.tenant, tasks.repo_id, \
                     runs.status not in ('queued', 'running') from runs join tasks on tasks.id = runs.task_id \
                     where runs.id = $2 on conflict (run_id, step_key) do nothing";
    let done = sqlx::query(statement)
        .bind(StepId::generate().uuid())
        .bind(run.uuid())
        .bind(step.key.to_string())
        .bind(step.key.kind.role().as_str())
        .bind(depends_on)
        .bind(priority)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Moves a step on `signal`, where it still has the status it was read with; returns its id.
async fn shift(
    db: &mut Connection,
    run: RunId,
    key: &StepKey,
    from: StepStatus,
    signal: StepSignal,
) -> Result<StepId, Error> {
    let next = from
        .after(signal)
        .map_err(|_| Error::Conflict(format!("step `{key}` cannot `{signal}` while it is {from}")))?;
    let statement = "update steps set status = $4, ready_at = now(), worker_id = null, lease_until = null, \
                     finished_at = null where run_id = $1 and step_key = $2 and status = $3 returning id";
    let id: Option<uuid::Uuid> = sqlx::query_scalar(statement)
        .bind(run.uuid())
        .bind(key.to_string())
        .bind(from.as_str())
        .bind(next.as_str())
        .fetch_optional(db)
        .await?;
    id.map(StepId::from).ok_or_else(|| Error::Conflict(format!("step `{key}` is no longer {from}")))
}

/// Makes a pending step ready.
///
/// # Errors
/// It is no longer pending.
pub async fn unblock(db: &mut Connection, run: RunId, key: &StepKey) -> Result<StepId, Error> {
    shift(db, run, key, StepStatus::Pending, StepSignal::Unblock).await
}

/// Gives a failed step a fresh row of attempts. Where its replies led to the failure, they stay in the ledger but are
/// not replayed: whoever reopens it wants another outcome. Where something else failed, they are not paid again.
///
/// # Errors
/// It has not failed.
pub async fn reopen(db: &mut Connection, run: RunId, key: &StepKey) -> Result<StepId, Error> {
    let id = shift(db, run, key, StepStatus::Failed, StepSignal::Reopen).await?;
    let statement = "update steps set attempts = 0, failure_class = null, failure = null, \
                     epoch = epoch + (failure_class = any($2))::int where id = $1";
    let by_replies = [FailureClass::InvalidOutput, FailureClass::Policy, FailureClass::Bug];
    sqlx::query(statement).bind(id.uuid()).bind(by_replies.map(FailureClass::as_str)).execute(db).await?;
    Ok(id)
}

/// Takes the last attempt of a step out of the count: a worker that stops is no reason to give the step up.
///
/// # Errors
/// The database does not answer.
pub async fn forgive(db: &mut Connection, step: StepId) -> Result<(), Error> {
    sqlx::query("update steps set attempts = greatest(attempts - 1, 0) where id = $1")
        .bind(step.uuid())
        .execute(db)
        .await?;
    Ok(())
}

/// Steps that are ready and due, of runs that may go on: what the queue should have announced.
///
/// # Errors
/// The database does not answer.
pub async fn due(db: &Db) -> Result<u64, Error> {
    let statement = "select count(*) from steps join runs on runs.id = steps.run_id where steps.status = 'ready' \
                     and not steps.parked and steps.ready_at <= now() and runs.status in ('queued', 'running')";
    let count: i64 = sqlx::query_scalar(statement).fetch_one(db.pool()).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// Steps of one priority that wait or are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// The priority.
    pub priority: Priority,
    /// Steps that may be claimed now, but for limits.
    pub ready: u64,
    /// Steps that wait for a back-off to end.
    pub delayed: u64,
    /// Steps under a lease.
    pub leased: u64,
}

/// How much work there is, by priority: what an autoscaler goes by.
///
/// # Errors
/// The database does not answer.
pub async fn depth(db: &Db) -> Result<Vec<Depth>, Error> {
    let statement = "select priority, count(*) filter (where status = 'ready' and ready_at <= now()) as ready, \
                     count(*) filter (where status = 'ready' and ready_at > now()) as delayed, \
                     count(*) filter (where status = 'running') as leased from ( \
                     select priority, status, ready_at from steps where status = 'ready' and not parked \
                     union all select priority, status, ready_at from steps where status = 'running') as open \
                     group by priority";
    let rows = sqlx::query(statement).fetch_all(db.pool()).await?;
    Priority::ALL
        .iter()
        .map(|priority| {
            let mut depth = Depth { priority: *priority, ready: 0, delayed: 0, leased: 0 };
            for row in &rows {
                if row::get::<i16>(row, "priority")? == priority.rank() {
                    depth.ready = row::unsigned(row, "ready")?;
                    depth.delayed = row::unsigned(row, "delayed")?;
                    depth.leased = row::unsigned(row, "leased")?;
                }
            }
            Ok(depth)
        })
        .collect()
}
