//! Old rows of the ledger become sums of their days, and usage does not change by that.

use crate::world::{World, call, usd};
use chrono::{DateTime, Duration, Utc};
use toryo_blackboard::ledger::{self, CallStatus, LedgerRow, Who};
use toryo_blackboard::usage::{self, Dimension, Grain, Line, Of, Question};
use toryo_blackboard::{db, ledger_days};
use toryo_domain::CallId;

const DAYS: u32 = 31;

/// Rows of three old days and of today: two teams, two models, failures, streams and other calls.
async fn rows(world: &World, other: &World) -> Vec<LedgerRow> {
    let now = Utc::now();
    let mut rows = Vec::new();
    for (number, days) in [400_i64, 400, 400, 40, 40, 33, 30, 0].into_iter().cycle().take(64).enumerate() {
        let number = number as i64;
        let team = if number % 3 == 0 { other.team } else { world.team };
        let mut called = call(usd(number + 1), 100 + number as u64);
        called.model = if number % 2 == 0 { "gpt-4o".into() } else { "small".into() };
        called.first_token_ms = (number % 4 == 0).then_some(10 + number as u64);
        called.latency_ms = 20 + number as u64;
        if number % 5 == 0 {
            (called.status, called.error_class) = (CallStatus::Error, Some("rate_limit".into()));
        }
        let at = now - Duration::days(days) - Duration::minutes(number);
        let who = Who { organisation: Some(world.organisation), team: Some(team), ..Who::default() };
        rows.push(LedgerRow { id: CallId::generate(), at, who, tenant: None, instance: None, call: called });
    }
    let mut tx = world.db.begin().await.unwrap();
    ledger::insert(&mut tx, &rows).await.unwrap();
    db::commit(tx).await.unwrap();
    rows
}

/// What is asked of usage: sums by several dimensions and grains, for everybody and for one team.
async fn told(world: &World) -> Vec<Vec<Line>> {
    let now = Utc::now();
    let midnight = |days| -> DateTime<Utc> {
        (now - Duration::days(days)).date_naive().and_time(chrono::NaiveTime::MIN).and_utc()
    };
    let mut told = Vec::new();
    for of in [Of::Everybody, Of::Team(world.team)] {
        for by in [
            vec![],
            vec![Dimension::Team],
            vec![Dimension::Team, Dimension::Model],
            vec![Dimension::Status, Dimension::ErrorClass, Dimension::Route],
        ] {
            for grain in [None, Some(Grain::Day), Some(Grain::Week), Some(Grain::Month)] {
                for from in [midnight(500), midnight(41)] {
                    let question =
                        Question { of, from, to: midnight(-1), by: by.clone(), grain, only: vec![] };
                    let (lines, cut) = usage::lines(&world.db, &question).await.unwrap();
                    assert!(!cut && !lines.is_empty());
                    told.push(lines);
                }
            }
        }
    }
    told
}

async fn roll_up(world: &World, batch: u32) -> u64 {
    let mut tx = world.db.begin().await.unwrap();
    let rows = ledger_days::roll_up(&mut tx, DAYS, batch).await.unwrap();
    db::commit(tx).await.unwrap();
    rows
}

#[tokio::test]
async fn usage_says_the_same_before_and_after_old_rows_became_sums() {
    let world = World::new().await;
    let other = world.sibling().await;
    let rows = rows(&world, &other).await;
    let before = told(&world).await;
    let old = rows.iter().filter(|row| Utc::now() - row.at > Duration::days(32)).count() as u64;
    // A round that dies in the middle changes nothing.
    let mut tx = world.db.begin().await.unwrap();
    assert_eq!(ledger_days::roll_up(&mut tx, DAYS, 10).await.unwrap(), 10);
    drop(tx);
    assert_eq!(world.count("select count(*) from gateway_ledger").await, rows.len() as i64);
    assert_eq!(told(&world).await, before);
    // Two processes at once, in small batches: each row once.
    let one = async |batch| {
        let mut rolled = 0;
        loop {
            match roll_up(&world, batch).await {
                0 => break rolled,
                rows => rolled += rows,
            }
        }
    };
    let (first, second) = tokio::join!(one(7), one(5));
    assert_eq!(first + second, old);
    assert_eq!(told(&world).await, before, "days are as exact as rows");
    assert_eq!(world.count("select count(*) from gateway_ledger").await, rows.len() as i64 - old as i64);
    assert_eq!(world.count("select sum(calls)::bigint from gateway_days").await, old as i64);
    assert!(world.count("select count(*) from gateway_days").await < old as i64, "they are fewer lines");
    assert_eq!(roll_up(&world, 100).await, 0, "once more does nothing");
    // A row that comes late joins the sums of its day.
    let late = LedgerRow { id: CallId::generate(), ..rows[0].clone() };
    let mut tx = world.db.begin().await.unwrap();
    ledger::insert(&mut tx, &[late]).await.unwrap();
    db::commit(tx).await.unwrap();
    let with_late = told(&world).await;
    assert_ne!(with_late, before);
    assert_eq!(roll_up(&world, 100).await, 1);
    assert_eq!(told(&world).await, with_late);
}
