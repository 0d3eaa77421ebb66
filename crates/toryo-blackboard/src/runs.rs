//! Runs: status, cost, result. The status is written only through [`RunStatus::after`].

mod decided;

pub use decided::{Control, Origin};

use crate::outcomes::Kept;
use crate::page::Page;
use crate::{Db, Error, db::Connection, row};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgRow;
use toryo_domain::{
    Approval, CommitId, Digest, Gate, IllegalTransition, Limits, NewTask, Priority, PullRequest, RunId,
    RunSignal, RunStatus, TaskId, Usd,
};

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The task it tries to satisfy.
    pub task_id: TaskId,
    /// The repository as the task names it.
    pub repo_url: String,
    /// The task's goal.
    pub goal: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Why it stands there, for people.
    pub status_reason: Option<String>,
    /// What a person is asked to approve.
    pub gate: Option<Gate>,
    /// What people decided so far.
    #[serde(skip)]
    pub control: Control,
    /// The branch it started from.
    pub base_branch: Option<String>,
    /// The commit it started from.
    pub base_commit: Option<CommitId>,
    /// The Spec-Refiner's title.
    pub title: Option<String>,
    /// The branch it made.
    pub branch: Option<String>,
    /// The tip of that branch.
    pub commit: Option<CommitId>,
    /// The pull request it opened.
    pub pull_request: Option<PullRequest>,
    /// The diff of the best state so far.
    pub best_diff: Option<Digest>,
    /// Whether any reply came from a recording instead of a model.
    pub replay: bool,
    /// Cost of its model calls.
    pub cost: Usd,
    /// Tokens it sent.
    pub tokens_in: u64,
    /// Tokens it received.
    pub tokens_out: u64,
    /// What the task allows it, or what a person allowed it since; see [`allowance`](Self::allowance).
    pub limits: Limits,
    /// Where it comes from, if it is a fork.
    pub origin: Option<Origin>,
    /// How urgent it is.
    pub priority: Priority,
    /// Where a person wants to approve.
    pub approval: Approval,
    /// The number of its newest event.
    pub last_seq: u64,
    /// Milliseconds it has run until `active_since`; waiting for people is not counted.
    pub active_ms: u64,
    /// Since when it runs now.
    pub active_since: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When a worker began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

impl Run {
    /// How long it has run, up to `now`; waiting for people is not counted.
    #[must_use]
    pub fn active_ms_at(&self, now: DateTime<Utc>) -> u64 {
        let running = self.active_since.map_or(0, |since| (now - since).num_milliseconds());
        self.active_ms.saturating_add(u64::try_from(running).unwrap_or_default())
    }

    /// What the run may use now: the task's limits, or those a person set since, and what people granted on top of them.
    #[must_use]
    pub fn allowance(&self) -> Limits {
        Limits {
            usd: self.limits.usd + self.control.extra_usd,
            tokens: self.limits.tokens.saturating_add(self.control.extra_tokens),
            minutes: self.limits.minutes.saturating_add(self.control.extra_minutes),
            repair_loops: self.limits.repair_loops.saturating_add(self.control.extra_repairs),
        }
    }
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only those in this status.
    pub status: Option<RunStatus>,
    /// Only those of this repository.
    pub repo: Option<String>,
    /// Only those made since.
    pub since: Option<DateTime<Utc>>,
    /// Most items of a page.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!("select runs.*, tasks.wish from runs join tasks on tasks.id = runs.task_id ", $rest)
    };
}

fn from_row(row: &PgRow) -> Result<Run, Error> {
    of_wish(row, row::json(row, "wish")?)
}

/// A run whose task's wish was read already.
pub(crate) fn of_wish(row: &PgRow, wish: NewTask) -> Result<Run, Error> {
    let control: Control = row::json(row, "control")?;
    Ok(Run {
        id: row::get::<uuid::Uuid>(row, "id")?.into(),
        task_id: row::get::<uuid::Uuid>(row, "task_id")?.into(),
        repo_url: wish.repo_url,
        goal: wish.goal,
        status: row::parse(row, "status")?,
        status_reason: row::get(row, "status_reason")?,
        gate: row::parse_opt(row, "gate")?,
        base_branch: row::get(row, "base_branch")?,
        base_commit: row::parse_opt(row, "base_commit")?,
        title: row::get(row, "title")?,
        branch: row::get(row, "branch")?,
        commit: row::parse_opt(row, "commit_id")?,
        pull_request: row::json_opt(row, "pull_request")?,
        best_diff: row::parse_opt(row, "best_diff")?,
        replay: row::get(row, "recorded")?,
        cost: Usd::from_nanos(row::get(row, "cost_nano_usd")?),
        tokens_in: row::unsigned(row, "tokens_in")?,
        tokens_out: row::unsigned(row, "tokens_out")?,
        limits: control.limits.unwrap_or(wish.limits),
        control,
        origin: row::json_opt(row, "origin")?,
        priority: wish.priority,
        approval: wish.approval,
        last_seq: row::unsigned(row, "last_seq")?,
        active_ms: row::unsigned(row, "active_ms")?,
        active_since: row::get(row, "active_since")?,
        created_at: row::get(row, "created_at")?,
        started_at: row::get(row, "started_at")?,
        finished_at: row::get(row, "finished_at")?,
    })
}

