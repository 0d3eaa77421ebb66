//! Artifacts: which blobs belong to which run, and what they are.

use crate::{Db, Error, db::Connection, row};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgRow;
use toryo_domain::{ArtifactId, Digest, RunId, StepId, StepKey};

/// A blob in its role for a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifact {
    /// Its id.
    pub id: ArtifactId,
    /// Its run.
    pub run_id: RunId,
    /// The step that kept it.
    pub step_key: Option<StepKey>,
    /// What it is: `diff`, `log`, `report`, `prompt`, `reply`, `context_pack`.
    pub kind: String,
    /// A file name for people.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// The blob.
    pub digest: Digest,
    /// The blob's length.
    pub size_bytes: u64,
    /// When it was kept.
    pub created_at: DateTime<Utc>,
}

/// An artifact to keep.
#[derive(Debug, Clone)]
pub struct NewArtifact<'a> {
    /// What it is.
    pub kind: &'a str,
    /// A file name for people.
    pub name: &'a str,
    /// Its media type.
    pub media_type: &'a str,
    /// The blob, stored already.
    pub digest: Digest,
    /// The blob's length.
    pub size_bytes: u64,
}

fn from_row(row: &PgRow) -> Result<Artifact, Error> {
    Ok(Artifact {
        id: row::get::<uuid::Uuid>(row, "id")?.into(),
        run_id: row::get::<uuid::Uuid>(row, "run_id")?.into(),
        step_key: row::parse_opt(row, "step_key")?,
        kind: row::get(row, "kind")?,
        name: row::get(row, "name")?,
        media_type: row::get(row, "media_type")?,
        digest: row::parse(row, "digest")?,
        size_bytes: row::unsigned(row, "size_bytes")?,
        created_at: row::get(row, "created_at")?,
    })
}

/// Keeps an artifact of a step; keeping the same one twice is harmless.
///
/// # Errors
/// The database does not answer.
pub async fn insert(
    db: &mut Connection,
    run: RunId,
    step: StepId,
    key: &StepKey,
    artifact: &NewArtifact<'_>,
) -> Result<(), Error> {
    let statement = "insert into artifacts (id, run_id, step_id, step_key, kind, name, media_type, digest, size_bytes) \
                     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict on constraint artifacts_once do nothing";
    sqlx::query(statement)
        .bind(ArtifactId::generate().uuid())
        .bind(run.uuid())
        .bind(step.uuid())
        .bind(key.to_string())
        .bind(artifact.kind)
        .bind(artifact.name)
        .bind(artifact.media_type)
        .bind(artifact.digest.to_string())
        .bind(i64::try_from(artifact.size_bytes).unwrap_or(i64::MAX))
        .execute(db)
        .await?;
    Ok(())
}

/// The artifacts of a run, oldest first.
///
/// # Errors
/// The database does not answer.
pub async fn of_run(db: &Db, run: RunId) -> Result<Vec<Artifact>, Error> {
    let rows = sqlx::query("select * from artifacts where run_id = $1 order by id")
        .bind(run.uuid())
        .fetch_all(db.pool())
        .await?;
    rows.iter().map(from_row).collect()
}

/// One artifact.
///
/// # Errors
/// There is none of this id.
pub async fn get(db: &Db, id: ArtifactId) -> Result<Artifact, Error> {
    let found = sqlx::query("select * from artifacts where id = $1")
        .bind(id.uuid())
        .fetch_optional(db.pool())
        .await?;
    found
        .as_ref()
        .map(from_row)
        .transpose()?
        .ok_or_else(|| Error::NotFound { what: format!("artifact {id}") })
}
