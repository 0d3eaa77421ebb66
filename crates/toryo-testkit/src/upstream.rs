//! Model providers for tests that speak the real wire over real sockets: OpenAI's chat completions, Anthropic's
//! messages, Amazon Bedrock's Converse (signed requests, binary event streams). Each is strict about the requests it
//! gets, as the real one is, and each can fail in every way of [`Fault`].
//!
//! A request that breaks its protocol gets a 400 *and* is remembered: the server panics when it is dropped. Replies
//! are given in order, the last one stays. Nothing here waits for time: what is slow waits for a [`Gate`].

mod anthropic;
mod bedrock;
mod eventstream;
mod fault;
mod http;
mod openai;
mod said;
mod sts;

pub use fault::Fault;
pub use http::SeenCall;
pub use said::{Call, Said, Stop, Thinking};

use crate::openai::Gate;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The key that the servers with keys accept.
pub const API_KEY: &str = "test-key-77b2aa";
/// The access key that the Bedrock double takes from the environment's own credentials.
pub const ACCESS_KEY_ID: &str = "AKIDTESTKIT";

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// `POST /v1/chat/completions`.
    OpenAi,
    /// `POST /v1/messages`.
    Anthropic,
    /// `POST /model/…/converse` and `/converse-stream`, and STS at `/`.
    Bedrock,
}

impl Wire {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OpenAi, Self::Anthropic, Self::Bedrock];
}

/// What a request gets.
#[derive(Debug, Clone)]
pub enum Reply {
    /// An answer.
    Says(Said),
    /// An answer that waits: nothing is sent before the gate opens.
    Waits(Gate, Said),
    /// A failure.
    Fails(Fault),
    /// This status, type and body, as they are.
    Raw {
        /// The HTTP status.
        status: u16,
        /// The header `Content-Type`.
        content_type: &'static str,
        /// The body.
        body: Vec<u8>,
    },
}

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: String,
    wire: Wire,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Starts on a free port of the loopback interface.
    ///
    /// # Panics
    /// Where no port can be bound.
    #[expect(clippy::expect_used, reason = "a test without its server cannot go on")]
    pub async fn start(wire: Wire, replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: VecDeque<Reply> = replies.into_iter().collect();
        let refused = matches!(replies.front(), Some(Reply::Fails(Fault::Refused)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let state = Arc::new(State::new(replies));
        // Nobody listens any more where connections are to be refused.
        let listener = (!refused).then_some(listener);
        let task = tokio::spawn(http::serve(listener, wire, Arc::clone(&state)));
        Self { address, wire, state, task }
    }

    /// What a client is configured with.
    #[must_use]
    pub fn base_url(&self) -> String {
        match self.wire {
            Wire::OpenAi => format!("{}/v1", self.address),
            Wire::Anthropic | Wire::Bedrock => self.address.clone(),
        }
    }

    /// Every request that followed the protocol, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<SeenCall> {
        self.state.memory().calls.clone()
    }

    /// TCP connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.memory().connections
    }

    /// How often STS handed out credentials, and for which role, oldest first.
    #[must_use]
    pub fn assumed(&self) -> Vec<String> {
        self.state.memory().assumed.clone()
    }

    /// Makes the credentials of STS last this long; an hour by default.
    pub fn credentials_last(&self, time: Duration) {
        self.state.memory().credentials_last = time;
    }

    /// Forgets what clients did wrong so far and returns it.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.state.memory().violations)
    }

    /// Waits until that many requests have come in.
    ///
    /// # Panics
    /// After ten seconds.
    pub async fn until_calls(&self, count: usize) {
        self.state.until("requests", |memory| memory.calls.len() >= count).await;
    }

    /// Waits until that many answers wait at their gates.
    ///
    /// # Panics
    /// After ten seconds.
    pub async fn until_waiting(&self, count: usize) {
        self.state.until("answers at their gates", |memory| memory.waiting >= count).await;
    }

    /// Waits until that many clients went away while they were kept waiting.
    ///
    /// # Panics
    /// After ten seconds.
    pub async fn until_abandoned(&self, count: usize) {
        self.state.until("abandoned requests", |memory| memory.abandoned >= count).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
        let violations = self.take_violations();
        // A second panic would abort the process and hide the first.
        if !std::thread::panicking() {
            assert!(violations.is_empty(), "a client broke the protocol: {violations:#?}");
        }
    }
}

#[derive(Debug)]
struct State {
    memory: Mutex<Memory>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Memory {
    replies: VecDeque<Reply>,
    calls: Vec<SeenCall>,
    violations: Vec<String>,
    waiting: usize,
    abandoned: usize,
    connections: usize,
    assumed: Vec<String>,
    credentials_last: Duration,
}

impl State {
    fn new(replies: VecDeque<Reply>) -> Self {
        let memory = Memory {
            replies,
            calls: Vec::new(),
            violations: Vec::new(),
            waiting: 0,
            abandoned: 0,
            connections: 0,
            assumed: Vec::new(),
            credentials_last: Duration::from_secs(3_600),
        };
        Self { memory: Mutex::new(memory), changed: watch::Sender::new(()) }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a request and finds its reply.
    fn take(&self, call: SeenCall) -> Option<Reply> {
        let mut memory = self.memory();
        memory.calls.push(call);
        let reply = if memory.replies.len() > 1 {
            memory.replies.pop_front()
        } else {
            memory.replies.front().cloned()
        };
        drop(memory);
        self.changed.send_replace(());
        reply
    }

    fn violation(&self, what: String) {
        self.memory().violations.push(what);
    }

    fn waits(&self) {
        self.memory().waiting += 1;
        self.changed.send_replace(());
    }

    fn abandoned(&self) {
        self.memory().abandoned += 1;
        self.changed.send_replace(());
    }

    async fn until(&self, what: &str, holds: impl Fn(&Memory) -> bool) {
        const PATIENCE: Duration = Duration::from_secs(10);
        let mut changes = self.changed.subscribe();
        let waiting = changes.wait_for(|()| holds(&self.memory()));
        let came = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        assert!(came, "not enough {what} within {PATIENCE:?}");
    }
}

#[cfg(test)]
mod tests;
