//! Tasks: what was asked for, and under which idempotency key.

use crate::page::Page;
use crate::{Db, Error, db::Connection, row};
use serde::Serialize;
use sqlx::postgres::PgRow;
use toryo_domain::{Digest, NewTask, RepoId, RunId, Task, TaskId};

/// A task and its runs, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskWithRuns {
    /// The task.
    #[serde(flatten)]
    pub task: Task,
    /// Its runs.
    pub runs: Vec<RunId>,
}

/// A caller's key that makes a repeated request harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key.
    pub key: String,
    /// Digest of the request it came with.
    pub digest: Digest,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select tasks.id, tasks.wish, tasks.created_at, ",
            "array(select runs.id from runs where runs.task_id = tasks.id order by runs.id) as runs from tasks ",
            $rest
        )
    };
}

fn from_row(row: &PgRow) -> Result<TaskWithRuns, Error> {
    let task = Task {
        id: row::get::<uuid::Uuid>(row, "id")?.into(),
        wish: row::json(row, "wish")?,
        created_at: row::get(row, "created_at")?,
    };
    let runs = row::get::<Vec<uuid::Uuid>>(row, "runs")?.into_iter().map(RunId::from).collect();
    Ok(TaskWithRuns { task, runs })
}

/// Stores a task; `None` where its idempotency key is taken already.
///
/// # Errors
/// The database does not answer.
pub async fn insert(
    db: &mut Connection,
    repo: RepoId,
    wish: &NewTask,
    idempotency: Option<&Idempotency>,
) -> Result<Option<TaskId>, Error> {
    let statement = "insert into tasks (id, repo_id, wish, idempotency_key, request_digest) \
                     values ($1, $2, $3, $4, $5) on conflict (idempotency_key) do nothing returning id";
    let id: Option<uuid::Uuid> = sqlx::query_scalar(statement)
        .bind(TaskId::generate().uuid())
        .bind(repo.uuid())
        .bind(row::to_json("wish", wish)?)
        .bind(idempotency.map(|it| it.key.as_str()))
        .bind(idempotency.map(|it| it.digest.to_string()))
        .fetch_optional(db)
        .await?;
    Ok(id.map(TaskId::from))
}

/// The task of an idempotency key, its first run, and the digest of the request that made it.
///
/// # Errors
/// The database does not answer.
pub async fn by_key(
    db: &mut Connection,
    key: &str,
) -> Result<Option<(TaskId, RunId, Option<Digest>)>, Error> {
    let statement = "select tasks.id, tasks.request_digest, runs.id as run_id from tasks \
                     join runs on runs.task_id = tasks.id where idempotency_key = $1 order by runs.id limit 1";
    let Some(found) = sqlx::query(statement).bind(key).fetch_optional(db).await? else { return Ok(None) };
    let task: uuid::Uuid = row::get(&found, "id")?;
    let run: uuid::Uuid = row::get(&found, "run_id")?;
    Ok(Some((task.into(), run.into(), row::parse_opt(&found, "request_digest")?)))
}

/// One task.
///
/// # Errors
/// There is none of this id.
pub async fn get(db: &Db, id: TaskId) -> Result<TaskWithRuns, Error> {
    let found = sqlx::query(select!("where id = $1")).bind(id.uuid()).fetch_optional(db.pool()).await?;
    found.as_ref().map(from_row).transpose()?.ok_or_else(|| Error::NotFound { what: format!("task {id}") })
}

/// Tasks, newest first.
///
/// # Errors
/// The cursor is not one, or the database does not answer.
pub async fn list(db: &Db, limit: u32, cursor: Option<&str>) -> Result<Page<TaskWithRuns>, Error> {
    let rows = sqlx::query(select!("where id < $1 order by id desc limit $2"))
        .bind(row::cursor(cursor)?)
        .bind(i64::from(limit) + 1)
        .fetch_all(db.pool())
        .await?;
    let items = rows.iter().map(from_row).collect::<Result<_, _>>()?;
    Ok(Page::of(items, limit, |item: &TaskWithRuns| item.task.id.to_string()))
}
