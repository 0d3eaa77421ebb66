//! Postgres goes away: known keys go on or are refused, as configured; nothing is lost.

use crate::world::{World, admit, call, most, until, usd};
use secrecy::ExposeSecret;
use std::net::SocketAddr;
use std::time::Duration;
use toryo_blackboard::Db;
use toryo_blackboard::accounts::Limits;
use toryo_models::accounts::{Accounts, Config, KeyError, OnOutage, secret};
use toryo_models::allowance::{AtLimit, Limit, Refusal};
use toryo_testkit::proxy::Proxy;

async fn behind_a_proxy(world: &World, config: Config) -> (Proxy, Accounts) {
    let (before, rest) = world.url.split_once('@').unwrap();
    let (address, after) = rest.split_once('/').unwrap();
    let proxy = Proxy::start(address.parse::<SocketAddr>().unwrap()).await.unwrap();
    let url = format!("{before}@{}/{after}", proxy.address());
    let db = Db::connect(&url, 4).await.unwrap();
    let accounts = Accounts::start(db, config, &world.journals()).unwrap();
    (proxy, accounts)
}

#[tokio::test]
async fn without_postgres_known_keys_go_on_inside_a_small_allowance_that_is_settled_later() {
    let world = World::new().await;
    let (_, key) = world.key(Limits::default()).await;
    world.budget(world.team, Limit::Month, 1_000_000).await;
    let config = Config { on_outage: OnOutage::Allow, outage_usd: usd(50), ..Config::default() };
    let (proxy, accounts) = behind_a_proxy(&world, config).await;
    let who = accounts.authenticate(&key).await.unwrap();
    admit(&accounts, &who, most(10, 1), AtLimit::Refuse).await.unwrap().settle(call(usd(10), 1)).unwrap();
    proxy.cut();
    let mut spent = 10;
    let refusal = loop {
        // The key is known: nobody asks Postgres about it.
        let who = accounts.authenticate(&key).await.unwrap();
        match admit(&accounts, &who, most(10, 1), AtLimit::Wait(Duration::from_secs(5))).await {
            Ok(permit) => permit.settle(call(usd(10), 1)).unwrap(),
            Err(refusal) => break refusal,
        }
        spent += 10;
        assert!(spent < 1000, "it never ends");
    };
    assert_eq!(refusal, Refusal::Unavailable);
    // What was granted before, and the allowance.
    assert!((60..=10 + 16 * 10 + 50).contains(&spent), "{spent}");
    let unknown = secret::generate().unwrap();
    let answer = accounts.authenticate(unknown.text.expose_secret()).await;
    assert_eq!(answer, Err(KeyError::Unavailable), "nobody can say that it is wrong");
    proxy.mend();
    let works = async || admit(&accounts, &who, most(10, 1), AtLimit::Refuse).await.is_ok();
    until("limits are drawn again", works).await;
    until("the ledger is written", async || world.spent().await == usd(spent)).await;
    accounts.shutdown().await;
    let used = "select used from gateway_counters where kind = 5 limit 1";
    assert_eq!(world.count(used).await, usd(spent).nanos());
    assert_eq!(
        world.count("select coalesce(sum(held), 0)::bigint from gateway_grants where kind > 2").await,
        0
    );
}

#[tokio::test]
async fn where_the_operator_says_so_calls_are_refused_once_the_grant_is_used_up() {
    let world = World::new().await;
    let (_, key) = world.key(Limits::default()).await;
    world.budget(world.team, Limit::Day, 1_000_000).await;
    let (proxy, accounts) = behind_a_proxy(&world, Config::default()).await;
    let who = accounts.authenticate(&key).await.unwrap();
    drop(admit(&accounts, &who, most(10, 1), AtLimit::Refuse).await.unwrap());
    proxy.cut();
    let ask = || admit(&accounts, &who, most(500, 1), AtLimit::Wait(Duration::from_secs(30)));
    assert_eq!(ask().await.unwrap_err(), Refusal::Unavailable);
    proxy.mend();
    until("limits are drawn again", async || ask().await.is_ok()).await;
}

#[tokio::test]
async fn a_key_is_not_taken_for_wrong_when_the_time_of_grace_is_over() {
    let world = World::new().await;
    let (_, key) = world.key(Limits::default()).await;
    let (proxy, accounts) = behind_a_proxy(&world, Config { grace_seconds: 3, ..Config::default() }).await;
    accounts.authenticate(&key).await.unwrap();
    proxy.cut();
    assert!(accounts.authenticate(&key).await.is_ok());
    let over = async || accounts.authenticate(&key).await == Err(KeyError::Unavailable);
    until("the grace is over", over).await;
    proxy.mend();
    until("the key works again", async || accounts.authenticate(&key).await.is_ok()).await;
}