pub(crate) fn not_found(id: RunId) -> Error {
    Error::NotFound { what: format!("run {id}") }
}

/// Stores a queued run of a task.
///
/// # Errors
/// There is no such task, or the database does not answer.
pub async fn insert(db: &mut Connection, task: TaskId) -> Result<RunId, Error> {
    let id = RunId::generate();
    let done =
        sqlx::query("insert into runs (id, task_id, status) select $1, id, $3 from tasks where id = $2")
            .bind(id.uuid())
            .bind(task.uuid())
            .bind(RunStatus::Queued.as_str())
            .execute(db)
            .await?;
    if done.rows_affected() == 0 {
        return Err(Error::NotFound { what: format!("task {task}") });
    }
    Ok(id)
}

/// One run.
///
/// # Errors
/// There is none of this id.
pub async fn get(db: &Db, id: RunId) -> Result<Run, Error> {
    let found = sqlx::query(select!("where runs.id = $1")).bind(id.uuid()).fetch_optional(db.pool()).await?;
    found.as_ref().map(from_row).transpose()?.ok_or_else(|| not_found(id))
}

/// One run, its row locked until the transaction ends. Every change of a run's graph takes this lock first,
/// and locks of steps after it, so that no two transactions wait for each other.
///
/// # Errors
/// There is none of this id.
pub async fn lock(db: &mut Connection, id: RunId) -> Result<Run, Error> {
    let statement = select!("where runs.id = $1 for update of runs");
    let found = sqlx::query(statement).bind(id.uuid()).fetch_optional(db).await?;
    found.as_ref().map(from_row).transpose()?.ok_or_else(|| not_found(id))
}

/// Runs, newest first.
///
/// # Errors
/// The cursor is not one, or the database does not answer.
pub async fn list(db: &Db, filter: &RunFilter) -> Result<Page<Run>, Error> {
    let statement = select!(
        "where runs.id < $1 and ($2::text is null or runs.status = $2) \
         and ($3::text is null or tasks.wish ->> 'repo_url' = $3) \
         and ($4::timestamptz is null or runs.created_at >= $4) order by runs.id desc limit $5"
    );
    let rows = sqlx::query(statement)
        .bind(row::cursor(filter.cursor.as_deref())?)
        .bind(filter.status.map(RunStatus::as_str))
        .bind(filter.repo.as_deref())
        .bind(filter.since)
        .bind(i64::from(filter.limit) + 1)
        .fetch_all(db.pool())
        .await?;
    let items = rows.iter().map(from_row).collect::<Result<_, _>>()?;
    Ok(Page::of(items, filter.limit, |run: &Run| run.id.to_string()))
}

/// Moves a locked run to the status that follows on `signal`, and keeps its clocks.
///
/// # Errors
/// The signal is not possible in the run's status (as [`Error::Conflict`]).
pub async fn signal(
    db: &mut Connection,
    run: &mut Run,
    signal: RunSignal,
    reason: Option<&str>,
    gate: Option<Gate>,
) -> Result<RunStatus, Error> {
    let next = run.status.after(signal).map_err(|error: IllegalTransition<_, _>| {
        Error::Conflict(format!("run {} cannot `{signal}` while it is {}", run.id, error.from))
    })?;
    let statement = "update runs set status = $3, status_reason = $4, gate = $5, \
         started_at = case when $3 = 'running' then coalesce(started_at, now()) else started_at end, \
         finished_at = case when $6 then now() end, \
         active_ms = active_ms + case when active_since is null then 0 \
             else (extract(epoch from now() - active_since) * 1000)::bigint end, \
         active_since = case when $3 = 'running' then now() end \
         where id = $1 and status = $2 returning started_at, finished_at, active_ms, active_since";
    let updated = sqlx::query(statement)
        .bind(run.id.uuid())
        .bind(run.status.as_str())
        .bind(next.as_str())
        .bind(reason.map(row::storable))
        .bind(gate.map(Gate::as_str))
        .bind(next.is_final())
        .fetch_one(db)
        .await?;
    run.status = next;
    run.status_reason = reason.map(str::to_owned);
    run.gate = gate;
    run.started_at = row::get(&updated, "started_at")?;
    run.finished_at = row::get(&updated, "finished_at")?;
    run.active_ms = row::unsigned(&updated, "active_ms")?;
    run.active_since = row::get(&updated, "active_since")?;
    Ok(next)
}

