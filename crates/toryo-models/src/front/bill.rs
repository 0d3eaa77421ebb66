//! What a call costs: the permit, the tokens as they become known, and the row that is written whatever ends it.

use super::refusals::no_journal;
use super::words::Kept;
use crate::allowance::Permit;
use crate::chat::{Completion, Event, Output};
use crate::config::{Aws, Deployment, Price};
use crate::dialect::{Refused, RefusedKind};
use crate::error::Error;
use crate::inbound::Inbound;
use crate::ledger::{CacheState, Call, CallStatus, CountedBy, LedgerError};
use crate::prices;
use crate::provider::ProviderError;
use crate::reply::Usage;
use crate::route::Routed;
use crate::route::trace::CallSpan;
use crate::tokens;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use toryo_domain::{CallId, FailureClass, Usd};

/// Bytes of a question whose tokens are counted; longer ones, pictures among them, are guessed.
const MOST_COUNTED: usize = 256 * 1024;

/// An open bill. Dropped, it is the bill of a client that went away.
pub(super) struct Bill {
    id: CallId,
    permit: Option<Permit>,
    call: Call,
    price: Option<Price>,
    started: Instant,
    usage: Option<Usage>,
    /// The words of the answer so far, and the question's bytes: to count tokens where the provider does not.
    answer: String,
    question: Bytes,
    guessed_input: u64,
    /// Where the words go, where they are kept.
    words: Option<Kept>,
    /// Open until the bill is closed.
    trace: Option<CallSpan>,
}

impl Bill {
    pub(super) fn open(permit: Permit, inbound: &Inbound, route: &str, guessed_input: u64) -> Self {
        let (dialect, stream) = (inbound.dialect.as_str(), inbound.head.stream);
        let mut bill = Self::open_for(permit, dialect, stream, route, guessed_input);
        bill.question = inbound.body.clone();
        bill
    }

    pub(super) fn open_for(
        permit: Permit,
        dialect: &str,
        stream: bool,
        route: &str,
        guessed_input: u64,
    ) -> Self {
        let nothing: Arc<str> = Arc::from("");
        let call = Call {
            run_id: None,
            step_id: None,
            agent: None,
            route: route.into(),
            deployment: Arc::clone(&nothing),
            provider: Arc::clone(&nothing),
            model: nothing,
            region: None,
            account: None,
            dialect: dialect.into(),
            input_tokens: 0,
            output_tokens: 0,
            cached_input_tokens: 0,
            cache_write_tokens: 0,
            reasoning_tokens: 0,
            counted_by: CountedBy::Provider,
            cost: Usd::ZERO,
            priced_as_of: None,
            latency_ms: 0,
            first_token_ms: None,
            status: CallStatus::Cancelled,
            error_class: None,
            // What servers log for a client that closed its connection (nginx's 499).
            http_status: 499,
            attempts: 0,
            cache: CacheState::None,
            stream,
        };
        Self {
            id: permit.id(),
            permit: Some(permit),
            call,
            price: None,
            started: Instant::now(),
            usage: None,
            answer: String::new(),
            question: Bytes::new(),
            guessed_input,
            words: None,
            trace: None,
        }
    }

    pub(super) const fn id(&self) -> CallId {
        self.id
    }

    /// When the call was admitted, in seconds since 1970.
    pub(super) fn created(&self) -> i64 {
        self.permit.as_ref().map_or(0, |permit| permit.at().timestamp())
    }

    /// Somebody answers.
    pub(super) fn answered(&mut self, routed: &Routed) {
        let by = &routed.by;
        self.call.route = routed.route.as_str().into();
        self.call.deployment = by.deployment.as_str().into();
        self.call.provider = by.provider.as_str().into();
        self.call.model = by.model.as_str().into();
        self.call.region = by.region.as_deref().map(Into::into);
        self.call.account = by.account.as_deref().map(Into::into);
        self.call.attempts = routed.attempts;
        self.call.priced_as_of = by.price.map(|_| prices::as_of().into());
        if self.call.stream {
            self.call.first_token_ms = Some(millis(routed.first_token));
        }
        self.price = by.price;
        self.trace = Some(routed.trace.clone());
    }

    /// An answer of before is given: nothing is used and nothing is paid.
    pub(super) fn kept(&mut self, deployment: &str, state: CacheState) {
        self.call.deployment = deployment.into();
        self.call.cache = state;
        CallSpan::kept(&self.call.route, deployment, state);
    }

    /// This deployment is asked, and no other.
    pub(super) fn deployed(&mut self, deployment: &Deployment) {
        self.call.deployment = deployment.name.as_str().into();
        self.call.provider = deployment.provider.as_str().into();
        self.call.model = deployment.model.as_str().into();
        self.call.region = deployment.region.as_deref().map(Into::into);
        self.call.account = deployment.aws.as_ref().and_then(Aws::account).map(Into::into);
        self.call.attempts = 1;
        self.call.priced_as_of = deployment.price.map(|_| prices::as_of().into());
        self.price = deployment.price;
    }

