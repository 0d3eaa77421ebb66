//! One command in a container: start, stream, time limit, exit status.

use super::container::Container;
use super::engine::{Engine, status};
use crate::{Error, Exit, Progress};
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerState, ExecInspectResponse};
use bytes::Bytes;
use futures::StreamExt;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// The engine knows no "kill this command". `timeout` in the container kills it at its limit; where that does not
/// work, because the command escaped or the container is clogged, the container is killed this much later.
const BACKSTOP: Duration = Duration::from_secs(3);

/// After this time of silence the engine is asked whether the command has ended: its output can be held open by
/// processes it left behind.
const SILENCE: Duration = Duration::from_millis(500);

/// Status of a process ended by SIGKILL, as shells and `timeout` report it.
const KILLED: i64 = 137;

/// A command to execute.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exec {
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) timeout: Duration,
    pub(crate) stdin: Option<Vec<Bytes>>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) duration: Duration,
    /// Whether more commands can run in the container.
    pub(crate) container_lives: bool,
}

/// A piece of output; answering `false` ends the command and kills the container.
pub(crate) type Sink<'a> = dyn FnMut(&LogOutput) -> bool + Send + 'a;

impl Exec {
    pub(crate) fn new<Text: Into<String>>(argv: impl IntoIterator<Item = Text>, timeout: Duration) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), timeout, ..Self::default() }
    }

    /// Runs it to its end. Cancellation is the caller's: it drops this future and removes the container.
    pub(crate) async fn run(
        self,
        engine: &Engine,
        container: &Container,
        sink: &mut Sink<'_>,
    ) -> Result<Ended, Error> {
        let (started, timeout) = (Instant::now(), self.timeout);
        let status = match self.status(engine, container, sink).await {
            Ok(status) => status,
            Err(error) => return not_started(engine, container, started, error).await,
        };
        let duration = started.elapsed();
        let (exit, container_lives) = match status {
            Status::Backstop => (Exit::TimedOut, false),
            Status::Refused => (Exit::Killed, false),
            Status::Code(Some(KILLED)) if duration >= timeout => {
                (Exit::TimedOut, is_running(engine, container).await?)
            }
            Status::Code(Some(KILLED) | None) => killed(engine, container).await?,
            Status::Code(Some(code)) => {
                (Exit::Code(i32::try_from(code).unwrap_or(i32::MAX)), is_running(engine, container).await?)
            }
        };
        Ok(Ended { exit, duration, container_lives })
    }

    /// Runs it until it exits or the container had to be killed.
    async fn status(
        mut self,
        engine: &Engine,
        container: &Container,
        sink: &mut Sink<'_>,
    ) -> Result<Status, Error> {
        let (id, output, input) = self.start(engine, container).await?;
        let stdin = self.stdin.take().unwrap_or_default();
        let pump = async {
            // A command that stops reading early says why on its output: a broken pipe here is no news.
            let (_, drained) = tokio::join!(feed(input, stdin), drain(engine, &id, output, sink));
            drained
        };
        match tokio::time::timeout(self.timeout.saturating_add(BACKSTOP), pump).await {
            Ok(Ok(Drained::Ended)) => Ok(Status::Code(exit_code(engine, &id).await?)),
            Ok(Ok(Drained::Refused)) => {
                kill(engine, container).await;
                Ok(Status::Refused)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                kill(engine, container).await;
                Ok(Status::Backstop)
            }
        }
    }

    async fn start(&self, engine: &Engine, container: &Container) -> Result<Attached, Error> {
        let docker = engine.docker().await?;
        // Full paths: a prepared image's own folder stands first in `PATH`.
        let limit = format!("{:.3}", self.timeout.as_secs_f64().max(0.001));
        let wrapped = ["/usr/bin/timeout".into(), "--signal=KILL".into(), limit];
        let options = CreateExecOptions {
            attach_stdin: Some(self.stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(false),
            env: Some(self.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            cmd: Some(wrapped.into_iter().chain(self.argv.iter().cloned()).collect()),
            working_dir: Some(crate::port::WORKSPACE.into()),
            ..CreateExecOptions::default()
        };
        let exec = engine.call("create a command", docker.create_exec(&container.name, options)).await?;
        match engine.call("start a command", docker.start_exec(&exec.id, None)).await? {
            StartExecResults::Attached { output, input } => Ok((exec.id, output, input)),
            StartExecResults::Detached => {
                Err(Error::Engine { action: "attach to a command", source: "it was detached".into() })
            }
        }
    }
}

type OutputStream = Pin<Box<dyn futures::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;
type Attached = (String, OutputStream, Pin<Box<dyn AsyncWrite + Send>>);

enum Drained {
    Ended,
    Refused,
}

/// What became of a command, before it is known why.
enum Status {
    /// It exited; `None` where the engine never learned how.
    Code(Option<i64>),
    /// Its output was not wanted any more.
    Refused,
    /// It outlived its time limit.
    Backstop,
}

async fn feed(mut input: Pin<Box<dyn AsyncWrite + Send>>, pieces: Vec<Bytes>) -> std::io::Result<()> {
    for piece in pieces {
        input.write_all(&piece).await?;
    }
    input.shutdown().await
}

/// Reads output until it ends, the sink refuses more, or the command has ended and nothing more comes.
async fn drain(
    engine: &Engine,
    id: &str,
    mut output: OutputStream,
    sink: &mut Sink<'_>,
) -> Result<Drained, Error> {
    loop {
        match tokio::time::timeout(SILENCE, output.next()).await {
            Ok(None) => return Ok(Drained::Ended),
            Ok(Some(Ok(piece))) => {
                if !sink(&piece) {
                    return Ok(Drained::Refused);
                }
            }
            Ok(Some(Err(error))) => return Err(engine.failure("stream a command's output", error)),
            Err(_) => {
                if inspect(engine, id).await?.running == Some(false) {
                    return Ok(Drained::Ended);
                }
            }
        }
    }
}

async fn inspect(engine: &Engine, id: &str) -> Result<ExecInspectResponse, Error> {
    engine.call("inspect a command", engine.docker().await?.inspect_exec(id)).await
}

/// The exit status, which the engine may know a moment after the output has ended.
async fn exit_code(engine: &Engine, id: &str) -> Result<Option<i64>, Error> {
    for pause in [10, 20, 50, 100, 200, 500, 1_000, 1_000] {
        let inspected = inspect(engine, id).await?;
        if inspected.running != Some(true) && inspected.exit_code.is_some() {
            return Ok(inspected.exit_code);
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    Ok(None)
}

/// Whether more commands can run in the container.
async fn is_running(engine: &Engine, container: &Container) -> Result<bool, Error> {
    Ok(state(engine, container).await?.running == Some(true))
}

async fn state(engine: &Engine, container: &Container) -> Result<ContainerState, Error> {
    let docker = engine.docker().await?;
    let inspecting = docker.inspect_container(&container.name, None);
    // An engine that does not answer is one thing, a container that it no longer knows another.
    match engine.call("inspect a container", inspecting).await {
        Ok(inspected) => Ok(inspected.state.unwrap_or_default()),
        Err(Error::Engine { source, .. }) if source.downcast_ref().and_then(status) == Some(404) => {
            Err(gone(container))
        }
        Err(error) => Err(error),
    }
}

fn gone(container: &Container) -> Error {
    Error::Gone { name: container.name.clone() }
}

/// Whether somebody else killed the container: its first process can be ended by SIGKILL from outside only, or for want
/// of memory.
fn is_killed_from_outside(state: &ContainerState) -> bool {
    state.running != Some(true) && state.oom_killed != Some(true) && state.exit_code == Some(KILLED)
}

/// Why a command was killed before its time. The engine's own flag is of little use: it is never set while the
/// container lives on some engines, and stays set for later commands on others. The kernel's counter tells.
async fn killed(engine: &Engine, container: &Container) -> Result<(Exit, bool), Error> {
    let state = state(engine, container).await?;
    if is_killed_from_outside(&state) {
        return Err(gone(container));
    }
    let running = state.running == Some(true);
    let counted = if running { oom_kills(engine, container).await } else { None };
    let out_of_memory = match counted {
        Some(count) => container.oom_kills.swap(count, Ordering::Relaxed) < count,
        None => state.oom_killed == Some(true),
    };
    Ok((if out_of_memory { Exit::OutOfMemory } else { Exit::Killed }, running))
}

/// How many processes of the container the kernel has killed for want of memory; `None` where it does not tell.
async fn oom_kills(engine: &Engine, container: &Container) -> Option<u64> {
    // The first is that of cgroup version 2, the second that of version 1; one of them is missing.
    let files = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];
    let argv = ["/bin/cat"].into_iter().chain(files);
    let mut said = Vec::new();
    let mut sink = |piece: &LogOutput| {
        said.extend_from_slice(bytes(piece));
        said.len() < 10_000
    };
    let status = Exec::new(argv, Duration::from_secs(5)).status(engine, container, &mut sink).await;
    status.ok()?;
    let said = String::from_utf8_lossy(&said);
    said.lines().filter_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).max()
}

/// A command that cannot even start: most often the container has died.
async fn not_started(
    engine: &Engine,
    container: &Container,
    started: Instant,
    error: Error,
) -> Result<Ended, Error> {
    let Error::Engine { source, .. } = &error else { return Err(error) };
    let refused = source.downcast_ref().and_then(status).is_some();
    let state = state(engine, container).await?;
    if !refused || state.running == Some(true) {
        return Err(error);
    }
    if is_killed_from_outside(&state) {
        return Err(gone(container));
    }
    let exit = if state.oom_killed == Some(true) { Exit::OutOfMemory } else { Exit::Killed };
    Ok(Ended { exit, duration: started.elapsed(), container_lives: false })
}

/// Kills the container. That it is dead already is as good.
async fn kill(engine: &Engine, container: &Container) {
    if let Ok(docker) = engine.docker().await {
        let killed = engine.call("kill a container", docker.kill_container(&container.name, None)).await;
        if let Err(error) = killed {
            tracing::debug!(container = container.name, %error, "container {} was not killed", container.name);
        }
    }
}

/// The bytes of a piece of output.
pub(crate) fn bytes(piece: &LogOutput) -> &Bytes {
    match piece {
        LogOutput::StdErr { message }
        | LogOutput::StdOut { message }
        | LogOutput::StdIn { message }
        | LogOutput::Console { message } => message,
    }
}

/// Shows a command's last line a few times a second.
pub(crate) struct LastLine<'a> {
    progress: &'a Progress,
    shown: Option<Instant>,
}

impl<'a> LastLine<'a> {
    /// How often a line is shown at most.
    const EVERY: Duration = Duration::from_millis(200);

    pub(crate) const fn new(progress: &'a Progress) -> Self {
        Self { progress, shown: None }
    }

    pub(crate) fn see(&mut self, chunk: &[u8]) {
        if self.shown.is_some_and(|shown| shown.elapsed() < Self::EVERY) {
            return;
        }
        // A line of 200 characters is at most 800 bytes; the rest of a large chunk need not be looked at.
        let end = &chunk[chunk.len().saturating_sub(2_000)..];
        let text = crate::capture::plain(end);
        if let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) {
            self.progress.output(line.chars().take(200).collect::<String>());
            self.shown = Some(Instant::now());
        }
    }
}
