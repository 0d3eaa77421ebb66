//! One command in a container: start, stream, time limit, exit status.

use super::container::Container;
use super::engine::{Engine, status};
use crate::{Error, Exit, Progress};
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::ExecInspectResponse;
use bytes::Bytes;
use futures::StreamExt;
use std::pin::Pin;
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
        let started = Instant::now();
        let timeout = self.timeout;
        let (id, output, input) = match self.start(engine, container).await {
            Ok(attached) => attached,
            Err(error) => return not_started(engine, container, started, error).await,
        };
        let stdin = self.stdin.unwrap_or_default();
        let pump = async {
            // A command that stops reading early says why on its output: a broken pipe here is no news.
            let (_, whole) = tokio::join!(feed(input, stdin), drain(engine, &id, output, sink));
            whole
        };
        match tokio::time::timeout(timeout.saturating_add(BACKSTOP), pump).await {
            Ok(Ok(Drained::Ended)) => {}
            Ok(Ok(Drained::Refused)) => return Ok(kill(engine, container, started, Exit::Killed).await),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(kill(engine, container, started, Exit::TimedOut).await),
        }
        let code = exit_code(engine, &id).await?;
        let duration = started.elapsed();
        let state = State::of(engine, container).await?;
        let exit = match code {
            Some(KILLED) if duration >= timeout => Exit::TimedOut,
            Some(KILLED) if state.out_of_memory => Exit::OutOfMemory,
            Some(KILLED) | None => Exit::Killed,
            Some(code) => Exit::Code(i32::try_from(code).unwrap_or(i32::MAX)),
        };
        Ok(Ended { exit, duration, container_lives: state.running })
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

/// What the engine knows of the container.
struct State {
    running: bool,
    out_of_memory: bool,
}

impl State {
    async fn of(engine: &Engine, container: &Container) -> Result<Self, Error> {
        let docker = engine.docker().await?;
        let inspected =
            engine.call("inspect a container", docker.inspect_container(&container.name, None)).await?;
        let state = inspected.state.unwrap_or_default();
        Ok(Self { running: state.running == Some(true), out_of_memory: state.oom_killed == Some(true) })
    }
}

/// A command that cannot even start: most often the container has died or holds all the processes it may.
async fn not_started(
    engine: &Engine,
    container: &Container,
    started: Instant,
    error: Error,
) -> Result<Ended, Error> {
    let Error::Engine { source, .. } = &error else { return Err(error) };
    let refused = source.downcast_ref().and_then(status).is_some();
    let state = State::of(engine, container).await?;
    if !refused || state.running {
        return Err(error);
    }
    let exit = if state.out_of_memory { Exit::OutOfMemory } else { Exit::Killed };
    Ok(Ended { exit, duration: started.elapsed(), container_lives: false })
}

/// Kills the container. That it is dead already is as good.
async fn kill(engine: &Engine, container: &Container, started: Instant, exit: Exit) -> Ended {
    if let Ok(docker) = engine.docker().await {
        let killed = engine.call("kill a container", docker.kill_container(&container.name, None)).await;
        if let Err(error) = killed {
            tracing::debug!(container = container.name, %error, "container {} was not killed", container.name);
        }
    }
    Ended { exit, duration: started.elapsed(), container_lives: false }
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
