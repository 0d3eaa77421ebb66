//! Tasks: what was asked for. What asked is in [`triggers`](crate::triggers).

use crate::page::Page;
use crate::{Db, Error, db::Connection, row};
use serde::Serialize;
use sqlx::postgres::PgRow;
use toryo_domain::{Digest, NewTask, RepoId, RunId, Task, TaskId, tenant};

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

/// Stores a task.
///
/// # Errors
/// The database does not answer.
pub async fn insert(db: &mut Connection, repo: RepoId, wish: &NewTask) -> Result<TaskId, Error> {
    let id = TaskId::generate();
    sqlx::query("insert into tasks (id, repo_id, wish, tenant) values ($1, $2, $3, $4)")
        .bind(id.uuid())
        .bind(repo.uuid())
        .bind(row::to_json("wish", wish)?)
        .bind(tenant::of_repository(&wish.repo_url))
        .execute(db)
        .await?;
    Ok(id)
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
