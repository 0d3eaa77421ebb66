//! The events of a run as a stream: first what is stored, then what is new, without gaps or repeats.
//!
//! Postgres is the truth. The bell says when to look, and a timer does so where the bell cannot be heard. A
//! stream asks for a batch only when its reader has taken the one before, and holds no connection meanwhile, so a
//! slow reader slows nobody.

use async_trait::async_trait;
use axum::response::sse;
use futures::Stream;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use toryo_blackboard::{Db, Error, events, runs};
use toryo_domain::{Event, RunId};

/// Most events read at once.
const BATCH: u32 = 200;
/// How often to look where no bell rings.
const LOOK: Duration = Duration::from_secs(5);
/// How long to wait after the database did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the events of one run come from.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// At most `limit` events after number `seq`, in order.
    async fn after(&self, seq: u64, limit: u32) -> Result<Vec<Event>, Error>;

    /// Whether no event follows number `seq`: the run has ended and this was its last event.
    async fn ends_at(&self, seq: u64) -> Result<bool, Error>;
}

/// The events of a run on the blackboard.
pub struct Stored {
    /// The database.
    pub db: Db,
    /// The run.
    pub run: RunId,
}

#[async_trait]
impl Source for Stored {
    async fn after(&self, seq: u64, limit: u32) -> Result<Vec<Event>, Error> {
        events::after(&self.db, self.run, seq, limit).await
    }

    async fn ends_at(&self, seq: u64) -> Result<bool, Error> {
        let run = runs::get(&self.db, self.run).await?;
        Ok(run.status.is_final() && run.last_seq <= seq)
    }
}

struct Follower<S> {
    source: S,
    seq: u64,
    waiting: VecDeque<Event>,
    bell: watch::Receiver<u64>,
    closing: CancellationToken,
}

/// All events after number `seq`, until the run's last one was sent or `closing` ends. A database that does not
/// answer delays events and loses none.
pub fn follow<S: Source>(
    source: S,
    seq: u64,
    bell: watch::Receiver<u64>,
    closing: CancellationToken,
) -> impl Stream<Item = Event> + Send {
    let follower = Follower { source, seq, waiting: VecDeque::new(), bell, closing };
    futures::stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((event, follower))
    })
}

impl<S: Source> Follower<S> {
    async fn next(&mut self) -> Option<Event> {
        let closing = self.closing.clone();
        let event = tokio::select! {
            biased;
            () = closing.cancelled() => None,
            event = self.look() => event,
        }?;
        self.seq = event.seq;
        Some(event)
    }

