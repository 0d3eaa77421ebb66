//! The durable run engine.
pub mod agent;
pub mod failure;

pub use agent::{Agent, HumanMessage, NewArtifact, Outputs, Recorder, Reporter, StepContext};
pub use failure::Failure;
