//! The outbox on its way to the queue. Runs in every process; two relays pass over each other's rows.

use crate::boundary::{Boundary, reached};
use crate::engine::Engine;
use futures::future::join_all;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_blackboard::{db, outbox};

/// Messages sent in one transaction.
const BATCH: i64 = 100;

/// How often messages that become due by time are looked for.
const TICK: Duration = Duration::from_millis(500);

/// How long to wait after the queue or the database did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends what is due until `stop`. A message is deleted after the queue confirmed it: it may be sent twice, and
/// the queue drops the second by its id.
pub async fn run(engine: Engine, stop: CancellationToken) {
    loop {
        let pause = match send_due(&engine).await {
            Ok(sent) if sent == BATCH => continue,
            Ok(_) => TICK,
            Err(error) => {
                tracing::warn!(error = %chain(&*error), "messages wait in the outbox");
                PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = engine.outbox_changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn send_due(engine: &Engine) -> Result<i64, Box<dyn std::error::Error + Send + Sync>> {
    // A crash that forgets what was sent only has it sent again, so nobody waits for the disk here.
    let mut tx = engine.db.begin_relaxed().await?;
    let due = outbox::take_due(&mut tx, BATCH).await?;
    if due.is_empty() {
        return Ok(0);
    }
    reached(Boundary::RelayTaken).await?;
    let outcomes = join_all(due.iter().map(|entry| send(engine, entry))).await;
    reached(Boundary::RelayPublished).await?;
    let sent: Vec<i64> =
        due.iter().zip(&outcomes).filter(|(_, sent)| sent.is_ok()).map(|(entry, _)| entry.id).collect();
    outbox::delete(&mut tx, &sent).await?;
    reached(Boundary::RelayMarked).await?;
    db::commit(tx).await?;
    reached(Boundary::RelayCommitted).await?;
    match outcomes.into_iter().find_map(Result::err) {
        Some(error) => Err(error.into()),
        None => Ok(i64::try_from(sent.len())?),
    }
}

async fn send(engine: &Engine, entry: &outbox::Entry) -> Result<(), toryo_bus::Error> {
    let payload = entry.payload.to_string().into_bytes();
    match entry.kind.as_str() {
        "step_dead" => engine.bus.announce_dead(&entry.dedup_id, payload).await,
        // A kind that a newer process wrote is a wake-up to this one: whoever hears it asks Postgres.
        _ => engine.bus.announce_ready(&entry.dedup_id, payload).await,
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
