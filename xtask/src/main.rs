//! Developer commands: everything that building, starting and testing Toryo needs on a fresh machine.
//!
//! `up` and `test` are the two that a newcomer types; each is one file. What they share: [`engine`] talks to the
//! container engine, [`dockerd`] starts one where there is none, [`bed`] is what the tests run against,
//! [`evidence`] proves that they did, [`child`] runs programs and passes signals on. [`bench`] measures.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its caller")]

mod bed;
mod bench;
mod check;
mod child;
mod clients;
mod dockerd;
mod engine;
mod evidence;
mod faults;
mod services;
mod test;
mod tidy;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::child::{Interrupted, Signals};

/// Builds, starts and tests Toryo.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts Toryo on this machine: installs what is missing, builds, serves http://127.0.0.1:8080
    ///
    /// Prints first what it is about to install. As root on Debian or Ubuntu it installs docker.io and
    /// debootstrap where no container engine answers; otherwise it prints the command to run and ends with
    /// status 1. Where no init system runs, it starts dockerd itself and stops it at the end. Postgres and
    /// nats-server come from pinned packages and are kept under the data folder.
    ///
    /// A second start takes seconds. Ctrl-C stops everything that was started; data stays in the data folder.
    Up(up::Arguments),
    /// Runs formatting, lints and all tests, with all set-up, and proves that the real servers were used
    ///
    /// Starts a Postgres with pgvector and a nats-server under target/toryo-test, a container engine where none
    /// answers, builds the sandbox's image, and installs the Python clients that the gateway is tested with. The
    /// tests find them in TORYO_TEST_DATABASE_URL, TORYO_TEST_NATS_URL, TORYO_TEST_SANDBOX_IMAGE and
    /// TORYO_TEST_PYTHON. Afterwards it reads from the three servers how much
    /// they were used, and fails where one was not. Everything it started is stopped, also after a failure.
    Test(test::Arguments),
    /// Starts what the tests need and prints the exports, for running single tests by hand
    ///
    /// Stays in the foreground until Ctrl-C. Meanwhile `cargo xtask test` uses the same servers.
    Services,
    /// Checks without running tests: formatting, lints, tidy, and `cargo deny` where it is installed
    Check,
    /// Compares the workspace with its rules: which crate may use which, banned packages, sizes of files
    Tidy,
    /// Measures speed and quality beside named baselines and prints a table
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(failure) if failure.is::<Interrupted>() => {
            eprintln!("interrupted");
            // What shells report for a program that Ctrl-C ended.
            ExitCode::from(130)
        }
        Err(failure) => {
            eprintln!("error: {failure:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::catch()?;
        match command {
            Command::Up(arguments) => up::run(arguments, &mut signals).await,
            Command::Test(arguments) => test::run(arguments, &mut signals).await,
            Command::Services => services::run(&mut signals).await,
            Command::Check => check::run(&mut signals).await,
            Command::Tidy => tidy::run(),
            Command::Bench(bench) => bench::run(bench, &mut signals).await,
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_help_is_consistent_and_names_every_command() {
        let mut command = super::Cli::command();
        command.clone().debug_assert();
        insta::assert_snapshot!(command.render_long_help());
    }
}
