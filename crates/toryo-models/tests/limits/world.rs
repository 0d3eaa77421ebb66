//! An organisation with a team, a user and keys on a database of its own, and processes of the gateway on it.

use secrecy::ExposeSecret;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use toryo_blackboard::accounts::{self, KeyRole, Kind, Limits, MemberRole, NewAccount, PutBudget};
use toryo_blackboard::{Db, db};
use toryo_domain::{AccountId, Priority, Usd};
use toryo_models::accounts::{Accounts, Config, Principal, secret};
use toryo_models::allowance::{Admission, AtLimit, Limit, Permit, Refusal};
use toryo_models::journal::Spent;
use toryo_models::ledger::{CacheState, Call, CallStatus, CountedBy};
use toryo_testkit::stack::Services;

pub struct World {
    pub db: Db,
    pub url: String,
    pub folder: tempfile::TempDir,
    pub organisation: AccountId,
    pub team: AccountId,
    pub user: AccountId,
}

impl World {
    pub async fn new() -> Self {
        let services = Services::shared().await;
        let db = Db::connect(&services.database_url, 8).await.unwrap();
        db.migrate().await.unwrap();
        Self::on(db, services.database_url).await
    }

    /// Another team on the same database, which sees nothing of the first one.
    pub async fn sibling(&self) -> Self {
        Self::on(self.db.clone(), self.url.clone()).await
    }

    async fn on(db: Db, url: String) -> Self {
        let mut tx = db.begin().await.unwrap();
        let organisation = accounts::default_organisation(&mut tx).await.unwrap();
        let (team, user) = (AccountId::generate(), AccountId::generate());
        let account = |kind, name: String| NewAccount {
            kind,
            name,
            organisation: Some(organisation),
            team: None,
            user: None,
            role: None,
            limits: Limits::default(),
            expires_at: None,
        };
        accounts::create(&mut tx, team, &account(Kind::Team, team.to_string())).await.unwrap();
        accounts::create(&mut tx, user, &account(Kind::User, user.to_string())).await.unwrap();
        accounts::put_member(&mut tx, team, user, MemberRole::Member).await.unwrap();
        db::commit(tx).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { db, url, folder, organisation, team, user }
    }

    /// A key of the team, with limits of its own.
    pub async fn key(&self, limits: Limits) -> (AccountId, String) {
        let (id, secret) = (AccountId::generate(), secret::generate().unwrap());
        let new = NewAccount {
            kind: Kind::Key,
            name: "a key".into(),
            organisation: Some(self.organisation),
            team: Some(self.team),
            user: Some(self.user),
            role: Some(KeyRole::Member),
            limits,
            expires_at: None,
        };
        let mut tx = self.db.begin().await.unwrap();
        accounts::create(&mut tx, id, &new).await.unwrap();
        accounts::add_secret(&mut tx, id, &secret.digest, &secret.prefix, Duration::ZERO).await.unwrap();
        db::commit(tx).await.unwrap();
        (id, secret.text.expose_secret().to_owned())
    }

    pub async fn budget(&self, account: AccountId, limit: Limit, cents: i64) {
        let budget =
            PutBudget { account, limit, most: usd(cents), soft: None, alerts: vec![50, 80, 90, 100] };
        let mut tx = self.db.begin().await.unwrap();
        accounts::put_budget(&mut tx, &budget).await.unwrap();
        db::commit(tx).await.unwrap();
    }

    pub async fn limit(&self, kind: Kind, account: AccountId, change: accounts::Change) {
        let mut tx = self.db.begin().await.unwrap();
        accounts::change(&mut tx, kind, account, &change).await.unwrap();
        db::commit(tx).await.unwrap();
    }

    /// What the ledger says the team spent.
    pub async fn spent(&self) -> Usd {
        let sum = "select coalesce(sum(cost_nano_usd), 0)::bigint from gateway_ledger where team_id = $1";
        Usd::from_nanos(
            sqlx::query_scalar(sum).bind(self.team.uuid()).fetch_one(self.db.pool()).await.unwrap(),
        )
    }

    pub async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(self.db.pool()).await.unwrap()
    }

    /// A process of the gateway.
    pub async fn process(&self) -> Accounts {
        self.process_with(Config::default()).await
    }

    pub async fn process_with(&self, config: Config) -> Accounts {
        let db = Db::connect(&self.url, 4).await.unwrap();
        Accounts::start(db, config, &self.journals()).unwrap()
    }

    pub fn journals(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    /// A process on a runtime of its own, which can die at any moment.
    pub fn mortal(&self) -> Mortal {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (url, folder) = (self.url.clone(), self.journals());
        let accounts = std::thread::scope(|scope| {
            let start = || {
                runtime.block_on(async {
                    let db = Db::connect(&url, 4).await.unwrap();
                    Accounts::start(db, Config::default(), &folder).unwrap()
                })
            };
            scope.spawn(start).join().unwrap()
        });
        Mortal { runtime: Some(runtime), accounts: Some(accounts) }
    }
}

/// A process that can die.
pub struct Mortal {
    runtime: Option<tokio::runtime::Runtime>,
    pub accounts: Option<Accounts>,
}

impl Mortal {
    /// Nothing of it runs after this; nothing is said to anybody.
    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        self.accounts = None;
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.kill();
    }
}

pub const fn usd(cents: i64) -> Usd {
    Usd::from_nanos(cents * 10_000_000)
}

pub fn most(cents: i64, tokens: u64) -> Spent {
    Spent { usd: usd(cents), tokens }
}

pub fn ask(most: Spent, at_limit: AtLimit) -> Admission<'static> {
    Admission { route: "coder", most, priority: Priority::Normal, at_limit }
}

pub async fn admit(
    accounts: &Accounts,
    who: &Arc<Principal>,
    most: Spent,
    at_limit: AtLimit,
) -> Result<Permit, Refusal> {
    accounts.admit(who, &ask(most, at_limit)).await
}

/// A call that cost this.
pub fn call(cost: Usd, tokens: u64) -> Call {
    Call {
        run_id: None,
        step_id: None,
        agent: None,
        route: "coder".into(),
        deployment: "fast".into(),
        provider: "openai".into(),
        model: "gpt-4o".into(),
        region: None,
        account: None,
        dialect: "chat_completions".into(),
        input_tokens: tokens,
        output_tokens: 0,
        cached_input_tokens: 0,
        cache_write_tokens: 0,
        reasoning_tokens: 0,
        counted_by: CountedBy::Provider,
        cost,
        priced_as_of: Some("2026-11-01".into()),
        latency_ms: 12,
        first_token_ms: None,
        status: CallStatus::Ok,
        error_class: None,
        http_status: 200,
        attempts: 1,
        cache: CacheState::None,
        stream: false,
    }
}

/// Waits for a condition, for a time after which the test has failed.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..1500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came about: {what}");
}
