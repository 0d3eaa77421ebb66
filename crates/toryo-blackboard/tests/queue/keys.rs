//! The same thing sets a run off once.

use crate::Ground;
use toryo_blackboard::idempotency::{self, Seen};
use toryo_blackboard::{Idempotency, Trigger, db, runs, triggers};
use toryo_domain::{Digest, Priority};

fn trigger(delivery: &str, body: &str, logical_key: Option<&str>) -> Trigger {
    Trigger {
        source: "github",
        delivery: Some(delivery.into()),
        body: Digest::of(body),
        once_a_body: true,
        logical_key: logical_key.map(str::to_owned),
    }
}

#[tokio::test]
async fn a_delivery_a_body_or_a_command_counts_once() {
    let ground = Ground::new().await;
    let mut outcomes = vec![];
    for (delivery, body, key) in [
        ("d1", "b1", Some("acme/shop#1 label:toryo")),
        ("d1", "b1", None),
        ("d1", "b2", None),
        ("d2", "b1", None),
        ("d3", "b3", Some("acme/shop#1 label:toryo")),
        ("d4", "b4", Some("acme/shop#2 label:toryo")),
    ] {
        let (run, _) = ground.run("/srv/a", Priority::Normal).await;
        let task = runs::get(&ground.db, run).await.unwrap().task_id;
        let trigger = trigger(delivery, body, key);
        let mut tx = ground.db.begin().await.unwrap();
        let first = triggers::insert(&mut tx, &trigger, task, run).await.unwrap();
        db::commit(tx).await.unwrap();
        let earlier = triggers::earlier(&ground.db, &trigger).await.unwrap().unwrap();
        assert_eq!(earlier.run_id == run, first);
        outcomes.push((first, earlier.same_delivery, earlier.same_body));
    }
    assert_eq!(
        outcomes,
        [
            (true, true, true),
            (false, true, true),
            (false, true, false),
            (false, false, true),
            (false, false, false),
            (true, true, true),
        ]
    );
}

#[tokio::test]
async fn a_key_belongs_to_one_request_in_its_scope() {
    let ground = Ground::new().await;
    let key = |digest: &str| Idempotency { key: "k".into(), digest: Digest::of(digest) };
    let take = async |scope: &str, digest: &str| {
        let mut tx = ground.db.begin().await.unwrap();
        let seen = idempotency::take(&mut tx, scope, &key(digest)).await.unwrap();
        db::commit(tx).await.unwrap();
        seen
    };
    assert_eq!(take("messages", "a").await, Seen::First);
    assert_eq!(take("messages", "a").await, Seen::Before);
    assert_eq!(take("messages", "b").await, Seen::Other);
    assert_eq!(take("forks", "b").await, Seen::First);
    assert_eq!(idempotency::forget(&ground.db, std::time::Duration::from_secs(60)).await.unwrap(), 0);
    assert_eq!(idempotency::forget(&ground.db, std::time::Duration::ZERO).await.unwrap(), 2);
    assert_eq!(take("messages", "b").await, Seen::First);
}
