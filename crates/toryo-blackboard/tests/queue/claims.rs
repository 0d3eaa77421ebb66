//! Who gets the next step.

use crate::{Ground, claimant};
use std::collections::BTreeMap;
use toryo_blackboard::{Ceilings, Claimant, Claimed, db, leases, repos, runs, steps, tenants};
use toryo_domain::{Priority, Role, RunSignal, StepKey, StepKind};

const ACME: &str = "https://github.com/acme/shop";
const OTHER: &str = "https://github.com/other/shop";

#[tokio::test]
async fn the_most_urgent_step_of_a_tenant_comes_first() {
    let ground = Ground::new().await;
    let (low, _) = ground.run("/srv/a", Priority::Low).await;
    let (normal, _) = ground.run("/srv/b", Priority::Normal).await;
    let (high, _) = ground.run("/srv/a", Priority::High).await;
    let (second, _) = ground.run("/srv/b", Priority::Normal).await;
    let mut order = vec![];
    while let Some(claim) = ground.claim().await {
        order.push(claim.run_id);
    }
    assert_eq!(order, [high, normal, second, low]);
}

#[tokio::test]
async fn a_low_step_overtakes_new_high_ones_once_it_has_waited_long() {
    let ground = Ground::new().await;
    let (low, step) = ground.run("/srv/a", Priority::Low).await;
    ground.aged(step, 19).await;
    let (high, _) = ground.run("/srv/a", Priority::High).await;
    assert_eq!(ground.claim().await.unwrap().run_id, high);
    ground.aged(step, 2).await;
    ground.run("/srv/a", Priority::High).await;
    assert_eq!(ground.claim().await.unwrap().run_id, low);
}

#[tokio::test]
async fn tenants_share_the_workers_however_much_one_of_them_asks_for() {
    let ground = Ground::new().await;
    ground.runs(20, ACME).await;
    ground.runs(3, OTHER).await;
    let mut running: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..6 {
        let claim = ground.claim().await.unwrap();
        let run = runs::get(&ground.db, claim.run_id).await.unwrap();
        *running.entry(run.repo_url).or_default() += 1;
    }
    assert_eq!(running, BTreeMap::from([(ACME.to_owned(), 3), (OTHER.to_owned(), 3)]));
    let shares = tenants::list(&ground.db).await.unwrap();
    let shares: Vec<_> = shares.iter().map(|it| (it.name.as_str(), it.ready, it.running)).collect();
    assert_eq!(shares, [("github.com/acme", 17, 3), ("github.com/other", 0, 3)]);
}

/// Claims with eight workers at once until none finds anything, and counts what runs.
async fn crowd(ground: &Ground, ceilings: Ceilings) -> usize {
    let worker = async || {
        let (claimant, mut got, mut idle) = (claimant(), 0, 0);
        while idle < 20 {
            match ground.claim_under(&claimant, ceilings).await {
                Claimed::Lease(..) => got += 1,
                Claimed::Busy => idle += 1,
                Claimed::Nothing => break,
                Claimed::Unreadable(step) => panic!("{step}"),
            }
        }
        got
    };
    futures::future::join_all((0..8).map(|_| worker())).await.into_iter().sum()
}

#[tokio::test]
async fn limits_hold_under_eight_concurrent_claimers() {
    let ground = Ground::new().await;
    ground.runs(40, ACME).await;
    ground.runs(40, OTHER).await;
    let tenant = Ceilings { tenant: Some(5), repository: None };
    assert_eq!(crowd(&ground, tenant).await, 10);
    let repository = Ceilings { tenant: None, repository: Some(7) };
    assert_eq!(crowd(&ground, repository).await, 4, "five of each run already");
    assert_eq!(ground.number("select count(distinct fence) from steps where status = 'running'").await, 14);
    let doubled = "select count(*) from (select 1 from steps where status = 'running' and tenant_slot is not null \
                   group by tenant, tenant_slot having count(*) > 1) as twice";
    assert_eq!(ground.number(doubled).await, 0);
}

#[tokio::test]
async fn without_limits_eight_claimers_take_everything_once() {
    let ground = Ground::new().await;
    ground.runs(60, ACME).await;
    assert_eq!(crowd(&ground, Ceilings::default()).await, 60);
    assert_eq!(ground.number("select count(*) from attempts").await, 60);
}

