//! When a model call is repeated: how long to wait, and when not to wait at all.

use crate::config::Retry;
use crate::provider::ProviderError;
use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use std::time::Duration;
use tokio::time::Instant;

/// When and how often a call is repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    retry: Retry,
    seed: u64,
    deadline: Instant,
}

impl Policy {
    /// Until a moment. The seed spreads callers apart; the same seed gives the same waits.
    pub(crate) const fn until(retry: Retry, seed: u64, deadline: Instant) -> Self {
        Self { retry, seed, deadline }
    }

    /// From now on. The seed spreads callers apart; the same seed gives the same waits.
    pub(crate) fn starting_now(retry: Retry, seed: u64) -> Self {
        Self { retry, seed, deadline: Instant::now() + Duration::from_secs(retry.total_seconds) }
    }

    /// The end of all requests and waits.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Runs `ask` until it succeeds, fails for good, or the policy's end is reached; the last failure is returned.
    pub(crate) async fn run<T, Fut>(&self, ask: impl FnMut() -> Fut) -> Result<T, ProviderError>
    where
        Fut: Future<Output = Result<T, ProviderError>>,
    {
        ask.retry(self.delays().with_max_times(self.retry.attempts.saturating_sub(1) as usize))
            .sleep(tokio::time::sleep)
            .when(ProviderError::is_worth_repeating)
            .adjust(|error, delay| self.wait_after(error, delay?))
            .await
    }

    /// The waits between rounds, one after the other; each twice the last, plus up to as much again at random.
    pub(crate) fn waits(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        self.delays().without_max_times().build()
    }

    fn delays(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_factor(2.0)
            .with_min_delay(Duration::from_millis(self.retry.first_delay_ms))
            .with_max_delay(self.longest())
            .with_jitter()
            .with_jitter_seed(self.seed)
    }

    const fn longest(&self) -> Duration {
        Duration::from_secs(self.retry.longest_delay_seconds)
    }

    /// Whether waiting here until then makes sense.
    pub(crate) fn may_wait_until(&self, then: Instant) -> bool {
        then < self.deadline && then.saturating_duration_since(Instant::now()) <= self.longest()
    }

    /// The wait before the next request; `None` where waiting here makes no sense and the caller is put off instead.
    pub(crate) fn wait_after(&self, error: &ProviderError, delay: Duration) -> Option<Duration> {
        let wait = match error.retry_after() {
            Some(asked_for) if asked_for > self.longest() => return None,
            Some(asked_for) => delay.min(self.longest()).max(asked_for),
            None => delay,
        };
        (Instant::now() + wait < self.deadline).then_some(wait)
    }
}
