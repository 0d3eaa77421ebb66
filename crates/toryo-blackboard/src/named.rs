//! Which blobs are named by anything, and since when others are not: for deleting those (`toryo_engine::retention`).
//!
//! A blob is named by an artifact, a run's diff or archive, or the outcome of a step, also one that a person went back
//! behind. Outcomes are read as text: whatever looks like a digest names a blob, so that no new field is forgotten here.

use crate::{Db, Error, db, row};
use sqlx::Row;
use std::time::Duration;
use toryo_domain::Digest;
use uuid::Uuid;

/// Runs read in one statement.
const RUNS: i64 = 200;

/// One process looks at a time: the number of the lock says nothing.
const LOCK: i64 = 0x746f_7279_6f62_6c62;

/// What is named, as one look found it. Dropping it forgets what the look found out.
pub struct Named {
    tx: db::Tx,
}

impl Named {
    /// Looks through everything; `None` while another process does. What was named already when this began is found. Runs
    /// that ended longer ago than `kept` name nothing but their archive, where that is given.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn look(db: &Db, kept: Option<Duration>) -> Result<Option<Self>, Error> {
        let mut tx = db.begin().await?;
        let is_first: bool =
            sqlx::query_scalar("select pg_try_advisory_xact_lock($1)").bind(LOCK).fetch_one(&mut *tx).await?;
        if !is_first {
            return Ok(None);
        }
        sqlx::query("create temporary table named_blobs (digest bytea primary key) on commit drop")
            .execute(&mut *tx)
            .await?;
        let mut last = Some(Uuid::nil());
        while let Some(after) = last {
            last = read(&mut tx, after, kept).await?;
        }
        Ok(Some(Self { tx }))
    }

    /// Of the blobs whose digest begins with `first`, these are old: notes which of them nothing names, and returns those of
    /// which that is known for `grace`. A note of any other is forgotten: it was put again, or is gone.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn unnamed(
        &mut self,
        first: u8,
        old: &[Digest],
        grace: Duration,
    ) -> Result<Vec<Digest>, Error> {
        let digests: Vec<[u8; 32]> = old.iter().map(Digest::bytes).collect();
        let forget = "delete from unnamed_blobs where digest >= $1 and (digest < $2) is not false and not exists \
                      (select from unnest($3::bytea[]) as old (digest) where old.digest = unnamed_blobs.digest)";
        sqlx::query(forget)
            .bind([first])
            .bind(first.checked_add(1).map(|next| [next]))
            .bind(&digests)
            .execute(&mut *self.tx)
            .await?;
        let note = "insert into unnamed_blobs (digest) select digest from unnest($1::bytea[]) as old (digest) \
                    where not exists (select from named_blobs where named_blobs.digest = old.digest) \
                    on conflict do nothing";
        sqlx::query(note).bind(&digests).execute(&mut *self.tx).await?;
        let known = "select encode(digest, 'hex') as digest from unnamed_blobs where digest = any($1) \
                     and since <= now() - make_interval(secs => $2) and not exists \
                     (select from named_blobs where named_blobs.digest = unnamed_blobs.digest)";
        let rows =
            sqlx::query(known).bind(&digests).bind(grace.as_secs_f64()).fetch_all(&mut *self.tx).await?;
        rows.iter().map(|found| row::parse(found, "digest")).collect()
    }

    /// Forgets blobs that are gone.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn gone(&mut self, blobs: &[Digest]) -> Result<(), Error> {
        let digests: Vec<[u8; 32]> = blobs.iter().map(Digest::bytes).collect();
        sqlx::query("delete from unnamed_blobs where digest = any($1)")
            .bind(digests)
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Gives the look up, so that the next one may begin when this returns: dropping it lets go of the lock only some time
    /// later.
    pub async fn give_up(self) {
        // Where the database is away, its session ends, and the lock with it.
        self.tx.rollback().await.ok();
    }

    /// Ends the look: what was found out is kept, and blobs that are named again begin anew if they are not one day.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn end(mut self) -> Result<(), Error> {
        let again =
            "delete from unnamed_blobs using named_blobs where unnamed_blobs.digest = named_blobs.digest";
        sqlx::query(again).execute(&mut *self.tx).await?;
        db::commit(self.tx).await
    }
}

/// Notes what some runs after this one name; the last of them.
async fn read(db: &mut db::Connection, after: Uuid, kept: Option<Duration>) -> Result<Option<Uuid>, Error> {
    let statement = "with part as materialized (select id, best_diff, archive, coalesce( \
                     finished_at < now() - make_interval(secs => $3), false) as is_over \
                     from runs where id > $1 order by id limit $2), \
                     kept as materialized (select id, best_diff from part where not is_over), \
                     texts as ( \
                     select archive as text from part union all select best_diff from kept \
                     union all select digest from artifacts join kept on kept.id = artifacts.run_id \
                     union all select output::text from steps join kept on kept.id = steps.run_id \
                     union all select superseded.output::text from superseded \
                     join steps on steps.id = superseded.step_id join kept on kept.id = steps.run_id), \
                     noted as (insert into named_blobs select distinct decode(found[1], 'hex') \
                     from texts cross join lateral regexp_matches(text, '[0-9a-f]{64}', 'g') as found \
                     on conflict do nothing) \
                     select id from part order by id desc limit 1";
    let last = sqlx::query(statement)
        .bind(after)
        .bind(RUNS)
        .bind(kept.map(|kept| kept.as_secs_f64()))
        .fetch_optional(db)
        .await?;
    Ok(last.map(|last| last.try_get("id")).transpose()?)
}
