//! One server process: started in a group of its own, watched by a keeper, stopped in order.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::io::AsyncWriteExt;

use crate::{
    error::{Error, IoContext, tail},
    layout::Layout,
};

/// How often a waiting caller looks.
pub(crate) const POLL: Duration = Duration::from_millis(10);
/// How long a server may take to stop before it is killed. A checkpoint of a busy database takes seconds.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// A log larger than this starts anew, keeping one old file.
const LOG_LIMIT_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of a log or of a tool's output that an error shows.
const SHOWN: usize = 2_000;

/// A running server. Dropping it stops it, blocking until it is gone.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    keeper: Option<Child>,
    stop_signal: Signal,
    log: PathBuf,
    log_start: u64,
}

impl Server {
    /// Starts a server in its own process group, so that a Ctrl-C in the terminal does not reach it and
    /// Toryo decides the order of stopping. `stop_signal` is what asks it to stop in good order.
    pub(crate) fn spawn(
        name: &'static str,
        layout: &Layout,
        mut command: Command,
        log: &Path,
        stop_signal: Signal,
    ) -> Result<Self, Error> {
        layout.confine(&mut command);
        let (file, log_start) = open_log(log)?;
        let errors = file.try_clone().doing("open", log)?;
        let program = PathBuf::from(command.get_program());
        let child =
            command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().doing("start", &program)?;
        let mut server = Self { name, child, keeper: None, stop_signal, log: log.to_owned(), log_start };
        server.keeper = Some(keeper(server.pid(), stop_signal)?);
        Ok(server)
    }

    pub(crate) fn pid(&self) -> i32 {
        // Process ids are positive and far below the limit of `pid_t`.
        i32::try_from(self.child.id()).unwrap_or(i32::MAX)
    }

    /// How it ended, if it ended.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The error of a server that ended while starting.
    pub(crate) fn failed(&self, status: ExitStatus) -> Error {
        Error::Exited { server: self.name, status, log: tail(&self.log_since_start(), SHOWN) }
    }

    fn log_since_start(&self) -> String {
        let mut bytes = Vec::new();
        let read = File::open(&self.log).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.log_start))?;
            file.read_to_end(&mut bytes)
        });
        read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Asks it to stop, waits, and kills it when it does not.
    pub(crate) async fn stop(mut self) {
        self.ask_to_stop();
        let deadline = Instant::now() + STOP_LIMIT;
        while self.exited().is_none() && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
        // Dropping `self` kills what is left.
    }

    /// Kills it at once, as a crash would.
    pub(crate) fn kill9(mut self) {
        self.dismiss_keeper();
        self.kill_and_reap();
    }

    fn ask_to_stop(&mut self) {
        self.dismiss_keeper();
        if self.exited().is_none() {
            // Not reaped yet, so the id still belongs to this child.
            kill(Pid::from_raw(self.pid()), self.stop_signal).ok();
        }
    }

    fn dismiss_keeper(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            keeper.kill().ok();
            keeper.wait().ok();
        }
    }

    fn kill_and_reap(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.exited().is_some() {
            self.dismiss_keeper();
            return;
        }
        self.ask_to_stop();
        let deadline = Instant::now() + STOP_LIMIT;
        while self.exited().is_none() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        if self.exited().is_none() {
            self.kill_and_reap();
        }
    }
}

/// A shell that waits for this process to end, by whatever signal, and then stops the server: its standard
/// input is a pipe of which only this process holds the other end. (`PR_SET_PDEATHSIG` would need unsafe code,
/// and fires when a thread ends.)
fn keeper(server: i32, signal: Signal) -> Result<Child, Error> {
    let shell = Path::new("/bin/sh");
    Command::new(shell)
        .args(["-c", "read -r _; kill -s \"$1\" \"$2\"", "toryo-keeper"])
        .arg(signal.as_str().trim_start_matches("SIG"))
        .arg(server.to_string())
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .doing("start", shell)
}

fn open_log(path: &Path) -> Result<(File, u64), Error> {
    let size = fs::metadata(path).map_or(0, |found| found.len());
    if size > LOG_LIMIT_BYTES {
        fs::rename(path, path.with_extension("log.old")).doing("rename", path)?;
    }
    let file = File::options().create(true).append(true).open(path).doing("open", path)?;
    let start = file.metadata().map_or(0, |found| found.len());
    Ok((file, start))
}

/// Stops a process that a dead owner left behind. `argument` is one of its arguments and tells it from a
/// stranger that was given the same process id since.
pub(crate) async fn stop_leftover(pid: i32, argument: &str, signal: Signal) {
    let deadline = Instant::now() + STOP_LIMIT;
    let mut asked = false;
    while is_running(pid, argument) {
        let late = Instant::now() > deadline;
        if late {
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        } else if !asked {
            kill(Pid::from_raw(pid), signal).ok();
            asked = true;
        }
        tokio::time::sleep(POLL).await;
        if late && Instant::now() > deadline + STOP_LIMIT {
            return;
        }
    }
}

/// Whether the process exists and was started with this argument.
pub(crate) fn is_running(pid: i32, argument: &str) -> bool {
    pid > 1 && has_argument(pid, argument)
}

#[cfg(target_os = "linux")]
fn has_argument(pid: i32, argument: &str) -> bool {
    // A process that ended but was not reaped has an empty command line.
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).any(|found| found == argument.as_bytes())
}

#[cfg(not(target_os = "linux"))]
fn has_argument(pid: i32, argument: &str) -> bool {
    // `ps` does not say where an argument ends.
    let output = Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid.to_string()]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(argument))
}

/// Runs a tool to its end and returns what it wrote; the tool is killed when the caller goes away.
pub(crate) async fn run_tool(
    tool: &'static str,
    command: Command,
    input: &str,
    limit: Duration,
) -> Result<String, Error> {
    let program = PathBuf::from(command.get_program());
    let mut child = tokio::process::Command::from(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .doing("start", &program)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that ends without reading its input says why on its own.
        stdin.write_all(input.as_bytes()).await.ok();
    }
    let output = tokio::time::timeout(limit, child.wait_with_output())
        .await
        .map_err(|_| Error::TimedOut { what: tool.to_owned(), limit })?
        .doing("run", &program)?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let output_text = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
    Err(Error::Tool { tool, status: output.status, output: tail(&output_text, SHOWN) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_arguments() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let own = std::env::args().next().unwrap();
        assert!(is_running(pid, &own));
        assert!(!is_running(pid, "a stranger's argument"));
        assert!(!is_running(0, &own));
    }

    #[tokio::test]
    async fn a_failing_tool_shows_what_it_wrote() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cat; echo went wrong >&2; exit 3"]);
        let failed = run_tool("sh", command, "read this\n", Duration::from_secs(10)).await;
        let Err(Error::Tool { status, output, .. }) = failed else { panic!("{failed:?}") };
        assert_eq!((status.code(), output.as_str()), (Some(3), "read this\nwent wrong"));
    }

    #[tokio::test]
    async fn a_tool_that_hangs_is_given_up() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 60"]);
        let failed = run_tool("sh", command, "", Duration::from_millis(50)).await;
        assert!(matches!(failed, Err(Error::TimedOut { .. })), "{failed:?}");
    }
}
