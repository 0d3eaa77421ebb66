//! Readers of a run's stream: replays, heartbeats, ends, and slow ones.

use super::*;
use futures::{FutureExt, StreamExt};
use serde_json::json;
use std::sync::Mutex;
use toryo_domain::{Event, EventType};

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Facts>>);

#[derive(Default)]
struct Facts {
    events: Vec<Frame>,
    ended: bool,
    reads: u32,
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
            facts.events.push(frame(seq));
        }
    }

    fn end(&self) {
        self.0.lock().unwrap().ended = true;
    }

    fn reads(&self) -> u32 {
        self.0.lock().unwrap().reads
    }
}

fn frame(seq: u64) -> Frame {
    let event = Event {
        run_id: uuid::Uuid::nil().into(),
        seq,
        at: "2026-11-21T08:00:00Z".parse().unwrap(),
        kind: EventType::StepProgress,
        step_key: Some("code:a#2".parse().unwrap()),
        attempt: Some(1),
        data: json!({ "text": "two\nlines \u{2028} and </script>" }),
    };
    Frame { seq, kind: event.kind.to_string(), json: serde_json::to_string(&event).unwrap() }
}

#[async_trait]
impl Source for Fake {
    async fn after(&self, seq: u64, limit: u32) -> Result<Vec<Frame>, Error> {
        assert!(limit <= BATCH);
        let mut facts = self.0.lock().unwrap();
        facts.reads += 1;
        Ok(facts.events.iter().filter(|event| event.seq > seq).take(limit as usize).cloned().collect())
    }

    async fn newest(&self) -> Result<(u64, bool), Error> {
        let facts = self.0.lock().unwrap();
        Ok((facts.events.len() as u64, facts.ended))
    }
}

struct Ground {
    feeds: Feeds,
    fake: Fake,
    bell: watch::Sender<u64>,
    run: RunId,
    closing: CancellationToken,
}

impl Ground {
    fn on(fake: &Fake) -> Self {
        let bell = watch::channel(0).0;
        let closing = CancellationToken::new();
        Self { feeds: Feeds::default(), fake: fake.clone(), bell, run: RunId::generate(), closing }
    }

    fn read(&self, after: u64) -> impl Stream<Item = Bytes> + Send + use<> {
        let feed = self.feeds.of(self.run, self.fake.clone(), self.bell.subscribe());
        follow(feed, after, HEARTBEAT, self.closing.clone())
    }
}

fn seq(bytes: &Bytes) -> u64 {
    let text = std::str::from_utf8(bytes).unwrap();
    text.strip_prefix("id: ").and_then(|rest| rest.split('\n').next()).unwrap().parse().unwrap()
}

fn seqs(frames: &[Bytes]) -> Vec<u64> {
    frames.iter().map(seq).collect()
}

#[tokio::test]
async fn a_run_that_ended_is_replayed_from_where_the_reader_was() {
    let fake = Fake::with(5000);
    fake.end();
    let ground = Ground::on(&fake);
    let all: Vec<Bytes> = ground.read(0).collect().await;
    assert_eq!(seqs(&all), (1..=5000).collect::<Vec<_>>());
    let rest: Vec<Bytes> = ground.read(4998).collect().await;
    assert_eq!(seqs(&rest), [4999, 5000]);
    assert!(ground.read(5000).collect::<Vec<_>>().await.is_empty());
    assert!(ground.read(9000).collect::<Vec<_>>().await.is_empty());
}

#[tokio::test]
async fn a_ring_brings_what_is_new_and_the_last_event_ends_the_stream() {
    let fake = Fake::with(2);
    let ground = Ground::on(&fake);
    let mut stream = Box::pin(ground.read(0));
    assert_eq!(stream.next().await.as_ref().map(seq), Some(1));
    assert_eq!(stream.next().await.as_ref().map(seq), Some(2));
    assert!(stream.next().now_or_never().is_none(), "nothing is new yet");
    fake.append(1);
    fake.end();
    ground.bell.send_replace(3);
    assert_eq!(stream.next().await.as_ref().map(seq), Some(3));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn many_readers_cost_one_read_and_one_feed() {
    let fake = Fake::with(100);
    let ground = Ground::on(&fake);
    let mut readers: Vec<_> = (0..500).map(|_| Box::pin(ground.read(0))).collect();
    for reader in &mut readers {
        for expected in 1..=100 {
            assert_eq!(reader.next().await.as_ref().map(seq), Some(expected));
        }
    }
    assert_eq!((ground.feeds.len(), fake.reads()), (1, 1));
    drop(readers);
    assert_eq!(ground.feeds.len(), 0, "a feed ends with its last reader");
}

#[tokio::test]
async fn a_reader_that_sleeps_misses_nothing_and_holds_up_nobody() {
    let fake = Fake::with(1);
    let ground = Ground::on(&fake);
    let (mut slow, mut quick) = (Box::pin(ground.read(0)), Box::pin(ground.read(0)));
    assert_eq!(slow.next().await.as_ref().map(seq), Some(1));
    for round in 0..10 {
        fake.append(500);
        ground.bell.send_replace(round + 1);
        for _ in 0..500 {
            quick.next().await.unwrap();
        }
    }
    fake.end();
    ground.bell.send_replace(99);
    let rest: Vec<Bytes> = slow.collect().await;
    assert_eq!(seqs(&rest), (2..=5001).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_quiet_stream_shows_a_sign_of_life() {
    let ground = Ground::on(&Fake::default());
    let feed = ground.feeds.of(ground.run, ground.fake.clone(), ground.bell.subscribe());
    let mut stream = Box::pin(follow(feed, 0, Duration::from_millis(10), CancellationToken::new()));
    for _ in 0..2 {
        assert_eq!(stream.next().await.as_deref(), Some(&b": heartbeat\n\n"[..]));
    }
}

#[tokio::test]
async fn a_run_that_is_tried_again_after_its_end_goes_on() {
    let fake = Fake::with(3);
    fake.end();
    let ground = Ground::on(&fake);
    let feed = ground.feeds.of(ground.run, fake.clone(), ground.bell.subscribe());
    assert_eq!(seqs(&ground.read(0).collect::<Vec<_>>().await), [1, 2, 3]);
    fake.0.lock().unwrap().ended = false;
    fake.append(1);
    ground.bell.send_replace(4);
    let mut news = feed.news();
    while matches!(feed.look(3), Look::End) {
        news.changed().await.unwrap();
    }
    assert_eq!(ground.read(3).take(1).map(|bytes| seq(&bytes)).collect::<Vec<_>>().await, [4]);
}

#[tokio::test]
async fn a_stopping_server_ends_streams() {
    let ground = Ground::on(&Fake::with(1));
    let mut stream = Box::pin(ground.read(0));
    assert!(stream.next().await.is_some());
    ground.closing.cancel();
    assert_eq!(stream.next().await, None);
}

#[test]
fn a_frame_is_id_event_and_one_line_of_data() {
    let framed = Framed::from(&frame(7));
    insta::assert_snapshot!(std::str::from_utf8(&framed.bytes).unwrap());
}
