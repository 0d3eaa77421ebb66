//! Streams and consumers on a real server: made as declared whatever they were, and alive after a restart.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_bus::{Bus, Subjects};
use toryo_domain::RunId;
use toryo_testkit::stack::{OwnServers, Services};

/// Longest wait for a state.
const PATIENCE: Duration = Duration::from_secs(30);

async fn connected(services: &Services) -> Bus {
    let bus = Bus::connect(&services.nats_url, Subjects::new(&services.nats_prefix).unwrap()).await.unwrap();
    bus.ready(PATIENCE).await.unwrap();
    bus
}

async fn jetstream(services: &Services) -> async_nats::jetstream::Context {
    let (login, address) = services.nats_url.strip_prefix("nats://").unwrap().split_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let options = async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
    async_nats::jetstream::new(options.connect(address).await.unwrap())
}

#[tokio::test]
async fn what_drifted_is_made_as_declared() {
    let services = Services::shared().await;
    let server = jetstream(&services).await;
    let name = format!("{}_steps", services.nats_prefix);
    let drifted = Config {
        name: name.clone(),
        subjects: vec![format!("{}.steps.ready", services.nats_prefix)],
        retention: RetentionPolicy::WorkQueue,
        max_age: Duration::from_secs(60),
        duplicate_window: Duration::from_secs(1),
        ..Config::default()
    };
    let stream = server.create_stream(drifted).await.unwrap();
    let consumer = pull::Config {
        durable_name: Some("workers".into()),
        backoff: vec![Duration::from_secs(1), Duration::from_secs(2)],
        max_deliver: 3,
        max_ack_pending: 1,
        ..pull::Config::default()
    };
    stream.create_consumer(consumer).await.unwrap();

    connected(&services).await;
    let stream = server.get_stream(&name).await.unwrap();
    let config = &stream.cached_info().config;
    assert_eq!((config.max_age.as_secs(), config.duplicate_window.as_secs()), (86_400, 120));
    let consumer = stream.consumer_info("workers").await.unwrap().config;
    assert_eq!(consumer.ack_wait, Duration::from_secs(30), "no back-off stands in its place");
    assert_eq!((consumer.backoff.len(), consumer.max_deliver, consumer.max_ack_pending), (0, 20, 4096));
}

#[tokio::test]
async fn what_the_server_cannot_change_is_made_anew() {
    let services = Services::shared().await;
    let server = jetstream(&services).await;
    let name = format!("{}_steps", services.nats_prefix);
    let other = Config {
        name: name.clone(),
        subjects: vec![format!("{}.steps.ready", services.nats_prefix)],
        retention: RetentionPolicy::Limits,
        ..Config::default()
    };
    server.create_stream(other).await.unwrap();
    let bus = connected(&services).await;
    let stream = server.get_stream(&name).await.unwrap();
    assert_eq!(stream.cached_info().config.retention, RetentionPolicy::WorkQueue);
    bus.announce_ready("a:1", b"{}".to_vec()).await.unwrap();
    bus.next_wakeup(PATIENCE).await.unwrap().unwrap().done().await;
}

#[tokio::test]
async fn a_message_that_is_sent_twice_comes_once() {
    let services = Services::shared().await;
    let bus = connected(&services).await;
    for _ in 0..3 {
        bus.announce_ready("a:1", b"{}".to_vec()).await.unwrap();
    }
    bus.announce_ready("a:2", b"{}".to_vec()).await.unwrap();
    for _ in 0..2 {
        bus.next_wakeup(PATIENCE).await.unwrap().unwrap().done().await;
    }
    assert!(bus.next_wakeup(Duration::from_millis(200)).await.unwrap().is_none());
}

#[tokio::test]
async fn an_order_is_heard_in_every_process() {
    let services = Services::shared().await;
    let (hearing, ordering) = (connected(&services).await, connected(&services).await);
    let stop = CancellationToken::new();
    let (listener, ended) = (hearing.clone(), stop.clone());
    let listening = tokio::spawn(async move { listener.listen(ended).await });
    let (mut far, mut near) = (hearing.orders(), ordering.orders());
    // Nothing says when the listener has subscribed: an order is given until it is heard.
    let heard = async {
        loop {
            ordering.order().await;
            if tokio::time::timeout(Duration::from_millis(100), far.changed()).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap();
    near.changed().await.unwrap();
    stop.cancel();
    listening.await.unwrap();
}

#[tokio::test]
async fn a_restart_of_the_server_costs_neither_a_wake_up_nor_a_subscription() {
    let servers = OwnServers::start().await;
    let services = servers.services().await;
    let (hearing, ringing) = (connected(&services).await, connected(&services).await);
    let stop = CancellationToken::new();
    let (listener, ended) = (hearing.clone(), stop.clone());
    let listening = tokio::spawn(async move { listener.listen(ended).await });
    let run = RunId::generate();
    let mut bell = hearing.bell().watch(run);
    let mut rung = 0;
    // A bell may be missed, so it is rung until it is heard.
    let mut heard = async |rung: &mut u64| {
        let ring = async {
            loop {
                *rung += 1;
                ringing.ring(run, *rung).await;
                if tokio::time::timeout(Duration::from_millis(100), bell.changed()).await.is_ok() {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, ring).await.unwrap();
    };
    heard(&mut rung).await;
    hearing.announce_ready("a:1", b"{}".to_vec()).await.unwrap();
    servers.stack.nats_kill9().await.unwrap();
    servers.stack.nats_restart().await.unwrap();
    heard(&mut rung).await;
    hearing.ready(PATIENCE).await.unwrap();
    let wakeup = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Ok(Some(wakeup)) = hearing.next_wakeup(Duration::from_secs(1)).await {
                return wakeup;
            }
        }
    });
    wakeup.await.unwrap().done().await;
    stop.cancel();
    listening.await.unwrap();
}
