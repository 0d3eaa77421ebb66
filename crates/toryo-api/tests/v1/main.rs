//! The gateway over real HTTP: real keys and limits in Postgres, providers that speak their real wires.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod disk;
mod guardrail;
mod limits;
mod masked;
mod outage;
mod parameters;
mod site;
