//! The command line of Toryo; wires ports to adapters.
//!
//! This is the only crate that reads files of settings and the environment, and the only one that knows every
//! other. It owns no behaviour of its own: a command is parsed in [`cli`], carried out in [`commands`] over what
//! [`wiring`] puts together.

mod adapters;
mod cli;
mod client;
mod commands;
mod config;
mod keeper;
mod open_files;
mod output;
mod service;
mod shutdown;
mod watch;
mod wiring;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // One TLS provider for every library of the process.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(commands::run(cli));
    toryo_telemetry::finish();
    // What still blocks a thread (a file system, a name look-up) must not keep the process from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            output::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
