//! Keeps the private servers of `toryo up` alive: one that has ended is started again, and so is a nats-server that takes
//! no messages although its disk has room, which it may do for ever once its disk was full.

use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_bus::Bus;
use toryo_embedded::Stack;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Looks regularly until `stop`. Servers that another process keeps are left to it.
pub async fn keep(stack: &Stack, bus: &Bus, stop: &CancellationToken) {
    while stack.is_owner() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = look(stack, bus).await {
            tracing::error!(%error, "a private server did not start; it will be tried again");
        }
    }
}

/// One look.
///
/// # Errors
/// A server did not become ready.
pub async fn look(stack: &Stack, bus: &Bus) -> Result<(), toryo_embedded::Error> {
    for server in stack.revive().await? {
        tracing::warn!("{server} had ended and was started again");
    }
    let refusing = bus.refusing_for().filter(|time| *time >= toryo_bus::REFUSAL);
    if let Some(time) = refusing {
        if stack.has_room() {
            tracing::warn!("nats-server has taken no messages for {} s and is started again", time.as_secs());
            stack.nats_restart().await?;
        } else {
            tracing::error!("the disk of the private servers is full; runs wait until there is room");
        }
    }
    Ok(())
}
