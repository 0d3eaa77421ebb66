//! Routes: which deployment answers a call, and what happens when it does not.
//!
//! [`Router::ask`] is the one loop of retries and fallbacks. An answer counts as begun with its first token; until
//! then another deployment may be asked, after it nobody is: a caller never sees half of one answer and half of another.
//!
//! * Of a route's deployments those of the lowest `order` that may be asked now are given to its [`strategy`].
//! * What failed is left alone by its [`breaker`], or as long as it asked for (`Retry-After`).
//! * Another deployment is asked at once, the same one after a wait with jitter.
//! * Then other routes by what went wrong ([`fallback`]), none twice.

mod attempt;
mod breaker;
mod choose;
mod fallback;
mod member;
pub mod optimise;
mod score;
mod strategy;
pub mod trace;

pub use score::Work;

use crate::chat::Chat;
use crate::config::{InForce, Price, Retry, RouteInForce, WithoutKey};
use crate::error::Error;
use crate::inbound::Inbound;
use crate::prices;
use crate::provider::{Answer, ProviderError, Providers};
use crate::reply::Usage;
use crate::request::Caller;
use crate::retry::Policy;
use attempt::{Begun, Limits};
use choose::Choice;
use fallback::Trouble;
use member::Member;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;
use tokio::time::Instant;
use toryo_domain::Usd;
use trace::{CallSpan, Vendor};

/// Time to answer where a provider says nothing.
const DEFAULT_ANSWER_LIMIT: Duration = Duration::from_secs(300);

/// The routes of a process.
pub struct Router {
    routes: BTreeMap<String, Route>,
    retry: Retry,
    chance: AtomicU64,
}

struct Route {
    config: RouteInForce,
    members: Vec<Arc<Member>>,
    turn: AtomicUsize,
}

/// A question to a route.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The route's alias.
    pub route: &'a str,
    /// In neutral words. Only read where `native` cannot be passed on; see [`Wanted`].
    pub wanted: &'a Wanted<'a>,
    /// The answer is wanted in pieces.
    pub stream: bool,
    /// Tokens of the visible answer at most, where the caller says so. Room for hidden reasoning is added where
    /// `step` is set: agents count what they see, clients count everything.
    pub max_output_tokens: Option<u32>,
    /// Tokens of the prompt, carefully guessed.
    pub input_tokens: u64,
    /// The step that asks.
    pub step: Option<&'a Caller>,
    /// What kind of work it is.
    pub work: Work,
    /// How hard it is, 0 to 1.
    pub complexity: f64,
    /// Deployments must have all of these tags.
    pub tags: &'a [String],
    /// Deployments must be in this region.
    pub region: Option<&'a str>,
}

/// What a client asked, in its own bytes and, once somebody needs it, in neutral words.
pub enum Wanted<'a> {
    /// Neutral words only.
    Chat(&'a Chat),
    /// A client's bytes, read into neutral words by the function where a provider speaks another dialect.
    Inbound(&'a Inbound, &'a (dyn Fn() -> Result<Arc<Chat>, ProviderError> + Send + Sync)),
}

impl std::fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Chat(chat) => f.debug_tuple("Chat").field(chat).finish(),
            Self::Inbound(inbound, _) => f.debug_tuple("Inbound").field(&inbound.dialect).finish(),
        }
    }
}

/// An answer that has begun.
#[derive(Debug)]
pub struct Routed {
    /// The answer. A stream ends with an error where it breaks or stalls.
    pub answer: Answer,
    /// The route that answered: the one that was asked, or a fallback.
    pub route: String,
    /// Who answered.
    pub by: By,
    /// The provider speaks the client's dialect: the answer is passed on as it comes.
    pub native: bool,
    /// Requests to providers, the last one included.
    pub attempts: u32,
    /// From the first request to the first token, or to the whole answer.
    pub first_token: Duration,
    /// The call's span.
    pub trace: CallSpan,
}

/// Who answered.
#[derive(Debug, Clone, PartialEq)]
pub struct By {
    /// The deployment's name.
    pub deployment: String,
    /// The endpoint's name; `replay` for a recording.
    pub provider: String,
    /// The model, as it was asked for.
    pub model: String,
    /// Where it is.
    pub region: Option<String>,
    /// The account that pays, where it is known.
    pub account: Option<String>,
    /// `None` where the price is not known.
    pub price: Option<Price>,
    /// It is a recording.
    pub recorded: bool,
}

/// Why nobody answered.
#[derive(Debug)]
pub struct Failed {
    /// The route that failed last.
    pub route: String,
    /// The endpoint that failed last.
    pub provider: String,
    /// Requests to providers.
    pub attempts: u32,
    /// What it said last.
    pub source: ProviderError,
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed.source {
            ProviderError::Cancelled => Self::Cancelled,
            source => Self::Provider { provider: failed.provider, attempts: failed.attempts, source },
        }
    }
}

