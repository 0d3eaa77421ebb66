//! The error of this crate.

use toryo_domain::FailureClass;

/// What can go wrong on the bus; all of it goes away by itself or is a wrong setting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's address or the credentials are wrong.
    #[error("the queue's URL cannot be used: {0}")]
    Url(String),
    /// The server does not answer.
    #[error("the queue does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server answers, but stores nothing: its disk was full, or JetStream is off.
    #[error(
        "the queue has taken no messages for {seconds} s; look at its disk and its log, and start nats-server again \
         when there is room (runs go on meanwhile, more slowly)"
    )]
    Refusing {
        /// For how long.
        seconds: u64,
    },
}

impl Error {
    pub(crate) fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(error.into())
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::Url(_) => FailureClass::Input,
            Self::Unavailable(_) | Self::Refusing { .. } => FailureClass::Transient,
        }
    }
}
