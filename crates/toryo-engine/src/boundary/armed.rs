//! Fail points: what a process does at an armed boundary. Compiled for tests only.
//!
//! A test arms a boundary by a file in the folder [`FOLDER`] names: `outcome.written` for whoever comes first, or
//! `outcome.written@merge` for a step of that kind. Its text is `kill`, `stop`, `error` or `delay 300` (milliseconds). The
//! process that takes it renames it to `outcome.written.<pid>.hit`, so that it acts once however many processes pass
//! by, and the test sees who was hit.

use super::Boundary;
use nix::sys::signal::{Signal, kill};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;
use toryo_blackboard::Error;
use toryo_domain::StepKey;

/// The variable that names the folder; without it nothing is armed.
pub const FOLDER: &str = "TORYO_FAIL_POINTS";

static ARMED: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os(FOLDER).map(PathBuf::from));

pub(super) async fn reached(boundary: Boundary, step: Option<&StepKey>) -> Result<(), Error> {
    let Some(folder) = ARMED.as_deref() else { return Ok(()) };
    let name = boundary.as_str();
    let of_kind = step.map(|step| format!("{name}@{}", step.kind));
    let Some(action) = of_kind.as_deref().into_iter().chain([name]).find_map(|name| take(folder, name))
    else {
        return Ok(());
    };
    act(&action, name).await
}

/// What an armed file says; whoever renames it first has it.
fn take(folder: &Path, name: &str) -> Option<String> {
    let taken = folder.join(format!("{name}.{}.hit", std::process::id()));
    std::fs::rename(folder.join(name), &taken).ok()?;
    std::fs::read_to_string(taken).ok()
}

async fn act(action: &str, name: &str) -> Result<(), Error> {
    let mut words = action.split_whitespace();
    match (words.next(), words.next()) {
        (Some("kill"), None) => end(Signal::SIGKILL),
        (Some("stop"), None) => end(Signal::SIGSTOP),
        (Some("error"), None) => return Err(Error::Unavailable(sqlx::Error::PoolTimedOut)),
        (Some("delay"), Some(milliseconds)) => {
            let time = Duration::from_millis(milliseconds.parse().unwrap_or(0));
            tokio::time::sleep(time).await;
        }
        _ => tracing::error!(action, "boundary {name} is armed with something unknown"),
    }
    Ok(())
}

/// The whole process, from one instruction to the next: nothing is handed back.
fn end(signal: Signal) {
    if let Err(error) = kill(nix::unistd::Pid::this(), signal) {
        tracing::error!(%error, "a process cannot signal itself");
    }
}
