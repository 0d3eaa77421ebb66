//! Requests and tokens a minute, calls at once: over two processes, and on every way out of a call.

use crate::world::{World, admit, ask, call, most, until};
use std::collections::HashMap;
use std::time::Duration;
use toryo_blackboard::accounts::{Change, Kind, Limits};
use toryo_domain::{Priority, Usd};
use toryo_models::allowance::{Admission, AtLimit, Limit, Refusal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_minute_sees_more_requests_or_tokens_than_it_may_over_two_processes() {
    let world = World::new().await;
    let (_, key) = world.key(Limits::default()).await;
    let change = Change {
        requests_per_minute: Some(Some(120)),
        tokens_per_minute: Some(Some(5_000)),
        ..Change::default()
    };
    world.limit(Kind::Team, world.team, change).await;
    let processes = [world.process().await, world.process().await];
    let calls: Vec<_> = (0..300_u64)
        .map(|n| {
            let (accounts, key) = (processes[(n % 2) as usize].clone(), key.clone());
            tokio::spawn(async move {
                let who = accounts.authenticate(&key).await.unwrap();
                // Up to 100 tokens are reserved, up to 60 are used.
                match admit(&accounts, &who, most(0, 100), AtLimit::Wait(Duration::from_secs(2))).await {
                    Ok(permit) => {
                        let at = permit.at();
                        tokio::task::yield_now().await;
                        permit.settle(call(Usd::ZERO, 20 + n % 41)).unwrap();
                        Some((at.timestamp() / 60, 20 + n % 41))
                    }
                    Err(Refusal::RateLimited { retry_after, .. }) => {
                        assert!(retry_after <= Duration::from_secs(60));
                        None
                    }
                    Err(other) => panic!("{other:?}"),
                }
            })
        })
        .collect();
    let mut minutes: HashMap<i64, (u64, u64)> = HashMap::new();
    for call in calls {
        if let Some((minute, tokens)) = call.await.unwrap() {
            let used = minutes.entry(minute).or_default();
            *used = (used.0 + 1, used.1 + tokens);
        }
    }
    for (requests, tokens) in minutes.values() {
        assert!(*requests <= 120 && *tokens <= 5_000, "{minutes:?}");
    }
    let most = minutes.values().map(|(_, tokens)| *tokens).max().unwrap_or_default();
    assert!(most > 4_500, "what is reserved and not used is given to others: {minutes:?}");
}

#[tokio::test]
async fn a_place_is_given_back_on_every_way_out() {
    let world = World::new().await;
    let (_, key) = world.key(Limits { parallel: Some(1), ..Limits::default() }).await;
    let process = world.process().await;
    let who = process.authenticate(&key).await.unwrap();
    let take = || admit(&process, &who, most(0, 1), AtLimit::Wait(Duration::from_secs(10)));
    let full = || async { admit(&process, &who, most(0, 1), AtLimit::Refuse).await.is_err() };

    take().await.unwrap().settle(call(Usd::ZERO, 1)).unwrap();
    drop(take().await.unwrap());
    let permit = take().await.unwrap();
    assert!(full().await);
    // The client goes away: its task is dropped.
    let held = tokio::spawn(async move {
        let _permit = permit;
        std::future::pending::<()>().await;
    });
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    let permit = take().await.unwrap();
    let panics = tokio::spawn(async move {
        let _permit = permit;
        panic!("as tests may");
    });
    assert!(panics.await.unwrap_err().is_panic());
    let permit = take().await.unwrap();
    let slow = async move {
        let _permit = permit;
        std::future::pending::<()>().await;
    };
    assert!(tokio::time::timeout(Duration::from_millis(1), slow).await.is_err());
    // Somebody waits and goes away: the place is for the next one.
    let permit = take().await.unwrap();
    let gone = tokio::time::timeout(Duration::from_millis(50), take()).await;
    assert!(gone.is_err());
    drop(permit);
    drop(take().await.unwrap());
}

#[tokio::test]
async fn a_place_that_another_process_does_not_use_is_handed_over() {
    let world = World::new().await;
    let (_, key) = world.key(Limits { parallel: Some(8), ..Limits::default() }).await;
    let (first, second) = (world.process().await, world.process().await);
    let who = first.authenticate(&key).await.unwrap();
    // The first process drew more than it needs.
    drop(admit(&first, &who, most(0, 1), AtLimit::Refuse).await.unwrap());
    let who = second.authenticate(&key).await.unwrap();
    let mut held = Vec::new();
    for n in 0..8 {
        let permit = admit(&second, &who, most(0, 1), AtLimit::Wait(Duration::from_secs(3))).await;
        held.push(permit.unwrap_or_else(|refusal| panic!("call {n}: {refusal:?}")));
    }
    assert!(matches!(
        admit(&first, &who, most(0, 1), AtLimit::Refuse).await,
        Err(Refusal::RateLimited { limit: Limit::Parallel, .. })
    ));
}

#[tokio::test]
async fn who_waits_is_served_by_urgency_and_then_in_turn() {
    let world = World::new().await;
    let (_, one) = world.key(Limits::default()).await;
    let (_, two) = world.key(Limits::default()).await;
    let change = Change { parallel: Some(Some(1)), ..Change::default() };
    world.limit(Kind::Team, world.team, change).await;
    let process = world.process().await;
    let keys = [process.authenticate(&one).await.unwrap(), process.authenticate(&two).await.unwrap()];
    let first = admit(&process, &keys[0], most(0, 1), AtLimit::Refuse).await.unwrap();
    let (order, served) = tokio::sync::mpsc::unbounded_channel();
    let mut served = served;
    let waiting = [
        (0, Priority::Low),
        (0, Priority::Normal),
        (0, Priority::Normal),
        (1, Priority::Normal),
        (1, Priority::High),
    ];
    let mut tasks = Vec::new();
    for (n, (key, priority)) in waiting.into_iter().enumerate() {
        let (process, who, order) = (process.clone(), keys[key].clone(), order.clone());
        let mut task = Box::pin(async move {
            let wait = AtLimit::Wait(Duration::from_secs(20));
            let permit = process.admit(&who, &Admission { priority, ..ask(most(0, 1), wait) }).await.unwrap();
            order.send(n).unwrap();
            drop(permit);
        });
        // Each has to stand in the queue before the next one comes: its first step takes it there.
        assert!(futures::poll!(task.as_mut()).is_pending(), "{n} waits");
        tasks.push(tokio::spawn(task));
    }
    drop(first);
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(served.recv().await.unwrap());
    }
    assert_eq!(seen, [4, 1, 3, 2, 0]);
}

#[tokio::test]
async fn a_wait_ends_when_its_time_is_over_and_says_when_to_come_again() {
    let world = World::new().await;
    let (_, key) = world.key(Limits { tokens_per_minute: Some(1_000), ..Limits::default() }).await;
    let process = world.process().await;
    let who = process.authenticate(&key).await.unwrap();
    let never = admit(&process, &who, most(0, 1_001), AtLimit::Wait(Duration::from_secs(60))).await;
    assert!(matches!(never, Err(Refusal::NeverFits { limit: Limit::Tokens, .. })), "{never:?}");
    let refused = async || {
        // Two in a row fit only where a minute begins between them.
        let first = admit(&process, &who, most(0, 900), AtLimit::Refuse).await;
        if let Ok(first) = first {
            first.settle(call(Usd::ZERO, 900)).unwrap();
        }
        let second = admit(&process, &who, most(0, 900), AtLimit::Wait(Duration::from_millis(100))).await;
        matches!(second, Err(Refusal::RateLimited { limit: Limit::Tokens, .. }))
    };
    until("the second is refused", refused).await;
}
