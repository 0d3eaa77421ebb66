//! Files into and out of a container, as tar streams through commands in it: uploading through the engine's archive
//! call is refused for temporary file systems under a read-only root.

use super::container::Container;
use super::engine::Engine;
use super::exec::{self, Exec};
use crate::archive::{self, Unpacked};
use crate::port::WORKSPACE;
use crate::{Error, Exit, Limits, WorkspaceFile, clip};
use bollard::container::LogOutput;
use std::time::Duration;
use toryo_domain::RepoPath;

/// How long moving files may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What tar's headers and padding add, per archive, beyond the files: ten thousand entries with long names.
const OVERHEAD: u64 = 32 << 20;

/// Puts files into a folder of the container, as the container's user.
pub(crate) async fn put(
    engine: &Engine,
    container: &Container,
    folder: &str,
    files: &[WorkspaceFile],
    limits: &Limits,
) -> Result<(), Error> {
    let total: u64 = files.iter().map(|file| file.content.len() as u64).sum();
    if total > u64::from(limits.workspace_mib) << 20 {
        let reason = format!(
            "{} files of {} MiB; the limit is {} MiB",
            files.len(),
            total >> 20,
            limits.workspace_mib
        );
        return Err(Error::Workspace { reason });
    }
    if files.is_empty() {
        return Ok(());
    }
    let pieces = archive::pack(files).map_err(|error| Error::Workspace { reason: error.to_string() })?;
    let argv = ["/bin/tar", "--extract", "--file=-", "--directory", folder, "--no-same-owner"];
    let command = Exec { stdin: Some(pieces), ..Exec::new(argv, TIMEOUT) };
    let mut said = Vec::new();
    let ended = command
        .run(engine, container, &mut |piece| {
            said.extend_from_slice(exec::bytes(piece));
            said.truncate(4_000);
            true
        })
        .await?;
    match ended.exit {
        Exit::Code(0) => Ok(()),
        exit => Err(Error::Workspace {
            reason: format!("{exit}: {}", clip(&crate::capture::plain(&said), 1_000, 0)),
        }),
    }
}

/// What came back, and why something did not.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) files: Vec<WorkspaceFile>,
    pub(crate) missing: Option<String>,
}

/// Brings files and folders of the workspace back. What is not there is left out without a word.
pub(crate) async fn collect(
    engine: &Engine,
    container: &Container,
    paths: &[RepoPath],
    limits: &Limits,
) -> Result<Collected, Error> {
    if paths.is_empty() {
        return Ok(Collected::default());
    }
    let limit = u64::from(limits.collect_mib) << 20;
    let options = ["/bin/tar", "--create", "--file=-", "--directory", WORKSPACE, "--hard-dereference", "--"];
    let argv = options.into_iter().map(Into::into).chain(paths.iter().map(|path| format!("./{path}")));
    let (mut archive, mut said, mut too_large) = (Vec::new(), Vec::new(), false);
    let ended = Exec::new::<String>(argv, TIMEOUT)
        .run(engine, container, &mut |piece| {
            if let LogOutput::StdErr { message } = piece {
                said.extend_from_slice(message);
                said.truncate(16_000);
                return true;
            }
            archive.extend_from_slice(exec::bytes(piece));
            too_large = archive.len() as u64 > limit + OVERHEAD;
            !too_large
        })
        .await?;
    if too_large {
        return Ok(nothing(format!("the files are larger than {} MiB together", limits.collect_mib)));
    }
    let said = complaints(&crate::capture::plain(&said));
    match ended.exit {
        // 2: something is not there, or could not be read; the rest is in the archive.
        Exit::Code(0 | 2) => {}
        exit => return Ok(nothing(format!("{exit}: {said}"))),
    }
    // tar ends an empty archive properly, too: an archive that cannot be read is a broken one.
    let Unpacked { files, refused } = match archive::unpack(&archive, limit) {
        Ok(unpacked) => unpacked,
        Err(reason) => return Ok(nothing(reason)),
    };
    let asked = |file: &WorkspaceFile| paths.iter().any(|path| lies_in(&file.path, path));
    let files = files.into_iter().filter(asked).collect();
    let why: Vec<_> = refused.into_iter().take(10).chain((!said.is_empty()).then_some(said)).collect();
    Ok(Collected { files, missing: (!why.is_empty()).then(|| why.join("; ")) })
}

fn nothing(reason: String) -> Collected {
    Collected { files: Vec::new(), missing: Some(reason) }
}

/// Whether a path is this path or lies below it.
fn lies_in(path: &RepoPath, folder: &RepoPath) -> bool {
    path.as_str().strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What tar complained about, without the files that are not there.
fn complaints(said: &str) -> String {
    let lines = said.lines().filter(|line| {
        !line.contains("Cannot stat: No such file or directory")
            && !line.contains("Exiting with failure status due to previous errors")
    });
    clip(&lines.collect::<Vec<_>>().join("; "), 1_000, 0)
}
