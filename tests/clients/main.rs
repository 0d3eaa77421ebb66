//! The official Python clients of the three dialects against the gateway's HTTP face, over real sockets: `openai`,
//! `anthropic`, and `litellm` as a client. Behind it stand providers of the test kit; a route's alias says how its
//! provider behaves. What is asked and expected is in the Python files beside this one.
//!
//! `cargo xtask test` prepares the clients. By hand:
//! `python3 -m venv target/toryo-test/clients && target/toryo-test/clients/bin/pip install -r tests/clients/requirements.txt`

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use secrecy::ExposeSecret;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use toryo_blackboard::accounts::{self as accounts, KeyRole, Kind, Limits, NewAccount};
use toryo_blackboard::{Db, db};
use toryo_domain::AccountId;
use toryo_models::accounts::{Accounts, secret};
use toryo_models::config::{CacheBytes, Config};
use toryo_models::front::{Embedders, Front};
use toryo_models::provider::Providers;
use toryo_models::route::Router;
use toryo_testkit::embeddings;
use toryo_testkit::stack::Services;
use toryo_testkit::upstream::{API_KEY, Fault, Reply, Said, Thinking, Upstream, Wire};

/// Longest time for one client's whole program: `litellm` alone takes seconds to be loaded.
const PATIENCE: Duration = Duration::from_secs(180);

/// A gateway with its providers, and a key for it.
struct Site {
    base: String,
    key: String,
    upstreams: Vec<Upstream>,
    _embeddings: embeddings::EmbeddingServer,
    _folder: TempDir,
}

/// What each route's provider says, whenever it is asked.
fn behaviours() -> Vec<(&'static str, Wire, Reply)> {
    let call = || Said::call("get_weather", json!({ "city": "Kyoto", "days": 2 }));
    let thinks = || Said {
        thinking: Some(Thinking { text: "Let me see.".into(), signature: "c2lnbmVk".into() }),
        ..Said::text("Forty-two, I think.")
    };
    vec![
        ("hello", Wire::OpenAi, Reply::Says(Said::text("Hello to you, and to all others."))),
        ("hello-claude", Wire::Anthropic, Reply::Says(Said::text("Hello to you, and to all others."))),
        ("tools", Wire::OpenAi, Reply::Says(call())),
        ("tools-claude", Wire::Anthropic, Reply::Says(call())),
        ("json", Wire::OpenAi, Reply::Says(Said::text("{\"city\":\"Kyoto\",\"degrees\":21}"))),
        ("thinks-claude", Wire::Anthropic, Reply::Says(thinks())),
        ("limited", Wire::OpenAi, Reply::Fails(Fault::RateLimited(Some(7)))),
        ("limited-claude", Wire::Anthropic, Reply::Fails(Fault::RateLimited(Some(7)))),
        ("broken", Wire::OpenAi, Reply::Fails(Fault::EndsEarly)),
        ("broken-claude", Wire::Anthropic, Reply::Fails(Fault::EndsEarly)),
    ]
}

impl Site {
    async fn start() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let embeddings = embeddings::EmbeddingServer::start().await;
        let mut text = format!(
            "[retry]\nattempts = 1\n[providers.vectors]\nbase_url = \"{}\"\napi_key = \"{}\"\n\
             [routes.embed]\nprovider = \"vectors\"\nmodel = \"small\"\n",
            embeddings.base_url(),
            embeddings::API_KEY,
        );
        let mut upstreams = Vec::new();
        for (alias, wire, reply) in behaviours() {
            let upstream = Upstream::start(wire, [reply]).await;
            let kind = if wire == Wire::Anthropic { "anthropic" } else { "openai" };
            let base = upstream.base_url();
            write!(
                text,
                "[providers.{alias}]\nkind = \"{kind}\"\nbase_url = \"{base}\"\napi_key = \"{API_KEY}\"\n\
                 [routes.{alias}]\nprovider = \"{alias}\"\nmodel = \"m\"\nmax_output_tokens = 4000\n\
                 price = {{ input = 1, cached_input = 1, output = 2 }}\n",
            )
            .unwrap();
            upstreams.push(upstream);
        }
        let config: Config = toml::from_str(&text).unwrap();
        let in_force = config.in_force().unwrap();
        let router = Arc::new(Router::new(&in_force, &Providers::from_config(&config).unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let (accounts, key) = accounts_with_key(&folder).await;
        let front = Front::new(router, accounts, CacheBytes::default(), None)
            .with_embedders(Embedders::of(&in_force).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let routes: axum::Router = toryo_api::gateway::router(Arc::new(front), 32 * 1024 * 1024);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { base, key, upstreams, _embeddings: embeddings, _folder: folder }
    }

    /// Runs one client's program to its end.
    async fn run(self, program: &str) {
        let mut command = Command::new(python());
        command
            .arg(concat_path(program))
            .env("TORYO_BASE", &self.base)
            .env("TORYO_KEY", &self.key)
            // Whatever proxy or key the developer uses has no part in it.
            .env_remove("OPENAI_API_KEY")
            .env_remove("ANTHROPIC_API_KEY")
            .env("NO_PROXY", "*")
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap();
        let said =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{program} failed:\n{said}");
        for upstream in &self.upstreams {
            assert_eq!(upstream.take_violations(), Vec::<String>::new());
        }
    }
}

async fn accounts_with_key(folder: &TempDir) -> (Accounts, String) {
    let services = Services::shared().await;
    let db = Db::connect(&services.database_url, 4).await.unwrap();
    db.migrate().await.unwrap();
    let (id, new) = (AccountId::generate(), secret::generate().unwrap());
    let mut tx = db.begin().await.unwrap();
    let organisation = accounts::default_organisation(&mut tx).await.unwrap();
    let key = NewAccount {
        kind: Kind::Key,
        name: "python".into(),
        organisation: Some(organisation),
        team: None,
        user: None,
        role: Some(KeyRole::Member),
        // So wide that nobody waits; clients are told what is left of them.
        limits: Limits {
            requests_per_minute: Some(100_000),
            tokens_per_minute: Some(1_000_000_000),
            ..Limits::default()
        },
        expires_at: None,
    };
    accounts::create(&mut tx, id, &key).await.unwrap();
    accounts::add_secret(&mut tx, id, &new.digest, &new.prefix, Duration::ZERO).await.unwrap();
    db::commit(tx).await.unwrap();
    let accounts = Accounts::start(db, toryo_models::accounts::Config::default(), folder.path()).unwrap();
    (accounts, new.text.expose_secret().to_owned())
}

fn concat_path(program: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients").join(program)
}

/// The interpreter that has the clients.
fn python() -> PathBuf {
    let named = std::env::var_os("TORYO_TEST_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| {
        let program = std::env::current_exe().unwrap();
        // target/debug/deps/clients-…
        let target = program.ancestors().nth(3).unwrap();
        target.join("toryo-test/clients/bin/python")
    });
    assert!(
        python.exists(),
        "the Python clients are not installed: {} is missing; run `cargo xtask test`, or make a virtual environment \
         with tests/clients/requirements.txt and name its interpreter in TORYO_TEST_PYTHON",
        python.display()
    );
    python
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_client_is_served() {
    Site::start().await.run("openai_client.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anthropic_client_is_served() {
    Site::start().await.run("anthropic_client.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn litellm_is_served_as_a_client() {
    Site::start().await.run("litellm_client.py").await;
}
