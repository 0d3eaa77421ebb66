//! Subjects, streams and consumers: declared here and nowhere else.

use crate::Error;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use std::time::Duration;

/// A message is given again when it was not acknowledged for so long. Only a wake-up is lost meanwhile. `BackOff`
/// is left unset, because the server would silently use it in place of this.
pub const ACK_WAIT: Duration = Duration::from_secs(30);

/// How often a wake-up is given before it is dropped: the sweeper finds the step again.
const MAX_DELIVER: i64 = 20;

/// The server drops a second message of one id within this time.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

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

    fn queue(&self) -> String {
        format!("{}_steps", self.prefix)
    }

    fn dead_letters(&self) -> String {
        format!("{}_dead", self.prefix)
    }
}

/// Makes streams and consumer what they should be, and returns the consumer all workers share.
pub(crate) async fn reconcile(jetstream: &Context, subjects: &Subjects) -> Result<PullConsumer, Error> {
    let queue = Config {
        name: subjects.queue(),
        subjects: vec![subjects.step_ready()],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_age: WAKE_UP_AGE,
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    };
    let dead = Config {
        name: subjects.dead_letters(),
        subjects: vec![subjects.step_dead()],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        max_age: DEAD_LETTER_AGE,
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    };
    jetstream.create_or_update_stream(dead).await.map_err(Error::unavailable)?;
    jetstream.create_or_update_stream(queue).await.map_err(Error::unavailable)?;
    let workers = pull::Config {
        durable_name: Some("workers".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: MAX_DELIVER,
        ..pull::Config::default()
    };
    let stream = jetstream.get_stream(subjects.queue()).await.map_err(Error::unavailable)?;
    stream.create_consumer(workers).await.map_err(Error::unavailable)
}
