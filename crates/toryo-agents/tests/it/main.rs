//! Agents on the sample repository: real Git and real edits, with scripted models; the last part also in real Docker.

mod bad_models;
mod harness;
mod prompts;
mod replay;
mod schemas;
mod steps;
