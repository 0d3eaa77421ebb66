//! Agents: manifests, live workers, figures.

use crate::app::App;
use crate::ports::AgentManifest;
use crate::problem::Problem;
use crate::wire::schemas;
use crate::wire::tenants::TenantView;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use toryo_blackboard::steps::{self, Depth};
use toryo_blackboard::{RoleFigures, Worker, tenants, workers};
use toryo_domain::{Priority, Role, WorkerId};
use utoipa::ToSchema;

/// Agents, who executes them, and how that goes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Agents {
    /// One an agent.
    agents: Vec<AgentManifest>,
    /// Workers that are alive.
    workers: Vec<WorkerView>,
    /// How the steps of each role went in the last thirty days.
    figures: Vec<FiguresView>,
    /// Work that waits or is under way, by priority.
    queue: Vec<DepthView>,
    /// Tenants that have work or a limit.
    tenants: Vec<TenantView>,
}

/// A live worker.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Worker)]
struct WorkerView {
    /// Its id; a new one for each start.
    #[schema(value_type = String, format = Uuid)]
    id: WorkerId,
    /// The machine.
    host: String,
    /// Toryo's version.
    version: String,
    /// Steps it executes at once, at most.
    capacity: u32,
    /// Steps it executes now.
    running: u32,
    /// Whether it stops: it ends what it has and takes no further steps.
    draining: bool,
    /// The newest kind of run it understands; newer ones are left to newer workers.
    engine_version: i16,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    started_at: DateTime<Utc>,
    /// When it was last heard of.
    #[schema(value_type = String, format = DateTime)]
    last_heartbeat: DateTime<Utc>,
}

/// How the steps of a role went.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Figures)]
struct FiguresView {
    /// The role.
    #[schema(schema_with = schemas::role)]
    role: Role,
    /// Steps that ended.
    steps: u64,
    /// Those that succeeded.
    succeeded: u64,
    /// Those that failed.
    failed: u64,
    /// Succeeded of all that ended, 0 to 1.
    success_rate: f64,
    /// Median time from the first attempt to the end, in milliseconds.
    median_ms: f64,
}

/// Steps of one priority.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueDepth)]
struct DepthView {
    /// The priority.
    #[schema(value_type = String, example = "normal")]
    priority: Priority,
    /// Steps that may be claimed now, but for limits.
    ready: u64,
    /// Steps that wait for a back-off to end.
    delayed: u64,
    /// Steps that workers execute.
    leased: u64,
}

impl From<Depth> for DepthView {
    fn from(depth: Depth) -> Self {
        let Depth { priority, ready, delayed, leased } = depth;
        Self { priority, ready, delayed, leased }
    }
}

impl From<Worker> for WorkerView {
    fn from(worker: Worker) -> Self {
        let Worker {
            id,
            host,
            version,
            capacity,
            running,
            draining,
            engine_version,
            started_at,
            last_heartbeat,
        } = worker;
        Self { id, host, version, capacity, running, draining, engine_version, started_at, last_heartbeat }
    }
}

impl From<RoleFigures> for FiguresView {
    fn from(figures: RoleFigures) -> Self {
        let RoleFigures { role, steps, succeeded, failed, median_ms } = figures;
        let success_rate = if steps == 0 { 0.0 } else { succeeded as f64 / steps as f64 };
        Self { role, steps, succeeded, failed, success_rate, median_ms }
    }
}

/// Agents' manifests, live workers, success and latency, and how much work there is.
#[utoipa::path(get, path = "/agents", tag = "operation",
    responses((status = 200, description = "Agents, workers, figures.", body = Agents)))]
pub async fn show(State(app): State<App>) -> Result<Json<Agents>, Problem> {
    let workers = workers::live(app.db()).await?.into_iter().map(Into::into).collect();
    let figures = workers::figures(app.db()).await?.into_iter().map(Into::into).collect();
    let queue = steps::depth(app.db()).await?.into_iter().map(Into::into).collect();
    let tenants = tenants::list(app.db()).await?.into_iter().map(Into::into).collect();
    Ok(Json(Agents { agents: app.ports.agents.to_vec(), workers, figures, queue, tenants }))
}
