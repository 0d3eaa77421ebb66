//! What an old run's stream says is the same before and after its events went into a blob.

use crate::Ground;
use serde_json::json;
use std::time::Duration;
use toryo_blackboard::{MemoryBlobs, archive, db, events, runs};
use toryo_domain::{EventType, NewEvent, Priority, RunId, RunSignal};

async fn append(ground: &Ground, run: RunId, count: u64) {
    let mut tx = ground.db.begin().await.unwrap();
    let many: Vec<NewEvent> =
        (0..count).map(|n| NewEvent::of_run(EventType::StepLog, json!({ "n": n, "text": "a\nb" }))).collect();
    events::append(&mut tx, run, &many).await.unwrap();
    db::commit(tx).await.unwrap();
}

async fn signal(ground: &Ground, run: RunId, signals: &[RunSignal]) {
    let mut tx = ground.db.begin().await.unwrap();
    let mut row = runs::lock(&mut tx, run).await.unwrap();
    for signal in signals {
        runs::signal(&mut tx, &mut row, *signal, None, None).await.unwrap();
    }
    db::commit(tx).await.unwrap();
}

#[tokio::test]
async fn an_archived_run_reads_as_before_and_may_go_on() {
    let ground = Ground::new().await;
    let blobs = MemoryBlobs::default();
    let (run, _) = ground.run("/srv/a", Priority::Normal).await;
    append(&ground, run, 1500).await;
    sqlx::query("update events set type = 'step.dreamt' where seq = 7")
        .execute(ground.db.pool())
        .await
        .unwrap();
    assert!(!archive::archive(&ground.db, &blobs, run).await.unwrap(), "a run that has not ended stays");
    signal(&ground, run, &[RunSignal::Start, RunSignal::Fail]).await;
    let before = archive::frames_after(&ground.db, &blobs, run, 0, 10_000).await.unwrap();
    assert_eq!(archive::due(&ground.db, Duration::from_secs(60), 10).await.unwrap(), []);
    assert_eq!(archive::due(&ground.db, Duration::ZERO, 10).await.unwrap(), [run]);
    assert!(archive::archive(&ground.db, &blobs, run).await.unwrap());
    assert_eq!(ground.number("select count(*) from events").await, 0);
    assert_eq!(archive::due(&ground.db, Duration::ZERO, 10).await.unwrap(), []);
    let read = async |after: u64, limit: u32| {
        archive::frames_after(&ground.db, &blobs, run, after, limit).await.unwrap()
    };
    assert_eq!(read(0, 10_000).await, before);
    assert_eq!(read(1490, 5).await, before[1490..1495]);
    assert_eq!(read(1500, 5).await, []);
    assert!(archive::archive(&ground.db, &blobs, run).await.unwrap(), "doing it twice is harmless");

    signal(&ground, run, &[RunSignal::Retry]).await;
    append(&ground, run, 3).await;
    let joined: Vec<u64> = read(1498, 10).await.iter().map(|frame| frame.seq).collect();
    assert_eq!(joined, [1499, 1500, 1501, 1502, 1503]);
    signal(&ground, run, &[RunSignal::Succeed]).await;
    assert_eq!(archive::due(&ground.db, Duration::ZERO, 10).await.unwrap(), [run]);
    assert!(archive::archive(&ground.db, &blobs, run).await.unwrap());
    assert_eq!(read(0, 10_000).await.len(), 1503);
    let known = archive::events_after(&ground.db, &blobs, run, 5, 3).await.unwrap();
    assert_eq!(known.iter().map(|event| event.seq).collect::<Vec<_>>(), [6, 8]);
}
