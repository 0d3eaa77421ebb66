//! Running programs: each in a process group of its own, with signals passed on once.

use std::{
    fmt,
    future::Future,
    os::unix::process::CommandExt,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    signal::unix::{SignalKind, signal},
};

/// How long the last lines of a program that has ended may take.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(5);

/// Somebody pressed Ctrl-C, or asked this program to end.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// The signals that ask a program to end. While this exists they do not end it.
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    pub(crate) fn catch() -> Result<Self> {
        let catch = |kind| signal(kind).context("cannot catch signals");
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
            hang_up: catch(SignalKind::hangup())?,
        })
    }

    /// The next one that arrives.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hang_up.recv() => Signal::SIGHUP,
        }
    }

    /// Awaits work that holds no program of its own; a signal gives it up.
    pub(crate) async fn guard<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            result = work => result,
            _ = self.next() => Err(Interrupted.into()),
        }
    }
}

/// Runs a program to its end. It gets a process group of its own, so that Ctrl-C in a terminal reaches it once,
/// through here, and not a second time from the terminal.
pub(crate) async fn run(command: Command, signals: &mut Signals) -> Result<Ended> {
    let mut child = spawn(command)?;
    let (status, interrupted) = wait(&mut child, signals).await?;
    Ok(Ended { status, interrupted })
}

/// As [`run`], handing every line of its standard output to `on_line`.
pub(crate) async fn run_reading(
    mut command: Command,
    signals: &mut Signals,
    mut on_line: impl FnMut(&str) + Send,
) -> Result<Ended> {
    command.stdout(Stdio::piped());
    let mut child = spawn(command)?;
    let stdout = child.stdout.take().context("no pipe to the program")?;
    let mut lines = BufReader::new(stdout).split(b'\n');
    let mut reading = Box::pin(async {
        while let Some(line) = lines.next_segment().await? {
            on_line(&String::from_utf8_lossy(&line));
        }
        anyhow::Ok(())
    });
    let (status, interrupted) = tokio::select! {
        ended = wait(&mut child, signals) => {
            // What is still in the pipe. A process that it left behind may hold the pipe open for ever.
            tokio::time::timeout(LAST_LINES_LIMIT, reading).await.ok();
            ended?
        }
        read = &mut reading => {
            read?;
            wait(&mut child, signals).await?
        }
    };
    Ok(Ended { status, interrupted })
}

/// How a program ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// A signal was passed on to it.
    pub(crate) interrupted: bool,
}

impl Ended {
    /// Fails unless the program succeeded.
    pub(crate) fn succeeded(self, what: &str) -> Result<()> {
        if self.interrupted {
            return Err(Interrupted.into());
        }
        ensure!(self.status.success(), "{what} failed ({})", self.status);
        Ok(())
    }
}

fn spawn(mut command: Command) -> Result<Child> {
    let shown = format!("{command:?}");
    command.stdin(Stdio::null()).process_group(0);
    tokio::process::Command::from(command).spawn().with_context(|| format!("cannot run {shown}"))
}

async fn wait(child: &mut Child, signals: &mut Signals) -> Result<(ExitStatus, bool)> {
    let mut interrupted = false;
    loop {
        tokio::select! {
            status = child.wait() => return Ok((status?, interrupted)),
            signal = signals.next() => {
                interrupted = true;
                if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                    killpg(Pid::from_raw(pid), signal).ok();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn lines_and_status_of_a_program_are_seen() {
        let mut signals = Signals::catch().unwrap();
        let mut lines = Vec::new();
        let ended = run_reading(shell("echo one; echo two; exit 3"), &mut signals, |line| {
            lines.push(line.to_owned())
        });
        let ended = ended.await.unwrap();
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(ended.status.code(), Some(3));
        assert!(!ended.interrupted);
        assert!(ended.succeeded("the script").unwrap_err().to_string().starts_with("the script failed"));
    }
}
