//! What each command does; one file a command.

mod dead_letters;
mod doctor;
mod edit;
mod fork;
mod gateway;
mod index;
mod models;
mod replay;
mod retrieve;
mod run;
mod runs;
mod sandbox;
mod serve;
mod steer;
mod tenants;
mod up;

use crate::cli::{self, Cli, Command};
use crate::config::Config;
use crate::{output, wiring};
use anyhow::Result;
use std::process::ExitCode;

/// Carries out what was typed. Status 0 when it did what was asked, 1 when it did not; 2 is clap's, for wrong usage.
///
/// # Errors
/// It was not done; the text says why.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    let file = cli.config.as_deref();
    let config = || Config::load(file);
    match cli.command {
        Command::Up(arguments) => up::run(config()?, &arguments).await,
        Command::Serve => serve::run(config()?, crate::service::Duty::Serve).await,
        Command::Worker => serve::run(config()?, crate::service::Duty::Work).await,
        Command::Migrate => serve::migrate(&config()?).await,
        Command::Run(arguments) => run::run(&arguments).await,
        Command::Runs(arguments) => runs::list(&arguments).await,
        Command::Logs(arguments) => runs::logs(&arguments).await,
        Command::Cancel(arguments) => runs::cancel(&arguments).await,
        Command::Pause(arguments) => steer::pause(&arguments).await,
        Command::Resume(arguments) => steer::resume(&arguments).await,
        Command::Retry(arguments) => steer::retry(&arguments).await,
        Command::Limits(arguments) => steer::limits(&arguments).await,
        Command::Approve(arguments) => steer::decide(&arguments, "approve").await,
        Command::Reject(arguments) => steer::decide(&arguments, "reject").await,
        Command::Message(arguments) => steer::message(&arguments).await,
        Command::Fork(arguments) => fork::run(&arguments).await,
        Command::Replay(arguments) => replay::run(&arguments).await,
        Command::DeadLetters(what) => dead_letters::run(&what).await,
        Command::Tenants(what) => tenants::run(&what).await,
        Command::Keys(what) => gateway::keys(&what, gateway::key(config().ok().as_ref())).await,
        Command::Teams(what) => gateway::teams(&what, gateway::key(config().ok().as_ref())).await,
        Command::Users(what) => gateway::users(&what, gateway::key(config().ok().as_ref())).await,
        Command::Budgets(what) => gateway::budgets(&what, gateway::key(config().ok().as_ref())).await,
        Command::Usage(what) => gateway::usage(&what, gateway::key(config().ok().as_ref())).await,
        Command::Doctor => doctor::run(&config()?).await,
        Command::Sandbox(what) => sandbox::run(&config()?, what).await,
        Command::Config(cli::Config::Check) => check(&config()?),
        Command::Models(cli::Models::Import { file }) => models::import(&file),
        Command::Edit(cli::Edit::Apply { repo, edits, check }) => edit::apply(&repo, &edits, check),
        Command::Index(arguments) => index::run(&arguments),
        Command::Retrieve(arguments) => retrieve::run(&arguments),
    }
}

fn check(config: &Config) -> Result<ExitCode> {
    config.models.in_force()?;
    wiring::assets(config)?;
    output::line(toml::to_string_pretty(config)?.trim_end());
    Ok(ExitCode::SUCCESS)
}
