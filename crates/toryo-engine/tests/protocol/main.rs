//! The protocol of leases and outbox, checked in every state that it can reach; and the same search on mutants of it,
//! each of which lacks one rule and has to be found out.

mod explore;
mod model;

use explore::{Name, Verdict, explore};
use model::{Protocol, SweepWhere};

fn verdict(protocol: Protocol) -> String {
    let told = |path: &[Name]| path.iter().map(|name| format!("\n  {name}")).collect::<String>();
    match explore(&protocol) {
        Verdict::Holds { states } => format!("holds in all {states} states"),
        Verdict::Wrong { what, path } => format!("{what}{}", told(&path)),
        Verdict::Stuck { path } => format!("it cannot end any more{}", told(&path)),
    }
}

#[test]
fn the_protocol_holds_in_every_state() {
    // With their number, because a model that lost its moves would hold as well.
    insta::assert_snapshot!(verdict(Protocol::BUILT));
}

#[test]
fn a_sweeper_without_the_fence_closes_the_wrong_attempt() {
    insta::assert_snapshot!(verdict(Protocol { sweep: Some(SweepWhere::Time), ..Protocol::BUILT }));
}

#[test]
fn a_sweeper_that_trusts_what_it_has_read_takes_a_lease_that_is_held() {
    insta::assert_snapshot!(verdict(Protocol { sweep: Some(SweepWhere::Status), ..Protocol::BUILT }));
}

#[test]
fn a_commit_without_the_fence_stores_what_a_lost_worker_brings() {
    insta::assert_snapshot!(verdict(Protocol { commit_is_fenced: false, ..Protocol::BUILT }));
}

#[test]
fn an_effect_without_a_key_happens_twice() {
    insta::assert_snapshot!(verdict(Protocol { effect_has_a_key: false, ..Protocol::BUILT }));
}

#[test]
fn without_a_sweeper_a_dead_worker_holds_its_step_for_ever() {
    insta::assert_snapshot!(verdict(Protocol { sweep: None, ..Protocol::BUILT }));
}

#[test]
fn without_a_timer_a_lost_message_stops_the_run() {
    insta::assert_snapshot!(verdict(Protocol { timer: false, ..Protocol::BUILT }));
}

#[test]
fn a_worker_that_asks_for_any_lease_after_its_own_gets_that_of_another() {
    insta::assert_snapshot!(verdict(Protocol { heir_is_fenced: false, ..Protocol::BUILT }));
}
