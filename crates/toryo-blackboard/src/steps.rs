//! Steps: the graph of a run, claims, leases and fencing tokens.
//!
//! Locks are taken in one order: the run's row, then steps. A lease is a row that is `running` with a worker, a
//! fencing token and an end; every write of an attempt names its token, and the database refuses an old one.

use crate::{Db, Error, db::Connection, row};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgRow;
use std::time::Duration;
use toryo_domain::{FailureClass, Output, Role, RunId, StepId, StepKey, StepSignal, StepStatus, WorkerId};

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

/// A lease on a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The run.
    pub run_id: RunId,
    /// The step.
    pub step_id: StepId,
    /// Its address.
    pub key: StepKey,
    /// The attempt, counted from 1.
    pub attempt: u32,
    /// The fencing token.
    pub fence: i64,
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
    let statement = "insert into steps (id, run_id, step_key, role, status, depends_on, priority) \
                     values ($1, $2, $3, $4, 'pending', $5, $6) on conflict (run_id, step_key) do nothing";
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
    delay: Duration,
) -> Result<StepId, Error> {
    let next = from
        .after(signal)
        .map_err(|_| Error::Conflict(format!("step `{key}` cannot `{signal}` while it is {from}")))?;
    let statement = "update steps set status = $4, ready_at = now() + make_interval(secs => $5), \
                     fence = null, worker_id = null, lease_until = null, finished_at = null \
                     where run_id = $1 and step_key = $2 and status = $3 returning id";
    let id: Option<uuid::Uuid> = sqlx::query_scalar(statement)
        .bind(run.uuid())
        .bind(key.to_string())
        .bind(from.as_str())
        .bind(next.as_str())
        .bind(delay.as_secs_f64())
        .fetch_optional(db)
        .await?;
    id.map(StepId::from).ok_or_else(|| Error::Conflict(format!("step `{key}` is no longer {from}")))
}

/// Makes a pending step ready.
///
/// # Errors
/// It is no longer pending.
pub async fn unblock(db: &mut Connection, run: RunId, key: &StepKey) -> Result<StepId, Error> {
    shift(db, run, key, StepStatus::Pending, StepSignal::Unblock, Duration::ZERO).await
}

/// Gives a failed step a fresh row of attempts. Where its replies led to the failure, they stay in the ledger but are
/// not replayed: whoever reopens it wants another outcome. Where something else failed, they are not paid again.
///
/// # Errors
/// It has not failed.
pub async fn reopen(db: &mut Connection, run: RunId, key: &StepKey) -> Result<StepId, Error> {
    let id = shift(db, run, key, StepStatus::Failed, StepSignal::Reopen, Duration::ZERO).await?;
    let statement = "update steps set attempts = 0, failure_class = null, failure = null, \
                     epoch = epoch + (failure_class = any($2))::int where id = $1";
    let by_replies = [FailureClass::InvalidOutput, FailureClass::Policy, FailureClass::Bug];
    sqlx::query(statement).bind(id.uuid()).bind(by_replies.map(FailureClass::as_str)).execute(db).await?;
    Ok(id)
}

/// Puts a running step back among the ready ones after `delay`; its lease ends. The attempt stays in the count; see
/// [`forgive`] for one that nobody is to blame for.
///
/// # Errors
/// It is no longer running.
pub async fn requeue(
    db: &mut Connection,
    run: RunId,
    key: &StepKey,
    signal: StepSignal,
    delay: Duration,
) -> Result<StepId, Error> {
    shift(db, run, key, StepStatus::Running, signal, delay).await
}

