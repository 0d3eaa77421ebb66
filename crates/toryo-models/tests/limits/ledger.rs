//! The ledger: each call once, whatever dies between its end and Postgres; alerts once a period.

use crate::world::{World, admit, call, most, until, usd};
use std::time::Duration;
use toryo_blackboard::accounts::Limits;
use toryo_models::allowance::{AtLimit, Limit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_process_that_died_are_written_by_the_next_one_and_its_grants_are_free() {
    let world = World::new().await;
    let (_, key) = world.key(Limits { parallel: Some(3), ..Limits::default() }).await;
    world.budget(world.team, Limit::Total, 100).await;
    let mut mortal = world.mortal();
    {
        let accounts = mortal.accounts.as_ref().unwrap();
        let who = accounts.authenticate(&key).await.unwrap();
        for _ in 0..3 {
            let permit = admit(accounts, &who, most(20, 1), AtLimit::Wait(Duration::from_secs(5))).await;
            permit.unwrap().settle(call(usd(15), 1)).unwrap();
        }
    }
    // Within a tenth of a second nothing is in Postgres yet.
    mortal.kill();
    let next = world.process().await;
    until("the journal is read", async || world.spent().await == usd(45)).await;
    let who = next.authenticate(&key).await.unwrap();
    let wait = AtLimit::Wait(Duration::from_secs(10));
    let rest = admit(&next, &who, most(55, 1), wait).await.unwrap();
    assert!(admit(&next, &who, most(1, 1), AtLimit::Refuse).await.is_err(), "55 are left");
    rest.settle(call(usd(55), 1)).unwrap();
    next.shutdown().await;
    assert_eq!(world.spent().await, usd(100));
    let left = std::fs::read_dir(world.journals()).unwrap();
    let rows = left.flat_map(|entry| std::fs::read_dir(entry.unwrap().path()).unwrap());
    let rows = rows.filter(|file| file.as_ref().unwrap().path().extension().is_some());
    let sizes: u64 = rows.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(sizes <= 8, "nothing waits in the journals: {sizes} bytes");
}

#[tokio::test]
async fn a_budget_raises_each_alert_once() {
    let world = World::new().await;
    let (_, key) = world.key(Limits::default()).await;
    world.budget(world.team, Limit::Month, 100).await;
    let process = world.process().await;
    let who = process.authenticate(&key).await.unwrap();
    let alerts = "select coalesce(sum(threshold), 0)::bigint from gateway_alerts";
    for (cents, sum) in [(40, 0), (15, 50), (20, 50), (10, 130), (10, 220), (5, 320)] {
        let permit = admit(&process, &who, most(cents, 1), AtLimit::Wait(Duration::from_secs(5))).await;
        permit.unwrap().settle(call(usd(cents), 1)).unwrap();
        until("the alerts are there", async || world.count(alerts).await == sum).await;
    }
    assert!(process.budget_state(&who).least_left < 0.5);
    process.shutdown().await;
    assert_eq!(world.count("select count(*) from gateway_alerts").await, 4);
}
