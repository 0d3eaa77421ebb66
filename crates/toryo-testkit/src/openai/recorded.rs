//! What the server remembers: requests, violations, clients that went away.

use super::answer::Answer;
use super::script::Script;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A request that followed the protocol.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SeenRequest {
    /// The header `x-toryo-run`.
    pub run: String,
    /// The header `x-toryo-step`.
    pub step: String,
    /// The header `x-toryo-agent`.
    pub agent: String,
    /// The name of the schema; empty where the request asks for free JSON.
    pub output: String,
    /// The whole body.
    pub body: Value,
}

impl SeenRequest {
    /// All messages' texts, one after the other, for looking something up in them.
    #[must_use]
    pub fn prompt(&self) -> String {
        let messages = self.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let texts = messages.iter().filter_map(|message| message["content"].as_str());
        texts.collect::<Vec<_>>().join("\n")
    }
}

#[derive(Debug)]
pub(super) struct State {
    script: Script,
    memory: Mutex<Memory>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Memory {
    requests: Vec<SeenRequest>,
    /// Indexes of the requests whose answer was sent in full and was a message.
    paid: Vec<usize>,
    asked: BTreeMap<String, usize>,
    violations: Vec<String>,
    abandoned: usize,
}

impl State {
    pub(super) fn new(script: Script) -> Self {
        Self { script, memory: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Remembers a request and finds its answer; without one the request is a violation.
    pub(super) fn take(&self, request: SeenRequest) -> Result<(usize, Answer), String> {
        let mut memory = self.memory();
        let before = memory.asked.get(&request.step).copied().unwrap_or(0);
        let Some(answer) = self.script.answer(&request, before) else {
            let missing =
                format!("the script has no answer to request {} of step `{}`", before + 1, request.step);
            memory.violations.push(missing.clone());
            return Err(missing);
        };
        *memory.asked.entry(request.step.clone()).or_default() += 1;
        memory.requests.push(request);
        let index = memory.requests.len() - 1;
        drop(memory);
        self.changed.send_replace(());
        Ok((index, answer))
    }

    pub(super) fn violation(&self, text: impl Into<String>) {
        self.memory().violations.push(text.into());
    }

    /// The answer to this request is about to be complete, and is a message.
    pub(super) fn paid(&self, index: usize) {
        self.memory().paid.push(index);
    }

    pub(super) fn client_went_away(&self) {
        self.memory().abandoned += 1;
        self.changed.send_replace(());
    }

    pub(super) fn requests(&self) -> Vec<SeenRequest> {
        self.memory().requests.clone()
    }

    pub(super) fn paid_twice(&self) -> Vec<SeenRequest> {
        let memory = self.memory();
        let paid: Vec<&SeenRequest> = memory.paid.iter().map(|index| &memory.requests[*index]).collect();
        let repeated = |(n, request): (usize, &&SeenRequest)| {
            paid[..n].contains(request).then(|| SeenRequest::clone(request))
        };
        paid.iter().enumerate().filter_map(repeated).collect()
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.memory().violations.clone()
    }

    pub(super) fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.memory().violations)
    }

    pub(super) fn unused(&self) -> Vec<String> {
        self.script.unused(&self.memory().asked)
    }

    pub(super) fn abandoned(&self) -> usize {
        self.memory().abandoned
    }

    /// Waits for a condition on what is remembered.
    pub(super) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        const PATIENCE: Duration = Duration::from_secs(10);
        let mut changes = self.changed.subscribe();
        let waiting = changes.wait_for(|()| holds());
        let came = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        assert!(came, "not enough {what} within {PATIENCE:?}");
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
