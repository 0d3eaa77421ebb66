//! Runs, steps, events and artifacts over the wire.

use crate::wire::schemas;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use toryo_blackboard::{Artifact, Origin, Run, StepRow};
use toryo_domain::{
    Approval, ArtifactId, Digest, Event, EventType, FailureClass, Gate, Limits, Priority, Role, RunId,
    RunStatus, StepId, StepStatus, TaskId,
};
use utoipa::{IntoParams, ToSchema};

/// Which runs to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RunParams {
    /// Only those in this status.
    #[param(schema_with = schemas::run_status, required = false)]
    pub status: Option<RunStatus>,
    /// Only those of this repository, as the task named it.
    pub repo: Option<String>,
    /// Only those made at or after this time (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<DateTime<Utc>>,
    /// Items a page, 1 to 200; 50 where it is not named.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Which events to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventParams {
    /// Only events with a higher number.
    pub after: Option<u64>,
    /// The `next_cursor` of the page before; goes before `after`.
    pub cursor: Option<u64>,
    /// Events a page, 1 to 1000; 200 where it is not named.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// From where on to stream.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StreamParams {
    /// Only events with a higher number. The header `Last-Event-ID` goes before it.
    pub after: Option<u64>,
}

/// A run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub struct RunView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    id: RunId,
    /// The task it tries to satisfy.
    #[schema(value_type = String, format = Uuid)]
    task_id: TaskId,
    /// The repository as the task names it.
    repo_url: String,
    /// The task's goal.
    goal: String,
    /// The Spec-Refiner's title, once there is one.
    title: Option<String>,
    /// Where it stands.
    #[schema(schema_with = schemas::run_status)]
    status: RunStatus,
    /// Why it stands there, for people.
    status_reason: Option<String>,
    /// What a person is asked to approve.
    #[schema(schema_with = schemas::gate)]
    gate: Option<Gate>,
    /// The branch it started from.
    base_branch: Option<String>,
    /// The commit it started from.
    #[schema(value_type = Option<String>)]
    base_commit: Option<toryo_domain::CommitId>,
    /// What came of it; its fields are null until they exist.
    result: RunResult,
    /// Cost of its model calls in US dollars.
    #[schema(value_type = f64)]
    cost: toryo_domain::Usd,
    /// Tokens sent to models.
    tokens_in: u64,
    /// Tokens received from models.
    tokens_out: u64,
    /// What it may use.
    #[schema(inline, value_type = LimitsView)]
    limits: Limits,
    /// How urgent it is.
    #[schema(schema_with = schemas::priority)]
    priority: Priority,
    /// Where a person wants to approve.
    #[schema(schema_with = schemas::approval)]
    approval: Approval,
    /// Whether replies came from a recording instead of a model.
    replay: bool,
    /// Milliseconds it has run so far; waiting for people is not counted.
    active_ms: u64,
    /// The run it was forked from, and where.
    #[schema(inline)]
    fork_of: Option<ForkView>,
    /// The number of its newest event.
    last_seq: u64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: DateTime<Utc>,
    /// When a worker began.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<DateTime<Utc>>,
    /// Where more of it is.
    links: RunLinks,
}

/// Where a fork comes from, and what it does otherwise.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForkOf)]
pub struct ForkView {
    /// The run it shares its beginning with.
    #[schema(value_type = String, format = Uuid)]
    pub run_id: RunId,
    /// The first step that is not shared.
    #[schema(example = "code:parse-dates")]
    pub at: String,
    /// Other model routes, by the route's alias or the agent's role.
    pub routes: BTreeMap<String, String>,
    /// The prompts that have another text.
    pub prompts: Vec<String>,
}

impl From<Origin> for ForkView {
    fn from(origin: Origin) -> Self {
        Self {
            run_id: origin.run_id,
            at: origin.at.to_string(),
            routes: origin.variant.routes,
            prompts: origin.variant.prompts.into_keys().collect(),
        }
    }
}

/// What a run may use at most.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
pub struct LimitsView {
    /// US dollars for model calls.
    pub usd: f64,
    /// Tokens of model calls, in and out.
    pub tokens: u64,
    /// Minutes of work; waiting for a person is not counted.
    pub minutes: u32,
    /// Repairs of one subtask.
    pub repair_loops: u32,
}

/// What came of a run.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunResult {
    /// The branch it made.
    branch: Option<String>,
    /// The tip of that branch.
    #[schema(value_type = Option<String>)]
    commit: Option<toryo_domain::CommitId>,
    /// The pull request it opened.
    #[schema(value_type = Option<PullRequestView>)]
    pull_request: Option<toryo_domain::PullRequest>,
}

/// A pull request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PullRequest)]
pub struct PullRequestView {
    /// Its number in the repository.
    pub number: u64,
    /// Where a person reads it.
    pub url: String,
    /// The branch with the change.
    pub head_branch: String,
    /// `open`, `merged` or `closed`.
    pub state: String,
    /// Not yet ready for review: a limit stopped the run.
    pub draft: bool,
}

/// Where more of a run is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunLinks {
    /// The run.
    pub run: String,
    /// Its events, live.
    pub stream: String,
    /// Its page for people.
    pub page: String,
}

