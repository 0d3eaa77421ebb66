//! Pull requests of the local forge.

use crate::{Db, Error, db::Connection, row};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgRow;
use toryo_domain::{CommitId, NewPullRequest, PullRequestId, PullRequestState, RunId};

/// A pull request of the local forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocalPullRequest {
    /// Its id.
    pub id: PullRequestId,
    /// The run it comes from.
    pub run_id: RunId,
    /// The repository.
    pub repo_url: String,
    /// Its number in the repository, counted from 1.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The branch with the change.
    pub head_branch: String,
    /// The branch it shall go into.
    pub base_branch: String,
    /// The tip of the head branch.
    pub head_commit: CommitId,
    /// Where it stands.
    pub state: PullRequestState,
    /// Not yet ready for review.
    pub draft: bool,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

fn from_row(row: &PgRow) -> Result<LocalPullRequest, Error> {
    Ok(LocalPullRequest {
        id: row::get::<uuid::Uuid>(row, "id")?.into(),
        run_id: row::get::<uuid::Uuid>(row, "run_id")?.into(),
        repo_url: row::get(row, "repo_url")?,
        number: row::unsigned(row, "number")?,
        title: row::get(row, "title")?,
        body: row::get(row, "body")?,
        head_branch: row::get(row, "head_branch")?,
        base_branch: row::get(row, "base_branch")?,
        head_commit: row::parse(row, "head_commit")?,
        state: row::parse(row, "state")?,
        draft: row::get(row, "draft")?,
        created_at: row::get(row, "created_at")?,
        updated_at: row::get(row, "updated_at")?,
    })
}

/// The pull request of a head branch.
///
/// # Errors
/// The database does not answer.
pub async fn by_head(
    db: &mut Connection,
    repo_url: &str,
    head: &str,
) -> Result<Option<LocalPullRequest>, Error> {
    let found = sqlx::query("select * from pull_requests where repo_url = $1 and head_branch = $2")
        .bind(repo_url)
        .bind(head)
        .fetch_optional(db)
        .await?;
    found.as_ref().map(from_row).transpose()
}

/// Opens a pull request, or updates the one of the same head branch; `true` where it was opened.
///
/// # Errors
/// The database does not answer.
pub async fn upsert(
    db: &mut Connection,
    request: &NewPullRequest,
) -> Result<(LocalPullRequest, bool), Error> {
    // Numbers are given one after another for each repository.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(&request.repo_url)
        .execute(&mut *db)
        .await?;
    let statement = "insert into pull_requests (id, run_id, repo_url, number, title, body, head_branch, \
         base_branch, head_commit, state, draft) \
         select $1, $2, $3, coalesce(max(number), 0) + 1, $4, $5, $6, $7, $8, 'open', $9 \
         from pull_requests where repo_url = $3 \
         on conflict on constraint pull_requests_head do update set title = excluded.title, body = excluded.body, \
         head_commit = excluded.head_commit, draft = excluded.draft, updated_at = now() \
         returning *, (xmax = 0) as created";
    let row = sqlx::query(statement)
        .bind(PullRequestId::generate().uuid())
        .bind(request.run_id.uuid())
        .bind(&request.repo_url)
        .bind(&request.title)
        .bind(&request.body)
        .bind(&request.head_branch)
        .bind(&request.base_branch)
        .bind(request.head_commit.as_str())
        .bind(request.draft)
        .fetch_one(db)
        .await?;
    Ok((from_row(&row)?, row::get(&row, "created")?))
}

/// One pull request.
///
/// # Errors
/// There is none of this id.
pub async fn get(db: &Db, id: PullRequestId) -> Result<LocalPullRequest, Error> {
    let found = sqlx::query("select * from pull_requests where id = $1")
        .bind(id.uuid())
        .fetch_optional(db.pool())
        .await?;
    found
        .as_ref()
        .map(from_row)
        .transpose()?
        .ok_or_else(|| Error::NotFound { what: format!("pull request {id}") })
}
