//! A token that is stale is refused on every way to write, and the database itself refuses to have two.

use crate::{Ground, LONG, claimant};
use std::time::Duration;
use toryo_blackboard::{Ceilings, Claim, Claimant, Claimed, Error, StepFailure, db, events, leases, runs};
use toryo_domain::output::CriticOutput;
use toryo_domain::{EventType, FailureClass, NewEvent, Output, Priority, WorkerId};

fn output() -> Output {
    Output::Critic(CriticOutput {
        approved: true,
        patch_verdict: "sound".into(),
        test_verdict: "sound".into(),
        findings: vec![],
    })
}

fn failure() -> StepFailure {
    StepFailure { class: FailureClass::Transient, text: "not now".into() }
}

/// A lease that ran out, and the one that another worker holds since.
async fn lost_and_held(ground: &Ground) -> (Claim, Claim) {
    ground.run("/srv/a", Priority::Normal).await;
    let short = Claimant { lease: Duration::ZERO, ..claimant() };
    let Claimed::Lease(lost, _) = ground.claim_under(&short, Ceilings::default()).await else {
        panic!("nothing")
    };
    let mut tx = ground.db.begin().await.unwrap();
    runs::lock(&mut tx, lost.run_id).await.unwrap();
    leases::take_back(&mut tx, &lost).await.unwrap();
    db::commit(tx).await.unwrap();
    let held = ground.claim().await.unwrap();
    assert!(held.fence > lost.fence);
    (lost, held)
}

#[tokio::test]
async fn a_stale_token_is_refused_on_every_way_to_write() {
    let ground = Ground::new().await;
    let (lost, held) = lost_and_held(&ground).await;
    let event = NewEvent::of_step(EventType::StepProgress, lost.key.clone(), Some(1), serde_json::json!({}));
    for way in ["succeed", "fail", "retry", "give back", "take back", "event", "check"] {
        let mut tx = ground.db.begin().await.unwrap();
        let outcome = match way {
            "succeed" => leases::succeed(&mut tx, &lost, &output()).await.map(|_| ()),
            "fail" => leases::fail(&mut tx, &lost, &failure()).await.map(|_| ()),
            "retry" => leases::retry(&mut tx, &lost, &failure(), Duration::ZERO).await.map(|_| ()),
            "give back" => leases::give_back(&mut tx, &lost, "why").await.map(|_| ()),
            "take back" => leases::take_back(&mut tx, &lost).await.map(|_| ()),
            "event" => events::append_leased(&mut tx, &lost, std::slice::from_ref(&event)).await.map(|_| ()),
            _ => leases::check_fence(&mut tx, lost.step_id, lost.fence).await,
        };
        assert!(matches!(outcome, Err(Error::StaleFence)), "{way}: {outcome:?}");
        db::commit(tx).await.unwrap();
    }
    assert_eq!(leases::extend(&ground.db, &[lost.fence, held.fence], LONG).await.unwrap(), [held.fence]);
    assert_eq!(leases::held(&ground.db, &[lost.fence, held.fence]).await.unwrap(), [held.fence]);
    assert_eq!(ground.number("select count(*) from events where type = 'step.progress'").await, 0);
    assert_eq!(ground.number("select count(*) from attempts where finished_at is null").await, 1);
    let mut tx = ground.db.begin().await.unwrap();
    leases::succeed(&mut tx, &held, &output()).await.unwrap();
    db::commit(tx).await.unwrap();
}

#[tokio::test]
async fn the_sweeper_takes_no_lease_that_was_extended_meanwhile() {
    let ground = Ground::new().await;
    ground.run("/srv/a", Priority::Normal).await;
    let short = Claimant { lease: Duration::ZERO, ..claimant() };
    let Claimed::Lease(claim, _) = ground.claim_under(&short, Ceilings::default()).await else {
        panic!("nothing")
    };
    assert_eq!(leases::expired(&ground.db, 10).await.unwrap(), std::slice::from_ref(&claim));
    leases::extend(&ground.db, &[claim.fence], LONG).await.unwrap();
    let mut tx = ground.db.begin().await.unwrap();
    assert!(matches!(leases::take_back(&mut tx, &claim).await, Err(Error::StaleFence)));
}

#[tokio::test]
async fn an_event_waits_for_whoever_ends_its_lease_and_is_refused_then() {
    let ground = Ground::new().await;
    ground.run("/srv/a", Priority::Normal).await;
    let claim = ground.claim().await.unwrap();
    let mut ending = ground.db.begin().await.unwrap();
    runs::lock(&mut ending, claim.run_id).await.unwrap();
    leases::give_back(&mut ending, &claim, "why").await.unwrap();
    let (database, late) = (ground.db.clone(), claim.clone());
    let event = NewEvent::of_step(EventType::StepProgress, claim.key.clone(), Some(1), serde_json::json!({}));
    let writing = tokio::spawn(async move {
        let mut tx = database.begin().await.unwrap();
        events::append_leased(&mut tx, &late, &[event]).await
    });
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while ground.number(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
    db::commit(ending).await.unwrap();
    assert!(matches!(writing.await.unwrap(), Err(Error::StaleFence)));
}

/// The constraint that a statement violates.
async fn refused(ground: &Ground, claim: &Claim, statement: &'static str) -> String {
    let outcome = sqlx::query(statement)
        .bind(claim.step_id.uuid())
        .bind(WorkerId::generate().uuid())
        .execute(ground.db.pool())
        .await;
    let error = outcome.unwrap_err();
    error.as_database_error().and_then(|error| error.constraint()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_database_refuses_what_no_code_should_do() {
    let ground = Ground::new().await;
    let (lost, held) = lost_and_held(&ground).await;
    let over = "update steps set fence = nextval('fences'), worker_id = $2 where id = $1";
    assert_eq!(refused(&ground, &held, over).await, "steps_fence", "a lease that holds is not taken over");
    let none = "update steps set lease_until = null, worker_id = $2 where id = $1";
    assert_eq!(refused(&ground, &held, none).await, "steps_lease", "a lease is whole");
    let again = "update attempts set result = $2::text where step_id = $1 and result = 'lost'";
    assert_eq!(refused(&ground, &lost, again).await, "attempts_fence", "an attempt ends once");
    let mut tx = ground.db.begin().await.unwrap();
    leases::give_back(&mut tx, &held, "why").await.unwrap();
    db::commit(tx).await.unwrap();
    let back = "update steps set status = 'running', fence = fence - 1, worker_id = $2, lease_until = now() where id = $1";
    assert_eq!(refused(&ground, &held, back).await, "steps_fence", "tokens only grow");
}
