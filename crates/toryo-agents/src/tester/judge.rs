//! Whether a test run is good: pure.

use super::ids;
use std::collections::BTreeSet;
use toryo_domain::TestReport;

/// What a report means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Tests that fail and did not fail without the change.
    pub(super) new_failures: Vec<String>,
    /// Tests that have to pass and do not.
    pub(super) unproved: Vec<String>,
    /// Tests that failed without the change as well.
    pub(super) known: Vec<String>,
}

impl Judgement {
    /// Judges a report. `known` are the tests that fail without the change.
    pub(super) fn of(report: &TestReport, known: &BTreeSet<String>, must_pass: &[String]) -> Self {
        let failing = crate::suite::failing(report);
        let (known, new_failures) = failing.into_iter().partition(|id| known.contains(id));
        let unproved = must_pass.iter().filter(|id| !ids::passes(report, id)).cloned().collect();
        Self { new_failures, unproved, known }
    }

    /// Nothing new fails, and all that has to pass passes.
    pub(super) fn is_good(&self) -> bool {
        self.new_failures.is_empty() && self.unproved.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toryo_domain::{TestCase, TestOutcome};

    #[test]
    fn old_failures_are_forgiven_and_missing_proof_is_not() {
        let case = |name: &str, outcome| TestCase {
            class_name: "t".into(),
            name: name.into(),
            file: None,
            outcome,
            duration_seconds: 0.0,
            message: None,
            details: None,
        };
        let report = TestReport {
            cases: vec![
                case("old", TestOutcome::Failed),
                case("new", TestOutcome::Error),
                case("proof", TestOutcome::Passed),
            ],
        };
        let known = BTreeSet::from(["t::old".to_owned()]);
        let judgement = Judgement::of(&report, &known, &["t::proof".into(), "t::gone".into()]);
        assert_eq!(
            judgement,
            Judgement {
                new_failures: vec!["t::new".into()],
                unproved: vec!["t::gone".into()],
                known: vec!["t::old".into()]
            }
        );
        assert!(!judgement.is_good());
        let good =
            TestReport { cases: vec![case("old", TestOutcome::Failed), case("proof", TestOutcome::Passed)] };
        assert!(Judgement::of(&good, &known, &["t::proof".into()]).is_good());
    }
}
