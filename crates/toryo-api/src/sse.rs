//! The events of a run as a stream: first what is stored, then what is new, without gaps or repeats.
//!
//! Postgres is the truth; the bell says when to look, and a timer does so where the bell cannot be heard. However many
//! read a run in this process, it has one [`Feed`]: one task hears the bell and reads what is new, once, into a buffer
//! that all share. A reader holds nothing but its place in it. One that falls behind the buffer reads on from Postgres,
//! a batch at a time and only when it has taken the one before, so a slow reader slows neither the run nor the others.

mod feed;

pub use feed::{Feed, Feeds};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use toryo_blackboard::events::Frame;
use toryo_blackboard::{BlobStore, Db, Error, archive, runs};
use toryo_domain::RunId;

/// Most events read at once.
const BATCH: u32 = 200;
/// How long to wait after the database did not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// A comment is sent where nothing else was for so long.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// Where the events of one run come from.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// At most `limit` events after number `seq`, in order.
    async fn after(&self, seq: u64, limit: u32) -> Result<Vec<Frame>, Error>;

    /// The number of the newest event, and whether the run has ended with it.
    async fn newest(&self) -> Result<(u64, bool), Error>;
}

/// The events of a run on the blackboard, or in the blob where an old run's are.
pub struct Stored {
    /// The database.
    pub db: Db,
    /// Where archives are.
    pub blobs: Arc<dyn BlobStore>,
    /// The run.
    pub run: RunId,
}

#[async_trait]
impl Source for Stored {
    async fn after(&self, seq: u64, limit: u32) -> Result<Vec<Frame>, Error> {
        archive::frames_after(&self.db, &*self.blobs, self.run, seq, limit).await
    }

    async fn newest(&self) -> Result<(u64, bool), Error> {
        let run = runs::get(&self.db, self.run).await?;
        Ok((run.last_seq, run.status.is_final()))
    }
}

/// An event in the framing of the HTML standard (9.2.6), made once for all readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framed {
    /// Its number.
    pub seq: u64,
    /// `id`, `event` and `data`, and the blank line that ends them.
    pub bytes: Bytes,
}

impl From<&Frame> for Framed {
    fn from(frame: &Frame) -> Self {
        // JSON on one line holds no line break, and a type none either.
        let text = format!("id: {}\nevent: {}\ndata: {}\n\n", frame.seq, frame.kind, frame.json);
        Self { seq: frame.seq, bytes: text.into() }
    }
}

/// What thousands of readers do at every event has to be little: the clock and the wish to close are asked for once, not
/// for each event.
struct Reader {
    feed: Arc<Feed>,
    seq: u64,
    replay: VecDeque<Framed>,
    news: watch::Receiver<u64>,
    heartbeat: Duration,
    /// When something was sent last.
    sent: Instant,
    /// Ends when a comment may be due: no earlier than that, and set anew only then.
    silence: Pin<Box<Sleep>>,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// What a reader finds in the buffer.
enum Look {
    /// The next event.
    Next(Framed),
    /// It left the buffer already.
    Behind,
    /// There is none yet.
    None,
    /// There will be none.
    End,
}

/// All events after number `seq`, and a comment where there was none for the time of a `heartbeat`, until the run's last
/// one was sent or `closing` ends. A database that does not answer delays events and loses none.
pub fn follow(
    feed: Arc<Feed>,
    seq: u64,
    heartbeat: Duration,
    closing: CancellationToken,
) -> impl Stream<Item = Bytes> + Send {
    let reader = Reader {
        news: feed.news(),
        feed,
        seq,
        replay: VecDeque::new(),
        heartbeat,
        sent: Instant::now(),
        silence: Box::pin(tokio::time::sleep(heartbeat)),
        closing: Box::pin(closing.cancelled_owned()),
    };
    futures::stream::unfold(reader, |mut reader| async { Some((reader.next().await?, reader)) })
}

impl Reader {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(framed) = self.replay.pop_front() {
                return Some(self.sent(framed));
            }
            // Seen before the look: news during it are not slept through.
            self.news.borrow_and_update();
            match self.feed.look(self.seq) {
                Look::Next(framed) => return Some(self.sent(framed)),
                Look::End => return None,
                Look::Behind => tokio::select! {
                    biased;
                    () = &mut self.closing => return None,
                    () = catch_up(&self.feed, self.seq, &mut self.replay) => {}
                },
                Look::None => {
                    tokio::select! {
                        biased;
                        () = &mut self.closing => return None,
                        // A feed whose task ended ends its readers, who come again.
                        news = self.news.changed() => news.ok()?,
                        () = &mut self.silence => {
                            let due = self.sent + self.heartbeat;
                            if due > Instant::now() {
                                self.silence.as_mut().reset(due);
                            } else {
                                self.silence.as_mut().reset(Instant::now() + self.heartbeat);
                                self.sent = Instant::now();
                                return Some(Bytes::from_static(b": heartbeat\n\n"));
                            }
                        }
                    }
                }
            }
        }
    }

    fn sent(&mut self, framed: Framed) -> Bytes {
        (self.seq, self.sent) = (framed.seq, Instant::now());
        framed.bytes
    }
}

/// Reads the next batch for one who fell behind.
async fn catch_up(feed: &Feed, seq: u64, replay: &mut VecDeque<Framed>) {
    match feed.read(seq, BATCH).await {
        Ok(batch) => *replay = batch.into(),
        Err(error) => {
            tracing::warn!(%error, "a reader of events waits for the database");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests;
