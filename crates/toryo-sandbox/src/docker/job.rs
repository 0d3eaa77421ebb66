//! A job: one fresh container, files in, commands, files out, container gone.

use super::container::{Container, Profile};
use super::exec::{self, Exec, LastLine};
use super::prepare::remove_within;
use super::{Inner, files};
use crate::capture::Capture;
use crate::{Command, Error, Exit, Job, JobReport, Output, Progress, clip};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// See [`crate::Sandbox::run`].
pub(super) async fn run(
    inner: &Inner,
    job: &Job,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<JobReport, Error> {
    let start = Container::start(
        &inner.engine,
        &job.image.id,
        Profile::Job,
        &job.limits,
        &inner.config.runtime,
        &job.labels,
    );
    let container = until(cancel, start).await.map_err(|error| named(error, &job.image.name))?;
    let result = until(cancel, work(inner, job, progress, &container)).await;
    remove_within(container, cancel).await;
    result
}

/// Waits for the work or the token, whichever comes first.
pub(super) async fn until<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Cancelled),
        result = work => result,
    }
}

/// A missing image by the name people know instead of its id.
fn named(error: Error, name: &str) -> Error {
    match error {
        Error::ImageMissing { .. } => Error::ImageMissing { name: name.to_owned() },
        error => error,
    }
}

async fn work(
    inner: &Inner,
    job: &Job,
    progress: &Progress,
    container: &Container,
) -> Result<JobReport, Error> {
    let engine = &inner.engine;
    let deadline = Instant::now() + Duration::from_secs(job.limits.job_seconds.into());
    progress.stage(format!("copying {} files into the sandbox", job.files.len()));
    files::put(engine, container, crate::port::WORKSPACE, &job.files, &job.limits).await?;
    let mut report = JobReport::default();
    for command in &job.commands {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        progress.stage(format!("running {}", clip(&command.argv.join(" "), 200, 0)));
        let (output, lives) = execute(inner, job, command, left, progress, container).await?;
        let failed = !output.exit.success();
        report.outputs.push(output);
        if !lives {
            report.not_collected =
                (!job.collect.is_empty()).then(|| "the container had to be killed".to_owned());
            return Ok(report);
        }
        if failed && command.stop_on_failure {
            break;
        }
    }
    let collected = files::collect(engine, container, &job.collect, &job.limits).await;
    match collected {
        Ok(collected) => {
            report.collected = collected.files;
            report.not_collected = collected.missing;
        }
        // A container clogged by what ran in it refuses further commands; what it printed is still worth having.
        Err(Error::Engine { action, source }) => {
            report.not_collected = Some(format!("the container engine failed to {action}: {source}"));
        }
        Err(error) => return Err(error),
    }
    Ok(report)
}

async fn execute(
    inner: &Inner,
    job: &Job,
    command: &Command,
    left: Duration,
    progress: &Progress,
    container: &Container,
) -> Result<(Output, bool), Error> {
    let mut capture = Capture::new(job.limits.output_kib as usize * 1024);
    let mut last_line = LastLine::new(progress);
    let exec = Exec {
        argv: command.argv.clone(),
        env: command.env.clone(),
        timeout: command.timeout.min(left),
        stdin: None,
    };
    let ended = exec
        .run(&inner.engine, container, &mut |piece| {
            let chunk = exec::bytes(piece);
            capture.push(chunk);
            last_line.see(chunk);
            true
        })
        .await;
    let (exit, duration, lives) = match ended {
        Ok(ended) => (ended.exit, ended.duration, ended.container_lives),
        // An earlier command left the container so full of processes that the engine cannot start another one.
        Err(Error::Engine { action: action @ ("create a command" | "start a command"), source }) => {
            capture.push(format!("the container engine failed to {action}: {source}\n").as_bytes());
            (Exit::Killed, Duration::ZERO, false)
        }
        Err(error) => return Err(error),
    };
    let written = capture.written();
    let (text, log) = capture.finish();
    Ok((Output { exit, text, log, written, duration }, lives))
}
