//! What a failure leads to: a pure function of its class and of the attempts so far (design §4.7).

use crate::{Config, Failure};
use std::time::Duration;
use toryo_domain::{FailureClass, RunSignal};

/// What follows on a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Another attempt after this time.
    Retry(Duration),
    /// The step goes back to the queue at once: nobody is to blame.
    HandBack,
    /// No further attempt; the run gets this signal. `exhausted` where attempts were used up.
    Stop {
        /// `HitGuardrail` or `Fail`.
        signal: RunSignal,
        /// Whether the step is a dead letter.
        exhausted: bool,
    },
}

/// Decides by the class. `attempt` is that of the failed one, counted from 1; `seed` spreads retries of many
/// steps over time and makes the answer repeatable.
#[must_use]
pub fn settle(failure: &Failure, attempt: u32, seed: u64, config: &Config) -> Settlement {
    match failure.class {
        FailureClass::Transient | FailureClass::Sandbox | FailureClass::RateLimited => {
            if attempt >= config.attempts {
                return Settlement::Stop { signal: RunSignal::Fail, exhausted: true };
            }
            let asked = failure.retry_after.unwrap_or_default();
            Settlement::Retry(backoff(attempt, seed, config).max(asked))
        }
        FailureClass::Cancelled => Settlement::HandBack,
        // The gateway asked the model again already; the same reply would come out of the journal.
        FailureClass::InvalidOutput | FailureClass::Policy | FailureClass::Budget => {
            Settlement::Stop { signal: RunSignal::HitGuardrail, exhausted: false }
        }
        FailureClass::Input | FailureClass::Bug => {
            Settlement::Stop { signal: RunSignal::Fail, exhausted: false }
        }
    }
}

/// Doubles with each attempt up to the limit; between half of it and all of it, by `seed`.
fn backoff(attempt: u32, seed: u64, config: &Config) -> Duration {
    let doubled = config.backoff_ms.saturating_mul(1_u64 << attempt.saturating_sub(1).min(20));
    let full = doubled.min(config.backoff_max_seconds * 1000);
    // Fibonacci hashing (Knuth, vol. 3, 6.4) spreads seeds that follow each other.
    let spread = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54;
    Duration::from_millis(full / 2 + full / 2 * spread / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_class_leads_somewhere() {
        let config = Config::default();
        let mut table = String::new();
        for class in FailureClass::ALL {
            for attempt in [1, config.attempts] {
                let outcome = match settle(&Failure::new(*class, "x"), attempt, 7, &config) {
                    Settlement::Retry(_) => "another attempt".to_owned(),
                    other => format!("{other:?}"),
                };
                table.push_str(&format!("{class:>14} in attempt {attempt}: {outcome}\n"));
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn a_provider_that_names_a_time_is_heard() {
        let mut failure = Failure::new(FailureClass::RateLimited, "slow down");
        failure.retry_after = Some(Duration::from_secs(500));
        assert_eq!(settle(&failure, 1, 0, &Config::default()), Settlement::Retry(Duration::from_secs(500)));
    }

    proptest! {
        #[test]
        fn a_backoff_stays_within_its_bounds(attempt in 1_u32..200, seed: u64) {
            let config = Config::default();
            let wait = backoff(attempt, seed, &config);
            prop_assert!(wait >= Duration::from_millis(config.backoff_ms / 2));
            prop_assert!(wait <= Duration::from_secs(config.backoff_max_seconds));
        }
    }
}
