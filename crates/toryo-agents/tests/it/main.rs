//! Agents on the sample repository: real Git and real edits, with scripted models; the last part also in real Docker.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what went wrong by failing")]

mod bad_models;
mod harness;
mod limits;
mod meaning;
mod prompts;
mod replay;
mod schemas;
mod steps;
mod tester;