    /// The vectors are there. Says what they cost.
    pub(super) fn embedded(mut self, input_tokens: u64) -> Result<Usd, Refused> {
        // An endpoint that does not count says 0.
        self.usage = (input_tokens > 0).then(|| Usage { input: input_tokens, ..Usage::default() });
        self.close(CallStatus::Ok, 200)
    }

    /// The words of this call are kept.
    pub(super) fn keep_words(&mut self, words: Option<Kept>) {
        self.words = words;
    }

    /// A piece of the answer came.
    pub(super) fn piece(&mut self, event: &Event) {
        match event {
            Event::Begin { model, .. } if !model.is_empty() => self.call.model = model.as_str().into(),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Text(text) | Event::Refusal(text) | Event::Reasoning(text) => {
                self.answer.push_str(text);
            }
            Event::Arguments { json, .. } => self.answer.push_str(json),
            Event::Begin { .. } | Event::ReasoningDone(_) | Event::ToolCall { .. } | Event::Stop(_) => {}
        }
    }

    /// The whole answer is there. Says what it cost.
    pub(super) fn whole(mut self, completion: &Completion) -> Result<Usd, Refused> {
        if !completion.model.is_empty() {
            self.call.model = completion.model.as_str().into();
        }
        self.usage = completion.usage;
        self.answer = words(completion);
        self.close(CallStatus::Ok, 200)
    }

    /// The stream has reached its end.
    pub(super) fn ended(mut self) -> Result<Usd, Refused> {
        self.close(CallStatus::Ok, 200)
    }

    /// The stream broke. What was answered until then is paid all the same.
    pub(super) fn broke(mut self, error: &ProviderError) {
        self.call.error_class = Some(error.class().to_string().into());
        self.close(CallStatus::Error, 200).ok();
    }

    /// Nobody answered.
    pub(super) fn failed(mut self, error: &Error, http_status: u16) {
        if let Error::Provider { provider, attempts, .. } = error {
            self.call.provider = provider.as_str().into();
            self.call.attempts = *attempts;
        }
        self.call.error_class = Some(error.class().to_string().into());
        self.price = None;
        self.guessed_input = 0;
        self.close(CallStatus::Error, http_status).ok();
    }

    /// Writes the row. The first call counts.
    fn close(&mut self, status: CallStatus, http_status: u16) -> Result<Usd, Refused> {
        let Some(permit) = self.permit.take() else { return Ok(self.call.cost) };
        let kept = self.call.cache != CacheState::None;
        let usage = if kept { Usage::default() } else { self.usage.unwrap_or_else(|| self.counted()) };
        let call = Call {
            input_tokens: usage.input,
            output_tokens: usage.output,
            cached_input_tokens: usage.cached_input,
            cache_write_tokens: usage.cache_write,
            reasoning_tokens: usage.reasoning,
            counted_by: if kept || self.usage.is_some() { CountedBy::Provider } else { CountedBy::Estimate },
            cost: self.price.map_or(Usd::ZERO, |price| prices::cost(&price, &usage)),
            latency_ms: millis(self.started.elapsed()),
            status,
            http_status,
            cache: if usage.cached_input > 0 { CacheState::Provider } else { self.call.cache },
            ..self.call.clone()
        };
        let cost = call.cost;
        if let Some(trace) = self.trace.take() {
            trace.cost(cost);
        }
        self.call.cost = cost;
        if let Some(words) = &self.words {
            words.keep(self.id, permit.at(), &self.question, &self.answer);
        }
        permit.settle(call).map_err(not_journalled)?;
        Ok(cost)
    }

    /// Tokens where the provider does not say them, counted with OpenAI's newest public vocabulary: right for its own
    /// models, near for others. Nothing was used where nobody answered.
    fn counted(&self) -> Usage {
        if self.price.is_none() {
            return Usage::default();
        }
        let input = match std::str::from_utf8(&self.question) {
            Ok(question) if !question.is_empty() && question.len() <= MOST_COUNTED => tokens::count(question),
            _ => self.guessed_input,
        };
        Usage { input, output: tokens::count(&self.answer), ..Usage::default() }
    }
}

/// All that a model wrote, thoughts and calls included.
fn words(completion: &Completion) -> String {
    let words = completion.output.iter().map(|output| match output {
        Output::Text(text) | Output::Refusal(text) | Output::Reasoning { text, .. } => text.as_str(),
        Output::ToolCall(call) => call.arguments.as_str(),
    });
    words.collect()
}

impl Drop for Bill {
    fn drop(&mut self) {
        // The client went away. What it had been answered is paid; before the first token nobody knows of anything.
        if self.permit.is_some() {
            self.close(CallStatus::Cancelled, 499).ok();
        }
    }
}

/// A row that is not kept must not be answered for: the answer would be free.
fn not_journalled(error: LedgerError) -> Refused {
    tracing::error!(%error, "a call is not journalled, and not answered");
    match error.class() {
        FailureClass::Transient => no_journal(),
        _ => Refused { kind: RefusedKind::Internal, ..no_journal() },
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
