//! Repositories that tasks have named, and their settings.

use crate::page::Page;
use crate::{Db, Error, db::Connection, row};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::postgres::PgRow;
use toryo_domain::RepoId;

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repo {
    /// Its id.
    pub id: RepoId,
    /// As tasks name it.
    pub url: String,
    /// The branch that tasks start from, once known.
    pub default_branch: Option<String>,
    /// What an administrator set; an object.
    pub settings: Value,
    /// The commit the code index was last built for.
    pub indexed_commit: Option<String>,
    /// When it was first named.
    pub created_at: DateTime<Utc>,
    /// When its newest run was made.
    pub last_run_at: Option<DateTime<Utc>>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select repos.*, (select max(runs.created_at) from runs join tasks on tasks.id = runs.task_id ",
            "where tasks.repo_id = repos.id) as last_run_at from repos ",
            $rest
        )
    };
}

fn from_row(row: &PgRow) -> Result<Repo, Error> {
    Ok(Repo {
        id: row::get::<uuid::Uuid>(row, "id")?.into(),
        url: row::get(row, "url")?,
        default_branch: row::get(row, "default_branch")?,
        settings: row::get(row, "settings")?,
        indexed_commit: row::get(row, "indexed_commit")?,
        created_at: row::get(row, "created_at")?,
        last_run_at: row::get(row, "last_run_at")?,
    })
}

/// The id of the repository of this URL, registered if it is new. A known one is only read: many tasks of one
/// repository do not wait for each other.
///
/// # Errors
/// The database does not answer.
pub async fn ensure(db: &mut Connection, url: &str) -> Result<RepoId, Error> {
    let known: Option<uuid::Uuid> =
        sqlx::query_scalar("select id from repos where url = $1").bind(url).fetch_optional(&mut *db).await?;
    if let Some(known) = known {
        return Ok(known.into());
    }
    let statement = "insert into repos (id, url) values ($1, $2) on conflict (url) do update set url = excluded.url \
                     returning id";
    let id: uuid::Uuid =
        sqlx::query_scalar(statement).bind(RepoId::generate().uuid()).bind(url).fetch_one(db).await?;
    Ok(id.into())
}

/// Registers a repository or changes its settings.
///
/// # Errors
/// The database does not answer.
pub async fn upsert(db: &Db, url: &str, settings: &Value) -> Result<Repo, Error> {
    let statement = "insert into repos (id, url, settings) values ($1, $2, $3) \
                     on conflict (url) do update set settings = excluded.settings returning id";
    let id: uuid::Uuid = sqlx::query_scalar(statement)
        .bind(RepoId::generate().uuid())
        .bind(url)
        .bind(settings)
        .fetch_one(db.pool())
        .await?;
    get(db, id.into()).await
}

/// Remembers for which commit the code index was built.
///
/// # Errors
/// The database does not answer.
pub async fn mark_indexed(db: &Db, id: RepoId, commit: &toryo_domain::CommitId) -> Result<(), Error> {
    sqlx::query("update repos set indexed_commit = $2, indexed_at = now() where id = $1")
        .bind(id.uuid())
        .bind(commit.as_str())
        .execute(db.pool())
        .await?;
    Ok(())
}

/// One repository.
///
/// # Errors
/// There is none of this id.
pub async fn get(db: &Db, id: RepoId) -> Result<Repo, Error> {
    let found = sqlx::query(select!("where id = $1")).bind(id.uuid()).fetch_optional(db.pool()).await?;
    found
        .as_ref()
        .map(from_row)
        .transpose()?
        .ok_or_else(|| Error::NotFound { what: format!("repository {id}") })
}

/// Repositories, newest first.
///
/// # Errors
/// The cursor is not one, or the database does not answer.
pub async fn list(db: &Db, limit: u32, cursor: Option<&str>) -> Result<Page<Repo>, Error> {
    let rows = sqlx::query(select!("where id < $1 order by id desc limit $2"))
        .bind(row::cursor(cursor)?)
        .bind(i64::from(limit) + 1)
        .fetch_all(db.pool())
        .await?;
    let items = rows.iter().map(from_row).collect::<Result<_, _>>()?;
    Ok(Page::of(items, limit, |repo: &Repo| repo.id.to_string()))
}
