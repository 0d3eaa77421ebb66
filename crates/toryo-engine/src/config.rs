//! Settings of the engine.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use toryo_blackboard::Ceilings;

/// Settings of the engine, section `[engine]` of `toryo.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Steps that one worker executes at once.
    pub capacity: u32,
    /// Seconds after which a step is taken away from a worker that is not heard of.
    pub lease_seconds: u64,
    /// Milliseconds between two looks whether a lease still holds: how fast a cancelled step stops.
    pub watch_ms: u64,
    /// Milliseconds after which a worker looks for work that no message announced.
    pub poll_ms: u64,
    /// Seconds that running steps have to end when a worker stops; then they are handed back.
    pub drain_seconds: u64,
    /// Minutes that one attempt of a step may take. The longest prepares an image and runs a suite three times.
    pub step_minutes: u64,
    /// Attempts of a step before it is a dead letter.
    pub attempts: u32,
    /// Milliseconds before the second attempt; doubled for each further one.
    pub backoff_ms: u64,
    /// Seconds that a back-off is at most.
    pub backoff_max_seconds: u64,
    /// Steps of one tenant that run at once, on all workers together, where it has no limit of its own. A tenant is the
    /// owner of a repository. Unset: as many as there are workers for.
    pub tenant_steps: Option<u32>,
    /// Steps of one repository that run at once, where it has no limit of its own (its setting `max_steps`).
    pub repository_steps: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            capacity: 4,
            lease_seconds: 30,
            watch_ms: 400,
            poll_ms: 1000,
            drain_seconds: 20,
            step_minutes: 90,
            attempts: 5,
            backoff_ms: 2000,
            backoff_max_seconds: 60,
            tenant_steps: None,
            repository_steps: None,
        }
    }
}

impl Config {
    pub(crate) const fn ceilings(&self) -> Ceilings {
        Ceilings { tenant: self.tenant_steps, repository: self.repository_steps }
    }

    pub(crate) const fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    pub(crate) const fn watch(&self) -> Duration {
        Duration::from_millis(self.watch_ms)
    }

    pub(crate) const fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }
}
