//! Subjects, streams and consumers: declared here and nowhere else.

use crate::Error;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::stream::{
    Config, ConsumerErrorKind, DiscardPolicy, RetentionPolicy, StorageType, Stream,
};
use std::time::Duration;

/// A message is given again when it was not acknowledged for so long. Only a wake-up is lost meanwhile. `BackOff`
/// is left unset, because the server would silently use it in place of this.
pub const ACK_WAIT: Duration = Duration::from_secs(30);

/// How often a wake-up is given before it is dropped: the sweeper finds the step again.
const MAX_DELIVER: i64 = 20;

/// The server drops a second message of one id within this time.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Wake-ups that workers hold at once, all together: each is held as long as its step is executed.
const MOST_IN_FLIGHT: i64 = 4096;

/// Workers that may wait for a wake-up at once.
const MOST_WAITING: i64 = 4096;

/// The name of the consumer.
const WORKERS: &str = "workers";

/// A wake-up that old says nothing any more; what is ready stands in Postgres.
const WAKE_UP_AGE: Duration = Duration::from_secs(24 * 3600);

/// How long dead letters are kept for whoever watches; the row in Postgres stays.
const DEAD_LETTER_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The names on the bus, all behind one prefix, so that several installations may share a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    prefix: String,
}

impl Subjects {
    /// Names behind this prefix: letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// The prefix is empty or holds another character.
    pub fn new(prefix: &str) -> Result<Self, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if prefix.is_empty() || !prefix.chars().all(plain) {
            return Err(Error::Url(format!("the prefix `{prefix}` is not made of letters, digits, - and _")));
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    pub(crate) fn step_ready(&self) -> String {
        format!("{}.steps.ready", self.prefix)
    }

    pub(crate) fn step_dead(&self) -> String {
        format!("{}.steps.dead", self.prefix)
    }

    pub(crate) fn bell(&self, run: &toryo_domain::RunId) -> String {
        format!("{}.runs.{run}", self.prefix)
    }

    pub(crate) fn every_bell(&self) -> String {
        format!("{}.runs.*", self.prefix)
    }

    pub(crate) fn orders(&self) -> String {
        format!("{}.orders", self.prefix)
    }

    fn queue(&self) -> String {
        format!("{}_steps", self.prefix)
    }

    fn dead_letters(&self) -> String {
        format!("{}_dead", self.prefix)
    }
}

/// Wake-ups: each is given to one worker, and gone when it was acknowledged.
fn queue(subjects: &Subjects) -> Config {
    Config {
        name: subjects.queue(),
        subjects: vec![subjects.step_ready()],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_age: WAKE_UP_AGE,
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    }
}

/// Steps that used up their attempts, for whoever watches.
fn dead_letters(subjects: &Subjects) -> Config {
    Config {
        name: subjects.dead_letters(),
        subjects: vec![subjects.step_dead()],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        max_age: DEAD_LETTER_AGE,
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    }
}

/// The consumer that all workers share.
fn workers() -> pull::Config {
    pull::Config {
        durable_name: Some(WORKERS.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        backoff: vec![],
        max_deliver: MAX_DELIVER,
        max_ack_pending: MOST_IN_FLIGHT,
        max_waiting: MOST_WAITING,
        ..pull::Config::default()
    }
}

/// Makes streams and consumer what they should be, whatever they are, and returns the consumer. What the server cannot
/// change in place is made anew: a wake-up that is lost with it is found by the workers' timers.
pub(crate) async fn reconcile(jetstream: &Context, subjects: &Subjects) -> Result<PullConsumer, Error> {
    ensure_stream(jetstream, dead_letters(subjects)).await?;
    ensure_stream(jetstream, queue(subjects)).await?;
    let stream = jetstream.get_stream(subjects.queue()).await.map_err(Error::unavailable)?;
    let consumer = match stream.create_consumer(workers()).await {
        Err(error) if matches!(error.kind(), ConsumerErrorKind::JetStream(_)) => {
            tracing::warn!(%error, "the queue's consumer cannot be changed and is made anew");
            stream.delete_consumer(WORKERS).await.map_err(Error::unavailable)?;
            stream.create_consumer(workers()).await.map_err(Error::unavailable)?
        }
        consumer => consumer.map_err(Error::unavailable)?,
    };
    clear(&stream, consumer.cached_info().ack_floor.stream_sequence).await?;
    Ok(consumer)
}

/// Takes out of the queue what was acknowledged up to this place. The server does that itself, unless its disk was full
/// just then: such messages are given to nobody and would stay until they are too old.
async fn clear(queue: &Stream, acknowledged: u64) -> Result<(), Error> {
    let state = &queue.cached_info().state;
    if state.messages == 0 || state.first_sequence > acknowledged {
        return Ok(());
    }
    let gone = queue.purge().sequence(acknowledged + 1).await.map_err(Error::unavailable)?;
    tracing::info!(messages = gone.purged, "cleared {} acknowledged messages out of the queue", gone.purged);
    Ok(())
}

async fn ensure_stream(jetstream: &Context, config: Config) -> Result<(), Error> {
    let name = config.name.clone();
    match jetstream.create_or_update_stream(config.clone()).await {
        Err(error) if matches!(error.kind(), CreateStreamErrorKind::JetStream(_)) => {
            tracing::warn!(%error, "the stream {name} cannot be changed and is made anew");
            jetstream.delete_stream(&name).await.map_err(Error::unavailable)?;
            jetstream.create_stream(config).await.map_err(Error::unavailable)?;
        }
        made => drop(made.map_err(Error::unavailable)?),
    }
    Ok(())
}
