//! Postgres with `fsync` on and NATS, for this benchmark alone, and what they count.

use crate::processes::Processes;
use sqlx::{Connection, PgConnection};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use toryo_testkit::stack::{OwnServers, Services};

/// The servers.
pub struct Servers {
    own: OwnServers,
    observer: tokio::sync::Mutex<PgConnection>,
}

/// A slower disk: a library that stands before the C library, and how much longer each sync takes.
pub struct Delay {
    library: PathBuf,
    microseconds: u128,
}

impl Delay {
    /// `None` where there is no C compiler to build the library with.
    pub fn build(folder: &Path, delay: Duration) -> Option<Self> {
        let (source, library) = (folder.join("slow_sync.c"), folder.join("slow_sync.so"));
        std::fs::write(&source, include_str!("slow_sync.c")).expect("a file");
        let mut compiler = Command::new("cc");
        let built =
            compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).arg("-ldl").status();
        built
            .is_ok_and(|status| status.success())
            .then_some(Self { library, microseconds: delay.as_micros() })
    }
}

/// What Postgres counted, over all its sessions that have ended.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    pub commits: i64,
    pub syncs: i64,
}

impl Servers {
    /// Under this folder; with every sync of Postgres delayed where a library for that is named.
    pub async fn start(folder: PathBuf, delay: Option<&Delay>) -> Self {
        let own = OwnServers::start_with(folder, |options| match delay {
            None => options,
            Some(delay) => options
                .environment("LD_PRELOAD", delay.library.display().to_string())
                .environment("TORYO_BENCH_SYNC_MICROSECONDS", delay.microseconds.to_string()),
        });
        let own = own.await;
        let observer = PgConnection::connect(own.stack.database_url()).await.expect("a session");
        let servers = Self { own, observer: observer.into() };
        assert_eq!(servers.scalar::<String>("show fsync").await, "on");
        if let Some(delay) = delay {
            servers.check(delay).await;
        }
        servers
    }

    /// A commit waits for a sync, so that it takes no less time than a delayed one.
    async fn check(&self, delay: &Delay) {
        let mut observer = self.observer.lock().await;
        let started = Instant::now();
        for statement in ["create table checked (n integer)", "drop table checked"] {
            sqlx::query(statement).execute(&mut *observer).await.expect("a commit");
        }
        assert!(
            started.elapsed().as_micros() >= 2 * delay.microseconds,
            "the syncs of Postgres are not delayed"
        );
    }

    /// An empty database, and a prefix for the subjects.
    pub async fn fresh(&self) -> Services {
        self.own.services().await
    }

    pub async fn version(&self) -> String {
        self.scalar("show server_version").await
    }

    async fn scalar<T>(&self, statement: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(statement).fetch_one(&mut *self.observer.lock().await).await.expect("an answer")
    }

    /// Commits in the database of this name, and syncs of the log by all. Sessions report when they end, at the latest.
    pub async fn counted(&self, database_url: &str) -> Counted {
        let name = database_url.rsplit('/').next().and_then(|rest| rest.split('?').next()).expect("a name");
        let mut observer = self.observer.lock().await;
        let sessions = "select count(*) from pg_stat_activity where datname = $1";
        while sqlx::query_scalar::<_, i64>(sessions)
            .bind(name)
            .fetch_one(&mut *observer)
            .await
            .expect("a count")
            > 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let commits = "select xact_commit from pg_stat_database where datname = $1";
        let commits =
            sqlx::query_scalar(commits).bind(name).fetch_one(&mut *observer).await.expect("commits");
        let syncs = "select coalesce(sum(fsyncs), 0)::bigint from pg_stat_io where object = 'wal'";
        let syncs = sqlx::query_scalar(syncs).fetch_one(&mut *observer).await.expect("syncs");
        Counted { commits, syncs }
    }

    /// Processor time that both servers used so far.
    pub fn cpu(&self) -> (f64, f64) {
        let processes = Processes::look();
        let used = |name: &str| processes.mine(name).map(|process| process.cpu_ms()).sum();
        (used("postgres"), used("nats-server"))
    }
}
