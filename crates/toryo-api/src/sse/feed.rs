//! What all readers of a run share: one task that reads, and the newest events in a buffer.

use super::{BATCH, Framed, Look, PAUSE, Source};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use toryo_blackboard::Error;
use toryo_domain::RunId;

/// Events kept for readers of one run. Whoever is further behind reads from Postgres.
const KEPT: usize = 1024;

/// Bytes of events kept for readers of one run, at most; the newest is always kept.
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// How often to look where no bell rings.
const LOOK: Duration = Duration::from_secs(5);

/// The feeds of all runs that somebody reads in this process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Feeds(Arc<Mutex<HashMap<RunId, Weak<Feed>>>>);

impl Feeds {
    /// The feed of a run, begun where nobody reads it yet. It ends with its last reader.
    pub fn of<S: Source>(&self, run: RunId, source: S, bell: watch::Receiver<u64>) -> Arc<Feed> {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(&run).and_then(Weak::upgrade).filter(|feed| !feed.has_stopped()) {
            return feed;
        }
        // Whoever comes clears away the feeds nobody reads any more.
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let feed = Feed::begin(source, bell);
        feeds.insert(run, Arc::downgrade(&feed));
        feed
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().values().filter(|feed| feed.strong_count() > 0).count()
    }
}

/// The events of one run for all who read it in this process.
pub struct Feed {
    source: Arc<dyn Source>,
    buffer: Arc<Buffer>,
    news: watch::Sender<u64>,
    task: AbortHandle,
}

struct Buffer(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Consecutive events; the last one is the newest that was read.
    events: VecDeque<Framed>,
    bytes: usize,
    /// The number before the first one kept.
    before: u64,
    /// Whether anything was read yet.
    begun: bool,
    /// Whether the run has ended with the newest event.
    ended: bool,
}

impl Kept {
    fn newest(&self) -> u64 {
        self.events.back().map_or(self.before, |event| event.seq)
    }

    fn push(&mut self, event: Framed) {
        self.bytes += event.bytes.len();
        self.events.push_back(event);
        while self.events.len() > KEPT || (self.bytes > KEPT_BYTES && self.events.len() > 1) {
            if let Some(old) = self.events.pop_front() {
                self.bytes -= old.bytes.len();
                self.before = old.seq;
            }
        }
    }
}

impl Buffer {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    fn begin<S: Source>(source: S, bell: watch::Receiver<u64>) -> Arc<Self> {
        let source: Arc<dyn Source> = Arc::new(source);
        let buffer = Arc::new(Buffer(Mutex::default()));
        let news = watch::channel(0).0;
        // Its owner is the feed: it is stopped when the last reader lets go of it.
        let task = tokio::spawn(pump(source.clone(), buffer.clone(), news.clone(), bell)).abort_handle();
        Arc::new(Self { source, buffer, news, task })
    }

    fn has_stopped(&self) -> bool {
        self.task.is_finished()
    }

    /// Changes whenever there is something new to look at.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// What follows number `seq`.
    pub(super) fn look(&self, seq: u64) -> Look {
        let kept = self.buffer.kept();
        if !kept.begun {
            return Look::None;
        }
        if seq < kept.before {
            return Look::Behind;
        }
        let place = usize::try_from(seq - kept.before).unwrap_or(usize::MAX);
        match kept.events.get(place) {
            Some(event) => Look::Next(event.clone()),
            None if kept.ended => Look::End,
            None => Look::None,
        }
    }

    /// Reads events that are no longer kept.
    pub(super) async fn read(&self, seq: u64, limit: u32) -> Result<Vec<Framed>, Error> {
        Ok(self.source.after(seq, limit).await?.iter().map(Framed::from).collect())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads what is new, once for all readers, at a ring and at a timer.
async fn pump(
    source: Arc<dyn Source>,
    buffer: Arc<Buffer>,
    news: watch::Sender<u64>,
    mut bell: watch::Receiver<u64>,
) {
    loop {
        // Heard before the look: a ring during it is not slept through.
        bell.borrow_and_update();
        match refill(&*source, &buffer, &news).await {
            Ok(()) => {
                tokio::select! {
                    rung = bell.changed() => {
                        if rung.is_err() {
                            tokio::time::sleep(LOOK).await;
                        }
                    }
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a stream of events waits for the database");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Reads all that is new, and then whether the run has ended with it.
async fn refill(source: &dyn Source, buffer: &Buffer, news: &watch::Sender<u64>) -> Result<(), Error> {
    if !buffer.kept().begun {
        // Of a long run only the end is kept; whoever wants more reads it.
        let (newest, _) = source.newest().await?;
        let mut kept = buffer.kept();
        kept.before = newest.saturating_sub(KEPT as u64);
        kept.begun = true;
    }
    loop {
        let from = buffer.kept().newest();
        let batch = source.after(from, BATCH).await?;
        if !batch.is_empty() {
            let mut kept = buffer.kept();
            batch.iter().for_each(|frame| kept.push(Framed::from(frame)));
            kept.ended = false;
            news.send_replace(kept.newest());
        }
        if batch.len() == BATCH as usize {
            continue;
        }
        // Asked after the look: an event that came between them is newer than what is kept, and is looked for again.
        let (newest, is_final) = source.newest().await?;
        let mut kept = buffer.kept();
        if newest <= kept.newest() || batch.is_empty() {
            let ended = is_final && newest <= kept.newest();
            if ended != kept.ended {
                kept.ended = ended;
                news.send_replace(kept.newest());
            }
            return Ok(());
        }
    }
}
