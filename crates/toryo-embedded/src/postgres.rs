//! The private Postgres: starting it, knowing when it is ready, stopping it.

mod cluster;

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{
    error::Error,
    fetch::Programs,
    layout::{Durability, Layout, Progress},
    process::{POLL, Server, is_running, run_tool, stop_leftover},
    state::{self, State},
};

/// The superuser and the database that Toryo uses. The server is private, and `create extension vector` needs
/// a superuser.
pub(crate) const NAME: &str = "toryo";
/// The file beside the database that holds the superuser's password.
pub(crate) const PASSWORD_FILE: &str = "postgres.password";
/// Replaying the log of a crashed database may take a while; readiness is otherwise a matter of 0.1 s.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// How often another port is tried when somebody takes the chosen one first.
const PORT_ATTEMPTS: usize = 5;
const SQL_LIMIT: Duration = Duration::from_secs(60);
/// Asks Postgres to end its sessions and stop at once, with a checkpoint ("fast shutdown").
const FAST_SHUTDOWN: Signal = Signal::SIGINT;

/// The database server of one home.
#[derive(Debug)]
pub(crate) struct Postgres {
    programs: Programs,
    layout: Layout,
    durability: Durability,
    data: PathBuf,
    password: String,
    port: u16,
    server: Option<Server>,
}

enum Readiness {
    Ready,
    /// The port went to somebody else.
    PortTaken,
    /// Sessions of a killed server are still ending.
    Unsettled,
}

impl Postgres {
    /// Makes the database at the first call, and starts the server.
    pub(crate) async fn start(
        programs: Programs,
        layout: Layout,
        durability: Durability,
        remembered: &State,
        progress: &Progress,
    ) -> Result<Self, Error> {
        let data = layout.home.join("postgres");
        let password = state::password(&layout, PASSWORD_FILE, data.exists())?;
        let port = remembered.postgres_port;
        let mut postgres = Self { programs, layout, durability, data, password, port, server: None };
        postgres.create_cluster(progress).await?;
        postgres.launch().await?;
        Ok(postgres)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts the server of an existing database and waits until it accepts sessions.
    pub(crate) async fn launch(&mut self) -> Result<(), Error> {
        self.clear_leftover().await;
        let deadline = Instant::now() + READY_LIMIT;
        let mut ports_taken = 0;
        loop {
            self.port = state::free_port(self.port)?;
            let server = self.spawn()?;
            let (server, status) = match self.wait_until_ready(server, deadline).await? {
                (server, Ok(())) => {
                    self.server = Some(server);
                    return Ok(());
                }
                (server, Err(status)) => (server, status),
            };
            let failed = server.failed(status);
            match why_not_ready(&failed) {
                Readiness::PortTaken if ports_taken < PORT_ATTEMPTS => ports_taken += 1,
                Readiness::Unsettled if Instant::now() < deadline => tokio::time::sleep(POLL).await,
                Readiness::Ready | Readiness::PortTaken | Readiness::Unsettled => return Err(failed),
            }
        }
    }

    /// Stops the server in good order; what was committed stays.
    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Kills the server as a crash would.
    pub(crate) fn kill9(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill9();
        }
    }

    /// Whether the server runs, as far as its owner can tell.
    pub(crate) fn is_up(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| server.exited().is_none())
    }

    fn spawn(&self) -> Result<Server, Error> {
        let mut command = Command::new(self.programs.postgres_bin.join("postgres"));
        command.arg("-D").arg(&self.data);
        let port = format!("port={}", self.port);
        // No Unix socket: its path has a limit of about 100 bytes, which a data folder may exceed.
        let always = ["listen_addresses=127.0.0.1", "unix_socket_directories=", &port];
        // Every test has a database of its own, so tests need many sessions; their log and the number of writing
        // transactions are read as evidence, so the server makes none of its own.
        // Commits stay synchronous: the system then has them even when a test kills the server.
        let for_tests =
            ["fsync=off", "full_page_writes=off", "max_connections=400", "log_connections=authorization"];
        let extra: &[&str] = match self.durability {
            Durability::Full => &["max_connections=100"],
            Durability::Tests => &for_tests,
        };
        for setting in always.iter().chain(extra) {
            command.args(["-c", setting]);
        }
        let log = self.layout.home.join("postgres.log");
        Server::spawn("Postgres", &self.layout, command, &log, FAST_SHUTDOWN)
    }

    /// Waits for the line in which the server itself says that it is ready (`pg_ctl --wait` reads the same).
    async fn wait_until_ready(
        &self,
        mut server: Server,
        deadline: Instant,
    ) -> Result<(Server, Result<(), std::process::ExitStatus>), Error> {
        while Instant::now() < deadline {
            if let Some(status) = server.exited() {
                return Ok((server, Err(status)));
            }
            if self.pid_file().is_some_and(|(pid, ready)| pid == server.pid() && ready) {
                return Ok((server, Ok(())));
            }
            tokio::time::sleep(POLL).await;
        }
        Err(Error::TimedOut { what: "the start of Postgres".to_owned(), limit: READY_LIMIT })
    }

    /// Process id and readiness from `postmaster.pid`, whose eighth line is the status.
    fn pid_file(&self) -> Option<(i32, bool)> {
        let text = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let pid = text.lines().next()?.trim().parse().ok()?;
        Some((pid, text.lines().nth(7).is_some_and(|status| status.trim() == "ready")))
    }

    /// Stops a server that a dead owner left behind. A file that names a stranger is removed, because Postgres
    /// would refuse to start over it; one that names nobody is left to Postgres, which knows how to recover.
    async fn clear_leftover(&self) {
        let Some((pid, _)) = self.pid_file() else { return };
        let data = self.data.to_string_lossy();
        stop_leftover(pid, &data, FAST_SHUTDOWN).await;
        let exists = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok();
        if exists && !is_running(pid, &data) {
            fs::remove_file(self.data.join("postmaster.pid")).ok();
        }
    }
}

fn why_not_ready(failed: &Error) -> Readiness {
    let Error::Exited { log, .. } = failed else { return Readiness::Ready };
    if log.contains("could not bind") || log.contains("could not create any TCP/IP sockets") {
        Readiness::PortTaken
    } else if log.contains("pre-existing shared memory block") {
        Readiness::Unsettled
    } else {
        Readiness::Ready
    }
}

/// Runs SQL with `psql` and returns its bare output, a line a row.
pub(crate) async fn sql(
    programs: &Programs,
    port: u16,
    password: &str,
    database: &str,
    text: &str,
) -> Result<String, Error> {
    let mut command = Command::new(programs.postgres_bin.join("psql"));
    command
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", NAME])
        .args(["-p", &port.to_string(), "-d", database, "-f", "-"])
        .env_clear()
        .env("LC_ALL", "C")
        .env("PGCLIENTENCODING", "UTF8")
        .env("PGPASSWORD", password);
    let output = run_tool("psql", command, text, SQL_LIMIT).await?;
    Ok(output.trim_end().to_owned())
}
