//! The HTTP client of the commands that talk to a server.

use anyhow::{Context, Result, bail};
use eventsource_stream::Eventsource;
use futures::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;
use toryo_domain::{Event, EventType, RunId};

/// How long one request may take; a stream is not limited, but has to show a sign of life.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The server sends a heartbeat every 15 s; three missed ones are a lost connection.
const SILENCE: Duration = Duration::from_secs(50);

/// How often a lost stream is taken up again before giving up.
const RECONNECTS: u32 = 60;

/// How often a request that makes something is sent at most, where its connection is lost.
const TRIES: u32 = 3;

/// A server.
pub struct Client {
    http: reqwest::Client,
    base: String,
    /// Sent as `Authorization: Bearer …`, where the administration of the gateway is asked.
    key: Option<String>,
}

impl Client {
    /// The server at this address.
    ///
    /// # Errors
    /// The address is not a URL.
    pub fn new(server: &str) -> Result<Self> {
        let base = server.trim_end_matches('/').to_owned();
        reqwest::Url::parse(&base)
            .with_context(|| format!("`{server}` is not an address such as http://127.0.0.1:8080"))?;
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .user_agent(concat!("toryo/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, base, key: None })
    }

    /// Sends this key with every request.
    #[must_use]
    pub fn with_key(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }

    /// The address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// The server is not there, or refuses with its reason.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = self.http.get(self.url(path)).timeout(REQUEST_TIMEOUT);
        self.answer(request).await
    }

    /// Reads a resource that is text.
    ///
    /// # Errors
    /// The server is not there, or refuses with its reason.
    pub async fn text(&self, path: &str) -> Result<String> {
        let request = self.http.get(self.url(path)).timeout(REQUEST_TIMEOUT);
        String::from_utf8(self.send(request).await?).context("the server's answer is no text")
    }

    /// Sends a body.
    ///
    /// # Errors
    /// The server is not there, or refuses with its reason.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let request = self.http.post(self.url(path)).json(body).timeout(REQUEST_TIMEOUT);
        self.answer(request).await
    }

