//! A contender: a program that answers one JSON object a line with one JSON object a line.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout},
};

/// How long one reply may take: a cold parse of a large repository takes a minute or two.
const REPLY_LIMIT: Duration = Duration::from_secs(600);

/// A running contender; dropping it ends it.
pub(super) struct Contender {
    process: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Contender {
    /// Starts a program that talks through its standard input and output.
    pub(super) fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let shown = format!("{command:?}");
        let mut process = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {shown}"))?;
        let requests = process.stdin.take().context("no pipe to the contender")?;
        let replies = BufReader::new(process.stdout.take().context("no pipe from the contender")?);
        Ok(Self { process, requests, replies })
    }

    /// Python's side of the benchmark, with this interpreter.
    pub(super) fn python(interpreter: &Path) -> Result<Self> {
        let mut command = Command::new(interpreter);
        command.args(["-c", include_str!("python.py")]);
        Self::start(command)
    }

    /// Sends a request and awaits its reply.
    pub(super) async fn ask(&mut self, request: &Value) -> Result<Value> {
        let reply = async {
            self.requests.write_all(format!("{request}\n").as_bytes()).await?;
            let mut line = String::new();
            self.replies.read_line(&mut line).await?;
            anyhow::Ok(line)
        };
        let line = tokio::time::timeout(REPLY_LIMIT, reply)
            .await
            .with_context(|| format!("a contender gives no reply within {REPLY_LIMIT:?}"))??;
        ensure!(!line.is_empty(), "a contender ended ({:?}) at {request}", self.process.try_wait());
        serde_json::from_str(&line).context("a contender's reply is no JSON")
    }
}
