//! The long-running parts of a process: API, worker, relay, sweeper, listener. Each has an owner that awaits it.

use crate::config::Config;
use crate::open_files;
use crate::wiring::Parts;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toryo_engine::{Worker, relay, retention, sweep};
use toryo_forge::remove_unused_mirrors;
use toryo_sandbox::DockerSandbox;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// API and pages.
    Serve,
    /// Steps.
    Work,
    /// Both.
    Everything,
}

/// Opens the address that API and pages are served on.
///
/// # Errors
/// It is taken or not allowed.
pub async fn listen(config: &Config) -> Result<TcpListener> {
    open_files::raise_limit();
    let address = config.server.listen;
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot serve on {address}; is another Toryo running? choose one with --listen")
    })
}

/// Does its duty until `stop`, then ends in order: no new requests, no new steps, then the servants of both.
///
/// # Errors
/// The HTTP server failed.
pub async fn run(
    config: &Config,
    parts: &Parts,
    duty: Duty,
    listener: Option<TcpListener>,
    stop: CancellationToken,
) -> Result<()> {
    // Before anything runs: what fails here fails at the start.
    let api = match listener {
        Some(listener) => {
            let accounts = parts.accounts(config)?;
            let front = parts.front(config, accounts.clone())?;
            Some((listener, accounts, front))
        }
        None => None,
    };
    let servants = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(relay::run(parts.engine.clone(), servants.clone()));
    tasks.spawn(sweep::run(parts.engine.clone(), servants.clone()));
    let bus = parts.engine.bus.clone();
    let ended = servants.clone();
    tasks.spawn(async move {
        match duty {
            Duty::Serve | Duty::Everything => bus.listen(ended).await,
            Duty::Work => bus.listen_to_orders(ended).await,
        }
    });

    if duty != Duty::Serve {
        tasks.spawn(clear_sandboxes(parts.sandbox.clone(), servants.clone()));
        let (engine, blobs) = (parts.engine.clone(), parts.blobs.clone());
        tasks.spawn(retention::run(engine, blobs, config.retention, servants.clone()));
        if config.retention.mirror_days > 0 {
            let mirrors = config.data_dir.join("mirrors");
            tasks.spawn(clear_mirrors(mirrors, config.retention.mirror_days, servants.clone()));
        }
    }

    let work = async {
        if duty != Duty::Serve {
            let agents = toryo_agents::agents(parts.tools.clone());
            let worker = Worker::new(parts.engine.clone(), agents, parts.blobs.clone());
            worker.run(&host_name(), env!("CARGO_PKG_VERSION"), stop.clone()).await;
        }
    };
    let serve = async {
        match api {
            Some((listener, accounts, front)) => {
                let app = parts.app(config, &tasks, &servants);
                let app = app.with_models(Arc::new(front)).with_accounts(accounts.clone());
                let served = toryo_api::serve(listener, app, stop.clone()).await;
                accounts.shutdown().await;
                // Where the API fails, the worker must not go on unseen.
                stop.cancel();
                served.context("the HTTP server failed")
            }
            None => Ok(()),
        }
    };
    let ((), served) = tokio::join!(work, serve);
    servants.cancel();
    tasks.close();
    tasks.wait().await;
    parts.engine.db.close().await;
    served
}

/// Containers of workers that died, and images of dependencies nobody used for long. Longer than any job may take.
async fn clear_sandboxes(sandbox: DockerSandbox, stop: CancellationToken) {
    const ORPHANS: Duration = Duration::from_secs(2 * 3600);
    const PREPARED: Duration = Duration::from_secs(30 * 24 * 3600);
    const EVERY: Duration = Duration::from_secs(3600);
    loop {
        let cleared = tokio::select! {
            () = stop.cancelled() => return,
            cleared = async { Ok((sandbox.remove_orphans(ORPHANS).await?, sandbox.remove_prepared(PREPARED).await?)) } => cleared,
        };
        match cleared {
            Ok((0, 0)) => {}
            Ok((containers, images)) => {
                tracing::info!(containers, images, "cleared {containers} containers and {images} images");
            }
            Err::<_, toryo_sandbox::Error>(error) => {
                tracing::warn!(%error, "left-over containers are looked for again in an hour");
            }
        }
        tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(EVERY) => {} }
    }
}

/// Mirrors of repositories that nobody has used for so many days; a fetch brings them back.
async fn clear_mirrors(mirrors: PathBuf, days: u32, stop: CancellationToken) {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    loop {
        let cleared = tokio::select! {
            () = stop.cancelled() => return,
            cleared = remove_unused_mirrors(mirrors.clone(), DAY * days) => cleared,
        };
        match cleared {
            Ok(0) => {}
            Ok(mirrors) => {
                tracing::info!(mirrors, "removed {mirrors} mirrors that were not used for {days} days")
            }
            Err(error) => tracing::warn!(%error, "unused mirrors are looked for again in a day"),
        }
        tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(DAY) => {} }
    }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