/// The most urgent step that may be claimed now by an agent of one of these roles, but for those `except`ed; a hint,
/// nothing is locked.
///
/// # Errors
/// The database does not answer.
pub async fn most_urgent(
    db: &Db,
    roles: &[Role],
    except: &[StepId],
) -> Result<Option<(RunId, StepId)>, Error> {
    let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let statement = "select steps.run_id, steps.id from steps join runs on runs.id = steps.run_id \
                     where steps.status = 'ready' and steps.ready_at <= now() and steps.role = any($1) \
                     and runs.status in ('queued', 'running') and steps.id <> all($2) \
                     order by steps.priority, steps.ready_at, steps.position limit 1";
    let except: Vec<uuid::Uuid> = except.iter().map(|step| step.uuid()).collect();
    let query = sqlx::query(statement).bind(roles).bind(except);
    let Some(found) = query.fetch_optional(db.pool()).await? else {
        return Ok(None);
    };
    let run: uuid::Uuid = row::get(&found, "run_id")?;
    let step: uuid::Uuid = row::get(&found, "id")?;
    Ok(Some((run.into(), step.into())))
}

/// Leases a ready step of a locked run; `None` where somebody else was faster.
///
/// # Errors
/// The database does not answer.
pub async fn claim(
    db: &mut Connection,
    step: StepId,
    worker: WorkerId,
    lease: Duration,
) -> Result<Option<Claim>, Error> {
    let statement = "update steps set status = 'running', attempts = attempts + 1, fence = nextval('fences'), \
                     worker_id = $2, lease_until = now() + make_interval(secs => $3), \
                     started_at = coalesce(started_at, now()) \
                     where id = $1 and status = 'ready' and ready_at <= now() \
                     returning run_id, id, step_key, attempts, fence";
    let found = sqlx::query(statement)
        .bind(step.uuid())
        .bind(worker.uuid())
        .bind(lease.as_secs_f64())
        .fetch_optional(&mut *db)
        .await?;
    let Some(found) = found else { return Ok(None) };
    let claim = Claim {
        run_id: row::get::<uuid::Uuid>(&found, "run_id")?.into(),
        step_id: row::get::<uuid::Uuid>(&found, "id")?.into(),
        key: row::parse(&found, "step_key")?,
        attempt: u32::try_from(row::get::<i32>(&found, "attempts")?)
            .map_err(|e| Error::corrupt("attempts", e))?,
        fence: row::get(&found, "fence")?,
    };
    sqlx::query("insert into attempts (step_id, fence, attempt, worker_id) values ($1, $2, $3, $4)")
        .bind(claim.step_id.uuid())
        .bind(claim.fence)
        .bind(i32::try_from(claim.attempt).unwrap_or(i32::MAX))
        .bind(worker.uuid())
        .execute(db)
        .await?;
    Ok(Some(claim))
}

/// Which of these leases still hold, each extended by `lease` from now. The others were cancelled, taken away or
/// ran out: whoever holds them must stop.
///
/// # Errors
/// The database does not answer.
pub async fn extend(db: &Db, fences: &[i64], lease: Duration) -> Result<Vec<i64>, Error> {
    let statement = "update steps set lease_until = now() + make_interval(secs => $2) \
                     where fence = any($1) and status = 'running' returning fence";
    Ok(sqlx::query_scalar(statement).bind(fences).bind(lease.as_secs_f64()).fetch_all(db.pool()).await?)
}

/// Which of these leases still hold.
///
/// # Errors
/// The database does not answer.
pub async fn held(db: &Db, fences: &[i64]) -> Result<Vec<i64>, Error> {
    let statement = "select fence from steps where fence = any($1) and status = 'running'";
    Ok(sqlx::query_scalar(statement).bind(fences).fetch_all(db.pool()).await?)
}

/// Whether this token is still the one of a running step.
///
/// # Errors
/// [`Error::StaleFence`] where it is not.
pub async fn check_fence(db: &mut Connection, step: StepId, fence: i64) -> Result<(), Error> {
    let held: Option<i32> =
        sqlx::query_scalar("select 1 from steps where id = $1 and fence = $2 and status = 'running'")
            .bind(step.uuid())
            .bind(fence)
            .fetch_optional(db)
            .await?;
    held.map(|_| ()).ok_or(Error::StaleFence)
}