/// What a call may cost at most, over all deployments that may come to answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorstCase {
    /// Dollars.
    pub usd: Usd,
    /// Tokens, in and out.
    pub tokens: u64,
}

impl Router {
    /// The routes of a configuration over these providers. A route whose providers have no key fails when it is
    /// called, not here.
    #[must_use]
    pub fn new(config: &InForce, providers: &Providers) -> Self {
        let stand_in = match config.without_key {
            WithoutKey::Replay => providers.replay.as_ref(),
            WithoutKey::Refuse => None,
        };
        let member = |deployment: &crate::config::Deployment, route: &RouteInForce| {
            let provider = providers.by_name.get(&deployment.provider).or(stand_in).cloned();
            let endpoint = config.providers.get(&deployment.provider);
            let limit = endpoint.map_or(DEFAULT_ANSWER_LIMIT, |endpoint| endpoint.timeout());
            let limit = route.time.answer_seconds.map_or(limit, Duration::from_secs);
            let vendor = endpoint.map(Vendor::of).unwrap_or_default();
            Arc::new(Member::new(deployment.clone(), provider, limit).of(vendor))
        };
        let routes = config.routes.iter().map(|(alias, route)| {
            for one in route.deployments.iter().filter(|one| one.price.is_none()) {
                tracing::warn!(
                    route = %alias, model = %one.model,
                    "the price of route {alias}'s model is not known: its calls count as $0.00; set models.routes.{alias}.price"
                );
            }
            let members = route.deployments.iter().map(|deployment| member(deployment, route)).collect();
            (alias.clone(), Route { config: route.clone(), members, turn: AtomicUsize::new(0) })
        });
        Self { routes: routes.collect(), retry: config.retry, chance: AtomicU64::new(fastrand::u64(..)) }
    }

    fn route(&self, alias: &str) -> Result<(&str, &Route), Error> {
        let fallback = || {
            crate::config::BUILT_IN_ROUTES
                .contains(&alias)
                .then(|| self.routes.get_key_value("default"))
                .flatten()
        };
        let found = self.routes.get_key_value(alias).or_else(fallback);
        found.map(|(name, route)| (name.as_str(), route)).ok_or_else(|| Error::UnknownRoute {
            route: alias.chars().take(80).collect(),
            known: self.routes.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })
    }

    /// The settings of a route; the agents' own aliases fall back to `default`.
    ///
    /// # Errors
    /// [`Error::UnknownRoute`].
    pub fn settings(&self, alias: &str) -> Result<&RouteInForce, Error> {
        self.route(alias).map(|(_, route)| &route.config)
    }

