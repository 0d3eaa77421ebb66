//! The gateway: the road of every model call.

use crate::chat::Chat;
use crate::config::Config;
use crate::error::Error;
use crate::journal::memory::MemoryJournal;
use crate::journal::{CallKey, CallRecord, Journal, JournalError, Reserved, Spent, StoredReply};
use crate::mask::{Mask, Masking, Restorer, masked};
use crate::prices;
use crate::provider::asking::{chat_of, reply_of};
use crate::provider::{Answer as Answered, ModelProvider, ProviderReply, Providers, failure};
use crate::reply::{Finish, Reply};
use crate::request::{Caller, Request};
use crate::route::{By, Question, Router, Wanted, Work};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use toryo_domain::{Role, Usd};

/// Time for one answer of the journal.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a paid reply is offered to a journal that does not answer, before it is given up.
const JOURNAL_ATTEMPTS: u32 = 4;

/// First and longest wait before a reservation is asked for again.
const RESERVE_AGAIN: Duration = Duration::from_millis(50);
const RESERVE_AGAIN_AT_MOST: Duration = Duration::from_secs(1);

/// Calls models on behalf of steps. Cheap to clone; shared by all agents of a process.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    router: Arc<Router>,
    journal: Arc<dyn Journal>,
    mask: Option<Arc<dyn Mask>>,
}

/// What an agent may want to know of a route before it writes a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteFacts {
    /// The endpoint's name.
    pub provider: String,
    /// The model, as the endpoint names it.
    pub model: String,
    /// Tokens the model takes, in and out, where it is known.
    pub context_tokens: Option<u32>,
    /// Output tokens of one call at most.
    pub max_output_tokens: u32,
    /// Where a recording answers: the commit of the repository it was made for.
    pub recording_of: Option<String>,
}

impl Gateway {
    /// Over the routes of this process and the journal of its runs.
    pub fn over(router: Arc<Router>, journal: Arc<dyn Journal>) -> Self {
        Self(Arc::new(Inner { router, journal, mask: None }))
    }

    /// What routes that mask take for sensitive; without it they answer nothing.
    #[must_use]
    pub fn with_mask(self, mask: Arc<dyn Mask>) -> Self {
        let Inner { router, journal, .. } = &*self.0;
        Self(Arc::new(Inner { router: Arc::clone(router), journal: Arc::clone(journal), mask: Some(mask) }))
    }

    /// Checks the configuration and takes the providers; a route without a key fails when it is called, not here,
    /// so that a server without a key still starts and says so.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn new(config: &Config, providers: Providers, journal: Arc<dyn Journal>) -> Result<Self, Error> {
        Ok(Self::over(Arc::new(Router::new(&config.in_force()?, &providers)), journal))
    }

    /// Built-in routes, all answered by one provider, with a journal in memory: for tests of agents.
    ///
    /// # Errors
    /// Never with the built-in routes.
    pub fn in_memory(provider: Arc<dyn ModelProvider>) -> Result<Self, Error> {
        let providers = Providers::new().with("openai", provider);
        Self::new(&Config::default(), providers, Arc::new(MemoryJournal::new()))
    }

    /// What is known of a route.
    ///
    /// # Errors
    /// [`Error::UnknownRoute`], [`Error::NoKey`].
    pub fn facts(&self, route: &str) -> Result<RouteFacts, Error> {
        let recording_of = self.0.router.recording_of(route)?.map(str::to_owned);
        let first = self.0.router.settings(route)?.first();
        Ok(RouteFacts {
            provider: first.provider.clone(),
            model: first.model.clone(),
            context_tokens: first.context_tokens,
            max_output_tokens: first.max_output_tokens,
            recording_of,
        })
    }

    /// One call: from the journal where it was paid before, else from the route's provider. When this returns a
    /// reply, the journal has it. A cancellation ends it within a moment, except while a reply that is already
    /// paid is being journalled.
    ///
    /// The call's worst case is reserved before it is sent and settled with its reply, so calls side by side share what
    /// is left of the run's limits and never overshoot them. A call that fits only if others take less than their worst
    /// case waits for them.
    ///
    /// # Errors
    /// A refusal by a model is a reply, not an error. See [`Error`].
    pub async fn complete(
        &self,
        caller: &Caller,
        request: &Request,
        cancel: &CancellationToken,
    ) -> Result<Reply, Error> {
        check(caller, request)?;
        let key =
            CallKey { step_id: caller.step_id, call_no: caller.call_no, request_digest: request.digest() };
        if let Some(stored) = or_cancelled(self.0.find(&key), cancel).await? {
            return Ok(stored.replayed());
        }
        let (chat, restorer) = self.0.masked(&request.route, chat_of(request))?;
        let wanted = Wanted::Chat(&chat);
        let question = question(caller, request, &wanted);
        or_cancelled(self.0.reserve(caller, &question), cancel).await?;
        let answer = match self.0.ask(caller, &question, &restorer, cancel).await {
            Ok(answer) => answer,
            Err(error) => {
                self.0.release(caller).await;
                return Err(error);
            }
        };
        let record = answer.into_record(key, request);
        match self.0.record(caller, &record).await {
            Ok(()) => Ok(record.reply.fresh()),
            // The reply that later attempts will find has to be the one that is used now.
            Err(Error::Journal(JournalError::AnsweredAlready)) => {
                tracing::warn!(step = %caller.step_key, "a call was answered twice; the first answer counts");
                self.0.release(caller).await;
                let first = self.0.find(&key).await?;
                Ok(first.map_or_else(|| record.reply.fresh(), StoredReply::replayed))
            }
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("router", &self.0.router).finish_non_exhaustive()
    }
}