/// How a finished attempt is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// By this call.
    Now,
    /// By an earlier call of the same attempt, whose answer was lost.
    Before,
}

/// Stores the outcome of an attempt that succeeded.
///
/// # Errors
/// [`Error::StaleFence`] where the lease was lost.
pub async fn succeed(db: &mut Connection, claim: &Claim, output: &Output) -> Result<Written, Error> {
    let statement = "update steps set status = 'succeeded', output = $3, finished_at = now(), lease_until = null, \
                     failure_class = null, failure = null where id = $1 and fence = $2 and status = 'running'";
    let done = sqlx::query(statement)
        .bind(claim.step_id.uuid())
        .bind(claim.fence)
        .bind(row::to_json("output", output)?)
        .execute(&mut *db)
        .await?;
    finish(db, claim, done.rows_affected(), StepStatus::Succeeded, "succeeded", None).await
}

/// Stores the failure of an attempt after which there is no other.
///
/// # Errors
/// [`Error::StaleFence`] where the lease was lost.
pub async fn fail(db: &mut Connection, claim: &Claim, failure: &StepFailure) -> Result<Written, Error> {
    let statement = "update steps set status = 'failed', failure_class = $3, failure = $4, finished_at = now(), \
                     lease_until = null where id = $1 and fence = $2 and status = 'running'";
    let done = sqlx::query(statement)
        .bind(claim.step_id.uuid())
        .bind(claim.fence)
        .bind(failure.class.as_str())
        .bind(row::storable(&failure.text))
        .execute(&mut *db)
        .await?;
    finish(db, claim, done.rows_affected(), StepStatus::Failed, "failed", Some(&failure.text)).await
}

/// Stores the failure of an attempt that is followed by another one after `delay`.
///
/// # Errors
/// [`Error::StaleFence`] where the lease was lost.
pub async fn retry(
    db: &mut Connection,
    claim: &Claim,
    failure: &StepFailure,
    delay: Duration,
) -> Result<StepId, Error> {
    check_fence(db, claim.step_id, claim.fence).await?;
    let id = requeue(db, claim.run_id, &claim.key, StepSignal::Retry, delay).await?;
    sqlx::query("update steps set failure_class = $2, failure = $3 where id = $1")
        .bind(id.uuid())
        .bind(failure.class.as_str())
        .bind(row::storable(&failure.text))
        .execute(&mut *db)
        .await?;
    close_attempt(db, claim, "retried", Some(&failure.text)).await?;
    Ok(id)
}

/// Ends the row of an attempt.
///
/// # Errors
/// The database does not answer.
pub async fn close_attempt(
    db: &mut Connection,
    claim: &Claim,
    result: &str,
    failure: Option<&str>,
) -> Result<(), Error> {
    sqlx::query("update attempts set finished_at = now(), result = $3, failure = $4 where step_id = $1 and fence = $2")
        .bind(claim.step_id.uuid())
        .bind(claim.fence)
        .bind(result)
        .bind(failure.map(row::storable))
        .execute(db)
        .await?;
    Ok(())
}

