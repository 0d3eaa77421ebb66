//! Errors of the tools as failures of a step: the class stays, the whole chain becomes the text.

use toryo_domain::RepoPath;
use toryo_engine::Failure;

/// Of the forge.
pub(crate) fn forge(error: toryo_forge::Error) -> Failure {
    Failure::from_error(error.class(), &error)
}

/// Of the sandbox.
pub(crate) fn sandbox(error: toryo_sandbox::Error) -> Failure {
    Failure::from_error(error.class(), &error)
}

/// A listed file that is not there.
pub(crate) fn sandbox_path(path: &RepoPath) -> Failure {
    Failure::bug(format!("`{path}` is listed but cannot be read"))
}

/// A step without what the steps before it should have left.
pub(crate) fn missing(what: &str) -> Failure {
    Failure::bug(format!("the run has no {what} yet"))
}
