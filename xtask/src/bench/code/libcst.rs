//! The baseline LibCST, in a Python environment of its own below the build folder.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Result;

use crate::{
    child::{self, Signals},
    workspace,
};

/// The version that is measured; a figure without it could not be compared.
const PACKAGE: &str = "libcst==1.9.0";

/// Why the baseline is away.
pub(super) struct NotInstalled(String);

impl fmt::Display for NotInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The interpreter that has LibCST, installed at first use. Where PyPI is away the benchmark goes on without it.
pub(super) async fn prepare(folder: &Path, signals: &mut Signals) -> Result<Result<PathBuf, NotInstalled>> {
    let environment = folder.join("libcst");
    let interpreter = environment.join("bin/python3");
    let mut probe = Command::new(&interpreter);
    probe.args(["-c", "import libcst"]);
    if interpreter.is_file() && workspace::output_of(probe).is_ok() {
        return Ok(Ok(interpreter));
    }
    fs::remove_dir_all(&environment).ok();
    let mut create = Command::new("python3");
    create.args(["-m", "venv"]).arg(&environment).stdout(Stdio::null());
    if !child::run(create, signals).await?.status.success() {
        return Ok(Err(NotInstalled("python3 -m venv failed".to_owned())));
    }
    let mut install = Command::new(&interpreter);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
        "--timeout",
        "15",
    ]);
    install.args(["--only-binary=:all:", PACKAGE]).stdout(Stdio::null());
    let installed = child::run(install, signals).await?;
    if installed.interrupted {
        return Err(child::Interrupted.into());
    }
    if !installed.status.success() {
        return Ok(Err(NotInstalled(format!("pip could not install {PACKAGE}; is PyPI within reach?"))));
    }
    Ok(Ok(interpreter))
}