#[tokio::test]
async fn a_tenant_or_repository_has_a_limit_of_its_own_and_zero_stops_it() {
    let ground = Ground::new().await;
    ground.runs(9, ACME).await;
    ground.runs(9, OTHER).await;
    tenants::set_limit(&ground.db, "github.com/acme", Some(2)).await.unwrap();
    repos::upsert(&ground.db, OTHER, &serde_json::json!({ "max_steps": 0 })).await.unwrap();
    let ceilings = Ceilings { tenant: Some(8), repository: Some(8) };
    assert_eq!(crowd(&ground, ceilings).await, 2);
    repos::upsert(&ground.db, OTHER, &serde_json::json!({ "max_steps": "many" })).await.unwrap();
    assert_eq!(crowd(&ground, ceilings).await, 8, "what is no number is no limit of its own");
}

#[tokio::test]
async fn a_place_is_free_again_when_its_step_ends() {
    let ground = Ground::new().await;
    ground.runs(3, ACME).await;
    let one = Ceilings { tenant: Some(1), repository: Some(1) };
    let Claimed::Lease(claim, _) = ground.claim_under(&claimant(), one).await else { panic!("nothing") };
    assert_eq!(ground.claim_under(&claimant(), one).await, Claimed::Nothing);
    let mut tx = ground.db.begin().await.unwrap();
    leases::give_back(&mut tx, &claim, "the test says so").await.unwrap();
    db::commit(tx).await.unwrap();
    assert!(matches!(ground.claim_under(&claimant(), one).await, Claimed::Lease(..)));
}

#[tokio::test]
async fn what_another_claimer_is_about_to_take_is_passed_over() {
    let ground = Ground::new().await;
    let (first, _) = ground.run("/srv/a", Priority::Normal).await;
    let (second, _) = ground.run("/srv/a", Priority::Normal).await;
    let mut held = ground.db.begin().await.unwrap();
    let taken = leases::claim(&mut held, &claimant(), Ceilings::default(), &[]).await.unwrap();
    assert!(matches!(&taken, Claimed::Lease(claim, _) if claim.run_id == first), "{taken:?}");
    assert_eq!(ground.claim().await.unwrap().run_id, second);
    assert_eq!(ground.claim_under(&claimant(), Ceilings::default()).await, Claimed::Busy);
    db::commit(held).await.unwrap();
    assert_eq!(ground.claim().await, None);
}

#[tokio::test]
async fn steps_of_a_run_that_waits_for_a_person_are_not_in_the_way() {
    let ground = Ground::new().await;
    let (run, _) = ground.run("/srv/a", Priority::High).await;
    let signal = async |signal: RunSignal| {
        let mut tx = ground.db.begin().await.unwrap();
        let mut row = runs::lock(&mut tx, run).await.unwrap();
        runs::signal(&mut tx, &mut row, signal, None, None).await.unwrap();
        db::commit(tx).await.unwrap();
    };
    signal(RunSignal::Start).await;
    signal(RunSignal::HitGuardrail).await;
    assert_eq!(ground.claim().await, None);
    assert_eq!(ground.number("select count(*) from steps where parked").await, 1);
    signal(RunSignal::Resume).await;
    assert_eq!(ground.claim().await.unwrap().run_id, run);
}

#[tokio::test]
async fn an_old_worker_leaves_a_newer_run_to_a_new_one() {
    let ground = Ground::new().await;
    let (run, _) = ground.run("/srv/a", Priority::Normal).await;
    let mut tx = ground.db.begin().await.unwrap();
    leases::need_version(&mut tx, run, 2).await.unwrap();
    db::commit(tx).await.unwrap();
    assert_eq!(ground.claim().await, None);
    assert!(leases::is_newer(&ground.db, run, 1).await.unwrap());
    let new = Claimant { version: 2, ..claimant() };
    assert!(matches!(ground.claim_under(&new, Ceilings::default()).await, Claimed::Lease(..)));
}

