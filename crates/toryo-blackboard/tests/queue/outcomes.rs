//! Outcomes stored many at a time: each by itself whole or not at all, under its fence, and only where the run is as it
//! was seen.

use crate::{Ground, claimant};
use serde_json::json;
use toryo_blackboard::outcomes::{self, Heir, Outcome, Stored, View};
use toryo_blackboard::{
    Ceilings, Claim, Claimant, Claimed, StepRow, db, events, leases, messages, runs, steps,
};
use toryo_domain::output::PlanOutput;
use toryo_domain::{EventType, NewEvent, Output, Plan, Priority, StepId, StepKey, StepKind, StepStatus};

const ACME: &str = "https://forge.example/acme/shop";
const OTHER: &str = "https://forge.example/other/shop";
const VERSION: i16 = 2;

/// A leased step, and its run as it was seen then.
struct Work {
    claim: Claim,
    view: View,
}

async fn work(ground: &Ground, claimant: &Claimant, ceilings: Ceilings) -> Work {
    let Claimed::Lease(claim, _) = ground.claim_under(claimant, ceilings).await else { panic!("nothing") };
    let view = outcomes::see(&ground.db, claim.run_id).await.unwrap();
    Work { claim, view }
}

/// A run with a leased step.
async fn begun(ground: &Ground, url: &str) -> Work {
    ground.run(url, Priority::Normal).await;
    work(ground, &claimant(), Ceilings::default()).await
}

fn output() -> Output {
    Output::Plan(PlanOutput { plan: Plan { summary: "as it\0was".into(), subtasks: vec![] } })
}

impl Work {
    /// An outcome that makes `key` ready, appended where it is not there yet.
    fn outcome(&self, key: &str, heir: Option<&Claimant>) -> Outcome {
        let mut outcome = Outcome::new(&self.view, &self.claim, &output()).unwrap();
        let key: StepKey = key.parse().unwrap();
        let known = self.view.steps.iter().find(|step| step.key == key).map(|step| step.id);
        let step = known.unwrap_or_else(StepId::generate);
        if known.is_none() {
            outcome.append.push(StepRow {
                id: step,
                key: key.clone(),
                role: key.kind.role(),
                status: StepStatus::Ready,
                depends_on: vec![self.claim.key.clone()],
                output: None,
                ..self.view.steps[0].clone()
            });
        }
        outcome.waking.push(step);
        let done = NewEvent::of_step(EventType::StepSucceeded, self.claim.key.clone(), Some(1), json!({}));
        let ready =
            NewEvent::of_step(EventType::StepReady, key.clone(), None, json!({ "role": key.kind.role() }));
        outcome.events = vec![done, ready, NewEvent::of_run(EventType::PolicyDecision, json!({ "n": 3 }))];
        outcome.heir = heir.map(|claimant| Heir {
            step,
            key,
            worker: claimant.worker,
            lease: claimant.lease,
            place: 2,
            started: json!({ "worker_id": claimant.worker }),
        });
        outcome
    }
}

async fn store(ground: &Ground, outcomes: &[Outcome]) -> Vec<Option<Stored>> {
    outcomes::commit(&ground.db, VERSION, outcomes).await.unwrap()
}

async fn told(ground: &Ground, work: &Work) -> Vec<(u64, EventType)> {
    let all = events::after(&ground.db, work.claim.run_id, 0, 100).await.unwrap();
    all.iter().map(|event| (event.seq, event.kind)).collect()
}