/// Stores what people decided.
///
/// # Errors
/// The database does not answer.
pub async fn set_control(db: &mut Connection, run: RunId, control: &Control) -> Result<(), Error> {
    sqlx::query("update runs set control = $2 where id = $1")
        .bind(run.uuid())
        .bind(row::to_json("control", control)?)
        .execute(db)
        .await?;
    Ok(())
}

/// Stores what the run itself keeps of an outcome; what there is none of stays as it is.
///
/// # Errors
/// The database does not answer.
pub async fn keep(db: &mut Connection, run: RunId, kept: &Kept) -> Result<(), Error> {
    let Kept { base, best_diff, result } = kept;
    let statement = "update runs set base_branch = coalesce($2, base_branch), base_commit = coalesce($3, base_commit), \
                     title = coalesce($4, title), best_diff = coalesce($5, best_diff), branch = coalesce($6, branch), \
                     commit_id = coalesce($7, commit_id), pull_request = coalesce($8, pull_request) where id = $1";
    if base.is_none() && best_diff.is_none() && result.is_none() {
        return Ok(());
    }
    sqlx::query(statement)
        .bind(run.uuid())
        .bind(base.as_ref().map(|[branch, ..]| branch))
        .bind(base.as_ref().map(|[_, commit, _]| commit))
        .bind(base.as_ref().map(|[.., title]| row::storable(title)))
        .bind(best_diff)
        .bind(result.as_ref().map(|([branch, _], _)| branch))
        .bind(result.as_ref().map(|([_, commit], _)| commit))
        .bind(result.as_ref().map(|(_, pull_request)| row::without_nul(pull_request)))
        .execute(db)
        .await?;
    Ok(())
}

/// Says where a run comes from.
///
/// # Errors
/// The database does not answer.
pub async fn set_origin(db: &mut Connection, run: RunId, origin: &Origin) -> Result<(), Error> {
    sqlx::query("update runs set origin = $2 where id = $1")
        .bind(run.uuid())
        .bind(row::to_json("origin", origin)?)
        .execute(db)
        .await?;
    Ok(())
}

/// The fork of a locked run that was asked for with this key.
///
/// # Errors
/// The database does not answer.
pub async fn fork_by_key(db: &mut Connection, run: RunId, key: &str) -> Result<Option<Run>, Error> {
    let found = sqlx::query(select!("where runs.origin ->> 'run_id' = $1 and runs.origin ->> 'key' = $2"))
        .bind(run.to_string())
        .bind(key)
        .fetch_optional(db)
        .await?;
    found.as_ref().map(from_row).transpose()
}

/// The forks of a run, oldest first.
///
/// # Errors
/// The database does not answer.
pub async fn forks(db: &Db, run: RunId) -> Result<Vec<Run>, Error> {
    let rows = sqlx::query(select!("where runs.origin ->> 'run_id' = $1 order by runs.id"))
        .bind(run.to_string())
        .fetch_all(db.pool())
        .await?;
    rows.iter().map(from_row).collect()
}

/// Running runs that have used up their minutes and are not stopping already.
///
/// # Errors
/// The database does not answer.
pub async fn overdue(db: &Db) -> Result<Vec<RunId>, Error> {
    let statement = "select runs.id from runs join tasks on tasks.id = runs.task_id \
         where runs.status = 'running' and runs.control ->> 'stopping' is null and runs.active_ms + extract(epoch from now() - runs.active_since) * 1000 > \
         (coalesce(runs.control -> 'limits' ->> 'minutes', tasks.wish -> 'limits' ->> 'minutes')::bigint \
          + coalesce((runs.control ->> 'extra_minutes')::bigint, 0)) * 60000";
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar(statement).fetch_all(db.pool()).await?;
    Ok(ids.into_iter().map(RunId::from).collect())
}
