//! The `Agent` trait, and what an agent is given and gives back.

use crate::failure::Failure;
use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;
use toryo_blackboard::BlobStore;
use toryo_domain::output::{
    CodeOutput, MergeOutput, PlanOutput, ReproduceOutput, RetrieveOutput, SpecOutput, TestOutput,
};
use toryo_domain::{
    Digest, EventType, NewEvent, Output, Role, RunId, StepId, StepKey, StepKind, Stopping, Task, Variant,
    WorkerId,
};

/// Why a step is given to another worker, as its event says.
pub(crate) const WORKER_LOST: &str = "its worker was lost";

/// A role: it reads the blackboard, uses its tools, and says what came of it. It never writes to the run itself.
#[async_trait]
pub trait Agent: Send + Sync + 'static {
    /// The role it plays; steps of that role's kinds are given to it.
    fn role(&self) -> Role;

    /// Executes one step. May be called again for the same step after a crash, so every effect outside is under
    /// a deterministic key, and model calls go through the gateway's journal.
    ///
    /// # Errors
    /// A classified failure; the class decides whether the step is tried again.
    async fn run(&self, ctx: &StepContext) -> Result<Output, Failure>;
}

/// Everything an agent may know about its step.
#[derive(Clone)]
pub struct StepContext {
    /// What was asked for.
    pub task: Task,
    /// The run.
    pub run_id: RunId,
    /// The step.
    pub step_id: StepId,
    /// The step's address.
    pub step_key: StepKey,
    /// Counted from 1.
    pub attempt: u32,
    /// The fencing token of the lease; a write with an older one is refused.
    pub fence: i64,
    /// Who executes it.
    pub worker_id: WorkerId,
    /// What the run's other steps left on the blackboard.
    pub outputs: Outputs,
    /// What people had written to the run when the step began, oldest first; [`Reporter::heard`] tells what came since.
    pub messages: Vec<HumanMessage>,
    /// What people and limits ask of the run beyond its task.
    pub orders: Orders,
    /// Ends when the run is cancelled, the lease is lost or the worker drains.
    pub cancel: CancellationToken,
    /// Where artifacts and file contents are kept.
    pub blobs: Arc<dyn BlobStore>,
    /// Where events and artifacts of a running step go.
    pub reporter: Arc<dyn Reporter>,
}

/// What people and limits ask of a run beyond its task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orders {
    /// The limit that stops the run, where one does: `draft` says so.
    pub stopping: Option<Stopping>,
    /// What a fork does otherwise.
    pub variant: Variant,
}

/// What a person wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HumanMessage {
    /// Who wrote it.
    pub author: String,
    /// What was written: untrusted text.
    pub body: String,
}

/// An artifact as its step names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArtifact {
    /// What it is: `diff`, `log`, `report`, `prompt`, `reply`, `context_pack`.
    pub kind: &'static str,
    /// A file name for people.
    pub name: String,
    /// Its media type.
    pub media_type: &'static str,
    /// The bytes' digest.
    pub digest: Digest,
    /// The bytes' length.
    pub size_bytes: u64,
}

/// Takes events and artifacts of a step while it runs, and gives it what people write meanwhile. The engine's own writes them to Postgres under the lease;
/// [`Recorder`] keeps them for tests.
#[async_trait]
pub trait Reporter: Send + Sync + 'static {
    /// Stores an event at once.
    ///
    /// # Errors
    /// The lease was lost, or the blackboard does not answer.
    async fn event(&self, event: NewEvent) -> Result<(), Failure>;

    /// Stores an artifact's row; its bytes are in the blob store already.
    ///
    /// # Errors
    /// The lease was lost, or the blackboard does not answer.
    async fn artifact(&self, artifact: NewArtifact) -> Result<(), Failure>;

    /// What people wrote since the step began or since this was asked last, oldest first: to be shown at the model call of
    /// this number, counted from 1. A later attempt gets the same at the same call, so that it finds the call's reply again.
    ///
    /// # Errors
    /// The lease was lost, or the blackboard does not answer.
    async fn heard(&self, call_no: u32) -> Result<Vec<HumanMessage>, Failure>;
}

impl StepContext {
    /// Stores an event of this step, visible to everybody at once. `data` is an object.
    ///
    /// # Errors
    /// The lease was lost, or the blackboard does not answer.
    pub async fn emit(&self, kind: EventType, data: Value) -> Result<(), Failure> {
        let event = NewEvent::of_step(kind, self.step_key.clone(), Some(self.attempt), data);
        self.reporter.event(event).await
    }

