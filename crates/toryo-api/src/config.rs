//! Settings of the HTTP side.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use toryo_domain::{Limits, Usd};

/// Settings of the HTTP side, section `[api]` of `toryo.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Names by which this server may be addressed, without port; `*` allows every name. The default is loopback,
    /// so that a page of another site cannot reach a private server by giving its own name this address.
    pub allowed_hosts: Vec<String>,
    /// Longest body of a request in bytes; a longer one gets 413.
    pub max_body_bytes: usize,
    /// Longest body of a request to a model (`/v1`) in bytes: pictures and long conversations travel in it.
    pub max_model_body_bytes: usize,
    /// Seconds after which a request that got no answer gets 503. Streams and requests to models are not
    /// limited.
    pub timeout_seconds: u64,
    /// Seconds that open requests have to end when the server stops.
    pub drain_seconds: u64,
    /// Limits of a task that names none.
    pub default_limits: Limits,
    /// Highest limits that a task may name.
    pub max_limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allowed_hosts: ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec(),
            max_body_bytes: 1024 * 1024,
            max_model_body_bytes: 32 * 1024 * 1024,
            timeout_seconds: 30,
            drain_seconds: 10,
            default_limits: Limits::default(),
            max_limits: Limits {
                usd: Usd::from_nanos(100_000_000_000),
                tokens: 50_000_000,
                minutes: 24 * 60,
                repair_loops: 20,
            },
        }
    }
}

impl Config {
    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    pub(crate) const fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}
