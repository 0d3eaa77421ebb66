//! Changes of a run's graph that people and limits cause: hold steps back, go back to a step, share steps with a fork.
//!
//! The caller holds the lock of the run's row. Statuses follow [`StepStatus::after`](toryo_domain::StepStatus::after):
//! `Hold`, `Rewind`, `Supersede` and `Revive` name the moves; each statement allows the same ones in its `where`.

use crate::{Error, NewStep, db::Connection};
use toryo_domain::{RunId, StepId, StepKey};

fn texts(keys: &[StepKey]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

/// Makes ready steps wait again, but for the one named.
///
/// # Errors
/// The database does not answer.
pub async fn hold(db: &mut Connection, run: RunId, except: &StepKey) -> Result<(), Error> {
    let statement = "update steps set status = 'pending', ready_at = null \
                     where run_id = $1 and status = 'ready' and step_key <> $2";
    sqlx::query(statement).bind(run.uuid()).bind(except.to_string()).execute(db).await?;
    Ok(())
}

/// Keeps what came of these steps apart, and ends their attempts: from now on it does not count.
async fn set_aside(db: &mut Connection, run: RunId, keys: &[String], status: &str) -> Result<(), Error> {
    let attempts = "update attempts set finished_at = now(), result = 'superseded' from steps \
                    where steps.id = attempts.step_id and steps.fence = attempts.fence and steps.run_id = $1 \
                    and steps.status = 'running' and steps.step_key = any($2)";
    sqlx::query(attempts).bind(run.uuid()).bind(keys).execute(&mut *db).await?;
    let keep = "insert into superseded (step_id, epoch, status, output, failure_class, failure, finished_at) \
                select id, epoch, status, output, failure_class, failure, finished_at from steps \
                where run_id = $1 and step_key = any($2) and status in ('succeeded', 'failed') on conflict do nothing";
    sqlx::query(keep).bind(run.uuid()).bind(keys).execute(&mut *db).await?;
    let reset = "update steps set status = $3, epoch = epoch + 1, attempts = 0, output = null, failure_class = null, \
                 failure = null, fence = null, worker_id = null, lease_until = null, tenant_slot = null, repo_slot = null, \
                 started_at = null, \
                 finished_at = null, shared_from = null, ready_at = case when $3 = 'ready' then now() end \
                 where run_id = $1 and step_key = any($2) and status <> 'cancelled'";
    sqlx::query(reset).bind(run.uuid()).bind(keys).bind(status).execute(db).await?;
    Ok(())
}

/// Goes back to a step: it is ready once more, and what follows on it no longer counts. Replies of either are not
/// replayed: whoever goes back wants another outcome.
///
/// # Errors
/// There is no such step, or the database does not answer.
pub async fn rewind(
    db: &mut Connection,
    run: RunId,
    to: &StepKey,
    following: &[StepKey],
) -> Result<StepId, Error> {
    set_aside(db, run, &texts(following), "cancelled").await?;
    set_aside(db, run, &[to.to_string()], "ready").await?;
    let id: Option<uuid::Uuid> =
        sqlx::query_scalar("select id from steps where run_id = $1 and step_key = $2 and status = 'ready'")
            .bind(run.uuid())
            .bind(to.to_string())
            .fetch_optional(db)
            .await?;
    id.map(StepId::from).ok_or_else(|| Error::Conflict(format!("step `{to}` is not part of the run")))
}

/// Makes a superseded step wait again, as the graph asks for it now; `false` where it is not superseded.
///
/// # Errors
/// The database does not answer.
pub async fn revive(db: &mut Connection, run: RunId, step: &NewStep) -> Result<bool, Error> {
    let statement = "update steps set status = 'pending', depends_on = $3, finished_at = null \
                     where run_id = $1 and step_key = $2 and status = 'cancelled'";
    let done = sqlx::query(statement)
        .bind(run.uuid())
        .bind(step.key.to_string())
        .bind(texts(&step.depends_on))
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives `to` the outcomes of these succeeded steps of `from`: by reference, nothing is executed or paid again.
///
/// # Errors
/// The database does not answer.
pub async fn share(
    db: &mut Connection,
    from: RunId,
    to: RunId,
    priority: i16,
    keys: &[StepKey],
) -> Result<u64, Error> {
    let statement = "insert into steps (id, run_id, step_key, role, status, depends_on, priority, tenant, repo_id, attempts, \
                     output, shared_from, started_at, finished_at) \
                     select gen_random_uuid(), runs.id, step_key, role, steps.status, depends_on, $3, tenant, repo_id, 0, \
                     output, coalesce(shared_from, steps.id), steps.started_at, steps.finished_at \
                     from steps join runs on runs.id = $2 \
                     where run_id = $1 and steps.status = 'succeeded' and step_key = any($4) order by position";
    let done = sqlx::query(statement)
        .bind(from.uuid())
        .bind(to.uuid())
        .bind(priority)
        .bind(texts(keys))
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
