//! `cargo xtask check`: everything that can be checked without running a test.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    child::{self, Signals},
    tidy, workspace,
};

/// Runs all of them; stops at the first that fails.
pub(crate) async fn run(signals: &mut Signals) -> Result<ExitCode> {
    format(signals).await?;
    lints(signals).await?;
    deny(signals).await?;
    tidy::run()
}

/// The formatting is as rustfmt would write it.
pub(crate) async fn format(signals: &mut Signals) -> Result<()> {
    child::run(workspace::cargo(&["fmt", "--all", "--check"]), signals).await?.succeeded("cargo fmt --check")
}

/// No warning of the compiler or of clippy.
pub(crate) async fn lints(signals: &mut Signals) -> Result<()> {
    let clippy = workspace::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    child::run(clippy, signals).await?.succeeded("cargo clippy")
}

/// Licences, bans and sources of dependencies. The advisories need the network, so they are not part of it.
async fn deny(signals: &mut Signals) -> Result<()> {
    if workspace::output_of(workspace::cargo(&["deny", "--version"])).is_err() {
        eprintln!(
            "cargo deny is not installed (`cargo install cargo-deny --locked`); licences are not checked"
        );
        return Ok(());
    }
    let deny = workspace::cargo(&["deny", "check", "bans", "licenses", "sources"]);
    child::run(deny, signals).await?.succeeded("cargo deny")
}
