//! The outbox on its way to the queue. Runs in every process; two relays pass over each other's rows.

use crate::boundary::{Boundary, reached};
use crate::engine::Engine;
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
    let mut tx = engine.db.begin().await?;
    let due = outbox::take_due(&mut tx, BATCH).await?;
    if due.is_empty() {
        return Ok(0);
    }
    reached(Boundary::RelayTaken).await?;
    let mut sent = Vec::with_capacity(due.len());
    let mut failure = None;
    for entry in &due {
        let payload = entry.payload.to_string().into_bytes();
        let outcome = match entry.kind.as_str() {
            "step_dead" => engine.bus.announce_dead(&entry.dedup_id, payload).await,
            _ => engine.bus.announce_ready(&entry.dedup_id, payload).await,
        };
        match outcome {
            Ok(()) => sent.push(entry.id),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    reached(Boundary::RelayPublished).await?;
    outbox::delete(&mut tx, &sent).await?;
    reached(Boundary::RelayMarked).await?;
    db::commit(tx).await?;
    reached(Boundary::RelayCommitted).await?;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(i64::try_from(sent.len())?),
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
