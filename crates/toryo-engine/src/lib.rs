//! The durable run engine: submit, relay, worker, advance, commit, control, sweep; the Agent trait.
