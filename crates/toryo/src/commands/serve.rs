//! `toryo serve`, `toryo worker`, `toryo migrate`: the parts apart, on servers that somebody else keeps.

use crate::config::Config;
use crate::service::{self, Duty};
use crate::{output, shutdown, wiring};
use anyhow::Result;
use std::process::ExitCode;

/// Serves or works until a signal.
pub async fn run(mut config: Config, duty: Duty) -> Result<ExitCode> {
    wiring::logging(&config)?;
    wiring::data_dir(&config)?;
    let stop = shutdown::token()?;
    let listener = match duty {
        Duty::Serve | Duty::Everything => {
            let listener = service::listen(&config).await?;
            config.server.listen = listener.local_addr()?;
            Some(listener)
        }
        Duty::Work => None,
    };
    let parts = wiring::parts(&config, None).await?;
    match duty {
        Duty::Serve | Duty::Everything => output::note(&format!("Toryo serves on {}", config.public_url())),
        Duty::Work => output::note("the worker waits for steps"),
    }
    service::run(&config, &parts, duty, listener, stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// Applies the migrations that are missing.
pub async fn migrate(config: &Config) -> Result<ExitCode> {
    let db = wiring::database(config).await?;
    db.migrate().await?;
    db.close().await;
    output::note("the database is up to date");
    Ok(ExitCode::SUCCESS)
}