    /// The aliases, sorted.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.routes.keys().map(String::as_str)
    }

    /// The recording's commit, where a recording would answer; an error where nobody could.
    ///
    /// # Errors
    /// [`Error::UnknownRoute`], [`Error::NoKey`].
    pub fn recording_of(&self, alias: &str) -> Result<Option<&str>, Error> {
        let (_, route) = self.route(alias)?;
        let with_key = route.members.iter().find_map(|member| member.provider.as_ref());
        with_key.map(|provider| provider.recording_of()).ok_or_else(|| no_key(alias, route))
    }

    /// What a call may cost at most: of all deployments that may come to answer it, fallbacks included, the dearest;
    /// twice that where a second one may be asked at the same time.
    ///
    /// # Errors
    /// [`Error::UnknownRoute`], [`Error::NoKey`].
    pub fn worst_case(&self, question: &Question<'_>) -> Result<WorstCase, Error> {
        let mut seen: Vec<&str> = Vec::new();
        let mut next = vec![question.route];
        let mut worst = WorstCase { usd: Usd::ZERO, tokens: 0 };
        let (_, asked) = self.route(question.route)?;
        if asked.members.iter().all(|member| member.provider.is_none()) {
            return Err(no_key(question.route, asked));
        }
        while let Some(alias) = next.pop() {
            let (name, route) = self.route(alias)?;
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            next.extend(route.config.fallbacks.all().map(String::as_str));
            let times: u64 = if route.config.hedge_after_ms.is_some() { 2 } else { 1 };
            for member in route.members.iter().filter(|member| member.provider.is_some()) {
                let output = u64::from(attempt::output_tokens(question, &member.deployment));
                let usage = Usage { input: question.input_tokens, output, ..Usage::default() };
                let usd = member.price().map_or(Usd::ZERO, |price| prices::most(&price, &usage));
                worst.tokens = worst.tokens.max(usage.total().saturating_mul(times));
                worst.usd = worst.usd.max(if times == 1 { usd } else { usd + usd });
            }
        }
        Ok(worst)
    }

    /// Asks until somebody begins to answer, nobody can, or time is up. Dropping the future, or the stream of the
    /// answer, ends the request at the provider.
    ///
    /// # Errors
    /// [`Error::UnknownRoute`] and [`Error::NoKey`] before anything is sent, else [`Failed`] as [`Error`].
    pub async fn ask(&self, question: &Question<'_>) -> Result<Routed, Error> {
        let deadline = Instant::now() + Duration::from_secs(self.retry.total_seconds);
        let started = Instant::now();
        let mut attempts = 0;
        let trace = CallSpan::begin(question);
        let answer = self.ask_routes(question, deadline, &trace, &mut attempts).await;
        answer.map(|(route, begun)| begun.routed(route, attempts, started, trace.clone())).inspect_err(
            |error| {
                trace.failed(error, attempts);
            },
        )
    }

    /// The attempts on the route that was asked, and on those that it falls back to.
    async fn ask_routes(
        &self,
        question: &Question<'_>,
        deadline: Instant,
        trace: &CallSpan,
        attempts: &mut u32,
    ) -> Result<(&str, Begun), Error> {
        let mut tried: Vec<&str> = Vec::new();
        let mut alias = question.route;
        loop {
            let (name, route) = self.route(alias)?;
            tried.push(name);
            if route.members.iter().all(|member| member.provider.is_none()) {
                return Err(no_key(alias, route));
            }
            let round = self.ask_route(name, route, question, deadline, trace, attempts).await;
            let failed = match round {
                Ok(begun) => return Ok((name, begun)),
                Err(failed) => failed,
            };
            let next = Trouble::of(&failed.source)
                .and_then(|trouble| fallback::next(&route.config.fallbacks, trouble, &tried));
            match next {
                Some(next) if Instant::now() < deadline => {
                    tracing::info!(from = name, to = next, error = %failed.source, "a model call falls back");
                    alias = next;
                }
                _ => return Err(failed.into()),
            }
        }
    }

    /// The attempts on one route.
    async fn ask_route(
        &self,
        name: &str,
        route: &Route,
        question: &Question<'_>,
        deadline: Instant,
        trace: &CallSpan,
        attempts: &mut u32,
    ) -> Result<Begun, Failed> {
        let policy = Policy::until(self.retry, self.chance(), deadline);
        let mut delays = policy.waits();
        let mut failed_here: Vec<usize> = Vec::new();
        let mut last = None;
        let mut left = route.config.attempts;
        loop {
            match self.choose(route, question, &failed_here) {
                Choice::Member(at) => {
                    let second = self.second(route, question, &failed_here, at);
                    let limits = Limits { time: route.config.time, end: deadline };
                    match attempt::run(&route.members[at], second, question, limits, trace, attempts).await {
                        Ok(begun) => return Ok(begun),
                        Err(source) => {
                            let provider = &route.members[at].deployment.provider;
                            tracing::info!(route = name, provider, error = %source, "a model call failed");
                            let failed = Failed::on(name, provider, *attempts, source);
                            left = left.saturating_sub(1);
                            if left == 0 || !elsewhere_helps(&failed.source) {
                                return Err(failed);
                            }
                            failed_here.push(at);
                            last = Some(failed);
                        }
                    }
                }
                Choice::AllFailed => {
                    let Some(failed) = last.take() else { continue };
                    let delay = delays.next();
                    match delay.and_then(|delay| policy.wait_after(&failed.source, delay)) {
                        Some(wait) if failed.source.is_worth_repeating() => tokio::time::sleep(wait).await,
                        _ => return Err(failed),
                    }
                    failed_here.clear();
                }
                Choice::Later(busy) => {
                    if !policy.may_wait_until(busy.until) {
                        let provider = &route.config.first().provider;
                        return Err(Failed::on(name, provider, *attempts, busy.into_error()));
                    }
                    tokio::time::sleep_until(busy.until).await;
                }
                Choice::Nobody { provider, why } => {
                    return Err(last.unwrap_or_else(|| Failed::on(name, &provider, *attempts, why)));
                }
            }
        }
    }
}

/// Whether another deployment, or the same one later, may do better.
const fn elsewhere_helps(error: &ProviderError) -> bool {
    match error {
        ProviderError::RateLimited { .. }
        | ProviderError::QuotaExhausted { .. }
        | ProviderError::Unavailable { .. }
        | ProviderError::TimedOut { .. }
        | ProviderError::KeyRefused { .. }
        | ProviderError::ContextLength { .. }
        | ProviderError::Unsupported { .. }
        | ProviderError::Rejected { status: 404, .. } => true,
        ProviderError::ContentPolicy { .. }
        | ProviderError::Rejected { .. }
        | ProviderError::NotRecorded { .. }
        | ProviderError::Cancelled => false,
    }
}

impl Failed {
    fn on(route: &str, provider: &str, attempts: u32, source: ProviderError) -> Self {
        Self { route: route.to_owned(), provider: provider.to_owned(), attempts, source }
    }
}

fn no_key(alias: &str, route: &Route) -> Error {
    Error::NoKey { route: alias.to_owned(), provider: route.config.first().provider.clone() }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("routes", &self.routes.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
