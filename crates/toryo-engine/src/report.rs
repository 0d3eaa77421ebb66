//! The engine's reporter: events and artifacts of a running step go to Postgres at once, under its lease.

use crate::Failure;
use crate::agent::{HumanMessage, NewArtifact, Reporter};
use crate::boundary::{Boundary, reached_by};
use crate::engine::Engine;
use crate::inbox::Inbox;
use async_trait::async_trait;
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use toryo_blackboard::{Claim, Error, artifacts, db, events, runs, steps};
use toryo_domain::{EventType, NewEvent};

/// Tries while the database does not answer: a restart of it should not cost a step.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Reports for one attempt.
pub struct LeaseReporter {
    engine: Engine,
    claim: Claim,
    inbox: Inbox,
}

impl LeaseReporter {
    /// Reports for this lease, and reads its messages.
    #[must_use]
    pub(crate) const fn new(engine: Engine, claim: Claim, inbox: Inbox) -> Self {
        Self { engine, claim, inbox }
    }

    async fn store_event(&self, event: &NewEvent, again: bool) -> Result<(), Error> {
        let mut tx = self.engine.db.begin().await?;
        if again {
            // The answer to an earlier commit may have been lost on the way.
            runs::lock(&mut tx, self.claim.run_id).await?;
            let renamed = NewEvent { kind: EventType::PullRequestOpened, ..event.clone() };
            for event in [Some(event), is_of_pull_request(event).then_some(&renamed)].into_iter().flatten() {
                if events::is_stored(&mut tx, self.claim.run_id, event).await? {
                    return Ok(());
                }
            }
        }
        let event = self.named(&mut tx, event).await?;
        let seq = events::append_leased(&mut tx, &self.claim, std::slice::from_ref(&*event)).await?;
        reached_by(Boundary::EventWritten, &self.claim.key).await?;
        db::commit(tx).await?;
        reached_by(Boundary::EventCommitted, &self.claim.key).await?;
        self.engine.told(self.claim.run_id, seq).await;
        Ok(())
    }

    /// A run's pull request is opened once and updated from then on. Which of the two it is, the run's events know: an
    /// attempt that finds it open may come after one that opened it and died before it could say so.
    async fn named<'a>(
        &self,
        tx: &mut db::Connection,
        event: &'a NewEvent,
    ) -> Result<Cow<'a, NewEvent>, Error> {
        if !is_of_pull_request(event) {
            return Ok(Cow::Borrowed(event));
        }
        runs::lock(tx, self.claim.run_id).await?;
        let told = events::has(tx, self.claim.run_id, EventType::PullRequestOpened).await?;
        let kind = if told { EventType::PullRequestUpdated } else { EventType::PullRequestOpened };
        Ok(Cow::Owned(NewEvent { kind, ..event.clone() }))
    }

    async fn store_artifact(&self, artifact: &NewArtifact) -> Result<(), Error> {
        let mut tx = self.engine.db.begin().await?;
        runs::lock(&mut tx, self.claim.run_id).await?;
        steps::check_fence(&mut tx, self.claim.step_id, self.claim.fence).await?;
        let new = artifacts::NewArtifact {
            kind: artifact.kind,
            name: &artifact.name,
            media_type: artifact.media_type,
            digest: artifact.digest,
            size_bytes: artifact.size_bytes,
        };
        artifacts::insert(&mut tx, self.claim.run_id, self.claim.step_id, &self.claim.key, &new).await?;
        db::commit(tx).await
    }
}

fn is_of_pull_request(event: &NewEvent) -> bool {
    matches!(event.kind, EventType::PullRequestOpened | EventType::PullRequestUpdated)
}

/// Calls `attempt` until it succeeds or fails for another reason than a database that does not answer.
pub(crate) async fn patiently<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut tries = 1;
    loop {
        match attempt().await {
            Err(Error::Unavailable(_)) if tries < TRIES => tries += 1,
            outcome => return outcome,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[async_trait]
impl Reporter for LeaseReporter {
    async fn event(&self, event: NewEvent) -> Result<(), Failure> {
        let tried = AtomicBool::new(false);
        Ok(patiently(|| self.store_event(&event, tried.swap(true, Ordering::Relaxed))).await?)
    }

    async fn artifact(&self, artifact: NewArtifact) -> Result<(), Failure> {
        Ok(patiently(|| self.store_artifact(&artifact)).await?)
    }

    async fn heard(&self, call_no: u32) -> Result<Vec<HumanMessage>, Failure> {
        Ok(patiently(|| self.inbox.before_call(call_no)).await?)
    }
}
