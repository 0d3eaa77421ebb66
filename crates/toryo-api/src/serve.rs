//! The server: accept, answer, and stop without cutting anybody off.

use crate::app::App;
use crate::routes::router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves until `shutdown` ends; then streams end, other requests get `drain_seconds` to end, and it returns.
///
/// # Errors
/// The listener fails.
pub async fn serve(listener: TcpListener, mut app: App, shutdown: CancellationToken) -> std::io::Result<()> {
    app.closing = shutdown.clone();
    let drain = app.config.drain();
    let listener = listener.tap_io(|connection| {
        // Without it an event waits up to 40 ms for the reader's acknowledgement of the one before.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    // A router that is served as it is builds all its routes again for each connection, about 200 KB of them.
    let routes = router(app).into_make_service();
    let server = axum::serve(listener, routes).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    tokio::select! {
        outcome = server => outcome,
        () = async { shutdown.cancelled().await; tokio::time::sleep(drain).await } => {
            tracing::warn!("requests were still open when the time to drain had passed");
            Ok(())
        }
    }
}
