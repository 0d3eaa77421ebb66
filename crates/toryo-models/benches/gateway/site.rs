//! The contenders, each a process of its own, and what they need.

use crate::load::Kind;
use crate::{passthrough, upstream};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use toryo_blackboard::accounts::{self, KeyRole, Kind as Account, Limits, MemberRole, NewAccount, PutBudget};
use toryo_blackboard::{Db, db};
use toryo_domain::{AccountId, Usd};
use toryo_models::accounts::secret;
use toryo_models::allowance::Limit;
use toryo_testkit::process;
use toryo_testkit::stack::{OwnServers, Services};

/// Longest wait for a server.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who is asked.
pub struct Contender {
    pub name: &'static str,
    pub address: SocketAddr,
    /// Whose processor time counts; nobody's where the upstream is asked directly.
    pub process: Option<u32>,
    key: String,
}

impl Contender {
    /// The bytes of a request.
    pub fn request(&self, kind: Kind) -> Vec<u8> {
        let stream = match kind {
            Kind::Whole => "",
            Kind::Stream => ",\"stream\":true",
        };
        let body = format!(
            "{{\"model\":\"bench\",\"messages\":[{{\"role\":\"system\",\"content\":\"You are terse.\"}},\
             {{\"role\":\"user\",\"content\":\"Say lorem twenty times.\"}}],\"max_tokens\":100{stream}}}"
        );
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        )
        .into_bytes()
    }
}

/// Everything that runs.
pub struct Site {
    contenders: Vec<Contender>,
    db: Db,
    _children: Vec<Child>,
    _servers: OwnServers,
}

impl Site {
    pub async fn start(folder: &Path, toryo: &Path) -> Self {
        let servers = OwnServers::start_in(folder.to_owned()).await;
        let services = servers.services().await;
        let db = Db::connect(&services.database_url, 2).await.expect("a database");
        db.migrate().await.expect("migrations");
        let key = key(&db).await;
        let own = std::env::current_exe().expect("this program");
        let (upstream, upstream_at) = announced(Command::new(&own).arg("upstream")).await;
        let (passthrough, passthrough_at) =
            announced(Command::new(&own).arg("passthrough").arg(upstream_at.to_string())).await;
        let settings = settings(folder, &services, upstream_at);
        // Everything else inherits core 1 from this process.
        let mut serve = Command::new("taskset");
        serve
            .args(["--cpu-list", "0"])
            .arg(toryo)
            .arg("--config")
            .arg(settings)
            .arg("serve")
            .env("NO_COLOR", "1");
        let (toryo, toryo_at) = serving(&mut serve).await;
        let contender = |name, address, child: Option<&Child>, key: &str| Contender {
            name,
            address,
            process: child.and_then(Child::id),
            key: key.to_owned(),
        };
        let contenders = vec![
            contender("upstream", upstream_at, None, ""),
            contender("pass-through", passthrough_at, Some(&passthrough), passthrough::KEY),
            contender("toryo", toryo_at, Some(&toryo), &key),
        ];
        Self { contenders, db, _children: vec![upstream, passthrough, toryo], _servers: servers }
    }

    pub fn contenders(&self) -> &[Contender] {
        &self.contenders
    }

    /// The most memory of each contender so far.
    pub fn memory(&self) -> Value {
        let of = |contender: &Contender| {
            (contender.name.to_owned(), json!(contender.process.map(|id| process::memory_mib(id, "VmHWM"))))
        };
        Value::Object(self.contenders.iter().map(of).collect())
    }

