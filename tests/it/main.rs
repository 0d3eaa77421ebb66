//! Integration tests: real Postgres, real NATS, real Docker, real Git; doubles only for model providers.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

mod again;
mod bad_input;
mod cli;
mod control;
mod engine;
mod faults;
mod harness;
mod queue;
mod run_path;
mod runs;
mod scripted;
mod steer;
mod up;