    /// Says in a line what the step is doing.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    pub async fn progress(&self, text: impl Into<String> + Send) -> Result<(), Failure> {
        self.emit(EventType::StepProgress, json!({ "text": text.into() })).await
    }

    /// Keeps bytes as an artifact of this step and returns their digest.
    ///
    /// # Errors
    /// The blob store or the blackboard does not answer, or the lease was lost.
    pub async fn keep(
        &self,
        kind: &'static str,
        name: impl Into<String> + Send,
        media_type: &'static str,
        bytes: impl Into<Bytes> + Send,
    ) -> Result<Digest, Failure> {
        let bytes = bytes.into();
        let size_bytes = bytes.len() as u64;
        let digest = self.blobs.put(bytes).await?;
        self.reporter
            .artifact(NewArtifact { kind, name: name.into(), media_type, digest, size_bytes })
            .await?;
        Ok(digest)
    }

    /// A failure where the step was cancelled; call it between two long pieces of work.
    ///
    /// # Errors
    /// The step was cancelled.
    pub fn checkpoint(&self) -> Result<(), Failure> {
        if self.cancel.is_cancelled() { Err(Failure::cancelled()) } else { Ok(()) }
    }
}

/// The outputs of all steps of a run that succeeded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outputs(BTreeMap<StepKey, Output>);

macro_rules! latest {
    ($($(#[$meta:meta])* $name:ident: $kind:ident -> $output:ty),+ $(,)?) => {$(
        $(#[$meta])*
        #[must_use]
        pub fn $name(&self, subtask: &str) -> Option<&$output> {
            match self.latest(StepKind::$kind, Some(subtask))? {
                Output::$kind(output) => Some(output),
                _ => None,
            }
        }
    )+};
}

impl Outputs {
    /// The output of one step.
    #[must_use]
    pub fn get(&self, key: &StepKey) -> Option<&Output> {
        self.0.get(key)
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&StepKey, &Output)> {
        self.0.iter()
    }

    /// The output of the highest round of this kind and subtask.
    #[must_use]
    pub fn latest(&self, kind: StepKind, subtask: Option<&str>) -> Option<&Output> {
        self.0
            .iter()
            .filter(|(key, _)| key.kind == kind && key.subtask.as_deref() == subtask)
            .max_by_key(|(key, _)| key.round)
            .map(|(_, output)| output)
    }

    /// The refined goal.
    #[must_use]
    pub fn spec(&self) -> Option<&SpecOutput> {
        match self.latest(StepKind::Spec, None)? {
            Output::Spec(output) => Some(output),
            _ => None,
        }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> Option<&PlanOutput> {
        match self.latest(StepKind::Plan, None)? {
            Output::Plan(output) => Some(output),
            _ => None,
        }
    }

    /// The latest join.
    #[must_use]
    pub fn merge(&self) -> Option<&MergeOutput> {
        match self.latest(StepKind::Merge, None)? {
            Output::Merge(output) => Some(output),
            _ => None,
        }
    }

    latest! {
        /// A subtask's context pack.
        retrieve: Retrieve -> RetrieveOutput,
        /// A subtask's tests written first.
        reproduce: Reproduce -> ReproduceOutput,
        /// A subtask's latest edits.
        code: Code -> CodeOutput,
        /// A subtask's latest test run.
        test: Test -> TestOutput,
        /// A subtask's latest review.
        critic: Critic -> toryo_domain::output::CriticOutput,
    }
}

impl FromIterator<(StepKey, Output)> for Outputs {
    fn from_iter<I: IntoIterator<Item = (StepKey, Output)>>(outputs: I) -> Self {
        Self(outputs.into_iter().collect())
    }
}

/// A reporter that keeps what it is given, for tests of agents.
#[derive(Debug, Default)]
pub struct Recorder {
    events: Mutex<Vec<NewEvent>>,
    artifacts: Mutex<Vec<NewArtifact>>,
    messages: Mutex<BTreeMap<u32, Vec<HumanMessage>>>,
}

impl Recorder {
    /// Lets the step hear these messages at its model call of this number.
    pub fn say_at(&self, call_no: u32, messages: Vec<HumanMessage>) {
        self.messages.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(call_no, messages);
    }

    /// The events so far.
    #[must_use]
    pub fn events(&self) -> Vec<NewEvent> {
        self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// The artifacts so far.
    #[must_use]
    pub fn artifacts(&self) -> Vec<NewArtifact> {
        self.artifacts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Reporter for Recorder {
    async fn event(&self, event: NewEvent) -> Result<(), Failure> {
        self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event);
        Ok(())
    }

    async fn artifact(&self, artifact: NewArtifact) -> Result<(), Failure> {
        self.artifacts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(artifact);
        Ok(())
    }

    async fn heard(&self, call_no: u32) -> Result<Vec<HumanMessage>, Failure> {
        let messages = self.messages.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(messages.get(&call_no).cloned().unwrap_or_default())
    }
}
