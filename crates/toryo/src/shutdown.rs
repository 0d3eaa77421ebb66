//! The end of a long-running command: Ctrl-C or SIGTERM asks it to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that ends with the first SIGINT or SIGTERM.
///
/// # Errors
/// The signals cannot be caught.
pub fn token() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        crate::output::note("stopping; running steps are finished or handed back");
        stop.cancel();
    });
    Ok(token)
}