    /// What the ledger holds once it was written: calls, and what they cost beside what the tokens come to.
    pub async fn checked(&self) -> Value {
        let statement = "select count(*), coalesce(sum(cost_nano_usd), 0)::bigint, \
             coalesce(sum(input_tokens * 1000 + output_tokens * 2000), 0)::bigint from gateway_ledger";
        let mut before = -1;
        loop {
            let row: (i64, i64, i64) =
                sqlx::query_as(statement).fetch_one(self.db.pool()).await.expect("the ledger");
            if row.0 == before {
                assert_eq!(row.1, row.2, "every token is paid once");
                return json!({ "calls": row.0, "nano_usd": row.1, "tokens_of_an_answer": upstream::TOKENS });
            }
            before = row.0;
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
}

/// A key in a team of an organisation, with limits and budgets that never are reached.
async fn key(db: &Db) -> String {
    let mut tx = db.begin().await.expect("a transaction");
    let organisation = accounts::default_organisation(&mut tx).await.expect("an organisation");
    let (team, user, key) = (AccountId::generate(), AccountId::generate(), AccountId::generate());
    let secret = secret::generate().expect("a secret");
    let limits = || Limits {
        requests_per_minute: Some(100_000_000),
        tokens_per_minute: Some(100_000_000_000),
        parallel: Some(10_000),
        ..Limits::default()
    };
    let of = |kind, name: &str, team, user, role| NewAccount {
        kind,
        name: name.to_owned(),
        organisation: Some(organisation),
        team,
        user,
        role,
        limits: limits(),
        expires_at: None,
    };
    accounts::create(&mut tx, team, &of(Account::Team, "bench", None, None, None)).await.expect("a team");
    accounts::create(&mut tx, user, &of(Account::User, "bench", None, None, None)).await.expect("a user");
    accounts::put_member(&mut tx, team, user, MemberRole::Member).await.expect("a member");
    let new = of(Account::Key, "bench", Some(team), Some(user), Some(KeyRole::Member));
    accounts::create(&mut tx, key, &new).await.expect("a key");
    accounts::add_secret(&mut tx, key, &secret.digest, &secret.prefix, Duration::ZERO)
        .await
        .expect("a secret");
    for account in [team, key] {
        let most = Usd::from_nanos(1_000_000_000_000_000);
        let budget =
            PutBudget { account, limit: Limit::Month, most, soft: None, alerts: vec![50, 80, 90, 100] };
        accounts::put_budget(&mut tx, &budget).await.expect("a budget");
    }
    db::commit(tx).await.expect("a commit");
    secret.text.expose_secret().to_owned()
}

fn settings(folder: &Path, services: &Services, upstream: SocketAddr) -> PathBuf {
    let settings = folder.join("toryo.toml");
    let text = format!(
        "data_dir = {:?}\n[server]\nlisten = \"127.0.0.1:0\"\n[database]\nurl = {:?}\n[queue]\nurl = {:?}\nprefix = {:?}\n\
         [models.providers.bench]\nbase_url = \"http://{upstream}/v1\"\nkeyless = true\n\
         [models.routes.bench]\nprovider = \"bench\"\nmodel = \"bench-1\"\n\
         price = {{ input = 1, cached_input = 1, output = 2 }}\n",
        folder.join("data"),
        services.database_url,
        services.nats_url,
        services.nats_prefix,
    );
    std::fs::write(&settings, text).expect("settings");
    settings
}

/// Starts a part of this program; it ends with its owner.
async fn announced(command: &mut Command) -> (Child, SocketAddr) {
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("a process");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it starts in time");
    let address = line.expect("a line").expect("an address").parse().expect("an address");
    (child, address)
}

async fn serving(command: &mut Command) -> (Child, SocketAddr) {
    const SERVES: &str = "Toryo serves on http://";
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().expect("a server");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let started = async {
        let mut said = String::new();
        while let Some(line) = lines.next_line().await.expect("a line") {
            if let Some(at) = line.find(SERVES) {
                return line[at + SERVES.len()..].trim_end_matches('/').parse().expect("an address");
            }
            said += &line;
            said.push('\n');
        }
        panic!("the server ended:\n{said}");
    };
    let address = tokio::time::timeout(PATIENCE, started).await.expect("the server starts in time");
    // What it says further is read, so that it never waits for a reader.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address)
}