async fn finish(
    db: &mut Connection,
    claim: &Claim,
    written: u64,
    status: StepStatus,
    result: &str,
    failure: Option<&str>,
) -> Result<Written, Error> {
    if written == 1 {
        close_attempt(db, claim, result, failure).await?;
        return Ok(Written::Now);
    }
    // The answer to an earlier commit of this attempt may have been lost on the way.
    let before: Option<i32> =
        sqlx::query_scalar("select 1 from steps where id = $1 and fence = $2 and status = $3")
            .bind(claim.step_id.uuid())
            .bind(claim.fence)
            .bind(status.as_str())
            .fetch_optional(db)
            .await?;
    before.map(|_| Written::Before).ok_or(Error::StaleFence)
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

/// Ends all leases of a locked run: running steps become ready again, with their attempts forgiven. Those attempts
/// find their tokens stale. Returns the steps with the number of the attempt that was ended.
///
/// # Errors
/// The database does not answer.
pub async fn release_all(db: &mut Connection, run: RunId) -> Result<Vec<(StepKey, u32)>, Error> {
    close_attempts(db, run, "released").await?;
    let statement = "update steps set status = 'ready', ready_at = now(), fence = null, worker_id = null, \
                     lease_until = null, attempts = greatest(attempts - 1, 0) \
                     where run_id = $1 and status = 'running' returning step_key, attempts + 1 as attempt";
    let rows = sqlx::query(statement).bind(run.uuid()).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            let attempt =
                u32::try_from(row::get::<i32>(row, "attempt")?).map_err(|e| Error::corrupt("attempt", e))?;
            Ok((row::parse(row, "step_key")?, attempt))
        })
        .collect()
}

/// Ends the rows of all attempts of a locked run that are under way.
async fn close_attempts(db: &mut Connection, run: RunId, result: &str) -> Result<(), Error> {
    let statement = "update attempts set finished_at = now(), result = $2 from steps \
                     where steps.id = attempts.step_id and steps.fence = attempts.fence and steps.run_id = $1 \
                     and steps.status = 'running'";
    sqlx::query(statement).bind(run.uuid()).bind(result).execute(db).await?;
    Ok(())
}

/// Cancels what has not ended in a locked run.
///
/// # Errors
/// The database does not answer.
pub async fn cancel_all(db: &mut Connection, run: RunId) -> Result<(), Error> {
    close_attempts(db, run, "cancelled").await?;
    let statement = "update steps set status = 'cancelled', finished_at = now(), fence = null, worker_id = null, \
                     lease_until = null where run_id = $1 and status in ('pending', 'ready', 'running')";
    sqlx::query(statement).bind(run.uuid()).execute(db).await?;
    Ok(())
}

/// Steps whose lease ran out: their worker is gone or stuck.
///
/// # Errors
/// The database does not answer.
pub async fn expired(db: &Db, limit: i64) -> Result<Vec<Claim>, Error> {
    let statement = "select run_id, id, step_key, attempts, fence from steps \
                     where status = 'running' and lease_until < now() order by lease_until limit $1";
    let rows = sqlx::query(statement).bind(limit).fetch_all(db.pool()).await?;
    rows.iter()
        .map(|row| {
            Ok(Claim {
                run_id: row::get::<uuid::Uuid>(row, "run_id")?.into(),
                step_id: row::get::<uuid::Uuid>(row, "id")?.into(),
                key: row::parse(row, "step_key")?,
                attempt: u32::try_from(row::get::<i32>(row, "attempts")?)
                    .map_err(|e| Error::corrupt("attempts", e))?,
                fence: row::get(row, "fence")?,
            })
        })
        .collect()
}

/// Whether this lease has run out, as a transaction sees it.
///
/// # Errors
/// The database does not answer.
pub async fn is_expired(db: &mut Connection, claim: &Claim) -> Result<bool, Error> {
    let statement =
        "select 1 from steps where id = $1 and fence = $2 and status = 'running' and lease_until < now()";
    let found: Option<i32> =
        sqlx::query_scalar(statement).bind(claim.step_id.uuid()).bind(claim.fence).fetch_optional(db).await?;
    Ok(found.is_some())
}

/// Steps that are ready and due, of runs that may go on: what the queue should have announced.
///
/// # Errors
/// The database does not answer.
pub async fn due(db: &Db) -> Result<u64, Error> {
    let statement = "select count(*) from steps join runs on runs.id = steps.run_id where steps.status = 'ready' \
                     and steps.ready_at <= now() and runs.status in ('queued', 'running')";
    let count: i64 = sqlx::query_scalar(statement).fetch_one(db.pool()).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}
