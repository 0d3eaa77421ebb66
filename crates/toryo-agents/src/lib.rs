//! The agents: seven roles, each a manifest in `agents/`, prompts in `prompts/`, schemas in `schemas/`, and one `run`.
//!
//! An agent reads the blackboard through its [`StepContext`](toryo_engine::StepContext), works with its [`Tools`], and says
//! what came of it. It **writes nothing to the run itself**, knows nothing of leases, retries or the graph, and every
//! effect it has outside is under a deterministic key, so that it may be executed twice.
//!
//! Start with [`agents`], the one list; then one role, for example [`coder`]. The road to a model is [`ask`], the working
//! tree without a folder is [`tree`], and [`states`] says which tree a step starts from. What a model reads is
//! in [`prompt`], what it answers in [`replies`].

pub mod assets;
pub mod coder;
pub mod critic;
pub mod integrator;
pub mod planner;
pub mod retriever;
pub mod spec_refiner;
pub mod tester;

pub mod ask;
pub mod baselines;
mod course;
pub mod dry;
pub mod edits;
mod failures;
mod guard;
pub mod indexing;
pub mod meaning;
pub mod prompt;
pub mod replies;
pub mod repository;
pub mod sample;
pub mod schema;
mod search;
pub mod states;
pub mod suite;
mod texts;
pub mod tools;
pub mod tree;

pub use assets::{Assets, Manifest};
pub use baselines::Baselines;
pub use meaning::Meaning;
pub use search::{embed_commit, index_commit};
pub use tools::{Config, Tools};

use std::sync::Arc;
use toryo_engine::Agent;

/// All agents, one a role: the one list.
#[must_use]
pub fn agents(tools: Arc<Tools>) -> Vec<Arc<dyn Agent>> {
    vec![
        Arc::new(spec_refiner::SpecRefiner(Arc::clone(&tools))),
        Arc::new(planner::Planner(Arc::clone(&tools))),
        Arc::new(retriever::Retriever(Arc::clone(&tools))),
        Arc::new(coder::Coder(Arc::clone(&tools))),
        Arc::new(tester::Tester(Arc::clone(&tools))),
        Arc::new(critic::Critic(Arc::clone(&tools))),
        Arc::new(integrator::Integrator(tools)),
    ]
}
