//! The Python clients that the gateway is tested with, in a virtual environment of their own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    child::{self, Signals},
    workspace,
};

/// Names an interpreter that has the clients already.
pub(crate) const VARIABLE: &str = "TORYO_TEST_PYTHON";

/// The interpreter that has what `tests/clients/requirements.txt` lists. Installs it where it is missing or the list
/// has changed.
pub(crate) async fn prepare(folder: &Path, signals: &mut Signals) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Ok(named.into());
    }
    let list = workspace::root().join("tests/clients/requirements.txt");
    let wanted = std::fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let environment = folder.join("clients");
    let python = environment.join("bin/python");
    let installed = environment.join("installed.txt");
    if python.exists() && std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    eprintln!("about to install: the Python clients of tests/clients, in {}", environment.display());
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&environment);
    run(make, signals).await?;
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(&list);
    run(install, signals).await?;
    std::fs::write(&installed, wanted).context("cannot note what was installed")?;
    Ok(python)
}

async fn run(command: Command, signals: &mut Signals) -> Result<()> {
    let what = "installing the Python clients";
    let ended = child::run(command, signals).await.and_then(|ended| ended.succeeded(what));
    ended.with_context(|| {
        format!(
            "the tests of the gateway need python3 with venv and pip, or an interpreter named in {VARIABLE}"
        )
    })
}
