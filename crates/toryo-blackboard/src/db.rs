//! The connection to Postgres, and the migrations.

use crate::Error;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{PgConnection, Postgres, Transaction};
use std::str::FromStr;
use std::time::Duration;

/// A transaction; dropping it rolls back.
pub type Tx = Transaction<'static, Postgres>;

/// A pool of connections; cheap to clone.
#[derive(Debug, Clone)]
pub struct Db(PgPool);

/// Longest wait for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

impl Db {
    /// Opens a pool of at most `connections`.
    ///
    /// # Errors
    /// The URL is not one, or the server does not answer within ten seconds.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, Error> {
        Ok(Self(pool(connections).connect_with(options(url)?).await?))
    }

    /// As [`connect`](Self::connect), but the first statement makes the first connection.
    ///
    /// # Errors
    /// The URL is not one.
    pub fn lazy(url: &str, connections: u32) -> Result<Self, Error> {
        Ok(Self(pool(connections).connect_lazy_with(options(url)?)))
    }

    /// Applies the migrations that are missing. Safe to call from several processes at once.
    ///
    /// # Errors
    /// A migration fails, or the database holds one that this binary does not know.
    pub async fn migrate(&self) -> Result<(), Error> {
        sqlx::migrate!("../../migrations").run(&self.0).await.map_err(Error::Migrate)
    }

    /// Whether a statement is answered.
    ///
    /// # Errors
    /// It is not.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("select 1").execute(&self.0).await?;
        Ok(())
    }

    /// Begins a transaction; dropping it rolls back.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn begin(&self) -> Result<Tx, Error> {
        Ok(self.0.begin().await?)
    }

    /// The pool, for reads of one statement.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.0
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.0.close().await;
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
    PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT)
}
