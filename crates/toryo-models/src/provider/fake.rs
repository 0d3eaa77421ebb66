//! A provider in memory, for tests of the gateway and of agents: it answers from a function and keeps what it
//! was asked.

use super::{Ask, ModelProvider, ProviderError, ProviderReply, ProviderRequest, asking};
use crate::reply::{Finish, Usage};
use async_trait::async_trait;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What the fake does with one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// This reply.
    Reply(ProviderReply),
    /// This failure.
    Fail(ProviderError),
    /// Nothing, ever.
    Hang,
}

impl Answer {
    /// A finished answer of 100 tokens in and 10 out.
    #[must_use]
    pub fn text(content: impl Into<String>) -> Self {
        Self::Reply(ProviderReply {
            content: content.into(),
            finish: Finish::Stop,
            usage: Usage { input: 100, output: 10, ..Usage::default() },
            model: "fake".into(),
        })
    }
}

type Script = dyn Fn(&ProviderRequest, usize) -> Answer + Send + Sync;

/// A provider in memory.
pub struct FakeProvider {
    script: Box<Script>,
    requests: Mutex<Vec<ProviderRequest>>,
}

impl FakeProvider {
    /// Answers by a function of the request and the number of requests before it.
    #[must_use]
    pub fn new(script: impl Fn(&ProviderRequest, usize) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { script: Box::new(script), requests: Mutex::default() })
    }

    /// Answers with these, one after the other; the last one stays.
    #[must_use]
    pub fn in_order(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        let answers: Vec<Answer> = answers.into_iter().collect();
        Self::new(move |_, before| answers.get(before).or(answers.last()).cloned().unwrap_or(Answer::Hang))
    }

    /// What it was asked, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<ProviderRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answer(&self, request: &ProviderRequest) -> Answer {
        let before = {
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.push(request.clone());
            requests.len() - 1
        };
        (self.script)(request, before)
    }
}

impl fmt::Debug for FakeProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeProvider").finish_non_exhaustive()
    }
}

#[async_trait]
impl ModelProvider for FakeProvider {
    async fn send(&self, ask: Ask<'_>) -> Result<super::Answer, ProviderError> {
        match self.answer(&asking::request_of(&ask)) {
            Answer::Reply(reply) => Ok(asking::answer(asking::completion_of(reply), ask.stream)),
            Answer::Fail(error) => Err(error),
            Answer::Hang => std::future::pending().await,
        }
    }
}
