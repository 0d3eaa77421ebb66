//! Vectors of pieces of code, by digest; the pieces of one repository nearest to a question.
//!
//! A vector is shared by all commits and repositories that hold the piece. Each model has an HNSW index of its own:
//! pgvector indexes columns of one number of dimensions only.

use crate::{Db, Error, row};
use pgvector::Vector;
use sqlx::AssertSqlSafe;
use std::collections::HashSet;

/// The digest of a piece of code.
pub type PieceDigest = [u8; 16];

/// A model whose vectors are kept here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddingModel {
    id: i32,
    dimensions: u32,
}

/// Rows of one statement.
const BATCH: usize = 1_000;
/// Uses are noted again after so many days, so that an unchanged repository costs no writes.
const NOTED_AGAIN_DAYS: i32 = 7;

/// The model of this name; the first call makes its index.
///
/// # Errors
/// The database does not answer, or the model is known with other dimensions.
pub async fn model(db: &Db, name: &str, dimensions: u32) -> Result<EmbeddingModel, Error> {
    let size = i32::try_from(dimensions).unwrap_or(i32::MAX);
    let known = "select id, dimensions from embedding_models where name = $1";
    let found = sqlx::query_as::<_, (i32, i32)>(known).bind(name).fetch_optional(db.pool()).await?;
    if let Some((id, known)) = found {
        return if known == size {
            Ok(EmbeddingModel { id, dimensions })
        } else {
            Err(other_size(name, known))
        };
    }
    let mut tx = db.begin().await?;
    // The row's lock makes a second caller wait until the index is there.
    let insert = "insert into embedding_models (name, dimensions) values ($1, $2) \
                  on conflict on constraint embedding_models_name do update set name = excluded.name \
                  returning id, dimensions";
    let (id, known): (i32, i32) = sqlx::query_as(insert).bind(name).bind(size).fetch_one(&mut *tx).await?;
    if known != size {
        return Err(other_size(name, known));
    }
    // Numbers only go into the text.
    let index = format!(
        "create index if not exists embeddings_hnsw_{id} on embeddings \
         using hnsw ((embedding::vector({size})) vector_cosine_ops) where model_id = {id}"
    );
    sqlx::query(AssertSqlSafe(index)).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(EmbeddingModel { id, dimensions })
}

fn other_size(name: &str, known: i32) -> Error {
    Error::Conflict(format!("the vectors of {name} that are kept have {known} dimensions"))
}

/// Which of these pieces have no vector yet.
///
/// # Errors
/// The database does not answer.
pub async fn missing(
    db: &Db,
    model: EmbeddingModel,
    digests: &[PieceDigest],
) -> Result<HashSet<PieceDigest>, Error> {
    let mut missing = HashSet::new();
    for some in digests.chunks(BATCH) {
        let statement = "select wanted.digest from unnest($2::bytea[]) as wanted (digest) \
                         where not exists (select from embeddings e \
                                           where e.model_id = $1 and e.digest = wanted.digest)";
        let wanted: Vec<&[u8]> = some.iter().map(|digest| digest.as_slice()).collect();
        let rows = sqlx::query(statement).bind(model.id).bind(wanted).fetch_all(db.pool()).await?;
        for row in &rows {
            missing.insert(digest(row)?);
        }
    }
    Ok(missing)
}

/// Keeps vectors; those that are kept already stay.
///
/// # Errors
/// The database does not answer, or a vector has other dimensions than its model.
pub async fn insert(
    db: &Db,
    model: EmbeddingModel,
    vectors: &[(PieceDigest, Vec<f32>)],
) -> Result<(), Error> {
    if let Some((_, wrong)) = vectors.iter().find(|(_, vector)| vector.len() != model.dimensions as usize) {
        return Err(Error::Conflict(format!(
            "a vector of {} dimensions, not {}",
            wrong.len(),
            model.dimensions
        )));
    }
    for some in vectors.chunks(BATCH) {
        let digests: Vec<&[u8]> = some.iter().map(|(digest, _)| digest.as_slice()).collect();
        let vectors: Vec<Vector> = some.iter().map(|(_, vector)| Vector::from(vector.clone())).collect();
        let statement = "insert into embeddings (model_id, digest, embedding) \
                         select $1, new.digest, new.embedding \
                         from unnest($2::bytea[], $3::vector[]) as new (digest, embedding) \
                         order by new.digest on conflict do nothing";
        sqlx::query(statement).bind(model.id).bind(digests).bind(vectors).execute(db.pool()).await?;
    }
    Ok(())
}

