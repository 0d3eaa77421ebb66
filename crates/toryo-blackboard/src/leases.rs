//! Leases: who may execute a step, for how long, and under which fencing token.
//!
//! A lease is a row of `steps` that is `running` with a worker, a token and an end. Every statement that ends or extends
//! one names its token, the sweeper's included, and the database refuses what would take a lease over while it holds
//! (`steps_fence`) or put two steps on one numbered place (`steps_tenant_slot`, `steps_repo_slot`).
//!
//! [`claim`] chooses: the tenant with the fewest running steps first, then the most urgent of its steps. Urgency is the
//! time of readiness, ten minutes later for each class of priority below `high`, so that `low` never starves. Limits
//! are held in `tenants.max_steps` and `repos.max_steps`; 0 stops a tenant or a repository.

mod end;

pub use end::{
    Written, cancel_all, close_attempt, fail, give_back, release_all, requeue, retry, succeed, take_back,
};

use crate::{Db, Error, db::Connection, row};
use sqlx::postgres::PgRow;
use std::time::Duration;
use toryo_domain::{Role, RunId, StepId, StepKey, WorkerId};

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

/// Who asks for a step, and what it can do with one.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// The worker.
    pub worker: WorkerId,
    /// The roles it has agents for.
    pub roles: Vec<Role>,
    /// How long a lease holds without being extended.
    pub lease: Duration,
    /// The newest graph it understands; see `runs.needs_version`.
    pub version: i16,
}

/// How many steps may run at once where a tenant or a repository has no limit of its own; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// Of one tenant.
    pub tenant: Option<u32>,
    /// Of one repository.
    pub repository: Option<u32>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// A lease, and the number of the event that says so. The run's row stays locked until the transaction ends.
    Lease(Claim, u64),
    /// Steps are due, but others are about to take them, hold their runs or took the last place under a limit: roll back
    /// and ask again in a moment.
    Busy,
    /// Nothing is due, or what is due has to wait for a limit.
    Nothing,
    /// The row of this step cannot be read: roll back, and pass over it.
    Unreadable(StepId),
}

fn from_row(row: &PgRow) -> Result<Claim, Error> {
    Ok(Claim {
        run_id: row::get::<uuid::Uuid>(row, "run_id")?.into(),
        step_id: row::get::<uuid::Uuid>(row, "id")?.into(),
        key: row::parse(row, "step_key")?,
        attempt: u32::try_from(row::get::<i32>(row, "attempts")?)
            .map_err(|e| Error::corrupt("attempts", e))?,
        fence: row::get(row, "fence")?,
    })
}

fn texts(roles: &[Role]) -> Vec<&'static str> {
    roles.iter().map(|role| role.as_str()).collect()
}

/// Leases the most urgent step that may run now, but for those `except`ed, and starts its run. Waits for nobody: what another transaction
/// holds is passed over. One statement, served by the index `steps_due`; where nobody has a limit and one tenant waits, a
/// smaller one that asks `steps_urgent`.
///
/// # Errors
/// The database does not answer.
pub async fn claim(
    db: &mut Connection,
    claimant: &Claimant,
    ceilings: Ceilings,
    except: &[StepId],
) -> Result<Claimed, Error> {
    if ceilings == Ceilings::default()
        && let Some(claimed) = claim_simply(db, claimant, except).await?
    {
        return Ok(claimed);
    }
    let most = |limit: Option<u32>| limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
    let found = sqlx::query(include_str!("../queries/claim.sql"))
        .bind(claimant.worker.uuid())
        .bind(claimant.lease.as_secs_f64())
        .bind(texts(&claimant.roles))
        .bind(except.iter().map(|step| step.uuid()).collect::<Vec<_>>())
        .bind(most(ceilings.tenant))
        .bind(most(ceilings.repository))
        .bind(claimant.version)
        .fetch_one(db)
        .await;
    match found {
        // Another claim took the same place at the same time. An ordinary meeting, which the database decided.
        Err(error) if is_meeting(&error) => Ok(Claimed::Busy),
        found => claimed(&found?),
    }
}

/// As [`claim`]; `None` where tenants or limits have to be weighed against each other. What that statement costs is its
/// size, which this one spares nearly every claim.
async fn claim_simply(
    db: &mut Connection,
    claimant: &Claimant,
    except: &[StepId],
) -> Result<Option<Claimed>, Error> {
    let found = sqlx::query("select * from claim_simply($1, $2, $3, $4, $5)")
        .bind(claimant.worker.uuid())
        .bind(claimant.lease.as_secs_f64())
        .bind(texts(&claimant.roles))
        .bind(except.iter().map(|step| step.uuid()).collect::<Vec<_>>())
        .bind(claimant.version)
        .fetch_one(db)
        .await?;
    row::get::<bool>(&found, "simple")?.then(|| claimed(&found)).transpose()
}

fn claimed(found: &PgRow) -> Result<Claimed, Error> {
    let Some(step) = row::get::<Option<uuid::Uuid>>(found, "id")? else {
        let due: i64 = row::get(found, "due")?;
        return Ok(if due > 0 { Claimed::Busy } else { Claimed::Nothing });
    };
    match (from_row(found), row::unsigned(found, "last_seq")) {
        (Ok(claim), Ok(seq)) => Ok(Claimed::Lease(claim, seq)),
        _ => Ok(Claimed::Unreadable(step.into())),
    }
}

