//! Reservations: what model calls under way may cost at most, so that calls side by side never overshoot a limit.
//!
//! A reservation belongs to a lease: one whose fencing token is no longer that of a running step does not count and is
//! swept by the next one of its run. Whoever reserves holds the lock of the run's row, so two callers see each other.

use crate::model_calls::Spent;
use crate::{Db, Error, db::Connection, row};
use toryo_domain::{RunId, StepId, Usd};

/// One call to reserve for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewReservation {
    /// The run that pays.
    pub run_id: RunId,
    /// The step that asks.
    pub step_id: StepId,
    /// Which call of the step.
    pub call_no: u32,
    /// The fencing token of the attempt.
    pub fence: i64,
    /// What the call may use at most.
    pub most: Spent,
}

/// What other calls of a locked run hold reserved; those whose lease is gone are removed.
///
/// # Errors
/// The database does not answer.
pub async fn held_by_others(
    db: &mut Connection,
    run: RunId,
    step: StepId,
    call_no: u32,
) -> Result<Spent, Error> {
    let sweep = "delete from reservations where run_id = $1 and not exists (select 1 from steps \
                 where steps.id = reservations.step_id and steps.fence = reservations.fence and steps.status = 'running')";
    sqlx::query(sweep).bind(run.uuid()).execute(&mut *db).await?;
    let statement = "select coalesce(sum(cost_nano_usd), 0)::bigint as cost, coalesce(sum(tokens), 0)::bigint as tokens \
                     from reservations where run_id = $1 and not (step_id = $2 and call_no = $3)";
    let found = sqlx::query(statement)
        .bind(run.uuid())
        .bind(step.uuid())
        .bind(i64::from(call_no))
        .fetch_one(db)
        .await?;
    Ok(Spent { cost: Usd::from_nanos(row::get(&found, "cost")?), tokens: row::unsigned(&found, "tokens")? })
}

/// Stores a reservation, in place of an older one of the same call.
///
/// # Errors
/// The database does not answer.
pub async fn put(db: &mut Connection, new: &NewReservation) -> Result<(), Error> {
    let statement = "insert into reservations (run_id, step_id, call_no, fence, cost_nano_usd, tokens) \
                     values ($1, $2, $3, $4, $5, $6) on conflict (step_id, call_no) do update \
                     set fence = excluded.fence, cost_nano_usd = excluded.cost_nano_usd, tokens = excluded.tokens, \
                     created_at = now()";
    sqlx::query(statement)
        .bind(new.run_id.uuid())
        .bind(new.step_id.uuid())
        .bind(i64::from(new.call_no))
        .bind(new.fence)
        .bind(new.most.cost.nanos())
        .bind(i64::try_from(new.most.tokens).unwrap_or(i64::MAX))
        .execute(db)
        .await?;
    Ok(())
}

/// Gives a reservation back, where it is still this attempt's.
///
/// # Errors
/// The database does not answer.
pub async fn remove(db: &mut Connection, step: StepId, call_no: u32, fence: i64) -> Result<(), Error> {
    sqlx::query("delete from reservations where step_id = $1 and call_no = $2 and fence = $3")
        .bind(step.uuid())
        .bind(i64::from(call_no))
        .bind(fence)
        .execute(db)
        .await?;
    Ok(())
}

/// Gives back what was reserved under leases that are gone: their processes died before they could.
///
/// # Errors
/// The database does not answer.
pub async fn remove_lost(db: &Db) -> Result<u64, Error> {
    let statement = "delete from reservations where not exists (select 1 from steps where steps.id = \
                     reservations.step_id and steps.fence = reservations.fence and steps.status = 'running')";
    Ok(sqlx::query(statement).execute(db.pool()).await?.rows_affected())
}
