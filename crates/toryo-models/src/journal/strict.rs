//! A journal that only reads: for executing a run again without a model. What is not in it is an error, so no provider is
//! ever asked.

use super::{CallKey, CallRecord, Journal, JournalError, Reserved, Spent, StoredReply};
use crate::request::Caller;
use async_trait::async_trait;
use std::sync::Arc;
use toryo_domain::{FailureClass, RunId};

/// Answers from another journal and keeps nothing.
#[derive(Clone)]
pub struct StrictJournal(Arc<dyn Journal>);

impl StrictJournal {
    /// Reads from this journal.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self(journal)
    }
}

fn refused(text: String) -> JournalError {
    JournalError::Store { class: FailureClass::Input, source: text.into() }
}

#[async_trait]
impl Journal for StrictJournal {
    async fn find(&self, key: &CallKey) -> Result<Option<StoredReply>, JournalError> {
        match self.0.find(key).await? {
            Some(reply) => Ok(Some(reply)),
            None => Err(refused(format!(
                "call {} is not in the journal as it is asked now (request {}): the prompt, or what it is made of, has changed",
                key.call_no, key.request_digest
            ))),
        }
    }

    async fn record(&self, _caller: &Caller, _record: &CallRecord) -> Result<(), JournalError> {
        Err(refused("nothing is recorded while a run is replayed".into()))
    }

    async fn reserve(&self, _caller: &Caller, _most: Spent) -> Result<Reserved, JournalError> {
        Err(refused("no model is asked while a run is replayed".into()))
    }

    async fn release(&self, _caller: &Caller) -> Result<(), JournalError> {
        Ok(())
    }

    async fn spent(&self, run: RunId) -> Result<Spent, JournalError> {
        self.0.spent(run).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::memory::MemoryJournal;
    use crate::provider::fake::{Answer, FakeProvider};
    use crate::provider::{ModelProvider, Providers};
    use crate::{Config, Gateway, Message, OutputSchema, Request};
    use tokio_util::sync::CancellationToken;
    use toryo_domain::{Limits, Role, StepId, StepKey, StepKind};

    #[tokio::test]
    async fn a_paid_reply_is_found_and_no_provider_is_ever_asked() {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        let provider = FakeProvider::in_order([Answer::text("paid")]);
        let gateway = |journal| {
            let providers = Providers::new().with("openai", Arc::clone(&provider) as Arc<dyn ModelProvider>);
            Gateway::new(&Config::default(), providers, journal).unwrap()
        };
        let caller = Caller {
            run_id: RunId::generate(),
            step_id: StepId::generate(),
            step_key: StepKey::of_run(StepKind::Plan),
            attempt: 1,
            fence: 1,
            agent: Role::Planner,
            call_no: 1,
            limits: Limits::default(),
        };
        let request = |text: &str| Request {
            route: "planner".into(),
            output: OutputSchema { name: "plan".into(), schema: serde_json::json!({}) },
            messages: vec![Message::user(text)],
            max_output_tokens: 10,
            temperature: None,
        };
        let cancel = CancellationToken::new();
        gateway(Arc::clone(&journal)).complete(&caller, &request("a"), &cancel).await.unwrap();
        let strict = gateway(Arc::new(StrictJournal::new(journal)));
        let reply = strict.complete(&caller, &request("a"), &cancel).await.unwrap();
        assert_eq!((reply.content.as_str(), reply.journalled), ("paid", true));
        let error = strict.complete(&caller, &request("b"), &cancel).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::Input, "{error}");
        assert_eq!(provider.requests().len(), 1);
    }
}
