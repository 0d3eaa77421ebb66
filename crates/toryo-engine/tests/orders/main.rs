//! Any order of outcomes and commands, on a real Postgres: workers claim, bring outcomes good and bad, late and twice,
//! leases run out, and people cancel, pause, resume, retry, approve, reject and write, all mixed as chance has it.
//!
//! After every single order the invariants hold:
//!
//! 1. A run's events are numbered without a gap, and its counter is the number of the last one.
//! 2. A run that is cancelled or has succeeded stays so, and so does everything of it. Nothing of it runs or may run.
//! 3. A run's last event says so where it has ended.
//! 4. Exactly the running steps have a lease, each step at most one, and exactly their attempts are open.
//! 5. Tokens only grow: a step's lease has a higher one than every lease before it.
//! 6. A step that may run, runs or has run has everything that it depends on.
//! 7. A step has an output exactly where it has succeeded, and no step succeeds twice under one opening.
//! 8. What a stale token brings changes nothing; what was written is not written again.
//! 9. A run succeeds exactly where its pull request stands, and says so once.
//!
//! And at the end, when everything goes well from then on, a run that has not ended comes to its pull request.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod invariants;
mod table;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use table::{Order, Table};
use toryo_domain::FailureClass;

fn order() -> impl Strategy<Value = Order> {
    let class = (0..FailureClass::ALL.len()).prop_map(|n| FailureClass::ALL[n]);
    prop_oneof![
        12 => (0_usize..8).prop_map(Order::Claim),
        12 => (0_usize..64).prop_map(Order::Succeed),
        4 => (0_usize..64).prop_map(Order::SucceedBadly),
        4 => ((0_usize..64), class).prop_map(|(claim, class)| Order::Fail(claim, class)),
        3 => Just(Order::LeasesRunOut),
        1 => Just(Order::Sweep),
        1 => Just(Order::Cancel),
        1 => Just(Order::Pause),
        2 => Just(Order::Resume),
        2 => Just(Order::Retry),
        3 => Just(Order::Approve),
        1 => Just(Order::RejectWithComment),
        1 => Just(Order::Message),
    ]
}

#[test]
fn any_order_of_outcomes_and_commands_keeps_the_invariants() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let table = runtime.block_on(Table::laid());
    let mut runner = TestRunner::new(Config { cases: 32, failure_persistence: None, ..Config::default() });
    let orders = (0_usize..4, proptest::collection::vec(order(), 1..60));
    let outcome = runner.run(&orders, |(approval, orders)| {
        runtime.block_on(table.play(approval, &orders)).map_err(TestCaseError::fail)
    });
    if let Err(found) = outcome {
        panic!("{found}");
    }
}

#[test]
fn what_a_lost_lease_reserved_is_given_back_and_what_a_held_one_did_is_not() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { Table::laid().await.reserve_and_lose().await });
}
