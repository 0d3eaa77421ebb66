//! The error of this crate.

use toryo_domain::FailureClass;

/// What can go wrong on the blackboard.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres does not answer or refused; worth another try.
    #[error("the database does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// The lease ran out or another worker holds it: nothing was written.
    #[error("the lease was lost; nothing was written")]
    StaleFence,
    /// No such row.
    #[error("{what} does not exist")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// The row is in a status that does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// A stored value does not read as what it should be.
    #[error("a stored {what} cannot be read")]
    Corrupt {
        /// What was read.
        what: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A statement is wrong: a fault of Toryo's own.
    #[error("a database statement failed")]
    Statement(#[source] sqlx::Error),
    /// The migrations cannot be applied.
    #[error("the migrations cannot be applied")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The blob store failed.
    #[error("the blob store does not answer")]
    Blobs(#[source] object_store::Error),
    /// No blob of this digest.
    #[error("no blob {0} is stored")]
    NoBlob(toryo_domain::Digest),
    /// A blob's bytes do not have the digest it is stored under.
    #[error("blob {0} is damaged")]
    DamagedBlob(toryo_domain::Digest),
}

impl Error {
    /// A stored value that cannot be read.
    pub fn corrupt(what: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Corrupt { what, source: source.into() }
    }

    /// Whoever asked the database was stopped before it answered.
    #[must_use]
    pub const fn interrupted() -> Self {
        Self::Unavailable(sqlx::Error::WorkerCrashed)
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::Unavailable(_) | Self::StaleFence | Self::Blobs(_) => FailureClass::Transient,
            Self::NotFound { .. } | Self::Conflict(_) => FailureClass::Input,
            Self::Corrupt { .. }
            | Self::Statement(_)
            | Self::Migrate(_)
            | Self::NoBlob(_)
            | Self::DamagedBlob(_) => FailureClass::Bug,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            // 08 connection, 40 rollback (deadlock, serialisation), 53 resources, 57 operator, 25P03 idle transaction,
            // 25006 read-only after a failover, 55P03 lock: a restart or a busy server, see the table of codes in
            // PostgreSQL's appendix A.
            sqlx::Error::Database(database)
                if database.code().is_some_and(|code| {
                    let passing = ["25P03", "25006", "55P03"];
                    passing.contains(&&*code)
                        || ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))
                }) =>
            {
                Self::Unavailable(error)
            }
            _ => Self::Statement(error),
        }
    }
}