#[tokio::test]
async fn the_next_step_goes_to_the_worker_that_made_it_ready_unless_somebody_comes_first() {
    let ground = Ground::new().await;
    let (run, _) = ground.run(ACME, Priority::Normal).await;
    let claimant = claimant();
    let one = Ceilings { tenant: Some(1), repository: None };
    let Claimed::Lease(done, _) = ground.claim_under(&claimant, one).await else { panic!("nothing") };
    let next = async |round: u32| {
        let mut tx = ground.db.begin().await.unwrap();
        runs::lock(&mut tx, run).await.unwrap();
        let statement = "update steps set status = 'succeeded' where id = $1 and fence = $2";
        sqlx::query(statement).bind(done.step_id.uuid()).bind(done.fence).execute(&mut *tx).await.unwrap();
        let key = StepKey::of_run(StepKind::Plan).in_round(round);
        let step = steps::NewStep { key: key.clone(), depends_on: vec![] };
        steps::append(&mut tx, run, Priority::Normal.rank(), &step).await.unwrap();
        let step = steps::unblock(&mut tx, run, &key).await.unwrap();
        let next = leases::follow(&mut tx, step, &done, &claimant).await.unwrap();
        (tx, next)
    };
    ground.run(ACME, Priority::Normal).await;
    let (tx, followed) = next(1).await;
    assert!(followed.is_some(), "a run that has begun is finished before another one of its tenant begins");
    drop(tx);
    let (urgent, _) = ground.run(ACME, Priority::High).await;
    let (tx, followed) = next(1).await;
    assert_eq!(followed, None, "a more urgent step comes first");
    drop(tx);
    let mut tx = ground.db.begin().await.unwrap();
    steps::cancel_all(&mut tx, urgent).await.unwrap();
    db::commit(tx).await.unwrap();
    let (foreign, _) = ground.run(OTHER, Priority::Low).await;
    let (tx, followed) = next(1).await;
    assert_eq!(followed, None, "another tenant comes first");
    drop(tx);
    let mut tx = ground.db.begin().await.unwrap();
    steps::cancel_all(&mut tx, foreign).await.unwrap();
    db::commit(tx).await.unwrap();
    let (tx, followed) = next(1).await;
    db::commit(tx).await.unwrap();
    let places = "select count(*) from steps where status = 'running' and tenant_slot = 1 and follows_fence is not null";
    assert_eq!(ground.number(places).await, 1, "it took over the place under the limit");
    let mut tx = ground.db.begin().await.unwrap();
    assert_eq!(
        leases::followed(&mut tx, &done).await.unwrap(),
        followed,
        "an answer that was lost is found again"
    );
}

/// Limits that nothing reaches: with them the statement for all cases chooses.
const FAR: Ceilings = Ceilings { tenant: Some(1000), repository: Some(1000) };

#[tokio::test]
async fn the_small_statement_chooses_what_the_one_for_all_cases_does() {
    let ground = Ground::new().await;
    let mut made = Vec::new();
    for number in 0..12_u8 {
        let priority = [Priority::High, Priority::Normal, Priority::Low][usize::from(number % 3)];
        let (_, step) = ground.run(&format!("/srv/{}", number % 4), priority).await;
        ground.aged(step, i32::from(number * 7 % 12) * 4).await;
        made.push(step);
    }
    // Passed over, of another role, not due yet.
    let passed = [made[3]];
    for statement in [
        "update steps set role = 'planner' where id = $1",
        "update steps set ready_at = now() + interval '1 hour' where id = $1",
    ] {
        let step = made.pop().unwrap();
        sqlx::query(statement).bind(step.uuid()).execute(ground.db.pool()).await.unwrap();
    }
    let asking = Claimant { roles: vec![Role::SpecRefiner], ..claimant() };
    let mut taken = 0;
    loop {
        let mut chosen = Vec::new();
        for ceilings in [FAR, Ceilings::default()] {
            let mut tx = ground.db.begin().await.unwrap();
            let claimed = leases::claim(&mut tx, &asking, ceilings, &passed).await.unwrap();
            chosen.push(match claimed {
                Claimed::Lease(claim, seq) => Some((claim.step_id, claim.attempt, seq)),
                Claimed::Nothing => None,
                other => panic!("{other:?}"),
            });
            // The first choice is only looked at.
            if chosen.len() == 2 { db::commit(tx).await.unwrap() } else { tx.rollback().await.unwrap() }
        }
        assert_eq!(chosen[0], chosen[1], "after {taken}");
        if chosen[0].is_none() {
            break;
        }
        taken += 1;
    }
    assert_eq!(taken, 9, "all but those three");
    let told = "select count(*) from events where type in ('run.started', 'step.started')";
    assert_eq!(ground.number(told).await, 18, "and says so");
}