fn is_meeting(error: &sqlx::Error) -> bool {
    let constraint = error.as_database_error().and_then(|error| error.constraint());
    matches!(constraint, Some("steps_tenant_slot" | "steps_repo_slot"))
}

/// Leases a step that the outcome of `done` has just made ready to the worker that brought it, in the same transaction:
/// no message, no second commit. `None` where somebody waits who comes first.
///
/// # Errors
/// The database does not answer.
pub async fn follow(
    db: &mut Connection,
    step: StepId,
    done: &Claim,
    claimant: &Claimant,
) -> Result<Option<Claim>, Error> {
    let found = sqlx::query(include_str!("../queries/follow.sql"))
        .bind(step.uuid())
        .bind(done.step_id.uuid())
        .bind(done.fence)
        .bind(claimant.worker.uuid())
        .bind(claimant.lease.as_secs_f64())
        .bind(texts(&claimant.roles))
        .bind(claimant.version)
        .fetch_optional(db)
        .await?;
    found.as_ref().map(from_row).transpose()
}

/// The lease that was taken in the commit of this attempt and still holds: for a worker that lost the answer.
///
/// # Errors
/// The database does not answer.
pub async fn followed(db: &mut Connection, done: &Claim) -> Result<Option<Claim>, Error> {
    let statement = "select run_id, id, step_key, attempts, fence from steps \
                     where follows_fence = $1 and run_id = $2 and status = 'running'";
    let found = sqlx::query(statement).bind(done.fence).bind(done.run_id.uuid()).fetch_optional(db).await?;
    found.as_ref().map(from_row).transpose()
}

/// Leases this very step of a locked run, whatever else is due; `None` where it is not ready. For tests and tools: a
/// worker asks [`claim`].
///
/// # Errors
/// The database does not answer.
pub async fn claim_step(
    db: &mut Connection,
    step: StepId,
    worker: WorkerId,
    lease: Duration,
) -> Result<Option<Claim>, Error> {
    let statement = "with leased as (update steps set status = 'running', attempts = attempts + 1, \
                     fence = nextval('fences'), worker_id = $2, lease_until = now() + make_interval(secs => $3), \
                     started_at = coalesce(started_at, now()), follows_fence = null, tenant_slot = null, repo_slot = null \
                     where id = $1 and status = 'ready' and ready_at <= now() \
                     returning run_id, id, step_key, attempts, fence), \
                     noted as (insert into attempts (step_id, fence, attempt, worker_id) \
                     select id, fence, attempts, $2 from leased) select * from leased";
    let found = sqlx::query(statement)
        .bind(step.uuid())
        .bind(worker.uuid())
        .bind(lease.as_secs_f64())
        .fetch_optional(db)
        .await?;
    found.as_ref().map(from_row).transpose()
}

/// Which of these leases still hold, each extended by `lease` from now. The others were cancelled, taken away or
/// ran out: whoever holds them must stop.
///
/// # Errors
/// The database does not answer.
pub async fn extend(db: &Db, fences: &[i64], lease: Duration) -> Result<Vec<i64>, Error> {
    let statement = "update steps set lease_until = now() + make_interval(secs => $2) \
                     where fence = any($1) and status = 'running' returning fence";
    // An extension that a crash of the database forgets only lets the sweeper look earlier.
    Ok(sqlx::query_scalar(statement).bind(fences).bind(lease.as_secs_f64()).fetch_all(db.relaxed()).await?)
}

/// Which of these leases still hold.
///
/// # Errors
/// The database does not answer.
pub async fn held(db: &Db, fences: &[i64]) -> Result<Vec<i64>, Error> {
    let statement = "select fence from steps where fence = any($1) and status = 'running'";
    Ok(sqlx::query_scalar(statement).bind(fences).fetch_all(db.pool()).await?)
}

/// Whether this token is still the one of a running step. Holds until the transaction ends where the run is locked.
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

/// Leases that ran out: their worker is gone or stuck. What is done about one looks again, under its token.
///
/// # Errors
/// The database does not answer.
pub async fn expired(db: &Db, limit: i64) -> Result<Vec<Claim>, Error> {
    let statement = "select run_id, id, step_key, attempts, fence from steps \
                     where status = 'running' and lease_until < now() order by lease_until limit $1";
    let rows = sqlx::query(statement).bind(limit).fetch_all(db.pool()).await?;
    rows.iter().map(from_row).collect()
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

/// The version of the engine that a run needs, raised to `version` where it was lower. An older worker then leaves the
/// run to a newer one.
///
/// # Errors
/// The database does not answer.
pub async fn need_version(db: &mut Connection, run: RunId, version: i16) -> Result<(), Error> {
    sqlx::query("update runs set needs_version = $2 where id = $1 and needs_version < $2")
        .bind(run.uuid())
        .bind(version)
        .execute(db)
        .await?;
    Ok(())
}

/// Whether a run needs a newer engine than `version`.
///
/// # Errors
/// The database does not answer.
pub async fn is_newer(db: &Db, run: RunId, version: i16) -> Result<bool, Error> {
    let statement = "select needs_version > $2 from runs where id = $1";
    let newer: Option<bool> =
        sqlx::query_scalar(statement).bind(run.uuid()).bind(version).fetch_optional(db.pool()).await?;
    Ok(newer.unwrap_or(false))
}