    async fn look(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            // Seen before the look: a ring during it is not slept through.
            self.bell.borrow_and_update();
            match self.refill().await {
                Ok(true) => {}
                Ok(false) => match self.source.ends_at(self.seq).await {
                    Ok(true) => return None,
                    Ok(false) => self.rest().await,
                    Err(error) => pause(&error).await,
                },
                Err(error) => pause(&error).await,
            }
        }
    }

    /// Reads the next batch; `false` where there is none yet.
    async fn refill(&mut self) -> Result<bool, Error> {
        self.waiting = self.source.after(self.seq, BATCH).await?.into();
        Ok(!self.waiting.is_empty())
    }

    /// Ends when the bell rings or it is time to look again.
    async fn rest(&mut self) {
        tokio::select! {
            rung = self.bell.changed() => {
                if rung.is_err() {
                    tokio::time::sleep(LOOK).await;
                }
            }
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn pause(error: &Error) {
    tracing::warn!(%error, "a stream of events waits for the database");
    tokio::time::sleep(PAUSE).await;
}

/// An event in the framing of the HTML standard (9.2.6): `id`, `event`, `data`.
///
/// # Errors
/// The event cannot be written as JSON.
pub fn frame(event: &Event) -> Result<sse::Event, axum::Error> {
    sse::Event::default().id(event.seq.to_string()).event(event.kind.as_str()).json_data(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, StreamExt};
    use serde_json::json;
    use std::sync::{Arc, Mutex};
    use toryo_domain::EventType;

    #[derive(Clone, Default)]
    struct Fake(Arc<Mutex<Facts>>);

    #[derive(Default)]
    struct Facts {
        events: Vec<Event>,
        ended: bool,
        limits: Vec<u32>,
    }

    impl Fake {
        fn with(count: u64) -> Self {
            let fake = Self::default();
            fake.append(count);
            fake
        }

        fn append(&self, count: u64) {
            let mut facts = self.0.lock().unwrap();
            for _ in 0..count {
                let seq = facts.events.len() as u64 + 1;
                facts.events.push(event(seq));
            }
        }

        fn end(&self) {
            self.0.lock().unwrap().ended = true;
        }
    }

    fn event(seq: u64) -> Event {
        Event {
            run_id: uuid::Uuid::nil().into(),
            seq,
            at: "2026-11-21T08:00:00Z".parse().unwrap(),
            kind: EventType::StepProgress,
            step_key: Some("code:a#2".parse().unwrap()),
            attempt: Some(1),
            data: json!({ "text": "two\nlines \u{2028} and </script>" }),
        }
    }

    #[async_trait]
    impl Source for Fake {
        async fn after(&self, seq: u64, limit: u32) -> Result<Vec<Event>, Error> {
            let mut facts = self.0.lock().unwrap();
            facts.limits.push(limit);
            Ok(facts.events.iter().filter(|event| event.seq > seq).take(limit as usize).cloned().collect())
        }

        async fn ends_at(&self, seq: u64) -> Result<bool, Error> {
            let facts = self.0.lock().unwrap();
            Ok(facts.ended && facts.events.last().is_none_or(|event| event.seq <= seq))
        }
    }

    fn seqs(events: Vec<Event>) -> Vec<u64> {
        events.into_iter().map(|event| event.seq).collect()
    }

    #[tokio::test]
    async fn a_run_that_ended_is_replayed_from_where_the_reader_was() {
        let fake = Fake::with(450);
        fake.end();
        let (_ring, bell) = watch::channel(0);
        let all = follow(fake.clone(), 0, bell.clone(), CancellationToken::new()).collect().await;
        assert_eq!(seqs(all), (1..=450).collect::<Vec<_>>());
        let rest = follow(fake.clone(), 448, bell.clone(), CancellationToken::new()).collect().await;
        assert_eq!(seqs(rest), [449, 450]);
        let none = follow(fake.clone(), 450, bell, CancellationToken::new()).collect().await;
        assert!(seqs(none).is_empty());
        assert!(fake.0.lock().unwrap().limits.iter().all(|limit| *limit == BATCH));
    }

    #[tokio::test]
    async fn a_ring_brings_what_is_new_and_the_last_event_ends_the_stream() {
        let fake = Fake::with(2);
        let (ring, bell) = watch::channel(0);
        let mut stream = Box::pin(follow(fake.clone(), 0, bell, CancellationToken::new()));
        assert_eq!(stream.next().await.map(|event| event.seq), Some(1));
        assert_eq!(stream.next().await.map(|event| event.seq), Some(2));
        assert!(stream.next().now_or_never().is_none(), "nothing is new yet");
        fake.append(1);
        fake.end();
        ring.send_replace(3);
        assert_eq!(stream.next().await.map(|event| event.seq), Some(3));
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn a_stopping_server_ends_streams() {
        let (_ring, bell) = watch::channel(0);
        let closing = CancellationToken::new();
        let mut stream = Box::pin(follow(Fake::with(1), 0, bell, closing.clone()));
        assert!(stream.next().await.is_some());
        closing.cancel();
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn a_frame_is_id_event_and_one_line_of_data() {
        let frames = futures::stream::iter([frame(&event(7))]);
        let response = axum::response::IntoResponse::into_response(sse::Sse::new(frames));
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        insta::assert_snapshot!(String::from_utf8(bytes.to_vec()).unwrap());
    }
}
