//! A deployment with what was seen of it lately: load, health, speed, and what it was sent this minute.

use super::breaker::Breaker;
use super::score::Standing;
use super::trace::{AttemptSpan, Vendor};
use crate::config::{Deployment, Price};
use crate::provider::{ModelProvider, ProviderError};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// R135: share of the newest time in the moving mean.
const ALPHA: f64 = 0.1;
/// R135: requests that the success rate looks back on.
const LOOK_BACK: u32 = 100;
/// How long a deployment rests whose key was refused or whose account is used up.
const REST_OF_A_REFUSED_KEY: Duration = Duration::from_secs(60);
/// The window of requests and tokens a minute.
const MINUTE: Duration = Duration::from_secs(60);

/// A deployment of a route, shared by all calls of a process.
pub(crate) struct Member {
    pub(crate) deployment: Deployment,
    /// `None` where its endpoint has no key.
    pub(crate) provider: Option<Arc<dyn ModelProvider>>,
    /// The longest time for one answer.
    pub(crate) answer_limit: Duration,
    /// As spans name it.
    pub(crate) vendor: Vendor,
    under_way: AtomicU32,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    breaker: Breaker,
    resting: Option<Rest>,
    /// Moving means, in seconds.
    first_token: Option<f64>,
    answer: Option<f64>,
    /// One bit a request, the newest lowest: 1 where it succeeded.
    outcomes: u128,
    counted: u32,
    minute: Minute,
}

/// A deployment is left alone, and why.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    pub(crate) until: Instant,
    pub(crate) why: ProviderError,
}

/// What was sent since a moment.
#[derive(Debug, Clone, Copy)]
struct Minute {
    since: Instant,
    requests: u32,
    tokens: u64,
}

/// Why a deployment is not asked now.
#[derive(Debug)]
pub(crate) struct Busy {
    /// When asking again makes sense.
    pub(crate) until: Instant,
    /// What it said last, where it said something.
    pub(crate) why: Option<ProviderError>,
}

impl Member {
    pub(crate) fn new(
        deployment: Deployment,
        provider: Option<Arc<dyn ModelProvider>>,
        answer_limit: Duration,
    ) -> Self {
        let seen = Seen {
            breaker: Breaker::default(),
            resting: None,
            first_token: None,
            answer: None,
            outcomes: 0,
            counted: 0,
            minute: Minute { since: Instant::now(), requests: 0, tokens: 0 },
        };
        Self {
            deployment,
            provider,
            answer_limit,
            vendor: Vendor::default(),
            under_way: AtomicU32::new(0),
            seen: Mutex::new(seen),
        }
    }

    /// Behind this vendor's endpoint.
    pub(crate) fn of(self, vendor: Vendor) -> Self {
        Self { vendor, ..self }
    }

