//! Asking the container engine: whether it answers, and which containers it creates.
//!
//! Three requests in HTTP/1.0 by hand, so that neither a Docker command line nor a client library is needed.

use std::{
    io::{Error, ErrorKind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
};

/// A busy engine answers a ping within milliseconds; one that is just starting takes longer.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Containers of Toryo carry labels that begin like this.
const LABEL: &str = "toryo.";

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Where the engine listens: `DOCKER_HOST`, or the usual socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Engine {
    Socket(PathBuf),
    Tcp(String),
}

/// What came of asking whether an engine is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Running,
    /// A socket is there, and this user may not use it.
    Forbidden,
    Nothing,
}

impl Engine {
    pub(crate) fn from_environment() -> Result<Self> {
        Self::parse(&std::env::var("DOCKER_HOST").unwrap_or_default())
    }

    fn parse(host: &str) -> Result<Self> {
        if host.is_empty() {
            return Ok(Self::Socket("/var/run/docker.sock".into()));
        }
        match host.split_once("://") {
            Some(("unix", path)) => Ok(Self::Socket(path.into())),
            Some(("tcp" | "http", address)) => Ok(Self::Tcp(address.trim_end_matches('/').to_owned())),
            Some(_) | None => bail!("DOCKER_HOST is {host}; only unix:// and tcp:// are understood here"),
        }
    }

    /// Whether this is a socket of this machine, so that starting an engine here would help.
    pub(crate) fn is_usual_socket(&self) -> bool {
        matches!(self, Self::Socket(path) if path.ends_with("run/docker.sock"))
    }

    pub(crate) async fn ask(&self) -> Answer {
        match tokio::time::timeout(REQUEST_LIMIT, self.get("/_ping")).await {
            Ok(Ok(_)) => Answer::Running,
            Ok(Err(refused)) => match refused.downcast_ref::<Error>().map(Error::kind) {
                Some(ErrorKind::PermissionDenied) => Answer::Forbidden,
                Some(_) | None => Answer::Nothing,
            },
            Err(_) => Answer::Nothing,
        }
    }

    /// Begins to count the containers of Toryo that are created from now on. A subscription, because the
    /// engine remembers its last 256 events only.
    pub(crate) async fn count_containers(&self) -> Result<Containers> {
        // {"type":["container"],"event":["create"]}
        let filter = "%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22create%22%5D%7D";
        let mut lines = self.open(&format!("/events?filters={filter}")).await?.lines();
        while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}
        let count = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&count);
        let task = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if is_of_toryo(&line) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(Containers { count, task })
    }

    async fn get(&self, path: &str) -> Result<String> {
        let mut reply = String::new();
        self.open(path).await?.read_to_string(&mut reply).await?;
        let status = reply.lines().next().unwrap_or_default();
        if !status.contains(" 200 ") {
            bail!("the container engine answered {status:?} to {path}");
        }
        Ok(reply)
    }

    async fn open(&self, path: &str) -> Result<BufReader<Box<dyn Stream>>> {
        let mut stream: Box<dyn Stream> = match self {
            Self::Socket(socket) => Box::new(UnixStream::connect(socket).await?),
            Self::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        };
        let request = format!("GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n");
        stream.write_all(request.as_bytes()).await.context("cannot write to the container engine")?;
        Ok(BufReader::new(stream))
    }
}

/// Counts containers of Toryo as the engine creates them.
#[derive(Debug)]
pub(crate) struct Containers {
    count: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Containers {
    pub(crate) fn created(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether the engine has been telling us all the time.
    pub(crate) fn is_complete(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether an event is about a container with one of Toryo's labels, which stand among its attributes.
fn is_of_toryo(event: &str) -> bool {
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    event["Actor"]["Attributes"].as_object().is_some_and(|all| all.keys().any(|key| key.starts_with(LABEL)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_understood_or_refused() {
        assert_eq!(Engine::parse("").unwrap(), Engine::Socket("/var/run/docker.sock".into()));
        assert_eq!(Engine::parse("unix:///run/d.sock").unwrap(), Engine::Socket("/run/d.sock".into()));
        assert_eq!(Engine::parse("tcp://localhost:2375").unwrap(), Engine::Tcp("localhost:2375".into()));
        assert!(Engine::parse("ssh://somewhere").is_err());
    }

    #[test]
    fn containers_of_toryo_are_known_by_their_labels() {
        assert!(is_of_toryo(r#"{"Actor":{"Attributes":{"image":"x","toryo.run":"-"}}}"#));
        assert!(!is_of_toryo(r#"{"Actor":{"Attributes":{"image":"toryo.run"}}}"#));
        assert!(!is_of_toryo("no json"));
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_answers_nothing() {
        assert_eq!(Engine::Socket("/nowhere/docker.sock".into()).ask().await, Answer::Nothing);
    }
}
