//! Integration tests: real Postgres, real NATS, real Docker, real Git; doubles only for model providers.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

mod bad_input;
mod cli;
mod engine;
mod faults;
mod harness;
mod run_path;
mod runs;
mod scripted;
mod up;
