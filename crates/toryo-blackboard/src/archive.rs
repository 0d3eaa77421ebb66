//! Archives: the events of old runs as one blob each, a line of JSON an event.
//!
//! A run that is tried again after it was archived goes on in `events`; reading joins both, and the next archive holds
//! everything again.

use crate::blobs::BlobStore;
use crate::events::{Frame, frames_after as stored_after};
use crate::{Db, Error, db, row};
use bytes::Bytes;
use serde::Deserialize;
use std::time::Duration;
use toryo_domain::{Digest, Event, RunId};

/// Events read at once while a run is archived.
const BATCH: u32 = 1000;

/// What a line says of itself.
#[derive(Deserialize)]
struct Line {
    seq: u64,
    #[serde(rename = "type")]
    kind: String,
}

/// At most `limit` events of a run after number `seq`, in order, wherever they are.
///
/// # Errors
/// Database or blob store do not answer.
pub async fn frames_after(
    db: &Db,
    blobs: &dyn BlobStore,
    run: RunId,
    seq: u64,
    limit: u32,
) -> Result<Vec<Frame>, Error> {
    let stored = stored_after(db, run, seq, limit).await?;
    if stored.first().is_some_and(|first| first.seq == seq + 1) {
        return Ok(stored);
    }
    let Some((digest, last)) = of_run(db, run).await?.filter(|(_, last)| seq < *last) else {
        return Ok(stored);
    };
    let mut frames = read(&blobs.get(&digest).await?, seq, limit)?;
    let missing = limit.saturating_sub(u32::try_from(frames.len()).unwrap_or(limit));
    if missing > 0 {
        frames.extend(stored_after(db, run, last, missing).await?);
    }
    Ok(frames)
}

/// As [`frames_after`], read; those that this process does not know are left out.
///
/// # Errors
/// Database or blob store do not answer.
pub async fn events_after(
    db: &Db,
    blobs: &dyn BlobStore,
    run: RunId,
    seq: u64,
    limit: u32,
) -> Result<Vec<Event>, Error> {
    let frames = frames_after(db, blobs, run, seq, limit).await?;
    Ok(frames.iter().filter_map(|frame| serde_json::from_str(&frame.json).ok()).collect())
}

fn read(archive: &Bytes, seq: u64, limit: u32) -> Result<Vec<Frame>, Error> {
    let text = std::str::from_utf8(archive).map_err(|error| Error::corrupt("archive", error))?;
    let mut frames = vec![];
    for line in text.lines() {
        let Line { seq: number, kind } =
            serde_json::from_str(line).map_err(|error| Error::corrupt("archive", error))?;
        if number > seq {
            frames.push(Frame { seq: number, kind, json: line.to_owned() });
        }
        if frames.len() == limit as usize {
            break;
        }
    }
    Ok(frames)
}

/// The blob of a run's archive and the number of the last event in it.
async fn of_run(db: &Db, run: RunId) -> Result<Option<(Digest, u64)>, Error> {
    let statement = "select archive, archived_seq from runs where id = $1 and archive is not null";
    let found = sqlx::query(statement).bind(run.uuid()).fetch_optional(db.pool()).await?;
    found
        .map(|found| Ok((row::parse(&found, "archive")?, row::unsigned(&found, "archived_seq")?)))
        .transpose()
}

/// Runs that ended longer ago than this and are not archived, oldest first.
///
/// # Errors
/// The database does not answer.
pub async fn due(db: &Db, after: Duration, limit: i64) -> Result<Vec<RunId>, Error> {
    let statement = "select id from runs where finished_at is not null \
                     and (archived_at is null or archived_at < finished_at) \
                     and finished_at < now() - make_interval(secs => $1) order by finished_at limit $2";
    let ids: Vec<uuid::Uuid> =
        sqlx::query_scalar(statement).bind(after.as_secs_f64()).bind(limit).fetch_all(db.pool()).await?;
    Ok(ids.into_iter().map(RunId::from).collect())
}

/// Moves the events of an ended run into a blob. Killed at any point it does harm to nothing, and does the rest when it
/// is called again. `false` where the run went on meanwhile.
///
/// # Errors
/// Database or blob store do not answer.
pub async fn archive(db: &Db, blobs: &dyn BlobStore, run: RunId) -> Result<bool, Error> {
    let (mut text, mut last) = (String::new(), 0);
    loop {
        let frames = frames_after(db, blobs, run, last, BATCH).await?;
        for frame in &frames {
            text.push_str(&frame.json);
            text.push('\n');
            last = frame.seq;
        }
        if frames.len() < BATCH as usize {
            break;
        }
    }
    // The blob first: a row never names one that is not there.
    let digest = blobs.put(text.into()).await?;
    let mut tx = db.begin().await?;
    let statement = "update runs set archive = $2, archived_seq = $3, archived_at = now() \
                     where id = $1 and last_seq = $3 and finished_at is not null";
    let marked = sqlx::query(statement)
        .bind(run.uuid())
        .bind(digest.to_string())
        .bind(i64::try_from(last).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
    if marked.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("delete from events where run_id = $1").bind(run.uuid()).execute(&mut *tx).await?;
    db::commit(tx).await?;
    Ok(true)
}
