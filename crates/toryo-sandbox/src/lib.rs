//! Runs a repository's commands in isolation.
//!
//! This crate owns the [`Sandbox`] port, its Docker adapter, the base image of the sandbox, and the parsers of
//! what test tools report. It **decides nothing**: which commands run, what a failure means for a run and where
//! output is stored is the agents' business. It never runs a repository's command outside a container, and
//! containers that run such commands have no network.
//!
//! Start at [`port`], then [`docker`]. [`report`] reads what test tools write. [`fake`] is the in-process double for
//! other crates' tests.

pub mod port;
pub mod progress;

pub mod config;
pub mod docker;
pub mod error;
pub mod image;
pub mod python;

pub mod report;
pub mod text;

pub mod fake;

mod archive;
mod capture;

pub use config::Config;
pub use docker::DockerSandbox;
pub use error::Error;
pub use image::{BuiltImage, How};
pub use port::{
    Command, Exit, Image, Job, JobReport, Labels, Limits, Output, Preparation, Sandbox, WorkspaceFile,
};
pub use progress::{Progress, Update};
pub use text::clip;
