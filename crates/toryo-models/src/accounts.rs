//! Who calls the gateway: keys and the accounts they belong to (organisation, team, user), and whether a call of theirs
//! may be sent.
//!
//! [`Accounts`] is the door for the HTTP side: [`authenticate`](Accounts::authenticate) a key,
//! [`admit`](Accounts::admit) a call, settle its permit. None of them asks Postgres on the warm path.

mod keys;
pub mod master;
pub mod secret;

pub(crate) use keys::Keys;

use crate::allowance::{Admission, Desk, Dispatcher, Item, Limit, Permit, RateLimits, Recall, Refusal};
use crate::ledger::{Flusher, Ledger, LedgerError, OnFullJournal, roll_up};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use toryo_blackboard::Db;
use toryo_blackboard::accounts::{KeyRecord, KeyRole, Listener, Notice};
use toryo_blackboard::ledger::Who;
use toryo_domain::{Digest, FailureClass, Usd};

/// The fewest days that the ledger keeps its rows.
const LEAST_LEDGER_DAYS: u32 = 31;

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
    /// Days that the ledger keeps a row for every call; older ones become sums of their days. 0 keeps all rows, less
    /// than 31 counts as 31. Default 400.
    pub ledger_days: u32,
    /// What becomes of calls while the ledger's journal cannot be written.
    pub on_full_journal: OnFullJournal,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            master_key: None,
            grace_seconds: 300,
            on_outage: OnOutage::Refuse,
            outage_usd: Usd::from_nanos(1_000_000_000),
            queue: 10_000,
            ledger_days: 400,
            on_full_journal: OnFullJournal::Refuse,
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
    /// Of each account that restricts its routes, those it allows.
    routes: Vec<Vec<String>>,
    items: Vec<Item>,
    expires_at: Option<DateTime<Utc>>,
}

impl Principal {
    /// The operator, who is held by no limit.
    fn master() -> Self {
        Self {
            who: Who::default(),
            role: Role::Master,
            name: "master".into(),
            routes: vec![],
            items: vec![],
            expires_at: None,
        }
    }

    pub(crate) fn of(record: &KeyRecord) -> Self {
        let key = &record.key;
        let items = record.levels.iter().flat_map(|level| {
            let limits = &level.limits;
            let own = [
                (Limit::Requests, limits.requests_per_minute),
                (Limit::Tokens, limits.tokens_per_minute),
                (Limit::Parallel, limits.parallel),
            ];
            let own = own.into_iter().filter_map(|(limit, most)| Some((limit, most?)));
            own.chain(level.budgets.iter().copied()).map(|(limit, most)| Item {
                account: level.account,
                scope: level.kind,
                limit,
                most,
            })
        });
        Self {
            who: Who { organisation: key.organisation, team: key.team, user: key.user, key: Some(key.id) },
            role: match record.role {
                KeyRole::OrganisationAdmin => Role::OrganisationAdmin,
                KeyRole::TeamAdmin => Role::TeamAdmin,
                KeyRole::Member => Role::Member,
            },
            name: key.name.as_str().into(),
            routes: record.levels.iter().filter_map(|level| level.limits.routes.clone()).collect(),
            items: items.collect(),
            expires_at: record.expires_at,
        }
    }

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
        self.routes.iter().all(|allowed| allowed.iter().any(|alias| alias == route))
    }

    /// The limits that hold for it.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    fn is_over(&self, at: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|ends| ends <= at)
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

/// Keys, limits and the ledger of one process; cheap to clone. It lives until [`shutdown`](Self::shutdown).
#[derive(Debug, Clone)]
pub struct Accounts {
    desk: Arc<Desk>,
    keys: Arc<Keys>,
    db: Db,
    master: Option<(Digest, Arc<Principal>)>,
    tasks: Arc<Tasks>,
}

#[derive(Debug)]
struct Tasks {
    flusher: CancellationToken,
    dispatcher: CancellationToken,
    running: tokio::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.flusher.cancel();
        self.dispatcher.cancel();
    }
}

