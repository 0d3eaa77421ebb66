//! How leases end: with an outcome, with another attempt, or because somebody takes them away.

use super::Claim;
use crate::{Error, db::Connection, row, steps::StepFailure};
use std::time::Duration;
use toryo_domain::{Output, RunId, StepId, StepKey, StepSignal, StepStatus};

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
    let statement = "with ended as (update steps set status = 'succeeded', output = $3, finished_at = now(), \
                     lease_until = null, failure_class = null, failure = null \
                     where id = $1 and fence = $2 and status = 'running' returning id, fence) \
                     update attempts set finished_at = now(), result = 'succeeded' from ended \
                     where attempts.step_id = ended.id and attempts.fence = ended.fence";
    let done = sqlx::query(statement)
        .bind(claim.step_id.uuid())
        .bind(claim.fence)
        .bind(row::to_json("output", output)?)
        .execute(&mut *db)
        .await?;
    if done.rows_affected() == 1 { Ok(Written::Now) } else { before(db, claim, StepStatus::Succeeded).await }
}

/// Stores the failure of an attempt after which there is no other.
///
/// # Errors
/// [`Error::StaleFence`] where the lease was lost.
pub async fn fail(db: &mut Connection, claim: &Claim, failure: &StepFailure) -> Result<Written, Error> {
    let statement = "with ended as (update steps set status = 'failed', failure_class = $3, failure = $4, \
                     finished_at = now(), lease_until = null \
                     where id = $1 and fence = $2 and status = 'running' returning id, fence) \
                     update attempts set finished_at = now(), result = 'failed', failure = $4 from ended \
                     where attempts.step_id = ended.id and attempts.fence = ended.fence";
    let done = sqlx::query(statement)
        .bind(claim.step_id.uuid())
        .bind(claim.fence)
        .bind(failure.class.as_str())
        .bind(row::storable(&failure.text))
        .execute(&mut *db)
        .await?;
    if done.rows_affected() == 1 { Ok(Written::Now) } else { before(db, claim, StepStatus::Failed).await }
}

/// The answer to an earlier commit of this attempt may have been lost on the way.
async fn before(db: &mut Connection, claim: &Claim, status: StepStatus) -> Result<Written, Error> {
    let found: Option<i32> =
        sqlx::query_scalar("select 1 from steps where id = $1 and fence = $2 and status = $3")
            .bind(claim.step_id.uuid())
            .bind(claim.fence)
            .bind(status.as_str())
            .fetch_optional(db)
            .await?;
    found.map(|_| Written::Before).ok_or(Error::StaleFence)
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
    let statement = "update steps set status = $3, ready_at = now() + make_interval(secs => $4), worker_id = null, \
                     lease_until = null, failure_class = $5, failure = $6 \
                     where id = $1 and fence = $2 and status = 'running'";
    let done = sqlx::query(statement)
        .bind(claim.step_id.uuid())
        .bind(claim.fence)
        .bind(next(StepSignal::Retry)?.as_str())
        .bind(delay.as_secs_f64())
        .bind(failure.class.as_str())
        .bind(row::storable(&failure.text))
        .execute(&mut *db)
        .await?;
    if done.rows_affected() == 0 {
        return Err(Error::StaleFence);
    }
    close_attempt(db, claim, "retried", Some(&failure.text)).await?;
    Ok(claim.step_id)
}

/// Puts a step back among the ready ones whose worker cannot go on with it; nobody is to blame, so the attempt does not
/// count.
///
/// # Errors
/// [`Error::StaleFence`] where the lease was lost.
pub async fn give_back(db: &mut Connection, claim: &Claim, why: &str) -> Result<StepId, Error> {
    let statement = "update steps set status = $3, ready_at = now(), worker_id = null, lease_until = null, \
                     attempts = greatest(attempts - 1, 0) where id = $1 and fence = $2 and status = 'running'";
    end(db, claim, statement).await?;
    close_attempt(db, claim, "handed_back", Some(why)).await?;
    Ok(claim.step_id)
}

/// Puts a step back whose lease has run out; the attempt stays in the count.
///
/// # Errors
/// [`Error::StaleFence`] where the lease was extended, ended or taken meanwhile.
pub async fn take_back(db: &mut Connection, claim: &Claim) -> Result<StepId, Error> {
    let statement = "update steps set status = $3, ready_at = now(), worker_id = null, lease_until = null \
                     where id = $1 and fence = $2 and status = 'running' and lease_until < now()";
    end(db, claim, statement).await?;
    close_attempt(db, claim, "lost", None).await?;
    Ok(claim.step_id)
}

async fn end(db: &mut Connection, claim: &Claim, statement: &'static str) -> Result<(), Error> {
    let done = sqlx::query(statement)
        .bind(claim.step_id.uuid())
        .bind(claim.fence)
        .bind(next(StepSignal::Release)?.as_str())
        .execute(db)
        .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(Error::StaleFence) }
}

fn next(signal: StepSignal) -> Result<StepStatus, Error> {
    StepStatus::Running.after(signal).map_err(|error| Error::Conflict(error.to_string()))
}

/// Puts a running step of a locked run back among the ready ones after `delay`, whoever holds its lease.
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
    let statement = "update steps set status = $3, ready_at = now() + make_interval(secs => $4), worker_id = null, \
                     lease_until = null where run_id = $1 and step_key = $2 and status = 'running' returning id";
    let id: Option<uuid::Uuid> = sqlx::query_scalar(statement)
        .bind(run.uuid())
        .bind(key.to_string())
        .bind(next(signal)?.as_str())
        .bind(delay.as_secs_f64())
        .fetch_optional(db)
        .await?;
    id.map(StepId::from).ok_or_else(|| Error::Conflict(format!("step `{key}` is no longer running")))
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
    let statement = "update attempts set finished_at = now(), result = $3, failure = $4 \
                     where step_id = $1 and fence = $2 and finished_at is null";
    sqlx::query(statement)
        .bind(claim.step_id.uuid())
        .bind(claim.fence)
        .bind(result)
        .bind(failure.map(row::storable))
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
    let statement = "update steps set status = 'ready', ready_at = now(), worker_id = null, lease_until = null, \
                     attempts = greatest(attempts - 1, 0) \
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
                     and steps.status = 'running' and attempts.finished_at is null";
    sqlx::query(statement).bind(run.uuid()).bind(result).execute(db).await?;
    Ok(())
}

/// Cancels what has not ended in a locked run.
///
/// # Errors
/// The database does not answer.
pub async fn cancel_all(db: &mut Connection, run: RunId) -> Result<(), Error> {
    close_attempts(db, run, "cancelled").await?;
    let statement = "update steps set status = 'cancelled', finished_at = now(), worker_id = null, lease_until = null \
                     where run_id = $1 and status in ('pending', 'ready', 'running')";
    sqlx::query(statement).bind(run.uuid()).execute(db).await?;
    Ok(())
}
