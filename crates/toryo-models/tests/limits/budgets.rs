//! Money: nobody ever spends more than there is, whoever asks, and whoever dies.

use crate::world::{Mortal, World, admit, call, most, until, usd};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use std::sync::Arc;
use std::time::Duration;
use toryo_blackboard::accounts::Limits;
use toryo_domain::Usd;
use toryo_models::accounts::Principal;
use toryo_models::allowance::{AtLimit, Limit, Permit, Refusal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_calls_against_the_last_cent_spend_at_most_that_cent() {
    let world = World::new().await;
    let (_, key) = world.key(Limits::default()).await;
    world.budget(world.team, Limit::Day, 1).await;
    let processes = [world.process().await, world.process().await];
    let calls: Vec<_> = (0..500)
        .map(|n| {
            let (accounts, key) = (processes[n % 2].clone(), key.clone());
            tokio::spawn(async move {
                let who = accounts.authenticate(&key).await.unwrap();
                // A third of a cent at most; what it costs in the end is a tenth.
                let worst = toryo_models::journal::Spent { usd: Usd::from_nanos(3_000_000), tokens: 10 };
                match admit(&accounts, &who, worst, AtLimit::Wait(Duration::from_secs(20))).await {
                    Ok(permit) => permit.settle(call(Usd::from_nanos(1_000_000), 10)).map(|()| true).unwrap(),
                    Err(Refusal::BudgetExhausted { limit: Limit::Day, .. }) => false,
                    Err(other) => panic!("{other:?}"),
                }
            })
        })
        .collect();
    let mut admitted = 0;
    for call in calls {
        admitted += i64::from(call.await.unwrap());
    }
    for process in &processes {
        process.shutdown().await;
    }
    let spent = world.spent().await;
    assert_eq!(spent, Usd::from_nanos(admitted * 1_000_000), "every call that was admitted is in the ledger");
    assert!(spent <= usd(1), "{spent}");
    // The worst case fits as long as less than seven tenths are spent.
    assert!(admitted >= 8, "only {admitted} were admitted");
    let held = "select coalesce(sum(held), 0)::bigint from gateway_grants where kind >= 2";
    assert_eq!(world.count(held).await, 0, "everything is handed back");
}

#[tokio::test]
async fn a_reservation_is_released_when_a_process_dies_and_another_starts() {
    let world = World::new().await;
    let (_, key) = world.key(Limits::default()).await;
    world.budget(world.team, Limit::Total, 10).await;
    let mut mortal = world.mortal();
    let first = mortal.accounts.clone().unwrap();
    let who = first.authenticate(&key).await.unwrap();
    let lost = admit(&first, &who, most(9, 1), AtLimit::Refuse).await.unwrap();
    let other = world.process().await;
    let again = other.authenticate(&key).await.unwrap();
    assert!(matches!(
        admit(&other, &again, most(9, 1), AtLimit::Refuse).await,
        Err(Refusal::RateLimited { limit: Limit::Total, .. })
    ));
    std::mem::forget(lost);
    drop(first);
    // `lost` is leaked with what it refers to, so the lock on the journal has to be given up by hand.
    mortal.kill();
    other.shutdown().await;
}

/// What may happen, in an order that proptest chooses.
#[derive(Debug, Clone, Copy)]
enum Happens {
    /// A process asks for this many cents at most.
    Asks(usize, i64),
    /// The oldest call of a process ends and costs this share of its worst case.
    Ends(usize, i64),
    /// The oldest call of a process is given up.
    GivesUp(usize),
    /// The second process dies and comes again.
    Dies,
    /// Time for what is done in the background.
    Pauses,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0..2_usize, 1..30_i64).prop_map(|(process, cents)| Happens::Asks(process, cents)),
        4 => (0..2_usize, 0..=100_i64).prop_map(|(process, share)| Happens::Ends(process, share)),
        1 => (0..2_usize).prop_map(Happens::GivesUp),
        1 => Just(Happens::Dies),
        1 => Just(Happens::Pauses),
    ]
}

struct Process {
    mortal: Mortal,
    who: Arc<Principal>,
    calls: Vec<(Permit, i64)>,
}

impl Process {
    async fn start(world: &World, key: &str) -> Self {
        let mortal = world.mortal();
        let who = mortal.accounts.as_ref().unwrap().authenticate(key).await.unwrap();
        Self { mortal, who, calls: vec![] }
    }
}

const BUDGET: i64 = 100;

async fn story(world: World, events: Vec<Happens>) {
    let (_, key) = world.key(Limits { parallel: Some(6), ..Limits::default() }).await;
    world.budget(world.team, Limit::Month, BUDGET).await;
    let mut processes = [Process::start(&world, &key).await, Process::start(&world, &key).await];
    let mut spent = 0;
    for event in events {
        match event {
            Happens::Asks(n, cents) => {
                let process = &mut processes[n];
                let accounts = process.mortal.accounts.clone().unwrap();
                if let Ok(permit) = admit(&accounts, &process.who, most(cents, 5), AtLimit::Refuse).await {
                    process.calls.push((permit, cents));
                }
            }
            Happens::Ends(n, share) if !processes[n].calls.is_empty() => {
                let (permit, cents) = processes[n].calls.remove(0);
                let cost = cents * share / 100;
                permit.settle(call(usd(cost), 5)).unwrap();
                spent += cost;
            }
            Happens::GivesUp(n) if !processes[n].calls.is_empty() => drop(processes[n].calls.remove(0)),
            Happens::Dies => {
                let process = &mut processes[1];
                process.mortal.kill();
                process.calls.clear();
                *process = Process::start(&world, &key).await;
            }
            Happens::Pauses => tokio::time::sleep(Duration::from_millis(30)).await,
            Happens::Ends(..) | Happens::GivesUp(_) => {}
        }
        let reserved: i64 = processes.iter().flat_map(|it| &it.calls).map(|(_, cents)| cents).sum();
        let calls = processes.iter().map(|it| it.calls.len()).sum::<usize>();
        assert!(spent + reserved <= BUDGET, "{spent} spent and {reserved} under way");
        assert!(calls <= 6, "{calls} at once");
    }
    for process in &mut processes {
        process.calls.clear();
        process.mortal.accounts.as_ref().unwrap().shutdown().await;
        process.mortal.kill();
    }
    let third = world.process().await;
    until("the journals are read", async || world.spent().await == usd(spent)).await;
    third.shutdown().await;
}

#[test]
fn two_processes_never_spend_more_than_the_budget_whatever_happens() {
    let cases = Cases { cases: 8, max_shrink_iters: 20, failure_persistence: None, ..Cases::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    TestRunner::new(cases)
        .run(&proptest::collection::vec(happens(), 10..40), |events| {
            runtime.block_on(async { story(world.sibling().await, events).await });
            Ok(())
        })
        .unwrap();
}
