//! `toryo sandbox`: the base image, and commands in it.

use crate::cli::Sandbox as What;
use crate::commands::up::said;
use crate::config::Config;
use crate::{output, shutdown};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use toryo_domain::RepoPath;
use toryo_sandbox::{
    Command, DockerSandbox, Exit, How, Job, Labels, Preparation, Sandbox, WorkspaceFile, python,
};

/// Largest folder that is taken in, in bytes: the workspace in a sandbox is bounded as well.
const LARGEST_FOLDER: u64 = 512 * 1024 * 1024;

/// Builds the image or runs a command in it.
pub async fn run(config: &Config, what: What) -> Result<ExitCode> {
    let sandbox = DockerSandbox::new(config.sandbox.clone(), |name| std::env::var(name).ok())?;
    match what {
        What::Build => build(&sandbox).await,
        What::Exec { repo, timeout, command } => {
            exec(config, &sandbox, &repo, Duration::from_secs(timeout), command).await
        }
    }
}

async fn build(sandbox: &DockerSandbox) -> Result<ExitCode> {
    let stop = shutdown::token()?;
    let image = sandbox.build_base(&said(), &stop).await?;
    let how = match image.how {
        How::FromRegistry => "from python:3.12-slim of the image registry",
        How::FromDebianPackages => "from Debian packages",
        How::Provided => "by somebody else; it is used as it is",
    };
    let verb = if image.existed { "was there already, made" } else { "is built" };
    output::line(&format!("{} {verb} {how}", image.name));
    Ok(ExitCode::SUCCESS)
}

async fn exec(
    config: &Config,
    sandbox: &DockerSandbox,
    repo: &Path,
    timeout: Duration,
    command: Vec<String>,
) -> Result<ExitCode> {
    let stop = shutdown::token()?;
    let files = folder(repo)?;
    let labels = Labels { run: "sandbox-exec".to_owned(), step: String::new() };
    let preparation = Preparation {
        files: files.iter().filter(|file| python::is_requirement_file(&file.path)).cloned().collect(),
        labels: labels.clone(),
        ..Preparation::default()
    };
    let image = sandbox.prepare(&preparation, &said(), &stop).await?;
    let python_path = python::python_path(files.iter().map(|file| &file.path));
    let job = Job {
        image,
        files,
        commands: vec![Command::new(command).env("PYTHONPATH", python_path).timeout(timeout)],
        collect: Vec::new(),
        limits: config.sandbox.limits.clone(),
        labels,
    };
    let report = sandbox.run(&job, &said(), &stop).await?;
    let Some(done) = report.outputs.first() else { bail!("the command did not run") };
    output::line(String::from_utf8_lossy(&done.log).trim_end());
    if let Exit::Code(0) = done.exit {
        return Ok(ExitCode::SUCCESS);
    }
    output::note(&done.exit.to_string());
    Ok(ExitCode::FAILURE)
}

/// The regular files of a folder; links and `.git` stay outside.
fn folder(root: &Path) -> Result<Vec<WorkspaceFile>> {
    let mut files = Vec::new();
    let mut size = 0;
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?
        {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = entry.path();
            let Some(inside) = path.strip_prefix(root).ok().and_then(Path::to_str) else { continue };
            let Ok(inside) = inside.parse::<RepoPath>() else { continue };
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                size += entry.metadata()?.len();
                if size > LARGEST_FOLDER {
                    bail!("{} holds more than {} MiB", root.display(), LARGEST_FOLDER / 1024 / 1024);
                }
                files.push(WorkspaceFile {
                    path: inside,
                    executable: executable(&path)?,
                    content: std::fs::read(&path)?.into(),
                });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn executable(path: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o111 != 0)
}
