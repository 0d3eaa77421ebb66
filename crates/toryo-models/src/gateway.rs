//! The gateway: the road of every model call.

use crate::config::{Config, Deployment, InForce, Price, WithoutKey};
use crate::error::Error;
use crate::journal::memory::MemoryJournal;
use crate::journal::{CallKey, CallRecord, Journal, JournalError, Reserved, Spent, StoredReply};
use crate::prices;
use crate::provider::{ModelProvider, ProviderError, ProviderReply, ProviderRequest, Providers};
use crate::reply::{Finish, Reply, Usage};
use crate::request::{Caller, Request};
use crate::retry::Policy;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use toryo_domain::Usd;

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
    config: InForce,
    providers: Providers,
    journal: Arc<dyn Journal>,
}

/// A deployment together with who answers for it.
struct Resolved<'a> {
    deployment: &'a Deployment,
    provider: &'a Arc<dyn ModelProvider>,
    /// `None` where the price is not known.
    price: Option<Price>,
    request_timeout: Duration,
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
    /// Checks the configuration and takes the providers; a route without a key fails when it is called, not here,
    /// so that a server without a key still starts and says so.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn new(config: &Config, providers: Providers, journal: Arc<dyn Journal>) -> Result<Self, Error> {
        let config = config.in_force()?;
        for (alias, deployment) in config
            .routes
            .iter()
            .flat_map(|(alias, route)| route.deployments.iter().map(move |one| (alias, one)))
        {
            if deployment.price.is_none() {
                tracing::warn!(
                    route = %alias, model = %deployment.model,
                    "the price of route {alias}'s model is not known: its calls count as $0.00; set models.routes.{alias}.price"
                );
            }
        }
        Ok(Self(Arc::new(Inner { config, providers, journal })))
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
        let resolved = self.0.resolve(route)?;
        Ok(RouteFacts {
            provider: resolved.deployment.provider.clone(),
            model: resolved.deployment.model.clone(),
            context_tokens: resolved.deployment.context_tokens,
            max_output_tokens: resolved.deployment.max_output_tokens,
            recording_of: resolved.provider.recording_of().map(str::to_owned),
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
        let resolved = self.0.resolve(&request.route)?;
        or_cancelled(self.0.reserve(caller, request, &resolved), cancel).await?;
        let answer = match self.0.ask(caller, request, &resolved, cancel).await {
            Ok(answer) => answer,
            Err(error) => {
                self.0.release(caller).await;
                return Err(error);
            }
        };
        let record = answer.into_record(key, request, &resolved);
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
        f.debug_struct("Gateway")
            .field("config", &self.0.config)
            .field("providers", &self.0.providers)
            .finish_non_exhaustive()
    }
}

/// A provider's answer with what it took to get it.
struct Answer {
    reply: ProviderReply,
    attempts: u32,
    latency: Duration,
}