#[tokio::test]
async fn outcomes_of_many_runs_are_stored_at_once_each_with_what_follows() {
    let ground = Ground::new().await;
    let (one, two) = (begun(&ground, ACME).await, begun(&ground, ACME).await);
    let claimant = claimant();
    let stored = store(&ground, &[one.outcome("plan", Some(&claimant)), two.outcome("plan", None)]).await;
    let [Some(first), Some(second)] = stored.as_slice() else { panic!("{stored:?}") };
    let heir = first.heir.clone().unwrap();
    assert_eq!((heir.attempt, heir.key.kind, heir.run_id), (1, StepKind::Plan, one.claim.run_id));
    assert_eq!((first.seq, second.seq, second.heir.as_ref()), (6, 5, None));
    assert_eq!(
        told(&ground, &one).await,
        [
            (1, EventType::RunStarted),
            (2, EventType::StepStarted),
            (3, EventType::StepSucceeded),
            (4, EventType::StepReady),
            (5, EventType::StepStarted),
            (6, EventType::PolicyDecision)
        ]
    );
    assert_eq!(told(&ground, &two).await.len(), 5);
    let disordered = "select count(*) from (select at, lag(at) over (partition by run_id order by seq) as before \
                      from events) as told where at < before";
    assert_eq!(ground.number(disordered).await, 0, "events are told in the order of time");
    assert_eq!(ground.number("select count(*) from outbox").await, 1, "the heir needs no message");
    let open = "select count(*) from attempts where finished_at is null";
    assert_eq!(ground.number(open).await, 1, "the heir's");
    let rows = steps::of_run(&ground.db, two.claim.run_id).await.unwrap();
    let Some(Output::Plan(kept)) = &rows[0].output else { panic!("no output") };
    assert_eq!(kept.plan.summary, "as it\u{fffd}was");
    assert_eq!(rows[1].depends_on, std::slice::from_ref(&two.claim.key));
    assert_eq!(ground.claim().await.unwrap().step_id, rows[1].id);
    // The lease of the heir is one like every other.
    let mut tx = ground.db.begin().await.unwrap();
    leases::check_fence(&mut tx, heir.step_id, heir.fence).await.unwrap();
    assert_eq!(leases::followed(&mut tx, &one.claim).await.unwrap(), Some(heir));
}

#[tokio::test]
async fn a_step_that_waited_goes_to_the_heir_as_well() {
    let ground = Ground::new().await;
    let (run, _) = ground.run(ACME, Priority::Normal).await;
    let mut tx = ground.db.begin().await.unwrap();
    let key: StepKey = "plan".parse().unwrap();
    let pending = toryo_blackboard::NewStep { key, depends_on: vec![] };
    steps::append(&mut tx, run, Priority::Normal.rank(), &pending).await.unwrap();
    db::commit(tx).await.unwrap();
    let claimant = claimant();
    let work = work(&ground, &claimant, Ceilings { tenant: Some(1), repository: Some(1) }).await;
    let stored = store(&ground, &[work.outcome("plan", Some(&claimant))]).await;
    let heir = stored[0].as_ref().unwrap().heir.clone().unwrap();
    assert_eq!(heir.attempt, 1);
    let places = "select count(*) from steps where status = 'running' and tenant_slot = 1 and repo_slot = 1";
    assert_eq!(ground.number(places).await, 1, "it took over the places under the limits");
}

#[tokio::test]
async fn nothing_is_stored_where_the_run_is_not_as_it_was_seen() {
    let ground = Ground::new().await;
    let work = begun(&ground, ACME).await;
    let other = begun(&ground, ACME).await;
    let run = work.claim.run_id;
    let refused = async |what: &str| {
        let stored = store(&ground, &[work.outcome("plan", None), other.outcome("plan", None)]).await;
        assert_eq!(stored[0], None, "{what}");
        stored[1].is_some()
    };
    let before = told(&ground, &work).await;
    let mut tx = ground.db.begin().await.unwrap();
    runs::lock(&mut tx, run).await.unwrap();
    assert!(refused("somebody has locked it").await, "the other one is stored all the same");
    let mut locked = runs::lock(&mut tx, run).await.unwrap();
    locked.control.approved_plan = Some(1);
    runs::set_control(&mut tx, run, &locked.control).await.unwrap();
    db::commit(tx).await.unwrap();
    refused("a person has decided something").await;
    sqlx::query("update runs set control = '{}' where id = $1")
        .bind(run.uuid())
        .execute(ground.db.pool())
        .await
        .unwrap();
    sqlx::query("update steps set epoch = 1 where run_id = $1")
        .bind(run.uuid())
        .execute(ground.db.pool())
        .await
        .unwrap();
    refused("a step was opened again").await;
    sqlx::query("update steps set epoch = 0 where run_id = $1")
        .bind(run.uuid())
        .execute(ground.db.pool())
        .await
        .unwrap();
    sqlx::query("update runs set needs_version = 3").execute(ground.db.pool()).await.unwrap();
    refused("it has grown beyond what this engine understands").await;
    sqlx::query("update runs set needs_version = 1").execute(ground.db.pool()).await.unwrap();
    assert_eq!(told(&ground, &work).await, before, "nothing was written");
    let again = store(&ground, &[work.outcome("plan", None)]).await;
    assert!(again[0].is_some());
    assert_eq!(store(&ground, &[work.outcome("plan", None)]).await, [None], "it is stored already");
}

