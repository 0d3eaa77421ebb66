//! A root file system from Debian packages, for machines that reach no image registry.

use super::sources::Source;
use crate::{Error, Progress, clip};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

/// What the image holds beyond the minimal system.
const PACKAGES: &str = "python3,python3-venv,python3-pip,git,ca-certificates,\
                        python3-pytest,python3-pytest-cov,python3-pytest-timeout,python3-coverage";

/// How long fetching and unpacking may take; 43 s were measured with a near mirror.
const LIMIT: Duration = Duration::from_secs(1_800);

/// Where the root is unpacked: needs about 450 MB, and must not be a temporary file system mounted `nodev`.
const SCRATCH: &str = "/var/tmp";

/// A root file system in a scratch folder, removed with this value.
#[derive(Debug)]
pub(crate) struct Root {
    folder: tempfile::TempDir,
}

/// Checks what has to be there before anything is fetched.
///
/// # Errors
/// [`Error::CannotBuild`] with the command that mends it.
pub(crate) fn check_tools(is_root: bool, path: &str) -> Result<(), Error> {
    if !is_root {
        let reason = "no image registry can be reached, and building the sandbox's image from Debian packages needs root";
        return Err(Error::CannotBuild { reason: reason.into(), command: "sudo toryo sandbox build".into() });
    }
    let folders = std::env::split_paths(path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    if folders.map(|folder| folder.join("debootstrap")).any(|tool| tool.is_file()) {
        return Ok(());
    }
    Err(Error::CannotBuild {
        reason: "no image registry can be reached, and debootstrap is not installed".into(),
        command: "sudo apt-get install -y debootstrap".into(),
    })
}

/// The command's arguments for people and for the process.
fn arguments(source: &Source, target: &Path) -> Vec<String> {
    let mut arguments = vec!["--variant=minbase".to_owned(), format!("--include={PACKAGES}")];
    arguments.push(format!("--components={}", source.components.join(",")));
    arguments.extend(source.keyring.as_ref().map(|keyring| format!("--keyring={}", keyring.display())));
    arguments.extend([source.suite.clone(), target.display().to_string()]);
    arguments.extend(source.mirror.clone());
    arguments
}

impl Root {
    /// Fetches and unpacks the packages.
    ///
    /// # Errors
    /// [`Error::BuildFailed`] with the end of what debootstrap said; [`Error::Cancelled`].
    pub(crate) async fn bootstrap(
        source: &Source,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        const STAGE: &str = "debootstrap";
        let failed = |reason: String| Error::BuildFailed { stage: STAGE, reason };
        let folder = tempfile::Builder::new().prefix("toryo-base-").tempdir_in(SCRATCH);
        let folder = folder.map_err(|error| failed(format!("no scratch folder in {SCRATCH}: {error}")))?;
        let root = Self { folder };
        // One pipe for both streams, so that neither fills up unread.
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec debootstrap "$@" 2>&1"#, "debootstrap"]);
        command.args(arguments(source, &root.path())).env("LC_ALL", "C.UTF-8");
        let mut child = start(&mut command).map_err(|error| failed(error.to_string()))?;
        let output = child.stdout.take();
        let mut last = String::new();
        let work = async {
            if let Some(output) = output {
                let mut lines = BufReader::new(output).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    progress.output(line.as_str());
                    last = clip(&format!("{last}\n{line}"), 0, 2_000);
                }
            }
            child.wait().await
        };
        let ended = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            () = tokio::time::sleep(LIMIT) => Err(failed(format!("not finished within {LIMIT:?}"))),
            status = work => status.map_err(|error| failed(error.to_string())),
        };
        match ended {
            Ok(status) if status.success() => Ok(root),
            Ok(status) => Err(failed(format!("{status}: {}", last.trim()))),
            Err(error) => {
                terminate(&mut child).await;
                Err(error)
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The root as a tar stream, without what a container does not need.
    ///
    /// # Errors
    /// `tar` cannot be started.
    pub(crate) fn tar(&self) -> Result<Tar, Error> {
        let mut command = Command::new("tar");
        command.args(["--create", "--file=-", "--numeric-owner", "--sort=name", "--one-file-system"]);
        command.args(["./var/cache/apt", "./var/lib/apt/lists", "./dev", "./proc", "./sys", "./tmp"].map(
            |folder| {
                // The folder itself stays, with its mode.
                format!("--exclude={folder}/*")
            },
        ));
        command.arg("--directory").arg(self.path()).arg(".");
        let failed = |error: std::io::Error| Error::BuildFailed { stage: "tar", reason: error.to_string() };
        let mut child = start(&mut command).map_err(failed)?;
        let stream = child.stdout.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(Tar { child, stream: Some(stream) })
    }
}

/// A running `tar`.
#[derive(Debug)]
pub(crate) struct Tar {
    child: Child,
    /// Its output; taken once.
    pub(crate) stream: Option<ChildStdout>,
}

impl Tar {
    /// Whether the whole root was read: a stream that broke off would be taken for a smaller root.
    ///
    /// # Errors
    /// [`Error::BuildFailed`] with what tar said.
    pub(crate) async fn finish(mut self) -> Result<(), Error> {
        let failed = |reason: String| Error::BuildFailed { stage: "tar", reason };
        let mut said = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            // What tar says only explains its status.
            let _ = errors.read_to_string(&mut said).await;
        }
        match self.child.wait().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(format!("{status}: {}", clip(&said, 500, 500)))),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// A child in a process group of its own, whose output is piped.
fn start(command: &mut Command) -> std::io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true).spawn()
}

