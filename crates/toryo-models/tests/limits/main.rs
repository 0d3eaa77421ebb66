//! Keys, limits and the ledger on a real Postgres: several processes, crashes, and a database that goes away.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod budgets;
mod days;
mod front;
mod keys;
mod ledger;
mod outage;
mod windows;
mod world;
