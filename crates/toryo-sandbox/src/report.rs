//! What test tools report, in Toryo's words. Pure. The texts come from a sandbox and are hostile: sizes and depths are
//! bounded, entities are not expanded, and a broken report is an [`Error`] that the caller shows beside the output.

pub mod cobertura;
pub mod digest;
pub mod junit;
mod xml;

pub use cobertura::{Coverage, FileCoverage};
pub use digest::failure_digest;

use toryo_domain::FailureClass;

/// A report that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Over the size that is read at all.
    #[error("the report has {size} bytes; at most {limit} are read")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Elements inside elements without end.
    #[error("the report is nested deeper than {limit} elements")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// More of something than is read.
    #[error("the report holds more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// It declares a document type, which no report needs and which could define entities.
    #[error("the report declares a document type")]
    DocumentType,
    /// It uses an entity that XML does not predefine.
    #[error("the report uses the unknown entity `{0}`")]
    UnknownEntity(String),
    /// It is no well-formed XML.
    #[error("the report is broken at byte {at}: {reason}")]
    Broken {
        /// Where.
        at: u64,
        /// Why.
        reason: String,
    },
    /// It is XML, but another kind of document.
    #[error("the report starts with `{found}` instead of {wanted}")]
    OtherKind {
        /// What was wanted.
        wanted: &'static str,
        /// The name of the first element.
        found: String,
    },
}

impl Error {
    /// What kind of failure it is. The commands of the repository wrote it, so that trying again mends nothing.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::TooLarge { .. }
            | Self::TooDeep { .. }
            | Self::TooMany { .. }
            | Self::DocumentType
            | Self::UnknownEntity(_)
            | Self::Broken { .. }
            | Self::OtherKind { .. } => FailureClass::Input,
        }
    }
}
