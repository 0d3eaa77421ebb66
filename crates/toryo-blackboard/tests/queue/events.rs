//! Numbers of events have no gap, whoever writes at the same time and whoever rolls back.

use crate::Ground;
use serde_json::json;
use toryo_blackboard::{db, events};
use toryo_domain::{EventType, NewEvent, Priority};

#[tokio::test]
async fn numbers_have_no_gap_under_concurrent_writers_that_roll_back() {
    const WRITERS: u64 = 8;
    const ROUNDS: u64 = 30;
    let ground = Ground::new().await;
    let (run, _) = ground.run("/srv/a", Priority::Normal).await;
    let writer = async |writer: u64| {
        for round in 0..ROUNDS {
            let facts = |n: u64| {
                NewEvent::of_run(EventType::StepLog, json!({ "writer": writer, "round": round, "n": n }))
            };
            let mut tx = ground.db.begin().await.unwrap();
            let many: Vec<NewEvent> = (0..=round % 3).map(facts).collect();
            events::append(&mut tx, run, &many).await.unwrap();
            if (writer + round).is_multiple_of(5) {
                drop(tx);
            } else {
                db::commit(tx).await.unwrap();
            }
        }
    };
    // Whoever reads meanwhile never sees a number before the one that precedes it.
    let reader = async {
        let mut seen = 0;
        loop {
            let new = events::after(&ground.db, run, seen, 50).await.unwrap();
            for event in &new {
                assert_eq!(event.seq, seen + 1);
                seen = event.seq;
            }
            if new.iter().any(|event| event.kind == EventType::RunSucceeded) {
                return seen;
            }
        }
    };
    let writers = async {
        futures::future::join_all((0..WRITERS).map(writer)).await;
        let mut tx = ground.db.begin().await.unwrap();
        let end = NewEvent::of_run(EventType::RunSucceeded, json!({}));
        let last = events::append(&mut tx, run, &[end]).await.unwrap();
        db::commit(tx).await.unwrap();
        last
    };
    let (seen, last) = tokio::join!(reader, writers);
    assert_eq!(seen, last);
    let all = events::after(&ground.db, run, 0, 10_000).await.unwrap();
    for writer in 0..WRITERS {
        let own: Vec<(u64, u64)> = all
            .iter()
            .filter(|event| event.data["writer"] == writer)
            .map(|event| (event.data["round"].as_u64().unwrap(), event.data["n"].as_u64().unwrap()))
            .collect();
        assert!(own.is_sorted(), "writer {writer}: {own:?}");
    }
}

#[tokio::test]
async fn an_event_of_a_type_that_a_newer_process_wrote_holds_nobody_up() {
    let ground = Ground::new().await;
    let (run, _) = ground.run("/srv/a", Priority::Normal).await;
    let mut tx = ground.db.begin().await.unwrap();
    let log = |n: u64| NewEvent::of_run(EventType::StepLog, json!({ "n": n }));
    events::append(&mut tx, run, &[log(1), log(2), log(3)]).await.unwrap();
    db::commit(tx).await.unwrap();
    sqlx::query("update events set type = 'step.dreamt' where seq = 2")
        .execute(ground.db.pool())
        .await
        .unwrap();
    let known = events::after(&ground.db, run, 0, 10).await.unwrap();
    assert_eq!(known.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 3]);
    let all = events::frames_after(&ground.db, run, 0, 10).await.unwrap();
    let kinds: Vec<_> = all.iter().map(|frame| (frame.seq, frame.kind.as_str())).collect();
    assert_eq!(kinds, [(1, "step.log"), (2, "step.dreamt"), (3, "step.log")]);
    assert!(all[1].json.contains("\"type\":\"step.dreamt\""), "{}", all[1].json);
    let first: toryo_domain::Event = serde_json::from_str(&all[0].json).unwrap();
    assert_eq!(first, known[0], "a frame says what the event says");
}