impl Accounts {
    /// Begins: takes a lease in the database when it answers, and reads the journals of processes that are gone.
    /// Calls are admitted from now on; they wait for the database's first answer.
    ///
    /// `folder` is where journals are kept; processes of one machine may share it.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn start(db: Db, config: Config, folder: &Path) -> Result<Self, LedgerError> {
        let ledger = Ledger::open(folder, config.on_full_journal)?;
        let master = config
            .master_key
            .as_ref()
            .map(|secret| (Digest::of(secret.expose_secret()), Arc::new(Principal::master())));
        let keys = Arc::new(Keys::new(db.clone(), Duration::from_secs(config.grace_seconds)));
        // A journal that comes back late must still find the rows that it holds.
        let days = if config.ledger_days == 0 { 0 } else { config.ledger_days.max(LEAST_LEDGER_DAYS) };
        let roll_up = roll_up(db.clone(), days);
        let desk = Arc::new(Desk::new(ledger.clone(), config, Instant::now()));
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        let (sender, recalls) = tokio::sync::mpsc::unbounded_channel();
        let (flusher, dispatcher) = (CancellationToken::new(), CancellationToken::new());
        let flush = Flusher {
            ledger,
            desk: Arc::clone(&desk),
            db: db.clone(),
            shared: folder.to_owned(),
            turn: Arc::clone(&turn),
            stop: flusher.clone(),
        };
        let dispatch = Dispatcher {
            desk: Arc::clone(&desk),
            keys: Arc::clone(&keys),
            db: db.clone(),
            turn,
            recalls,
            stop: dispatcher.clone(),
        };
        let listen = listen(db.clone(), Arc::clone(&desk), Arc::clone(&keys), sender);
        let stop = dispatcher.clone();
        let rolls = dispatcher.clone();
        let running = vec![
            tokio::spawn(flush.run()),
            tokio::spawn(dispatch.run()),
            tokio::spawn(async move { stop.run_until_cancelled_owned(listen).await.unwrap_or_default() }),
            tokio::spawn(async move { rolls.run_until_cancelled_owned(roll_up).await.unwrap_or_default() }),
        ];
        let tasks = Tasks { flusher, dispatcher, running: tokio::sync::Mutex::new(running) };
        Ok(Self { desk, keys, db, master, tasks: Arc::new(tasks) })
    }

    /// Writes what the journal holds, hands back what is held, and ends. Calls that wait are refused. What cannot be
    /// written within seconds stays in the journal for the next start.
    pub async fn shutdown(&self) {
        let mut running = self.tasks.running.lock().await;
        let mut running = running.drain(..);
        self.tasks.flusher.cancel();
        if let Some(flusher) = running.next() {
            let _ended = flusher.await;
        }
        self.tasks.dispatcher.cancel();
        for task in running {
            let _ended = task.await;
        }
    }

    /// Whose key this is. Cached; a revocation shows at once.
    ///
    /// # Errors
    /// It is not accepted, or nobody can say.
    pub async fn authenticate(&self, secret: &str) -> Result<Arc<Principal>, KeyError> {
        // Digests are compared, not texts: how long that takes says nothing about the key.
        let digest = Digest::of(secret);
        if let Some((master, principal)) = &self.master
            && *master == digest
        {
            return Ok(Arc::clone(principal));
        }
        if !secret::looks_like_one(secret) {
            return Err(KeyError::Unknown);
        }
        self.keys.find(digest).await
    }

    /// Reserves one call. Dropping the future gives up the place in the queue.
    ///
    /// # Errors
    /// It may not be sent, or not now.
    pub async fn admit(&self, who: &Arc<Principal>, ask: &Admission<'_>) -> Result<Permit, Refusal> {
        if !who.allows(ask.route) {
            return Err(Refusal::RouteNotAllowed(ask.route.to_owned()));
        }
        self.desk.admit(who, ask).await
    }

    /// How much of its budgets a caller has left, as this process knows it: the figure is at most seconds old.
    #[must_use]
    pub fn budget_state(&self, who: &Principal) -> BudgetState {
        BudgetState { least_left: self.desk.least_left(who) }
    }

    /// The tightest limits a minute of a caller, as this process knows them.
    #[must_use]
    pub fn rate_limits(&self, who: &Principal) -> RateLimits {
        self.desk.rate_limits(who)
    }

    /// The ledger, for calls that need no permit.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.desk.ledger
    }

    /// The database behind it.
    #[must_use]
    pub const fn db(&self) -> &Db {
        &self.db
    }

    /// Whether the operator has a key: without one the administration is closed.
    #[must_use]
    pub const fn has_master_key(&self) -> bool {
        self.master.is_some()
    }
}

/// Hears what changed and what is wanted elsewhere.
async fn listen(db: Db, desk: Arc<Desk>, keys: Arc<Keys>, recalls: UnboundedSender<Recall>) {
    loop {
        if let Err(error) = hear(&db, &desk, &keys, &recalls).await {
            let cause: &dyn std::error::Error = &error;
            tracing::debug!(cause, "changes of keys are seen late: the database does not answer");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn hear(
    db: &Db,
    desk: &Desk,
    keys: &Keys,
    recalls: &UnboundedSender<Recall>,
) -> Result<(), toryo_blackboard::Error> {
    let mut listener = Listener::connect(db).await?;
    loop {
        match listener.next().await? {
            Notice::Changed { account, version } => {
                keys.changed(account, version);
                let _stopped = recalls.send(Recall::Changed(account));
            }
            Notice::Recall { account, instance } if desk.instance() != Some(instance) => {
                let _stopped = recalls.send(Recall::Wanted(account));
            }
            // What was missed shows when the number of changes is compared.
            Notice::Recall { .. } | Notice::Lost => {}
        }
    }
}

fn masked<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_some("***"),
        None => serializer.serialize_none(),
    }
}
