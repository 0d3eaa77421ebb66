//! Both servers together: who owns them, and what callers may ask of them.

use std::{
    fmt,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{
    net::TcpStream,
    sync::{Mutex, MutexGuard},
};

use crate::{
    error::Error,
    fetch::{self, Programs},
    layout::{Layout, Options},
    nats::{self, Nats},
    postgres::{self, Postgres},
    state::{self, OwnerLock, State},
};

/// How long a second caller waits for the first one's servers; replaying a crashed database's log may take that.
const JOIN_LIMIT: Duration = Duration::from_secs(180);
const JOIN_POLL: Duration = Duration::from_millis(50);

/// A running Postgres with pgvector and a running nats-server with JetStream.
///
/// The owner's stack stops both when it is stopped or dropped; a guest's does nothing then.
pub struct Stack {
    // Fields are dropped in this order: the servers stop before the lock is free.
    owned: Option<Owned>,
    programs: Programs,
    layout: Layout,
    state: State,
    postgres_password: String,
    database_url: String,
    nats_url: String,
}

/// The order of locking is the order of the fields.
struct Owned {
    postgres: Mutex<Postgres>,
    nats: Mutex<Nats>,
    _lock: OwnerLock,
}

impl Stack {
    /// Downloads what is missing, makes the database at the first call, starts both servers and waits until
    /// they are ready. Where another process, or another stack of this one, owns them already, it joins them.
    ///
    /// # Errors
    /// See [`Error`]; nothing is left running then.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let layout = Layout::prepare(&options)?;
        let programs = fetch::fetch(&layout.packages, &options.progress).await?;
        let deadline = Instant::now() + JOIN_LIMIT;
        loop {
            if let Some(lock) = OwnerLock::try_take(&layout)? {
                return Self::own(&options, layout, programs, lock).await;
            }
            if let Some(state) = running(&layout).await {
                return Self::join(layout, programs, state);
            }
            if Instant::now() > deadline {
                let what = "waiting for the servers that another process is starting".to_owned();
                return Err(Error::TimedOut { what, limit: JOIN_LIMIT });
            }
            tokio::time::sleep(JOIN_POLL).await;
        }
    }

    async fn own(
        options: &Options,
        layout: Layout,
        programs: Programs,
        lock: OwnerLock,
    ) -> Result<Self, Error> {
        let remembered = State::load(&layout);
        State { ready: false, ..remembered }.save(&layout)?;
        (options.progress)("starting Postgres and nats-server");
        // When one fails, the other one is dropped, which stops it.
        let (postgres, nats) = tokio::try_join!(
            Postgres::start(
                programs.clone(),
                layout.clone(),
                options.durability,
                &remembered,
                &options.progress
            ),
            Nats::start(programs.clone(), layout.clone(), &remembered),
        )?;
        let state = State {
            postgres_port: postgres.port(),
            nats_port: nats.port(),
            nats_monitor_port: nats.monitor_port(),
            ready: true,
        };
        state.save(&layout)?;
        let owned = Owned { postgres: Mutex::new(postgres), nats: Mutex::new(nats), _lock: lock };
        Self::assemble(layout, programs, state, Some(owned))
    }

    fn join(layout: Layout, programs: Programs, state: State) -> Result<Self, Error> {
        Self::assemble(layout, programs, state, None)
    }

    fn assemble(
        layout: Layout,
        programs: Programs,
        state: State,
        owned: Option<Owned>,
    ) -> Result<Self, Error> {
        let postgres_password = state::password(&layout, postgres::PASSWORD_FILE, true)?;
        let nats_password = state::password(&layout, nats::PASSWORD_FILE, true)?;
        // The server speaks no TLS; on loopback none is needed.
        let database_url = format!(
            "postgres://{user}:{postgres_password}@127.0.0.1:{port}/{user}?sslmode=disable",
            user = postgres::NAME,
            port = state.postgres_port
        );
        let nats_url = format!("nats://{}:{nats_password}@127.0.0.1:{}", nats::USER, state.nats_port);
        Ok(Self { owned, programs, layout, state, postgres_password, database_url, nats_url })
    }

    /// The database's URL, with its password: never log it.
    #[must_use]
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The message server's URL, with its password: never log it.
    #[must_use]
    pub fn nats_url(&self) -> &str {
        &self.nats_url
    }

    /// Whether this stack started the servers, and will stop them.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.owned.is_some()
    }

    /// The folder with databases, logs and passwords: `<data>/embedded`, resolved.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.layout.home
    }

    /// The log of Postgres.
    #[must_use]
    pub fn postgres_log(&self) -> PathBuf {
        self.layout.home.join("postgres.log")
    }

    /// Runs SQL in the database `toryo` and returns the bare output: a line a row, columns parted by `|`.
    /// For development and tests; the product has its own connections.
    ///
    /// # Errors
    /// What `psql` says.
    pub async fn sql(&self, text: &str) -> Result<String, Error> {
        let (port, password) = (self.state.postgres_port, &self.postgres_password);
        postgres::sql(&self.programs, port, password, postgres::NAME, text).await
    }

    /// A page of NATS' monitoring port, such as `/varz` or `/jsz`: JSON.
    ///
    /// # Errors
    /// When the server does not answer within 10 s, or not with status 200.
    pub async fn nats_monitor(&self, path: &str) -> Result<String, Error> {
        nats::monitor(self.state.nats_monitor_port, path).await
    }

    /// Stops both servers in good order and waits until they are gone. A guest only leaves.
    ///
    /// # Errors
    /// When the state file cannot be written; the servers are stopped all the same.
    pub async fn stop(mut self) -> Result<(), Error> {
        let Some(owned) = self.owned.take() else { return Ok(()) };
        let (mut postgres, mut nats) = (owned.postgres.lock().await, owned.nats.lock().await);
        tokio::join!(postgres.stop(), nats.stop());
        // Before the lock is free: afterwards the file belongs to the next owner.
        State { ready: false, ..self.state }.save(&self.layout)
    }

    /// Kills Postgres as a crash would, for tests of faults. [`Self::postgres_restart`] brings it back.
    ///
    /// # Errors
    /// [`Error::NotOwner`] for a guest, here and in the next four.
    pub async fn postgres_kill9(&self) -> Result<(), Error> {
        self.postgres_lock().await?.kill9();
        Ok(())
    }

    /// Stops Postgres where it runs, and starts it on the same port.
    ///
    /// # Errors
    /// When it does not become ready, or somebody took its port meanwhile.
    pub async fn postgres_restart(&self) -> Result<(), Error> {
        let mut postgres = self.postgres_lock().await?;
        postgres.stop().await;
        postgres.launch().await?;
        same_port("Postgres", self.state.postgres_port, postgres.port())
    }

    /// Stops Postgres in good order, until [`Self::postgres_restart`].
    ///
    /// # Errors
    /// [`Error::NotOwner`] for a guest.
    pub async fn postgres_stop(&self) -> Result<(), Error> {
        self.postgres_lock().await?.stop().await;
        Ok(())
    }

    /// Kills nats-server as a crash would, for tests of faults. [`Self::nats_restart`] brings it back.
    ///
    /// # Errors
    /// [`Error::NotOwner`] for a guest.
    pub async fn nats_kill9(&self) -> Result<(), Error> {
        self.nats_lock().await?.kill9();
        Ok(())
    }

    /// Stops nats-server where it runs, and starts it on the same port.
    ///
    /// # Errors
    /// When it does not become ready, or somebody took its port meanwhile.
    pub async fn nats_restart(&self) -> Result<(), Error> {
        let mut nats = self.nats_lock().await?;
        nats.stop().await;
        nats.launch().await?;
        same_port("nats-server", self.state.nats_port, nats.port())
    }

    /// Stops nats-server in good order, until [`Self::nats_restart`].
    ///
    /// # Errors
    /// [`Error::NotOwner`] for a guest.
    pub async fn nats_stop(&self) -> Result<(), Error> {
        self.nats_lock().await?.stop().await;
        Ok(())
    }

    /// Starts again whichever server has ended by itself, and names it. For a caller that looks regularly.
    ///
    /// # Errors
    /// When it does not become ready; [`Error::NotOwner`] for a guest.
    pub async fn revive(&self) -> Result<Vec<&'static str>, Error> {
        let mut revived = Vec::new();
        let mut postgres = self.postgres_lock().await?;
        if !postgres.is_up() {
            postgres.stop().await;
            postgres.launch().await?;
            same_port("Postgres", self.state.postgres_port, postgres.port())?;
            revived.push("Postgres");
        }
        let mut nats = self.nats_lock().await?;
        if !nats.is_up() {
            nats.stop().await;
            nats.launch().await?;
            same_port("nats-server", self.state.nats_port, nats.port())?;
            revived.push("nats-server");
        }
        Ok(revived)
    }

    /// Whether the servers' disk takes a file of 1 MiB.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let probe = self.layout.home.join("room");
        let taken = std::fs::write(&probe, vec![0; 1024 * 1024]).is_ok();
        std::fs::remove_file(&probe).is_ok() && taken
    }

    async fn postgres_lock(&self) -> Result<MutexGuard<'_, Postgres>, Error> {
        Ok(self.owned.as_ref().ok_or(Error::NotOwner)?.postgres.lock().await)
    }

    async fn nats_lock(&self) -> Result<MutexGuard<'_, Nats>, Error> {
        Ok(self.owned.as_ref().ok_or(Error::NotOwner)?.nats.lock().await)
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("home", &self.layout.home)
            .field("owner", &self.is_owner())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The state of servers that another owner runs, once both answer.
async fn running(layout: &Layout) -> Option<State> {
    let state = State::load(layout);
    let answers = |port| async move { TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() };
    let both = state.ready && answers(state.postgres_port).await && answers(state.nats_port).await;
    both.then_some(state)
}

/// URLs were handed out already, so a restart on another port is a failure.
fn same_port(server: &str, before: u16, now: u16) -> Result<(), Error> {
    if before == now {
        return Ok(());
    }
    let source = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    Err(Error::Io { what: format!("{server} lost its port {before} to another program"), source })
}