impl Answer {
    fn into_record(self, key: CallKey, request: &Request, resolved: &Resolved<'_>) -> CallRecord {
        let recorded = resolved.provider.recording_of().is_some();
        let cost = resolved.price.map_or(Usd::ZERO, |price| prices::cost(&price, &self.reply.usage));
        CallRecord {
            key,
            route: request.route.clone(),
            priced: resolved.price.is_some(),
            provider_attempts: self.attempts,
            reply: StoredReply {
                content: storable(&self.reply.content),
                finish: match self.reply.finish {
                    Finish::Refusal(words) => Finish::Refusal(storable(&words)),
                    other @ (Finish::Stop | Finish::Length | Finish::ContentFilter) => other,
                },
                usage: self.reply.usage,
                cost,
                provider: if recorded { "replay".into() } else { resolved.deployment.provider.clone() },
                model: storable(&self.reply.model),
                latency: self.latency,
                recorded,
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
    fn resolve(&self, alias: &str) -> Result<Resolved<'_>, Error> {
        let deployment = self.config.route(alias)?.first();
        let name = &deployment.provider;
        let stand_in = match self.config.without_key {
            WithoutKey::Replay => self.providers.replay.as_ref(),
            WithoutKey::Refuse => None,
        };
        let no_key = || Error::NoKey { route: alias.to_owned(), provider: name.clone() };
        let provider = self.providers.by_name.get(name).or(stand_in).ok_or_else(no_key)?;
        let price = if provider.recording_of().is_some() { Some(Price::default()) } else { deployment.price };
        let request_timeout =
            self.config.providers.get(name).map_or(Duration::from_secs(300), |provider| provider.timeout());
        Ok(Resolved { deployment, provider, price, request_timeout })
    }

    async fn find(&self, key: &CallKey) -> Result<Option<StoredReply>, Error> {
        Ok(in_time(self.journal.find(key)).await?)
    }

    /// Reserves the worst case of a call, waiting for calls under way where it fits only beside less of them. The wait
    /// ends: whoever holds a reservation is bounded by its own deadline and its lease.
    async fn reserve(
        &self,
        caller: &Caller,
        request: &Request,
        resolved: &Resolved<'_>,
    ) -> Result<(), Error> {
        let most = worst_case(request, resolved);
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

    /// Asks the provider until it answers, fails for good, or time is up.
    async fn ask(
        &self,
        caller: &Caller,
        request: &Request,
        resolved: &Resolved<'_>,
        cancel: &CancellationToken,
    ) -> Result<Answer, Error> {
        let started = Instant::now();
        let attempts = AtomicU32::new(0);
        let policy = Policy::starting_now(self.config.retry, seed(caller));
        let question = question(caller, request, resolved.deployment);
        let asking = policy.run(|| async {
            attempts.fetch_add(1, Ordering::Relaxed);
            let deadline = policy.deadline().min(Instant::now() + resolved.request_timeout);
            let answer = resolved.provider.complete(&question, deadline, cancel).await;
            if let Err(error) = &answer {
                tracing::info!(step = %caller.step_key, route = %request.route, %error, "a model call failed");
            }
            answer
        });
        let answer = tokio::select! {
            biased; // A reply that is there is paid for: it is taken even where the step was cancelled just now.
            answer = asking => answer,
            () = cancel.cancelled() => Err(ProviderError::Cancelled),
        };
        let attempts = attempts.into_inner();
        match answer {
            Ok(reply) => Ok(Answer { reply, attempts, latency: started.elapsed() }),
            Err(ProviderError::Cancelled) => Err(Error::Cancelled),
            Err(source) => {
                Err(Error::Provider { provider: resolved.deployment.provider.clone(), attempts, source })
            }
        }
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

/// What a call may use at most.
fn worst_case(request: &Request, resolved: &Resolved<'_>) -> Spent {
    let input = prices::guess_input_tokens(request);
    let output = u64::from(output_tokens(request, resolved.deployment));
    let usage = Usage { input, output, ..Usage::default() };
    let usd = resolved.price.map_or(Usd::ZERO, |price| prices::cost(&price, &usage));
    Spent { usd, tokens: input.saturating_add(output) }
}

/// What the agent asked for plus room for hidden reasoning, within what the deployment allows.
fn output_tokens(request: &Request, deployment: &Deployment) -> u32 {
    request.max_output_tokens.saturating_add(deployment.reasoning_tokens).min(deployment.max_output_tokens)
}

fn question(caller: &Caller, request: &Request, deployment: &Deployment) -> ProviderRequest {
    let temperature = deployment.temperature.or(request.temperature);
    ProviderRequest {
        caller: caller.clone(),
        model: deployment.model.clone(),
        messages: request.messages.clone(),
        output: request.output.clone(),
        structured_output: deployment.structured_output,
        max_output_tokens: output_tokens(request, deployment),
        temperature: temperature.filter(|_| deployment.takes_temperature),
    }
}

/// Spreads the waits of steps that fail together; the random half of the id differs between steps.
fn seed(caller: &Caller) -> u64 {
    let (_, random) = caller.step_id.uuid().as_u64_pair();
    random ^ (u64::from(caller.attempt) << 32) ^ u64::from(caller.call_no)
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
