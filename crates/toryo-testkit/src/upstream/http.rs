//! HTTP/1.1 by hand, so that it can be broken anywhere.

use super::fault::{self, failure};
use super::{Reply, State, Wire, anthropic, bedrock, openai, sts};
use crate::openai::Gate;
use serde_json::Value;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const LARGEST_REQUEST: usize = 32 * 1024 * 1024;

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct SeenCall {
    /// The method.
    pub method: String,
    /// The path as it was sent, escapes included.
    pub path: String,
    /// Headers in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, `null` where it is not JSON.
    pub body: Value,
    /// The body's bytes.
    pub raw: Vec<u8>,
}

impl SeenCall {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// What goes over the socket.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Bytes as they are.
    Send(Vec<u8>),
    /// A piece of a chunked body.
    Piece(Vec<u8>),
    /// The end of a chunked body.
    End,
    /// Nothing until the gate opens.
    Wait(Gate),
    /// The connection is reset.
    Reset,
}

pub(super) type Steps = Vec<Step>;

/// Status and headers of a chunked answer.
pub(super) fn head(status: u16, content_type: &str, more: &[String]) -> Vec<u8> {
    let more: String = more.iter().map(|header| format!("{header}\r\n")).collect();
    format!(
        "HTTP/1.1 {status} Scripted\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n{more}\r\n"
    )
    .into_bytes()
}

/// An answer in one go.
pub(super) fn whole(status: u16, content_type: &str, more: &[String], body: Vec<u8>) -> Steps {
    vec![Step::Send(head(status, content_type, more)), Step::Piece(body), Step::End]
}

pub(super) async fn serve(listener: Option<TcpListener>, wire: Wire, state: Arc<State>) {
    let Some(listener) = listener else { return };
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let _ = socket.set_nodelay(true);
        state.memory().connections += 1;
        let state = Arc::clone(&state);
        connections.spawn(async move {
            // A client that leaves is no fault of the server.
            let _ = connection(socket, wire, &state).await;
        });
    }
}

async fn connection(mut socket: TcpStream, wire: Wire, state: &State) -> io::Result<()> {
    let mut rest = Vec::new();
    while let Some(call) = request(&mut socket, &mut rest).await? {
        for step in answer(wire, call, state) {
            match step {
                Step::Send(bytes) => socket.write_all(&bytes).await?,
                // A piece of no bytes would end the body.
                Step::Piece(bytes) if bytes.is_empty() => {}
                Step::Piece(bytes) => {
                    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                    chunk.extend_from_slice(&bytes);
                    chunk.extend_from_slice(b"\r\n");
                    socket.write_all(&chunk).await?;
                }
                Step::End => socket.write_all(b"0\r\n\r\n").await?,
                Step::Wait(gate) => {
                    state.waits();
                    let mut byte = [0];
                    tokio::select! {
                        () = gate.passed() => {}
                        _ = socket.read(&mut byte) => {
                            state.abandoned();
                            return Ok(());
                        }
                    }
                }
                Step::Reset => {
                    socket.set_zero_linger()?;
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// The next request; `None` where the client is done.
async fn request(socket: &mut TcpStream, rest: &mut Vec<u8>) -> io::Result<Option<SeenCall>> {
    let end = loop {
        if let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if socket.read_buf(rest).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&rest[..end]).into_owned();
    rest.drain(..end + 4);
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    let mut call = SeenCall { method, path, headers, ..SeenCall::default() };
    let length = call.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0_usize);
    while rest.len() < length.min(LARGEST_REQUEST) {
        if socket.read_buf(rest).await? == 0 {
            return Ok(None);
        }
    }
    call.raw = rest.drain(..length).collect();
    call.body = serde_json::from_slice(&call.raw).unwrap_or(Value::Null);
    Ok(Some(call))
}

fn answer(wire: Wire, call: SeenCall, state: &State) -> Steps {
    if wire == Wire::Bedrock && call.path == "/" {
        return sts::answer(&call, state);
    }
    let checked = match wire {
        Wire::OpenAi => openai::check(&call),
        Wire::Anthropic => anthropic::check(&call),
        Wire::Bedrock => bedrock::check(&call),
    };
    let stream = match checked {
        Ok(stream) => stream,
        Err(Refusal { status, message, wrong }) => {
            if wrong {
                state.violation(format!("{} {}: {message}", call.method, call.path));
            }
            let (headers, body) = failure(wire, status, &message);
            return whole(status, "application/json", &headers, body);
        }
    };
    let request = call.body.clone();
    match state.take(call) {
        Some(Reply::Says(said)) => fault::good(wire, &said, &request, stream),
        Some(Reply::Waits(gate, said)) => {
            [vec![Step::Wait(gate)], fault::good(wire, &said, &request, stream)].concat()
        }
        Some(Reply::Fails(fault)) => fault::steps(wire, &fault, &request, stream),
        Some(Reply::Raw { status, content_type, body }) => whole(status, content_type, &[], body),
        None => vec![Step::Reset],
    }
}

/// Why a request is refused.
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
    /// The client broke the protocol; a wrong key does not.
    pub(super) wrong: bool,
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self { status: 400, message, wrong: true }
    }
}

impl From<&str> for Refusal {
    fn from(message: &str) -> Self {
        Self::from(message.to_owned())
    }
}

/// Refuses a key other than ours.
pub(super) fn check_key(given: Option<&str>) -> Result<(), Refusal> {
    match given {
        Some(super::API_KEY) => Ok(()),
        Some(key) => {
            let message = format!("Incorrect API key provided: {key}.");
            Err(Refusal { status: 401, message, wrong: false })
        }
        None => Err(Refusal { status: 401, message: "no key".into(), wrong: true }),
    }
}