impl RunLinks {
    /// The addresses of this run.
    #[must_use]
    pub fn of(run: RunId) -> Self {
        Self {
            run: format!("/runs/{run}"),
            stream: format!("/runs/{run}/stream"),
            page: format!("/ui/runs/{run}"),
        }
    }
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self {
            limits: run.allowance(),
            active_ms: run.active_ms_at(Utc::now()),
            links: RunLinks::of(run.id),
            result: RunResult { branch: run.branch, commit: run.commit, pull_request: run.pull_request },
            id: run.id,
            task_id: run.task_id,
            repo_url: run.repo_url,
            goal: run.goal,
            title: run.title,
            status: run.status,
            status_reason: run.status_reason,
            gate: run.gate,
            base_branch: run.base_branch,
            base_commit: run.base_commit,
            cost: run.cost,
            tokens_in: run.tokens_in,
            tokens_out: run.tokens_out,
            fork_of: run.origin.map(ForkView::from),
            priority: run.priority,
            approval: run.approval,
            replay: run.replay,
            last_seq: run.last_seq,
            created_at: run.created_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
        }
    }
}

/// A run with its steps.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunWithSteps {
    /// The run.
    #[serde(flatten)]
    pub run: RunView,
    /// The round of the gate it waits at, counted from 1; to name in an approval.
    pub gate_round: Option<u32>,
    /// Its graph, in the order it grew; outputs are under `/runs/{id}/steps`.
    pub steps: Vec<StepView>,
}

/// A step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Step)]
pub struct StepView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    id: StepId,
    /// Its address in the run.
    #[schema(example = "code:parse-dates#2")]
    step_key: String,
    /// The agent that executes it.
    #[schema(schema_with = schemas::role)]
    role: Role,
    /// Where it stands.
    #[schema(schema_with = schemas::step_status)]
    status: StepStatus,
    /// The steps it waits for.
    depends_on: Vec<String>,
    /// Attempts so far.
    attempts: u32,
    /// Why its last attempt failed.
    failure: Option<FailureView>,
    /// When its first attempt began.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<DateTime<Utc>>,
    /// What it left on the blackboard; its `kind` is that of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    output: Option<Value>,
}

/// Why an attempt failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failure)]
pub struct FailureView {
    /// What kind of failure it is.
    #[schema(schema_with = schemas::failure_class)]
    class: FailureClass,
    /// The text for people.
    text: String,
}

impl StepView {
    /// A step without its output.
    #[must_use]
    pub fn brief(step: StepRow) -> Self {
        Self {
            id: step.id,
            step_key: step.key.to_string(),
            role: step.role,
            status: step.status,
            depends_on: step.depends_on.iter().map(ToString::to_string).collect(),
            attempts: step.attempts,
            failure: step.failure.map(|failure| FailureView { class: failure.class, text: failure.text }),
            started_at: step.started_at,
            finished_at: step.finished_at,
            output: None,
        }
    }

    /// A step with its output.
    ///
    /// # Errors
    /// The output cannot be written as JSON.
    pub fn full(step: StepRow) -> Result<Self, serde_json::Error> {
        let output = step.output.as_ref().map(serde_json::to_value).transpose()?;
        Ok(Self { output, ..Self::brief(step) })
    }
}

/// An event, as the stream sends it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// The run.
    #[schema(value_type = String, format = Uuid)]
    run_id: RunId,
    /// Counted from 1 for each run, without gaps.
    seq: u64,
    /// When it was stored.
    #[schema(value_type = String, format = DateTime)]
    at: DateTime<Utc>,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(schema_with = schemas::event_type)]
    kind: EventType,
    /// The step it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    step_key: Option<String>,
    /// The attempt it belongs to, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// The facts; which ones depends on the type.
    #[schema(value_type = Object)]
    data: Value,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let Event { run_id, seq, at, kind, step_key, attempt, data } = event;
        Self { run_id, seq, at, kind, step_key: step_key.map(|key| key.to_string()), attempt, data }
    }
}

/// Events of a run, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Events {
    /// The events.
    pub items: Vec<EventView>,
    /// What to ask the next page with; null where these were the newest.
    pub next_cursor: Option<String>,
}

/// An immutable blob in its role for a run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Artifact)]
pub struct ArtifactView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    id: ArtifactId,
    /// The step that kept it.
    step_key: Option<String>,
    /// What it is: `diff`, `log`, `report`, `prompt`, `reply`, `context_pack`.
    kind: String,
    /// A file name for people.
    name: String,
    /// Its media type.
    media_type: String,
    /// SHA-256 of its bytes.
    #[schema(value_type = String)]
    digest: Digest,
    /// Its length.
    size_bytes: u64,
    /// When it was kept.
    #[schema(value_type = String, format = DateTime)]
    created_at: DateTime<Utc>,
    /// Where its bytes are.
    url: String,
}

impl From<Artifact> for ArtifactView {
    fn from(artifact: Artifact) -> Self {
        Self {
            url: format!("/artifacts/{}", artifact.id),
            id: artifact.id,
            step_key: artifact.step_key.map(|key| key.to_string()),
            kind: artifact.kind,
            name: artifact.name,
            media_type: artifact.media_type,
            digest: artifact.digest,
            size_bytes: artifact.size_bytes,
            created_at: artifact.created_at,
        }
    }
}

/// The change of a run against its base commit.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiffView {
    /// Digest of the unified diff; null while there is none.
    #[schema(value_type = Option<String>)]
    pub digest: Option<Digest>,
    /// The changed files.
    pub files: Vec<DiffFile>,
    /// The unified diff.
    pub diff: String,
}

/// A changed file.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiffFile {
    /// Its path.
    pub path: String,
    /// `added`, `changed`, `deleted` or `renamed`.
    pub state: &'static str,
    /// Lines that are new.
    pub added: usize,
    /// Lines that are gone.
    pub removed: usize,
}
