//! Postgres and NATS for a test: an own database and own subjects on the servers that `cargo xtask test` started,
//! or own servers where the test stops and kills them.

#![expect(clippy::expect_used, reason = "a test harness that cannot start has to fail loudly")]

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::path::PathBuf;
use toryo_embedded::{Durability, Options, Stack};

const HINT: &str =
    "run the tests through `cargo xtask test`, or keep `cargo xtask services` open and export what it prints";

/// Where one test finds its services.
#[derive(Debug, Clone)]
pub struct Services {
    /// An empty database of its own.
    pub database_url: String,
    /// The server, shared.
    pub nats_url: String,
    /// The prefix of its subjects and streams there.
    pub nats_prefix: String,
}

impl Services {
    /// An empty database and a free prefix on the shared servers.
    ///
    /// # Panics
    /// The servers are not there: a test never passes without them.
    pub async fn shared() -> Self {
        let database_url = std::env::var("TORYO_TEST_DATABASE_URL").expect(HINT);
        let nats_url = std::env::var("TORYO_TEST_NATS_URL").expect(HINT);
        Self::on(&database_url, nats_url).await
    }

    /// An empty database and a free prefix on these servers.
    ///
    /// # Panics
    /// The database does not answer.
    pub async fn on(database_url: &str, nats_url: String) -> Self {
        let name = format!("toryo_test_{}", uuid::Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(database_url).await.expect(HINT);
        sqlx::query(AssertSqlSafe(format!("create database {name}")))
            .execute(&mut connection)
            .await
            .expect("a database is created");
        Self { database_url: with_database(database_url, &name), nats_url, nats_prefix: name }
    }
}

/// The URL of another database on the same server.
fn with_database(url: &str, name: &str) -> String {
    let (authority, query) = url.split_once('?').unwrap_or((url, ""));
    let head = authority.rsplit_once('/').map_or(authority, |(head, _)| head);
    format!("{head}/{name}?{query}")
}

/// Own servers, which a test may stop and kill.
pub struct OwnServers {
    /// The servers.
    pub stack: Stack,
    _folder: Folder,
}

/// A folder that is removed with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

impl OwnServers {
    /// Starts both under a new folder, with full durability: what is confirmed outlives a kill.
    ///
    /// # Panics
    /// They do not start.
    pub async fn start() -> Self {
        Self::start_in(std::env::temp_dir()).await
    }

    /// As [`start`](Self::start), under a folder of this one: on a disk of the test's own.
    ///
    /// # Panics
    /// They do not start.
    pub async fn start_in(folder: PathBuf) -> Self {
        Self::start_with(folder, |options| options).await
    }

    /// As [`start_in`](Self::start_in), with further options.
    ///
    /// # Panics
    /// They do not start.
    pub async fn start_with(folder: PathBuf, further: impl FnOnce(Options) -> Options) -> Self {
        let home = folder.join(format!("toryo-servers-{}", uuid::Uuid::now_v7().simple()));
        let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/toryo-test/packages");
        let options = Options::new(&home).packages_dir(target).durability(Durability::Full);
        let stack = Stack::start(further(options)).await.expect("own servers start");
        Self { stack, _folder: Folder(home) }
    }

    /// Where a test finds them.
    pub async fn services(&self) -> Services {
        Services::on(self.stack.database_url(), self.stack.nats_url().to_owned()).await
    }
}