    /// Sends a change.
    ///
    /// # Errors
    /// The server is not there, or refuses with its reason.
    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let request = self.http.patch(self.url(path)).json(body).timeout(REQUEST_TIMEOUT);
        self.answer(request).await
    }

    /// Replaces a resource.
    ///
    /// # Errors
    /// The server is not there, or refuses with its reason.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let request = self.http.put(self.url(path)).json(body).timeout(REQUEST_TIMEOUT);
        self.answer(request).await
    }

    /// Asks for something that takes long and is told line by line, each a JSON object.
    ///
    /// # Errors
    /// The server is not there, or refuses with its reason.
    pub async fn lines<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = Result<T>> + use<T>> {
        let response = self.http.post(self.url(path)).send().await.with_context(|| self.not_there())?;
        let status = response.status();
        if !status.is_success() {
            bail!(problem(status, &response.bytes().await.unwrap_or_default()));
        }
        let reader =
            StreamReader::new(response.bytes_stream().map(|chunk| chunk.map_err(std::io::Error::other)));
        Ok(futures::stream::unfold(reader.lines(), async |mut lines| {
            let line = lines.next_line().await.transpose()?;
            let value = line
                .context("the server broke off its answer")
                .and_then(|line| serde_json::from_str(&line).context("the server's answer cannot be read"));
            Some((value, lines))
        }))
    }

    /// Sends a body that makes something. A lost connection is tried again; the key makes that harmless.
    ///
    /// # Errors
    /// The server is not there, or refuses with its reason.
    pub async fn post_once<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let key = uuid::Uuid::now_v7().to_string();
        let mut tries = 1;
        loop {
            let request = self.http.post(self.url(path)).json(body).header("idempotency-key", &key);
            match self.answer(request.timeout(REQUEST_TIMEOUT)).await {
                Err(error) if tries < TRIES && was_lost(&error) => tries += 1,
                outcome => return outcome,
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Removes a resource.
    ///
    /// # Errors
    /// The server is not there, or refuses with its reason.
    pub async fn delete(&self, path: &str) -> Result<()> {
        let request = self.http.delete(self.url(path)).timeout(REQUEST_TIMEOUT);
        self.send(request).await.map(|_| ())
    }

    async fn answer<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T> {
        let body = self.send(request).await?;
        serde_json::from_slice(&body).context("the server's answer cannot be read; is it of another version?")
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let response = request.send().await.with_context(|| self.not_there())?;
        let status = response.status();
        let body = response.bytes().await.context("the server broke off its answer")?;
        if !status.is_success() {
            bail!(problem(status, &body));
        }
        Ok(body.to_vec())
    }

    fn not_there(&self) -> String {
        format!(
            "no server answers at {}; start one with `toryo up`, or name another with --server",
            self.base
        )
    }

    /// The events of a run after number `seq`, in order and each once, until its last one. A lost connection is
    /// taken up where it ended.
    pub fn events(&self, run: RunId, after: u64) -> impl Stream<Item = Result<Event>> + '_ {
        futures::stream::unfold(
            Follow { seq: after, lost: 0, open: None, last: false, ended: false },
            move |mut follow| async move {
                let next = self.next_event(run, &mut follow).await.transpose()?;
                follow.ended |= next.is_err();
                Some((next, follow))
            },
        )
    }

    async fn next_event(&self, run: RunId, follow: &mut Follow) -> Result<Option<Event>> {
        while !follow.ended {
            let Some(open) = &mut follow.open else {
                match self.open(run, follow.seq).await {
                    Ok(stream) => follow.open = Some(stream),
                    Err(error) if follow.lost >= RECONNECTS || error.is::<Refused>() => return Err(error),
                    Err(_) => {
                        follow.lost += 1;
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
                continue;
            };
            match open.next().await {
                Some(Ok(message)) => {
                    // A newer server has types of events that say nothing to this program.
                    let Ok(event) = serde_json::from_str::<Event>(&message) else { continue };
                    if event.seq <= follow.seq {
                        continue;
                    }
                    (follow.seq, follow.lost, follow.last) = (event.seq, 0, is_last(event.kind));
                    return Ok(Some(event));
                }
                // The server ends the stream after the run's last event. Where a failed run was tried again, more
                // events followed.
                None if follow.last => follow.ended = true,
                Some(Err(_)) | None => {
                    follow.open = None;
                    follow.lost += 1;
                    if follow.lost > RECONNECTS {
                        bail!("the connection was lost {RECONNECTS} times without a new event");
                    }
                }
            }
        }
        Ok(None)
    }

    async fn open(&self, run: RunId, after: u64) -> Result<Lines> {
        let request = self.http.get(self.url(&format!("/runs/{run}/stream?after={after}")));
        let response = request.send().await.with_context(|| self.not_there())?;
        let status = response.status();
        if !status.is_success() {
            let body = response.bytes().await.unwrap_or_default();
            let text = problem(status, &body);
            return Err(if status.is_client_error() { Refused(text).into() } else { anyhow::anyhow!(text) });
        }
        // The limit is on bytes: the server's heartbeat is a comment, which is no event.
        let bytes = tokio_stream::StreamExt::timeout(response.bytes_stream(), SILENCE)
            .map(|chunk| chunk.map_err(anyhow::Error::from)?.map_err(anyhow::Error::from));
        let messages = bytes.eventsource();
        Ok(Box::pin(
            messages.map(|message| message.map(|it| it.data).map_err(|error| anyhow::anyhow!("{error}"))),
        ))
    }
}

type Lines = std::pin::Pin<Box<dyn Stream<Item = Result<String>> + Send>>;

struct Follow {
    seq: u64,
    lost: u32,
    open: Option<Lines>,
    /// The newest event is one after which nothing follows by itself.
    last: bool,
    ended: bool,
}

/// The server answered that it will not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

/// Whether no event follows.
pub const fn is_last(kind: EventType) -> bool {
    matches!(kind, EventType::RunSucceeded | EventType::RunFailed | EventType::RunCancelled)
}

/// The server's own words for a refusal (RFC 9457).
fn problem(status: reqwest::StatusCode, body: &[u8]) -> String {
    let Ok(problem) = serde_json::from_slice::<Value>(body) else {
        return format!("the server answered {status}");
    };
    let mut text =
        problem["detail"].as_str().or_else(|| problem["title"].as_str()).unwrap_or("refused").to_owned();
    for error in problem["errors"].as_array().into_iter().flatten() {
        let (pointer, detail) =
            (error["pointer"].as_str().unwrap_or(""), error["detail"].as_str().unwrap_or(""));
        text.push_str(&format!("\n  {pointer}: {detail}"));
    }
    text.lines().map(crate::output::plain).collect::<Vec<_>>().join("\n")
}

/// Whether a request may have arrived although nobody answered it.
fn was_lost(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<reqwest::Error>().is_some_and(|it| !it.is_connect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_in_the_servers_words() {
        let body = br#"{"title":"Bad input","detail":"The task is not accepted.","errors":[{"pointer":"/goal","detail":"is blank"}]}"#;
        let text = problem(reqwest::StatusCode::UNPROCESSABLE_ENTITY, body);
        assert_eq!(text, "The task is not accepted.\n  /goal: is blank");
        assert_eq!(
            problem(reqwest::StatusCode::BAD_GATEWAY, b"<html>"),
            "the server answered 502 Bad Gateway"
        );
    }

    #[test]
    fn a_server_is_a_url() {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        assert!(Client::new("not a url").is_err());
        assert_eq!(
            Client::new("http://h:1/").map(|it| it.url("/runs")).unwrap_or_default(),
            "http://h:1/runs"
        );
    }
}
