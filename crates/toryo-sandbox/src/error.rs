//! What can go wrong with the sandbox itself. A command that fails is no error: it is an [`crate::Output`].

use crate::Exit;
use std::time::Duration;
use toryo_domain::FailureClass;

/// Another crate's error, whose type stays inside the adapter.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A failure of the sandbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The container engine does not answer at all.
    #[error("the container engine does not answer at {host}; is it started?")]
    EngineDown {
        /// Its socket or address.
        host: String,
        /// What the connection said.
        #[source]
        source: BoxError,
    },
    /// The container engine refused or broke off.
    #[error("the container engine failed to {action}")]
    Engine {
        /// What it was asked to do.
        action: &'static str,
        /// What it said.
        #[source]
        source: BoxError,
    },
    /// The container engine took too long.
    #[error("the container engine did not {action} within {limit:?}")]
    EngineSlow {
        /// What it was asked to do.
        action: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The engine answers, but the container is no longer there, or was killed from outside. Only the command in flight is
    /// lost: the files of a job are kept elsewhere.
    #[error("the container {name} is gone: it was removed or killed from outside")]
    Gone {
        /// The container's name.
        name: String,
    },
    /// There is no such image.
    #[error("there is no image `{name}`; `toryo sandbox build` makes the base image")]
    ImageMissing {
        /// The image's name.
        name: String,
    },
    /// A setup command of the repository failed.
    #[error("`{command}` failed ({exit}):\n{output}")]
    SetupFailed {
        /// The command.
        command: String,
        /// How it ended.
        exit: Exit,
        /// The end of what it wrote, capped.
        output: String,
    },
    /// The workspace could not be written, most often because it is larger than the limit.
    #[error("the workspace does not fit: {reason}")]
    Workspace {
        /// What `tar` said, or the sizes.
        reason: String,
    },
    /// The token was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A value of the configuration makes no sense.
    #[error("bad sandbox configuration: {reason}")]
    Config {
        /// Which value, and what would be right.
        reason: String,
    },
    /// The base image cannot be built like this; a person has to do something first.
    #[error("{reason}; run `{command}`")]
    CannotBuild {
        /// What is missing.
        reason: String,
        /// The exact command that mends it.
        command: String,
    },
    /// A tool that builds the base image failed.
    #[error("building the base image failed at {stage}: {reason}")]
    BuildFailed {
        /// What was being done.
        stage: &'static str,
        /// The end of what the tool wrote, capped.
        reason: String,
    },
}

impl Error {
    /// What kind of failure it is; the engine decides by it alone.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::EngineDown { .. }
            | Self::Engine { .. }
            | Self::EngineSlow { .. }
            | Self::Gone { .. }
            | Self::ImageMissing { .. }
            | Self::CannotBuild { .. }
            | Self::BuildFailed { .. } => FailureClass::Sandbox,
            Self::SetupFailed { .. } | Self::Workspace { .. } | Self::Config { .. } => FailureClass::Input,
            Self::Cancelled => FailureClass::Cancelled,
        }
    }
}
