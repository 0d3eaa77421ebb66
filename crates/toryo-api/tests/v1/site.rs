//! A gateway on a socket of its own, with the providers that a test names, and a key for it.

use reqwest::{Client, RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use toryo_blackboard::accounts::{self, KeyRole, Kind, Limits, NewAccount};
use toryo_blackboard::{Db, db};
use toryo_domain::AccountId;
use toryo_models::accounts::{Accounts, Config as AccountsConfig, secret};
use toryo_models::config::{CacheBytes, Config};
use toryo_models::front::Front;
use toryo_models::mask::Mask;
use toryo_models::provider::Providers;
use toryo_models::provider::bedrock::Bedrock;
use toryo_models::route::Router;
use toryo_testkit::proxy::Proxy;
use toryo_testkit::stack::Services;
use toryo_testkit::upstream::{ACCESS_KEY_ID, API_KEY, Reply, Said, Upstream, Wire};

/// The path of each dialect.
pub const COMPLETIONS: &str = "/v1/chat/completions";
pub const RESPONSES: &str = "/v1/responses";
pub const MESSAGES: &str = "/v1/messages";

pub struct Site {
    base: String,
    key: String,
    http: Client,
    pub accounts: Accounts,
    pub db: Db,
    pub folder: TempDir,
    /// Between the gateway and Postgres.
    pub proxy: Option<Proxy>,
}

/// A provider of this wire that always says this.
pub async fn says(wire: Wire, said: Said) -> Upstream {
    Upstream::start(wire, [Reply::Says(said)]).await
}

/// Providers by their names, and the routes over them.
pub struct Plan<'a> {
    pub providers: &'a [(&'a str, Wire, &'a Upstream)],
    pub routes: &'a str,
    pub limits: Limits,
    pub mask: Option<Arc<dyn Mask>>,
    pub accounts: AccountsConfig,
    /// Postgres can be cut off.
    pub behind_a_proxy: bool,
}

impl<'a> Plan<'a> {
    pub fn new(providers: &'a [(&'a str, Wire, &'a Upstream)], routes: &'a str) -> Self {
        let (limits, accounts) = (Limits::default(), AccountsConfig::default());
        Self { providers, routes, limits, mask: None, accounts, behind_a_proxy: false }
    }
}

impl Site {
    pub async fn start(providers: &[(&str, Wire, &Upstream)], routes: &str) -> Self {
        Self::of(Plan::new(providers, routes)).await
    }

    pub async fn of(plan: Plan<'_>) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let services = Services::shared().await;
        let db = Db::connect(&services.database_url, 4).await.unwrap();
        db.migrate().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let key = key(&db, plan.limits).await;
        let (proxy, url) = match plan.behind_a_proxy {
            true => {
                let (proxy, url) = proxied(&services.database_url).await;
                (Some(proxy), url)
            }
            false => (None, services.database_url),
        };
        let gateways = Db::connect(&url, 4).await.unwrap();
        let accounts = Accounts::start(gateways, plan.accounts, folder.path()).unwrap();
        let mut text = "[retry]\nfirst_delay_ms = 1\n".to_owned();
        for (name, wire, upstream) in plan.providers {
            let (kind, base) = (kind(*wire), upstream.base_url());
            writeln!(
                text,
                "[providers.{name}]\nkind = \"{kind}\"\nbase_url = \"{base}\"\napi_key = \"{API_KEY}\""
            )
            .unwrap();
        }
        let config: Config = toml::from_str(&(text + plan.routes)).unwrap();
        let mut providers = Providers::from_config(&config).unwrap();
        for (name, _, _) in plan.providers.iter().filter(|(_, wire, _)| *wire == Wire::Bedrock) {
            let bedrock = Bedrock::new(&config.providers[*name]).with_credentials(ACCESS_KEY_ID, "secret");
            providers = providers.with(*name, Arc::new(bedrock));
        }
        let router = Arc::new(Router::new(&config.in_force().unwrap(), &providers));
        let mut front = Front::new(router, accounts.clone(), CacheBytes::default(), None);
        if let Some(mask) = plan.mask {
            front = front.with_mask(mask);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let routes: axum::Router = toryo_api::gateway::router(Arc::new(front), 32 * 1024 * 1024);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let http = Client::builder().no_proxy().build().unwrap();
        Self { base, key, http, accounts, db, folder, proxy }
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.post_with(&self.key, path, body)
    }

    pub fn post_with(&self, key: &str, path: &str, body: &Value) -> RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.base)).header("x-api-key", key);
        request
            .timeout(Duration::from_secs(60))
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    pub async fn send(&self, path: &str, body: &Value) -> Response {
        self.post(path, body).send().await.unwrap()
    }

    /// Status and body.
    pub async fn ask(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.send(path, body).await;
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

/// A proxy in front of Postgres, and the URL through it.
async fn proxied(url: &str) -> (Proxy, String) {
    let (before, rest) = url.split_once('@').unwrap();
    let (address, after) = rest.split_once('/').unwrap();
    let proxy = Proxy::start(address.parse().unwrap()).await.unwrap();
    let url = format!("{before}@{}/{after}", proxy.address());
    (proxy, url)
}

/// A key of the default organisation with these limits.
async fn key(db: &Db, limits: Limits) -> String {
    let (id, new) = (AccountId::generate(), secret::generate().unwrap());
    let mut tx = db.begin().await.unwrap();
    let organisation = accounts::default_organisation(&mut tx).await.unwrap();
    let account = NewAccount {
        kind: Kind::Key,
        name: "client".into(),
        organisation: Some(organisation),
        team: None,
        user: None,
        role: Some(KeyRole::Member),
        limits,
        expires_at: None,
    };
    accounts::create(&mut tx, id, &account).await.unwrap();
    accounts::add_secret(&mut tx, id, &new.digest, &new.prefix, Duration::ZERO).await.unwrap();
    db::commit(tx).await.unwrap();
    new.text.expose_secret().to_owned()
}

const fn kind(wire: Wire) -> &'static str {
    match wire {
        Wire::OpenAi => "openai",
        Wire::Anthropic => "anthropic",
        Wire::Bedrock => "bedrock",
    }
}

/// A question of this dialect to the route `coder`.
pub fn question(path: &str, words: &str) -> Value {
    match path {
        RESPONSES => serde_json::json!({ "model": "coder", "input": words, "store": false }),
        _ => serde_json::json!({
            "model": "coder", "max_tokens": 500, "messages": [{ "role": "user", "content": words }]
        }),
    }
}

/// The data of the server-sent events of an answer.
pub fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}