/// A provider's answer with what it took to get it.
struct Answer {
    reply: ProviderReply,
    by: By,
    attempts: u32,
    latency: Duration,
}

impl Answer {
    fn into_record(self, key: CallKey, request: &Request) -> CallRecord {
        let cost = self.by.price.map_or(Usd::ZERO, |price| prices::cost(&price, &self.reply.usage));
        CallRecord {
            key,
            route: request.route.clone(),
            priced: self.by.price.is_some(),
            provider_attempts: self.attempts,
            reply: StoredReply {
                content: storable(&self.reply.content),
                finish: match self.reply.finish {
                    Finish::Refusal(words) => Finish::Refusal(storable(&words)),
                    other @ (Finish::Stop | Finish::Length | Finish::ContentFilter) => other,
                },
                usage: self.reply.usage,
                cost,
                provider: self.by.provider,
                model: storable(&self.reply.model),
                latency: self.latency,
                recorded: self.by.recorded,
            },
        }
    }
}

/// Postgres stores no NUL; replaced before the reply is used, so that a replay says the same.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

impl StoredReply {
    fn fresh(self) -> Reply {
        Reply {
            content: self.content,
            finish: self.finish,
            usage: self.usage,
            cost: self.cost,
            provider: self.provider,
            model: self.model,
            latency: self.latency,
            journalled: false,
            recorded: self.recorded,
        }
    }

    fn replayed(self) -> Reply {
        Reply { journalled: true, cost: Usd::ZERO, ..self.fresh() }
    }
}

impl Inner {
    async fn find(&self, key: &CallKey) -> Result<Option<StoredReply>, Error> {
        Ok(in_time(self.journal.find(key)).await?)
    }