#[tokio::test]
async fn a_stale_token_stores_nothing() {
    let ground = Ground::new().await;
    let work = begun(&ground, ACME).await;
    let mut tx = ground.db.begin().await.unwrap();
    leases::give_back(&mut tx, &work.claim, "the test says so").await.unwrap();
    db::commit(tx).await.unwrap();
    let newer = ground.claim().await.unwrap();
    assert_eq!(newer.step_id, work.claim.step_id);
    let mut seen = Work { claim: work.claim, view: outcomes::see(&ground.db, newer.run_id).await.unwrap() };
    assert_eq!(store(&ground, &[seen.outcome("plan", None)]).await, [None]);
    assert_eq!(ground.number("select count(*) from steps where output is not null").await, 0);
    seen.claim = newer;
    assert!(store(&ground, &[seen.outcome("plan", None)]).await[0].is_some());
}

#[tokio::test]
async fn whoever_comes_first_comes_before_the_heir() {
    let ground = Ground::new().await;
    let claimant = claimant();
    let follows = async |work: &Work| {
        let stored = store(&ground, &[work.outcome("plan", Some(&claimant))]).await;
        stored[0].as_ref().unwrap().heir.is_some()
    };
    let all: Vec<Work> =
        [begun(&ground, ACME).await, begun(&ground, ACME).await, begun(&ground, ACME).await].into();
    ground.run(ACME, Priority::Normal).await;
    assert!(
        follows(&all[0]).await,
        "a run that has begun is finished before another one of its tenant begins"
    );
    let (urgent, _) = ground.run(ACME, Priority::High).await;
    assert!(!follows(&all[1]).await, "a more urgent step comes first");
    let mut tx = ground.db.begin().await.unwrap();
    steps::cancel_all(&mut tx, urgent).await.unwrap();
    db::commit(tx).await.unwrap();
    ground.run(OTHER, Priority::Low).await;
    assert!(!follows(&all[2]).await, "another tenant comes first");
}

#[tokio::test]
async fn a_run_that_succeeds_ends_with_its_outcome_and_what_people_wrote_is_known() {
    let ground = Ground::new().await;
    let work = begun(&ground, ACME).await;
    let mut tx = ground.db.begin().await.unwrap();
    messages::insert(&mut tx, work.claim.run_id, "ada", "mind the tests").await.unwrap();
    db::commit(tx).await.unwrap();
    let newest = messages::of_run(&ground.db, work.claim.run_id).await.unwrap()[0].n;
    let claimant = claimant();
    let stored = store(&ground, &[work.outcome("plan", Some(&claimant))]).await;
    let stored = stored[0].clone().unwrap();
    assert_eq!(stored.newest_message, newest);
    let view = outcomes::see(&ground.db, work.claim.run_id).await.unwrap();
    assert_eq!(view.newest_message, newest);
    let last = Work { claim: stored.heir.unwrap(), view };
    let mut end = Outcome::new(&last.view, &last.claim, &output()).unwrap();
    end.is_end = true;
    end.kept.best_diff = Some("sha256:1".into());
    end.kept.result = Some((["toryo/x".into(), "ab".repeat(20)], json!(null)));
    end.events = vec![NewEvent::of_run(EventType::RunSucceeded, json!({}))];
    assert!(store(&ground, &[end]).await[0].is_some());
    let run = runs::get(&ground.db, work.claim.run_id).await;
    let branch = "select count(*) from runs where status = 'succeeded' and branch = 'toryo/x' and finished_at is not null \
                  and active_since is null and last_seq = 7";
    assert_eq!(ground.number(branch).await, 1, "{run:?}");
}
