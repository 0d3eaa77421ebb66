//! The base image of the sandbox: Python, Git, and the test tools every repository finds, for user 1000.
//!
//! From a registry's `python:3.12-slim` where one can be reached, otherwise from the Debian packages of this machine's
//! own mirror. Either way the engine finishes it with one script, and a label with the recipe's version makes the next
//! call fast.

pub(crate) mod debian;
pub(crate) mod finish;
pub(crate) mod sources;

use crate::Progress;
use serde::Serialize;

/// Raised when the recipe changes; an image of another version is built anew. The name's tag counts the same.
pub(crate) const RECIPE: &str = "1";

/// The label with the recipe's version.
pub(crate) const RECIPE_LABEL: &str = "toryo.recipe";

/// The label with the way the image was made.
pub(crate) const HOW_LABEL: &str = "toryo.how";

/// The registry's image to start from.
pub(crate) const REGISTRY_IMAGE: (&str, &str) = ("python", "3.12-slim");

/// How the base image came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// From `python:3.12-slim` of a registry, with the tools installed by pip.
    FromRegistry,
    /// From the packages of a Debian or Ubuntu mirror.
    FromDebianPackages,
    /// Somebody else made it; Toryo uses it as it is.
    Provided,
}

impl How {
    /// The text of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FromRegistry => "registry",
            Self::FromDebianPackages => "debian-packages",
            Self::Provided => "provided",
        }
    }

    pub(crate) fn from_label(text: &str) -> Option<Self> {
        [Self::FromRegistry, Self::FromDebianPackages].into_iter().find(|how| how.as_str() == text)
    }
}

/// The base image as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuiltImage {
    /// Its name with tag.
    pub name: String,
    /// The engine's id.
    pub id: String,
    /// How it came to be.
    pub how: How,
    /// Whether it was there already.
    pub existed: bool,
}

/// What stands before each route: said before it is done.
pub(crate) fn announce(progress: &Progress, what: &str) {
    tracing::debug!("{what}");
    progress.stage(what);
}