    /// Reserves the worst case of a call, waiting for calls under way where it fits only beside less of them. The wait
    /// ends: whoever holds a reservation is bounded by its own deadline and its lease.
    async fn reserve(&self, caller: &Caller, question: &Question<'_>) -> Result<(), Error> {
        let worst = self.router.worst_case(question)?;
        let most = Spent { usd: worst.usd, tokens: worst.tokens };
        let mut wait = RESERVE_AGAIN;
        loop {
            match in_time(self.journal.reserve(caller, most)).await? {
                Reserved::Held => return Ok(()),
                Reserved::Wait => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RESERVE_AGAIN_AT_MOST);
                }
                Reserved::Refused { spent, limits }
                    if spent.tokens.saturating_add(most.tokens) > limits.tokens =>
                {
                    let (limit, needed) = (limits.tokens, most.tokens);
                    return Err(Error::BudgetTokens { limit, spent: spent.tokens, needed });
                }
                Reserved::Refused { spent, limits } => {
                    return Err(Error::BudgetUsd { limit: limits.usd, spent: spent.usd, needed: most.usd });
                }
            }
        }
    }

    /// Gives back what a call without a reply had reserved. Where that fails the lease's end does it.
    async fn release(&self, caller: &Caller) {
        if let Err(error) = in_time(self.journal.release(caller)).await {
            tracing::debug!(step = %caller.step_key, %error, "a reservation stays until its lease ends");
        }
    }

    /// The question as it may leave, and what puts values back into its answer.
    fn masked(&self, route: &str, chat: Chat) -> Result<(Chat, Restorer), Error> {
        match (self.router.settings(route)?.mask, &self.mask) {
            (Masking::Off, _) => Ok((chat, Restorer::default())),
            (_, None) => Err(Error::Config(format!("route {route} masks and nothing says what to mask"))),
            (Masking::Mask, Some(mask)) => Ok((masked(&chat, &**mask).0, Restorer::default())),
            (Masking::Restore, Some(mask)) => Ok(masked(&chat, &**mask)),
        }
    }

    /// Asks the route until somebody answers, nobody can, or time is up.
    async fn ask(
        &self,
        caller: &Caller,
        question: &Question<'_>,
        restorer: &Restorer,
        cancel: &CancellationToken,
    ) -> Result<Answer, Error> {
        let started = Instant::now();
        let routed = tokio::select! {
            biased; // A reply that is there is paid for: it is taken even where the step was cancelled just now.
            routed = self.router.ask(question) => routed?,
            () = cancel.cancelled() => return Err(Error::Cancelled),
        };
        tracing::debug!(step = %caller.step_key, deployment = routed.by.deployment, "a model answered");
        let Answered::Whole(mut whole) = routed.answer else {
            let source = failure::not_an_answer("a stream that was not asked for");
            return Err(Error::Provider { provider: routed.by.provider, attempts: routed.attempts, source });
        };
        restorer.completion(&mut whole.completion);
        let reply = reply_of(whole.completion);
        routed.trace.cost(routed.by.price.map_or(Usd::ZERO, |price| prices::cost(&price, &reply.usage)));
        Ok(Answer { reply, by: routed.by, attempts: routed.attempts, latency: started.elapsed() })
    }

    /// Journals a paid reply. It is worth several tries: a reply that is lost here is paid again. Not interrupted
    /// by a cancellation for the same reason; bounded by the journal's time-outs.
    async fn record(&self, caller: &Caller, record: &CallRecord) -> Result<(), Error> {
        let mut wait = Duration::from_millis(200);
        for _ in 1..JOURNAL_ATTEMPTS {
            match in_time(self.journal.record(caller, record)).await {
                Err(error) if error.is_worth_repeating() => {
                    tracing::warn!(step = %caller.step_key, %error, "a paid reply is not journalled yet");
                    tokio::time::sleep(wait).await;
                    wait *= 4;
                }
                done => return Ok(done?),
            }
        }
        Ok(in_time(self.journal.record(caller, record)).await?)
    }
}

/// What no provider could make sense of: a fault of the agent.
fn check(caller: &Caller, request: &Request) -> Result<(), Error> {
    let wrong = if request.messages.is_empty() {
        "there is no message"
    } else if caller.call_no == 0 {
        "calls are counted from 1"
    } else if request.max_output_tokens == 0 {
        "max_output_tokens is 0"
    } else if request.output.name.is_empty() {
        "the output has no name"
    } else {
        return Ok(());
    };
    Err(Error::BadRequest(wrong.to_owned()))
}

fn question<'a>(caller: &'a Caller, request: &'a Request, wanted: &'a Wanted<'a>) -> Question<'a> {
    Question {
        route: &request.route,
        wanted,
        stream: false,
        max_output_tokens: Some(request.max_output_tokens),
        input_tokens: prices::guess_input_tokens(request),
        step: Some(caller),
        work: match caller.agent {
            Role::Coder => Work::CodeGeneration,
            Role::Critic => Work::SecurityAnalysis,
            _ => Work::Unknown,
        },
        complexity: 0.5,
        tags: &[],
        region: None,
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, JournalError>>) -> Result<T, JournalError> {
    let timed_out = |_| Err(JournalError::TimedOut { limit: JOURNAL_TIMEOUT });
    tokio::time::timeout(JOURNAL_TIMEOUT, work).await.unwrap_or_else(timed_out)
}

async fn or_cancelled<T>(
    work: impl Future<Output = Result<T, Error>>,
    cancel: &CancellationToken,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Cancelled),
        done = work => done,
    }
}

#[cfg(test)]
mod tests;
