//! The ports of the agents, real ones, with a boundary before and after whatever they do.

use async_trait::async_trait;
use bytes::Bytes;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_blackboard::{BlobStore, FolderBlobs};
use toryo_domain::{CommitId, Digest, FailureClass, NewPullRequest, RunId, StepId};
use toryo_engine::boundary::{Boundary, reached, reached_by};
use toryo_forge::{Checkout, Forge, Local, Mirror, Opened};
use toryo_models::journal::postgres::PostgresJournal;
use toryo_models::journal::{CallKey, CallRecord, Journal, JournalError, Reserved, Spent, StoredReply};
use toryo_models::provider::{Answer, Ask, ModelProvider, ProviderError};
use toryo_models::request::Caller;

/// One line for everything that happens to a reply, by all processes, in the order in which it happens: the file is
/// opened for appending, and a line is one write.
#[derive(Clone)]
pub struct Notes(Arc<File>);

impl Notes {
    pub fn open(file: &Path) -> std::io::Result<Self> {
        Ok(Self(Arc::new(File::options().create(true).append(true).open(file)?)))
    }

    fn add(&self, what: &str, step: StepId, call: u32) {
        let line = format!("{what} {step} {call} {}\n", std::process::id());
        // A note that is not written would only hide a success: the file is looked at for failures.
        let _lost = (&*self.0).write_all(line.as_bytes());
    }
}

/// The journal in Postgres.
pub struct Noted {
    pub journal: PostgresJournal,
    pub notes: Notes,
}

fn store(error: toryo_blackboard::Error) -> JournalError {
    JournalError::Store { class: error.class(), source: error.into() }
}

#[async_trait]
impl Journal for Noted {
    async fn find(&self, key: &CallKey) -> Result<Option<StoredReply>, JournalError> {
        self.notes.add("looking", key.step_id, key.call_no);
        let found = self.journal.find(key).await?;
        self.notes.add(if found.is_some() { "found" } else { "missing" }, key.step_id, key.call_no);
        Ok(found)
    }

    async fn record(&self, caller: &Caller, record: &CallRecord) -> Result<(), JournalError> {
        self.journal.record(caller, record).await?;
        self.notes.add("journalled", record.key.step_id, record.key.call_no);
        reached_by(Boundary::ReplyJournalled, &caller.step_key).await.map_err(store)
    }

    async fn reserve(&self, caller: &Caller, most: Spent) -> Result<Reserved, JournalError> {
        self.journal.reserve(caller, most).await
    }

    async fn release(&self, caller: &Caller) -> Result<(), JournalError> {
        self.journal.release(caller).await
    }

    async fn spent(&self, run: RunId) -> Result<Spent, JournalError> {
        self.journal.spent(run).await
    }
}

/// A provider over the wire.
pub struct Asked {
    pub provider: Arc<dyn ModelProvider>,
    pub notes: Notes,
}

#[async_trait]
impl ModelProvider for Asked {
    async fn send(&self, ask: Ask<'_>) -> Result<Answer, ProviderError> {
        let failed =
            |_| ProviderError::Unavailable { status: None, retry_after: None, message: "armed".into() };
        let Some(caller) = ask.step else { return self.provider.send(ask).await };
        reached_by(Boundary::ModelAsking, &caller.step_key).await.map_err(failed)?;
        self.notes.add("asking", caller.step_id, caller.call_no);
        let answer = self.provider.send(ask).await?;
        self.notes.add("answered", caller.step_id, caller.call_no);
        // A reply that is thrown away here is asked for again: a failure of the network would have the same price.
        reached_by(Boundary::ModelAnswered, &caller.step_key).await.map_err(failed)?;
        Ok(answer)
    }
}

/// The local forge.
pub struct Published(pub Local);

fn kept(error: toryo_blackboard::Error) -> toryo_forge::Error {
    toryo_forge::Error::Store { class: FailureClass::Transient, source: error.into() }
}

#[async_trait]
impl Forge for Published {
    async fn check(&self, repo_url: &str, base_branch: Option<&str>) -> Result<(), toryo_forge::Error> {
        self.0.check(repo_url, base_branch).await
    }

    async fn fetch(
        &self,
        repo_url: &str,
        base_branch: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Checkout, toryo_forge::Error> {
        self.0.fetch(repo_url, base_branch, cancel).await
    }

    async fn mirror(
        &self,
        repo_url: &str,
        commit: &CommitId,
        cancel: &CancellationToken,
    ) -> Result<Mirror, toryo_forge::Error> {
        self.0.mirror(repo_url, commit, cancel).await
    }

    async fn publish(
        &self,
        repo_url: &str,
        mirror: &Mirror,
        branch: &str,
        commit: &CommitId,
    ) -> Result<(), toryo_forge::Error> {
        reached(Boundary::BranchPublishing).await.map_err(kept)?;
        self.0.publish(repo_url, mirror, branch, commit).await?;
        reached(Boundary::BranchPublished).await.map_err(kept)
    }

    async fn open_pull_request(&self, request: &NewPullRequest) -> Result<Opened, toryo_forge::Error> {
        let opened = self.0.open_pull_request(request).await?;
        reached(Boundary::PullRequestOpened).await.map_err(kept)?;
        Ok(opened)
    }
}

/// Blobs in a folder.
pub struct Put(pub FolderBlobs);

#[async_trait]
impl BlobStore for Put {
    async fn put(&self, bytes: Bytes) -> Result<Digest, toryo_blackboard::Error> {
        reached(Boundary::BlobPutting).await?;
        let digest = self.0.put(bytes).await?;
        reached(Boundary::BlobPut).await?;
        Ok(digest)
    }

    async fn get(&self, digest: &Digest) -> Result<Bytes, toryo_blackboard::Error> {
        self.0.get(digest).await
    }

    async fn old(&self, first: u8, age: Duration) -> Result<Vec<Digest>, toryo_blackboard::Error> {
        self.0.old(first, age).await
    }

    async fn delete(&self, digest: &Digest, age: Duration) -> Result<bool, toryo_blackboard::Error> {
        self.0.delete(digest, age).await
    }
}

/// How long a test command takes here.
pub const TEST_COMMAND: Duration = Duration::from_millis(20);