/// Notes that a repository holds these pieces.
///
/// # Errors
/// The database does not answer.
pub async fn note_uses(db: &Db, repo_url: &str, digests: &[PieceDigest]) -> Result<(), Error> {
    let mut sorted: Vec<&[u8]> = digests.iter().map(|digest| digest.as_slice()).collect();
    // One order for all writers: two that note the same pieces wait for each other instead of dying.
    sorted.sort_unstable();
    sorted.dedup();
    for some in sorted.chunks(BATCH) {
        let statement = "insert into embedding_uses as known (repo_url, digest) \
                         select $1, new.digest from unnest($2::bytea[]) as new (digest) order by new.digest \
                         on conflict (repo_url, digest) do update set seen_at = now() \
                         where known.seen_at < now() - make_interval(days => $3)";
        sqlx::query(statement).bind(repo_url).bind(some).bind(NOTED_AGAIN_DAYS).execute(db.pool()).await?;
    }
    Ok(())
}

/// The pieces of a repository nearest to a vector, with their cosines, nearest first; of equals the lower digest.
///
/// # Errors
/// The database does not answer.
pub async fn nearest(
    db: &Db,
    model: EmbeddingModel,
    repo_url: &str,
    question: &[f32],
    k: usize,
) -> Result<Vec<(PieceDigest, f32)>, Error> {
    let found = nearest_by(db, model, repo_url, question, k, Search::Index).await?;
    if found.len() >= k {
        return Ok(found);
    }
    // The index gives up after so many pieces of other repositories; a repository that is a small part of all is
    // read whole instead, which its size makes cheap.
    nearest_by(db, model, repo_url, question, k, Search::Exact).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    Index,
    Exact,
}

async fn nearest_by(
    db: &Db,
    model: EmbeddingModel,
    repo_url: &str,
    question: &[f32],
    k: usize,
    search: Search,
) -> Result<Vec<(PieceDigest, f32)>, Error> {
    let EmbeddingModel { id, dimensions } = model;
    let mut tx = db.begin().await?;
    let setting = match search {
        // pgvector 0.8, "Iterative Index Scans": go on until enough rows pass the filter.
        Search::Index => "set local hnsw.iterative_scan = strict_order",
        Search::Exact => "set local enable_indexscan = off",
    };
    sqlx::query(setting).execute(&mut *tx).await?;
    // Numbers only go into the text; the cast and the condition have to read as those of the index.
    let statement = format!(
        "select e.digest, (1 - (e.embedding::vector({dimensions}) <=> $1))::real as cosine from embeddings e \
         where e.model_id = {id} \
           and exists (select from embedding_uses u where u.repo_url = $2 and u.digest = e.digest) \
         order by e.embedding::vector({dimensions}) <=> $1 limit $3"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(Vector::from(question.to_vec()))
        .bind(repo_url)
        .bind(i64::try_from(k).unwrap_or(i64::MAX))
        .fetch_all(&mut *tx)
        .await?;
    tx.rollback().await?;
    let mut found: Vec<(PieceDigest, f32)> =
        rows.iter().map(|row| Ok((digest(row)?, row::get(row, "cosine")?))).collect::<Result<_, Error>>()?;
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(found)
}

/// Forgets pieces that no repository was seen with for so many days, and their vectors. Returns how many vectors.
///
/// # Errors
/// The database does not answer.
pub async fn forget_unused(db: &Db, days: u32) -> Result<u64, Error> {
    let days = i32::try_from(days).unwrap_or(i32::MAX);
    let mut tx = db.begin().await?;
    let uses = "delete from embedding_uses where seen_at < now() - make_interval(days => $1)";
    sqlx::query(uses).bind(days).execute(&mut *tx).await?;
    let vectors = "delete from embeddings e \
                   where not exists (select from embedding_uses u where u.digest = e.digest)";
    let forgotten = sqlx::query(vectors).execute(&mut *tx).await?.rows_affected();
    tx.commit().await?;
    Ok(forgotten)
}

fn digest(row: &sqlx::postgres::PgRow) -> Result<PieceDigest, Error> {
    let bytes: Vec<u8> = row::get(row, "digest")?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| Error::corrupt("digest", format!("{length} bytes, not 16")))
}
