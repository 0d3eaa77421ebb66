//! Integration tests: real Postgres, real NATS, real Docker, real Git; doubles only for model providers.

mod engine;
mod scripted;