/// How long a script that was asked to end may take to unmount.
const UNMOUNT_PATIENCE: Duration = Duration::from_secs(5);

/// Ends a script with everything it started. It is asked first, because it unmounts what it mounted in its root.
async fn terminate(child: &mut Child) {
    let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw) else { return };
    // A group that is gone already is what is wanted.
    let _ = killpg(group, Signal::SIGTERM);
    let ended = tokio::time::timeout(UNMOUNT_PATIENCE, child.wait()).await;
    // What it had just begun to start may have missed the question.
    let _ = killpg(group, Signal::SIGKILL);
    if ended.is_err() {
        let _ = child.wait().await;
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // Deleting through a mount that a killed script left behind would delete what is mounted.
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let folder = self.folder.path().display().to_string();
        if mounts.split_whitespace().any(|word| word.starts_with(&folder)) {
            tracing::warn!("{folder} is left behind: something is still mounted in it");
            self.folder.disable_cleanup(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        let command = |is_root| match check_tools(is_root, &path) {
            Err(Error::CannotBuild { command, .. }) => Some(command),
            _ => None,
        };
        assert_eq!(command(false).as_deref(), Some("sudo toryo sandbox build"));
        std::fs::write(folder.path().join("debootstrap"), "").unwrap();
        assert_eq!(command(true), None);
    }

    #[tokio::test]
    async fn a_script_is_ended_with_everything_it_started_and_may_clean_up() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'touch cleaned; exit 1' TERM; sleep 600 & echo $!; wait";
        let mut child = start(Command::new("sh").args(["-c", script]).current_dir(folder.path())).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let sleeper: i32 = lines.next_line().await.unwrap().unwrap().parse().unwrap();
        terminate(&mut child).await;
        assert!(folder.path().join("cleaned").exists());
        // Its output ends when the last process that holds it has ended.
        let end = tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await;
        assert!(matches!(end, Ok(Ok(None))), "process {sleeper} lives on");
    }

    #[test]
    fn the_arguments_name_source_and_packages() {
        let source = Source {
            mirror: Some("http://mirror.example/debian".into()),
            suite: "bookworm".into(),
            components: vec!["main".into()],
            keyring: Some("/k.gpg".into()),
        };
        insta::assert_snapshot!(arguments(&source, Path::new("/scratch/root")).join("\n"));
    }
}
