//! Connections for what is hottest: one statement that is a transaction of its own.
//!
//! The pool asks the server before it lends a connection and after it was given back, which costs more than such a
//! statement's own way there and back. A lane asks only where it has been idle for a while, and one on which anything
//! went wrong is never used again.

use crate::Error;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// After so long a connection is asked whether it still lives: something between here and the server may have ended it.
/// Shorter than the pause before anything is tried again, so that a second try meets no dead connection.
pub const DOUBT: Duration = Duration::from_millis(500);

/// A fixed number of places; cheap to clone.
#[derive(Debug, Clone)]
pub struct Lanes {
    options: Arc<PgConnectOptions>,
    places: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<(PgConnection, Instant)>>>,
    patience: Duration,
}

/// One connection, for one statement.
pub struct Lane {
    /// The connection.
    pub connection: PgConnection,
    lanes: Lanes,
    _place: OwnedSemaphorePermit,
}

impl Lanes {
    /// At most so many connections; the first statements make them.
    pub fn new(options: PgConnectOptions, places: u32, patience: Duration) -> Self {
        let places = Arc::new(Semaphore::new(places as usize));
        Self { options: Arc::new(options), places, idle: Arc::default(), patience }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(PgConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection, as soon as there is a free place.
    ///
    /// # Errors
    /// There is none in time, or the server does not answer.
    pub async fn take(&self) -> Result<Lane, Error> {
        tokio::time::timeout(self.patience, self.open()).await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    async fn open(&self) -> Result<Lane, Error> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let connection = loop {
            // The one used last: those that are not needed grow old, and what is old is asked first.
            let newest = self.idle().pop();
            match newest {
                None => break self.options.connect().await?,
                Some((connection, since)) if since.elapsed() < DOUBT => break connection,
                Some((mut connection, _)) => {
                    if connection.ping().await.is_ok() {
                        break connection;
                    }
                }
            }
        };
        Ok(Lane { connection, lanes: self.clone(), _place: place })
    }

    /// Ends all connections that are idle, and lends no further ones.
    pub async fn close(&self) {
        self.places.close();
        let idle = std::mem::take(&mut *self.idle());
        for (connection, _) in idle {
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "a connection to the database ended by itself");
            }
        }
    }
}

impl Lane {
    /// Gives the connection back after a statement that was answered.
    pub fn done(self) {
        if !self.lanes.places.is_closed() {
            self.lanes.idle().push((self.connection, Instant::now()));
        }
    }
}