    /// A recording's replies cost nothing.
    pub(crate) fn price(&self) -> Option<Price> {
        if self.is_recording() { Some(Price::default()) } else { self.deployment.price }
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.provider.as_ref().is_some_and(|provider| provider.recording_of().is_some())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Nothing that panics runs under this lock; were it so, the figures would still be usable.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may be sent a request of so many tokens now.
    pub(crate) fn busy(&self, tokens: u64, now: Instant) -> Option<Busy> {
        let mut seen = self.seen();
        if let Some(rest) = seen.resting.clone() {
            if now < rest.until {
                return Some(Busy { until: rest.until, why: Some(rest.why) });
            }
            seen.resting = None;
        }
        if let Some(until) = seen.breaker.closed_until(now) {
            return Some(Busy { until, why: None });
        }
        let minute = seen.minute.at(now);
        let Deployment { rpm, tpm, .. } = self.deployment;
        // A request that alone is above the limit may go where nothing else went: else it would never go.
        let over_requests = rpm.is_some_and(|limit| minute.requests >= limit);
        let over_tokens = tpm.is_some_and(|limit| minute.tokens > 0 && minute.tokens + tokens > limit);
        (over_requests || over_tokens).then(|| Busy { until: minute.since + MINUTE, why: None })
    }

    /// Takes note that it is sent a request. The guard tells the end.
    pub(crate) fn begin(self: &Arc<Self>, tokens: u64, now: Instant) -> UnderWay {
        let mut seen = self.seen();
        seen.breaker.asked(now);
        seen.minute = seen.minute.at(now);
        seen.minute.requests += 1;
        seen.minute.tokens += tokens;
        drop(seen);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay { member: Arc::clone(self), since: now, told: false, span: AttemptSpan::none() }
    }

    pub(crate) fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Moving mean of the time to the first token, in seconds; 0 where nothing is known, so that it is tried.
    pub(crate) fn first_token_seconds(&self) -> f64 {
        self.seen().first_token.unwrap_or(0.0)
    }

    /// The smaller share of its requests and tokens a minute that is left, 0 to 1.
    pub(crate) fn head_room(&self, now: Instant) -> f64 {
        let minute = self.seen().minute.at(now);
        let Deployment { rpm, tpm, .. } = self.deployment;
        let requests = rpm.map_or(1.0, |limit| 1.0 - f64::from(minute.requests) / f64::from(limit.max(1)));
        let tokens = tpm.map_or(1.0, |limit| 1.0 - in_f64(minute.tokens) / in_f64(limit.max(1)));
        requests.min(tokens).max(0.0)
    }

    /// What the strategy `scored` looks at.
    pub(crate) fn standing(&self) -> Standing {
        let seen = self.seen();
        let counted = seen.counted.min(LOOK_BACK);
        let window = if counted >= 128 { u128::MAX } else { (1u128 << counted) - 1 };
        let succeeded = (seen.outcomes & window).count_ones();
        Standing {
            // Nothing known counts as nothing bad.
            success_rate: if counted == 0 { 1.0 } else { f64::from(succeeded) / f64::from(counted) },
            response_seconds: seen.answer.unwrap_or(0.0),
            connections: self.under_way(),
            capacity: self.deployment.capacity,
            specialisation: self.deployment.specialisation,
            weight: self.deployment.weight,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "tokens a minute are far below 2^52")]
const fn in_f64(tokens: u64) -> f64 {
    tokens as f64
}

impl Minute {
    fn at(self, now: Instant) -> Self {
        if now.saturating_duration_since(self.since) < MINUTE {
            self
        } else {
            Self { since: now, requests: 0, tokens: 0 }
        }
    }
}

/// A request under way. Dropped without a word, it says nothing of the deployment: the caller went away.
pub(crate) struct UnderWay {
    member: Arc<Member>,
    since: Instant,
    told: bool,
    span: AttemptSpan,
}

impl UnderWay {
    /// Under this span.
    pub(crate) fn traced(mut self, span: AttemptSpan) -> Self {
        self.span = span;
        self
    }

    pub(crate) const fn span(&self) -> &AttemptSpan {
        &self.span
    }

    pub(crate) const fn member(&self) -> &Arc<Member> {
        &self.member
    }

    pub(crate) const fn since(&self) -> Instant {
        self.since
    }

    /// The answer begins.
    pub(crate) fn began(&self) -> Duration {
        let took = self.since.elapsed();
        self.span.began(took);
        let mut seen = self.member.seen();
        seen.first_token = Some(mean(seen.first_token, took));
        took
    }

    /// The answer is there.
    pub(crate) fn succeeded(mut self) {
        let took = self.since.elapsed();
        let mut seen = self.member.seen();
        seen.breaker.succeeded();
        seen.answer = Some(mean(seen.answer, took));
        seen.count(true);
        drop(seen);
        self.told = true;
    }

    /// It failed; what that says of the deployment depends on the failure.
    pub(crate) fn failed(mut self, error: &ProviderError) {
        self.told = true;
        self.span.failed(error);
        let now = Instant::now();
        let mut seen = self.member.seen();
        match error {
            ProviderError::Unavailable { retry_after, .. } => {
                seen.breaker.failed(now);
                seen.count(false);
                seen.rest(now, *retry_after, error);
            }
            ProviderError::TimedOut { .. } => {
                seen.breaker.failed(now);
                seen.count(false);
            }
            ProviderError::RateLimited { retry_after, .. } => {
                seen.breaker.abandoned(now);
                seen.count(false);
                seen.rest(now, *retry_after, error);
            }
            ProviderError::KeyRefused { .. } | ProviderError::QuotaExhausted { .. } => {
                seen.breaker.abandoned(now);
                seen.count(false);
                seen.rest(now, Some(REST_OF_A_REFUSED_KEY), error);
            }
            // It answered; the request was the trouble.
            ProviderError::ContextLength { .. }
            | ProviderError::ContentPolicy { .. }
            | ProviderError::Unsupported { .. }
            | ProviderError::Rejected { .. }
            | ProviderError::NotRecorded { .. } => seen.breaker.succeeded(),
            ProviderError::Cancelled => seen.breaker.abandoned(now),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.member.under_way.fetch_sub(1, Ordering::Relaxed);
        if !self.told {
            self.span.abandoned();
            self.member.seen().breaker.abandoned(Instant::now());
        }
    }
}

impl Seen {
    fn count(&mut self, succeeded: bool) {
        self.outcomes = (self.outcomes << 1) | u128::from(succeeded);
        self.counted = self.counted.saturating_add(1);
    }

    fn rest(&mut self, now: Instant, how_long: Option<Duration>, why: &ProviderError) {
        let Some(how_long) = how_long else { return };
        let until = now + how_long;
        if self.resting.as_ref().is_none_or(|rest| rest.until < until) {
            self.resting = Some(Rest { until, why: why.clone() });
        }
    }
}

fn mean(before: Option<f64>, took: Duration) -> f64 {
    let took = took.as_secs_f64();
    before.map_or(took, |before| before + ALPHA * (took - before))
}
