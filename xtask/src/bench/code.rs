//! `cargo xtask bench code`: AST patches beside LibCST and Python's `ast`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::Args;

use crate::child::Signals;

/// What is measured, and on what.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A folder with Python files; may be given several times. Without one, files are generated
    #[arg(long = "repo", value_name = "PATH")]
    repos: Vec<PathBuf>,
    /// How many functions are edited
    #[arg(long, value_name = "N", default_value_t = 330)]
    edits: usize,
    /// Prints JSON in place of the table
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
pub(crate) async fn run(arguments: Arguments, _signals: &mut Signals) -> Result<ExitCode> {
    bail!("not built yet: {arguments:?}")
}
