//! Rows whose parent is not there: events, steps, attempts and triggers have no foreign keys, because the check of each row
//! cost as much as writing it. Instead every statement takes the parent from a row that it reads, locks or has just
//! written, and nothing deletes a parent.

use crate::{Ground, claimant};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use toryo_blackboard::outcomes::{self, Outcome};
use toryo_blackboard::{
    Ceilings, Claim, Claimed, Error, MemoryBlobs, NewStep, archive, db, events, graph, leases, runs, steps,
};
use toryo_domain::output::PlanOutput;
use toryo_domain::{
    EventType, NewEvent, Output, Plan, Priority, RunId, RunSignal, StepId, StepKey, StepKind, TaskId,
};

const ORPHANS: [(&str, &str); 4] = [
    ("events", "select count(*) from events where not exists (select from runs where runs.id = run_id)"),
    ("steps", "select count(*) from steps where not exists (select from runs where runs.id = run_id)"),
    (
        "attempts",
        "select count(*) from attempts where not exists (select from steps where steps.id = step_id)",
    ),
    ("runs", "select count(*) from runs where not exists (select from tasks where tasks.id = task_id)"),
];

async fn assert_no_orphans(ground: &Ground, after: &str) {
    for (table, statement) in ORPHANS {
        assert_eq!(ground.number(statement).await, 0, "{table} without a parent after {after}");
    }
}

fn output() -> Output {
    Output::Plan(PlanOutput { plan: Plan { summary: "one".into(), subtasks: vec![] } })
}

#[tokio::test]
async fn nothing_is_written_for_a_run_that_is_not_there() {
    let ground = Ground::new().await;
    ground.run("/srv/a", Priority::Normal).await;
    let done = ground.claim().await.unwrap();
    let mut tx = ground.db.begin().await.unwrap();
    leases::succeed(&mut tx, &done, &output()).await.unwrap();
    db::commit(tx).await.unwrap();
    ground.run("/srv/a", Priority::Normal).await;
    let Claimed::Lease(held, _) = ground.claim_under(&claimant(), Ceilings::default()).await else {
        panic!("nothing")
    };
    let view = outcomes::see(&ground.db, held.run_id).await.unwrap();
    let nowhere = Claim { run_id: RunId::generate(), ..held.clone() };
    let event = NewEvent::of_run(EventType::StepLog, json!({}));
    let key = StepKey::of_run(StepKind::Plan);
    let before = ground.number("select count(*) from events").await;
    for way in ["event", "leased event", "step", "shared steps", "lock", "run"] {
        let mut tx = ground.db.begin().await.unwrap();
        let written = match way {
            "event" => events::append(&mut tx, nowhere.run_id, std::slice::from_ref(&event)).await.map(drop),
            "leased event" => {
                events::append_leased(&mut tx, &nowhere, std::slice::from_ref(&event)).await.map(drop)
            }
            "step" => {
                let step = NewStep { key: key.clone(), depends_on: vec![] };
                steps::append(&mut tx, nowhere.run_id, 1, &step).await.map(drop)
            }
            "shared steps" => {
                let all = [done.key.clone()];
                graph::share(&mut tx, done.run_id, nowhere.run_id, 1, &all).await.map(drop)
            }
            "lock" => runs::lock(&mut tx, nowhere.run_id).await.map(drop),
            _ => runs::insert(&mut tx, TaskId::generate()).await.map(drop),
        };
        // Some say so, others find nothing to write.
        assert!(
            matches!(written, Ok(()) | Err(Error::NotFound { .. } | Error::StaleFence)),
            "{way}: {written:?}"
        );
        db::commit(tx).await.unwrap();
        assert_no_orphans(&ground, way).await;
    }
    let outcome = |claim: &Claim| Outcome::new(&view, claim, &output()).unwrap();
    let unknown = Claim { step_id: StepId::generate(), ..held.clone() };
    for wrong in [&nowhere, &unknown] {
        let mut new = outcome(wrong);
        new.events = vec![event.clone()];
        assert_eq!(outcomes::commit(&ground.db, 2, &[new]).await.unwrap(), [None]);
    }
    assert_no_orphans(&ground, "an outcome").await;
    assert_eq!(ground.number("select count(*) from events").await, before);
    assert_eq!(
        leases::extend(&ground.db, &[held.fence], Duration::from_secs(9)).await.unwrap(),
        [held.fence]
    );
}

#[tokio::test]
async fn an_archived_run_leaves_no_orphan() {
    let ground = Ground::new().await;
    let (run, _) = ground.run("/srv/a", Priority::Normal).await;
    ground.claim().await.unwrap();
    let mut tx = ground.db.begin().await.unwrap();
    let mut row = runs::lock(&mut tx, run).await.unwrap();
    leases::cancel_all(&mut tx, run).await.unwrap();
    runs::signal(&mut tx, &mut row, RunSignal::Cancel, None, None).await.unwrap();
    db::commit(tx).await.unwrap();
    assert!(archive::archive(&ground.db, &MemoryBlobs::default(), run).await.unwrap());
    assert_no_orphans(&ground, "the archive").await;
    assert_eq!(ground.number("select count(*) from events").await, 0);
    assert_eq!(ground.number("select count(*) from attempts").await, 1, "what was done stays");
}

#[test]
fn nothing_deletes_a_parent() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut read = 0;
    for folder in [here.join("src"), here.join("queries"), here.join("../../migrations")] {
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                read += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                for table in ["runs", "steps", "tasks"] {
                    for word in ["delete from", "truncate", "drop table"] {
                        for end in [" ", "\n", ";", "\""] {
                            let statement = format!("{word} {table}{end}");
                            assert!(!text.contains(&statement), "{}: {statement}", path.display());
                        }
                    }
                }
            }
        }
    }
    assert!(read > 40, "the statements were not found");
}
