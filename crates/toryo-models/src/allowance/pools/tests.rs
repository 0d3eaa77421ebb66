//! What is drawn, spent and handed back, in any order.

use super::*;
use proptest::prelude::*;
use toryo_blackboard::accounts::Kind;
use toryo_domain::Usd;

fn at() -> DateTime<Utc> {
    "2026-03-01T12:00:30Z".parse().unwrap()
}

fn item(limit: Limit) -> Item {
    Item { account: account(), scope: Kind::Team, limit, most: 100 }
}

fn account() -> AccountId {
    "0190a000-0000-7000-8000-000000000007".parse().unwrap()
}

fn granted(pools: &mut Pools, item: &Item, granted: i64) {
    let window = Windows::of(at()).window(item);
    pools.drawn(&Drawn { window, granted, most: 100, used: 0, held: granted });
}

fn most(cents: i64, tokens: u64) -> Spent {
    Spent { usd: Usd::from_nanos(cents), tokens }
}

#[test]
fn a_call_takes_of_all_its_limits_or_of_none() {
    let mut pools = Pools::default();
    let (items, windows) = ([item(Limit::Day), item(Limit::Tokens)], Windows::of(at()));
    granted(&mut pools, &items[0], 10);
    let missing = pools.reserve(&items, &windows, most(5, 3), Cover::Grant).unwrap_err();
    assert_eq!(missing.iter().map(|it| (it.item, it.deficit)).collect::<Vec<_>>(), [(1, 3)]);
    assert_eq!(pools.get(&windows.window(&items[0])).unwrap().free(), 10, "nothing is taken");
    granted(&mut pools, &items[1], 3);
    pools.reserve(&items, &windows, most(5, 3), Cover::Grant).unwrap();
    assert_eq!(pools.get(&windows.window(&items[0])).unwrap().free(), 5);
    pools.settle(&items, &windows, most(5, 3), most(2, 1), false);
    assert_eq!(pools.get(&windows.window(&items[0])).unwrap().free(), 8);
    assert_eq!(pools.get(&windows.window(&items[1])).unwrap().free(), 2);
}

#[test]
fn without_a_lease_a_budget_lends_its_allowance_and_no_more() {
    let mut pools = Pools::default();
    let (items, windows) = ([item(Limit::Month), item(Limit::Parallel)], Windows::of(at()));
    let cover = Cover::Credit { usd: 10, live: 50 };
    pools.reserve(&items, &windows, most(6, 0), cover).unwrap();
    pools.reserve(&items, &windows, most(4, 0), cover).unwrap();
    assert!(
        pools.reserve(&items, &windows, most(0, 0), cover).is_err(),
        "two at once is its share of a hundred"
    );
    pools.settle(&items, &windows, most(6, 0), most(1, 0), true);
    assert!(pools.reserve(&items, &windows, most(6, 0), cover).is_err());
    pools.reserve(&items, &windows, most(5, 0), cover).unwrap();
    let said = pools.say_anew();
    pools.said_anew(&said);
    let month = pools.get(&windows.window(&items[0])).unwrap();
    assert_eq!((month.held, month.credit, month.free()), (10, 0, 0), "what was taken is covered now");
}

/// What may happen to one limit.
#[derive(Debug, Clone, Copy)]
enum Step {
    Grant(i64),
    Reserve(i64),
    Settle(i64),
    Charge,
    HandBack,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..50_i64).prop_map(Step::Grant),
        (0..40_i64).prop_map(Step::Reserve),
        (0..=100_i64).prop_map(Step::Settle),
        Just(Step::Charge),
        Just(Step::HandBack),
    ]
}

proptest! {
    /// What is taken is always covered by what the database was told, and nothing is lost on the way.
    #[test]
    fn what_is_taken_is_always_covered(steps in proptest::collection::vec(step(), 1..60)) {
        let (items, windows, now) = ([item(Limit::Week)], Windows::of(at()), Instant::now());
        let window = windows.window(&items[0]);
        let mut pools = Pools::default();
        let (mut database, mut reserved, mut uncharged) = (0, Vec::new(), 0);
        for step in steps {
            match step {
                Step::Grant(amount) => {
                    granted(&mut pools, &items[0], amount);
                    database += amount;
                }
                Step::Reserve(amount) => {
                    if pools.reserve(&items, &windows, most(amount, 0), Cover::Grant).is_ok() {
                        reserved.push(amount);
                    }
                }
                Step::Settle(share) => if let Some(held) = reserved.pop() {
                    let cost = held * share / 100;
                    pools.settle(&items, &windows, most(held, 0), most(cost, 0), false);
                    uncharged += cost;
                },
                Step::Charge => {
                    pools.charged(&window, uncharged);
                    database -= uncharged;
                    uncharged = 0;
                }
                Step::HandBack => {
                    if pools.recall(items[0].account, now, false).contains(&window) {
                        database = pools.say(window).held;
                    }
                }
            }
            let taken = reserved.iter().sum::<i64>() + uncharged;
            prop_assert!(taken <= database, "{taken} of {database}");
            let held = pools.get(&window).map_or(0, |pool| pool.held);
            prop_assert_eq!(held, database);
        }
    }
}
