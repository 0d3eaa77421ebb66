//! The connection to Postgres, and the migrations.

mod lanes;

use crate::Error;
use lanes::{DOUBT, Lane, Lanes};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, Postgres, Transaction};
use std::str::FromStr;
use std::time::Duration;

/// A transaction; dropping it rolls back.
pub type Tx = Transaction<'static, Postgres>;

/// Pools of connections; cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    pool: PgPool,
    relaxed: PgPool,
    lanes: Lanes,
}

/// Connections for writes that may be forgotten in a crash of the database; on top of the others.
const RELAXED: u32 = 3;

/// Longest wait for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

impl Db {
    /// Opens a pool of at most `connections`, and as many lanes for what is hottest as they are needed.
    ///
    /// # Errors
    /// The URL is not one, or the server does not answer within ten seconds.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, Error> {
        Self::connect_within(url, connections, ACQUIRE_TIMEOUT).await
    }

    /// As [`connect`](Self::connect), and whoever needs a connection later waits for a free one for so long.
    ///
    /// # Errors
    /// The URL is not one, or the server does not answer in that time.
    pub async fn connect_within(url: &str, connections: u32, patience: Duration) -> Result<Self, Error> {
        let Self { relaxed, .. } = Self::lazy(url, connections)?;
        let lanes = Lanes::new(options(url)?, connections, patience);
        let pool = pool(connections).acquire_timeout(patience).connect_with(options(url)?).await?;
        Ok(Self { pool, relaxed, lanes })
    }

    /// As [`connect`](Self::connect), but the first statement makes the first connection.
    ///
    /// # Errors
    /// The URL is not one.
    pub fn lazy(url: &str, connections: u32) -> Result<Self, Error> {
        let options = options(url)?;
        let unsynced = options.clone().options([("synchronous_commit", "off")]);
        let relaxed = pool(RELAXED.min(connections)).connect_lazy_with(unsynced);
        let lanes = Lanes::new(options.clone(), connections, ACQUIRE_TIMEOUT);
        Ok(Self { pool: pool(connections).connect_lazy_with(options), relaxed, lanes })
    }

    /// Applies the migrations that are missing. Safe to call from several processes at once.
    ///
    /// # Errors
    /// A migration fails, or the database holds one that this binary does not know.
    pub async fn migrate(&self) -> Result<(), Error> {
        sqlx::migrate!("../../migrations").run(&self.pool).await.map_err(Error::Migrate)
    }

    /// Whether a statement is answered.
    ///
    /// # Errors
    /// It is not.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Begins a transaction; dropping it rolls back.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn begin(&self) -> Result<Tx, Error> {
        Ok(self.pool.begin().await?)
    }

    /// Begins a transaction whose commit does not wait for the disk: for what is made good by itself when a crash of the
    /// database forgets it, such as that a message was sent or a lease extended.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn begin_relaxed(&self) -> Result<Tx, Error> {
        Ok(self.relaxed.begin().await?)
    }

    /// As [`begin_relaxed`](Self::begin_relaxed), for single statements.
    pub(crate) const fn relaxed(&self) -> &PgPool {
        &self.relaxed
    }

    /// A connection for a single statement that is a transaction of its own.
    pub(crate) async fn lane(&self) -> Result<Lane, Error> {
        self.lanes.take().await
    }

    /// The pool, for reads of one statement.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Ends all connections.
    pub async fn close(&self) {
        tokio::join!(self.pool.close(), self.relaxed.close(), self.lanes.close());
    }
}

/// Makes what a transaction wrote visible and durable.
///
/// # Errors
/// The server does not answer; whether it committed is then unknown.
pub async fn commit(tx: Tx) -> Result<(), Error> {
    Ok(tx.commit().await?)
}

/// The connection behind a transaction; what write functions take, so that the caller sees the transaction.
pub type Connection = PgConnection;

fn options(url: &str) -> Result<PgConnectOptions, Error> {
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        Error::Conflict("the database URL is not of the form postgres://user@host/name".into())
    })?;
    Ok(options
        .application_name("toryo")
        // No statement of Toryo's takes long; one that does is stuck, and its lock would stop a run.
        .options([("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "60s")]))
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection that was used a moment ago is lent without being asked first.
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for >= DOUBT {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}
