//! The durable run engine: decide, commit, then effect.
//!
//! | stop | function | hands on |
//! | --- | --- | --- |
//! | task | [`submit`](mod@submit): one transaction for task, run, first step, event, outbox row | `RunId` |
//! | queue | [`relay`] reads the outbox and announces on the bus | a wake-up |
//! | engine | [`worker`] is woken, leases the most urgent step | a claim |
//! | agent | [`agent::Agent::run`] | an output or a failure |
//! | decision | [`advance`](mod@advance) and [`settle`]: pure | what is missing |
//! | blackboard | [`commit`]: one transaction, refused when the fence is stale | rows |
//! | people | [`control`]: the same road, begun by a person | rows |
//! | time | [`sweep`]: the same road, begun by nobody; [`retention`]: where old runs go | rows |
//!
//! The engine knows **nothing of what agents do**: no model, no sandbox, no Git.

pub mod advance;
pub mod agent;
mod at_once;
mod batch;
pub mod boundary;
pub mod commit;
pub mod config;
pub mod control;
pub mod engine;
pub mod failure;
mod grow;
mod inbox;
mod leases;
pub mod loops;
pub mod relay;
pub mod replay;
mod report;
pub mod retention;
pub mod settle;
pub mod submit;
mod summary;
pub mod sweep;
pub mod version;
pub mod worker;

pub use agent::{Agent, HumanMessage, NewArtifact, Orders, Outputs, Recorder, Reporter, StepContext};
pub use boundary::Boundary;
pub use config::Config;
pub use engine::Engine;
pub use failure::Failure;
pub use submit::{Submitted, submit};
pub use worker::Worker;
