//! The queue on a real Postgres: who gets the next step, how many run at once, and what the database refuses.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod archives;
mod claims;
mod events;
mod fences;
mod keys;
mod orphans;
mod outcomes;
mod plan;

use std::time::Duration;
use toryo_blackboard::{
    Ceilings, Claim, Claimant, Claimed, Db, NewStep, db, leases, repos, runs, steps, tasks,
};
use toryo_domain::{Approval, Limits, NewTask, Priority, Role, RunId, StepId, StepKey, StepKind, WorkerId};
use toryo_testkit::stack::Services;

/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// No lease of a test runs out by itself.
const LONG: Duration = Duration::from_secs(600);

/// A database of its own.
pub struct Ground {
    /// Its connections.
    pub db: Db,
}

impl Ground {
    /// An empty one.
    pub async fn new() -> Self {
        let services = Services::shared().await;
        // Without optimisation a password takes a while to prove, and a test proves sixteen of them on one thread.
        let db = Db::connect_within(&services.database_url, 16, PATIENCE).await.unwrap();
        db.migrate().await.unwrap();
        Self { db }
    }

    /// A run with one ready step.
    pub async fn run(&self, repo_url: &str, priority: Priority) -> (RunId, StepId) {
        let mut tx = self.db.begin().await.unwrap();
        let repo = repos::ensure(&mut tx, repo_url).await.unwrap();
        let task = tasks::insert(&mut tx, repo, &wish(repo_url, priority)).await.unwrap();
        let run = runs::insert(&mut tx, task).await.unwrap();
        let key = StepKey::of_run(StepKind::Spec);
        let step = NewStep { key: key.clone(), depends_on: vec![] };
        steps::append(&mut tx, run, priority.rank(), &step).await.unwrap();
        let step = steps::unblock(&mut tx, run, &key).await.unwrap();
        db::commit(tx).await.unwrap();
        (run, step)
    }

    /// As many runs with one ready step each.
    pub async fn runs(&self, count: usize, repo_url: &str) {
        for _ in 0..count {
            self.run(repo_url, Priority::Normal).await;
        }
    }

    /// Moves the time at which a step became ready.
    pub async fn aged(&self, step: StepId, minutes: i32) {
        sqlx::query("update steps set ready_at = ready_at - make_interval(mins => $2) where id = $1")
            .bind(step.uuid())
            .bind(minutes)
            .execute(self.db.pool())
            .await
            .unwrap();
    }

    /// Claims under these ceilings.
    pub async fn claim_under(&self, claimant: &Claimant, ceilings: Ceilings) -> Claimed {
        let mut tx = self.db.begin().await.unwrap();
        let claimed = leases::claim(&mut tx, claimant, ceilings, &[]).await.unwrap();
        if let Claimed::Lease(..) = &claimed {
            db::commit(tx).await.unwrap();
        }
        claimed
    }

    /// A lease on whatever is next.
    pub async fn claim(&self) -> Option<Claim> {
        match self.claim_under(&claimant(), Ceilings::default()).await {
            Claimed::Lease(claim, _) => Some(claim),
            Claimed::Nothing => None,
            other => panic!("{other:?}"),
        }
    }

    /// A number that a statement gives.
    pub async fn number(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(self.db.pool()).await.unwrap()
    }
}

/// A worker that does everything.
pub fn claimant() -> Claimant {
    Claimant { worker: WorkerId::generate(), roles: Role::ALL.to_vec(), lease: LONG, version: 1 }
}

fn wish(repo_url: &str, priority: Priority) -> NewTask {
    NewTask {
        repo_url: repo_url.into(),
        goal: "make it right".into(),
        issue_id: None,
        base_branch: None,
        constraints: vec![],
        acceptance_criteria: vec![],
        priority,
        approval: Approval::None,
        limits: Limits::default(),
        labels: vec![],
        source: "api".into(),
    }
}
