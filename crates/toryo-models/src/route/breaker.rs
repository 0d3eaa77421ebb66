//! The circuit breaker of a deployment: a pure state machine over the time that the caller tells.
//!
//! Invariants (see the property test): while it is open nothing passes; after the cool-down exactly one probe is under
//! way at a time; one success closes it, one failed probe opens it again for twice as long, up to a limit.

use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row after which a deployment is left alone.
const FAILURES: u32 = 5;
/// First and longest time that it is left alone.
const COOL_DOWN: Duration = Duration::from_secs(15);
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(300);
/// A probe that was never heard of again is given up after this time.
const PROBE_LOST: Duration = Duration::from_secs(900);

/// Whether a deployment may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breaker {
    /// It works, but for this many failures in a row.
    Closed {
        /// Below [`FAILURES`].
        failures: u32,
    },
    /// It is left alone.
    Open {
        /// Until then.
        until: Instant,
        /// For how long this time.
        cool_down: Duration,
    },
    /// One request finds out whether it works again.
    Probing {
        /// When that request was sent.
        since: Instant,
        /// For how long it was left alone before.
        cool_down: Duration,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether it may be asked now; `None` where it may, else the time at which asking again makes sense.
    pub(crate) fn closed_until(&self, now: Instant) -> Option<Instant> {
        match *self {
            Self::Closed { .. } => None,
            Self::Open { until, .. } => (now < until).then_some(until),
            Self::Probing { since, .. } => (now < since + PROBE_LOST).then_some(since + COOL_DOWN),
        }
    }

    /// Takes note that it is asked now. Only after [`closed_until`](Self::closed_until) said that it may be.
    pub(crate) const fn asked(&mut self, now: Instant) {
        match *self {
            Self::Closed { .. } => {}
            Self::Open { cool_down, .. } | Self::Probing { cool_down, .. } => {
                *self = Self::Probing { since: now, cool_down };
            }
        }
    }

    /// Takes note of an answer.
    pub(crate) const fn succeeded(&mut self) {
        *self = Self::Closed { failures: 0 };
    }

    /// Takes note of a failure that says something of the deployment.
    pub(crate) fn failed(&mut self, now: Instant) {
        *self = match *self {
            Self::Closed { failures } if failures + 1 < FAILURES => Self::Closed { failures: failures + 1 },
            Self::Closed { .. } => Self::open(now, COOL_DOWN),
            Self::Probing { cool_down, .. } => Self::open(now, (cool_down * 2).min(LONGEST_COOL_DOWN)),
            // A request from before it opened.
            Self::Open { until, cool_down } => Self::Open { until, cool_down },
        };
    }

    /// Takes note that the request came to no end that says anything: the client went away.
    pub(crate) fn abandoned(&mut self, now: Instant) {
        if let Self::Probing { cool_down, .. } = *self {
            *self = Self::Open { until: now, cool_down };
        }
    }

    fn open(now: Instant, cool_down: Duration) -> Self {
        Self::Open { until: now + cool_down, cool_down }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn five_failures_open_it_and_one_success_closes_it() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            breaker.failed(start);
            assert_eq!(breaker.closed_until(start), None);
        }
        breaker.failed(start);
        assert_eq!(breaker.closed_until(start), Some(start + COOL_DOWN));
        let later = start + COOL_DOWN;
        assert_eq!(breaker.closed_until(later), None, "time for a probe");
        breaker.asked(later);
        assert!(breaker.closed_until(later).is_some(), "one probe at a time");
        breaker.failed(later);
        assert_eq!(breaker.closed_until(later), Some(later + COOL_DOWN * 2));
        let again = later + COOL_DOWN * 2;
        breaker.asked(again);
        breaker.succeeded();
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn a_probe_whose_client_went_away_leaves_room_for_the_next() {
        let now = Instant::now();
        let mut breaker = Breaker::Open { until: now, cool_down: COOL_DOWN };
        breaker.asked(now);
        breaker.abandoned(now);
        assert_eq!(breaker.closed_until(now), None);
    }

    proptest! {
        #[test]
        fn of_any_history_at_most_one_probe_is_under_way(moves in proptest::collection::vec((0u8..4, 0u64..400), 0..60)) {
            let mut now = Instant::now();
            let mut breaker = Breaker::default();
            let mut probes = 0;
            for (what, seconds) in moves {
                now += Duration::from_secs(seconds);
                match what {
                    0 if breaker.closed_until(now).is_none() => {
                        let was_open = matches!(breaker, Breaker::Open { .. });
                        breaker.asked(now);
                        probes = i32::from(was_open || matches!(breaker, Breaker::Probing { .. }));
                    }
                    0 => {}
                    1 => { breaker.succeeded(); probes = 0; }
                    2 => { breaker.failed(now); if !matches!(breaker, Breaker::Probing { .. }) { probes = 0; } }
                    _ => { breaker.abandoned(now); probes = 0; }
                }
                prop_assert!(probes <= 1);
                prop_assert_eq!(probes == 1, matches!(breaker, Breaker::Probing { .. }));
                if let Breaker::Open { cool_down, .. } = breaker {
                    prop_assert!(cool_down >= COOL_DOWN && cool_down <= LONGEST_COOL_DOWN);
                }
            }
        }
    }
}
