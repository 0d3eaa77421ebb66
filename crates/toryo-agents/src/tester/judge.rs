//! Whether a test run is good: pure.

use super::ids;
use crate::suite::{COMMAND_ID, failing};
use std::collections::BTreeSet;
use toryo_domain::{RepoPath, TestCase, TestOutcome, TestReport};

/// What a run is measured against.
#[derive(Debug)]
pub(super) struct Measure<'a> {
    /// The report without the change.
    pub(super) baseline: &'a TestReport,
    /// Ids of the tests that have to pass.
    pub(super) must_pass: &'a [String],
    /// Files whose tests the plan allows to change: their tests may go.
    pub(super) planned: &'a [RepoPath],
    /// Test files that `reproduce` wrote: their tests may change their names, not their number.
    pub(super) rewritten: &'a [RepoPath],
}

/// What a report means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Tests that fail and did not fail without the change.
    pub(super) new_failures: Vec<String>,
    /// Tests that passed without the change and are missing or skipped now.
    pub(super) lost: Vec<String>,
    /// Tests that have to pass and do not.
    pub(super) unproved: Vec<String>,
    /// Tests that failed without the change as well.
    pub(super) known: Vec<String>,
    /// No test passes, neither now nor without the change.
    pub(super) nothing_passes: bool,
}

impl Judgement {
    /// Judges a report.
    pub(super) fn of(report: &TestReport, measure: &Measure<'_>) -> Self {
        let old = failing(measure.baseline);
        let (known, mut new_failures): (Vec<String>, Vec<String>) =
            failing(report).into_iter().partition(|id| old.contains(id));
        let (had, has) = (passed(measure.baseline).count(), passed(report).count());
        // A command that ran nothing has no case that could fail.
        if had > 0 && has == 0 && !new_failures.iter().any(|id| id == COMMAND_ID) {
            new_failures.push(COMMAND_ID.to_owned());
        }
        let unproved = measure.must_pass.iter().filter(|id| !ids::passes(report, id)).cloned().collect();
        Self {
            new_failures,
            lost: lost(report, measure),
            unproved,
            known,
            nothing_passes: had == 0 && has == 0,
        }
    }

    /// Nothing new fails, nothing is lost, and all that has to pass passes.
    pub(super) fn is_good(&self) -> bool {
        self.new_failures.is_empty() && self.lost.is_empty() && self.unproved.is_empty()
    }
}

/// The tests that passed; the case that stands for the command is none.
fn passed(report: &TestReport) -> impl Iterator<Item = &TestCase> {
    report.cases.iter().filter(|case| case.outcome == TestOutcome::Passed && case.id() != COMMAND_ID)
}

fn lost(report: &TestReport, measure: &Measure<'_>) -> Vec<String> {
    let ran = report.cases.iter().filter(|case| case.outcome != TestOutcome::Skipped).map(TestCase::id);
    let ran: BTreeSet<String> = ran.collect();
    let passing_in =
        |report: &TestReport, file: &RepoPath| passed(report).filter(|case| ids::is_in(case, file)).count();
    let is_excused = |case: &TestCase| {
        measure.planned.iter().any(|file| ids::is_in(case, file))
            || measure.rewritten.iter().any(|file| {
                ids::is_in(case, file) && passing_in(report, file) >= passing_in(measure.baseline, file)
            })
    };
    let gone = passed(measure.baseline).filter(|case| !ran.contains(&case.id()) && !is_excused(case));
    gone.map(TestCase::id).collect::<BTreeSet<String>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use toryo_domain::TestOutcome::{Error, Failed, Passed, Skipped};

    fn report(cases: &[(&str, TestOutcome)]) -> TestReport {
        let case = |(id, outcome): &(&str, TestOutcome)| {
            let (class_name, name) = id.split_once("::").unwrap();
            TestCase {
                class_name: class_name.into(),
                name: name.into(),
                file: None,
                outcome: *outcome,
                duration_seconds: 0.0,
                message: None,
                details: None,
            }
        };
        TestReport { cases: cases.iter().map(case).collect() }
    }

    fn measure(baseline: &TestReport) -> Measure<'_> {
        Measure { baseline, must_pass: &[], planned: &[], rewritten: &[] }
    }

    #[test]
    fn old_failures_are_forgiven_and_missing_proof_is_not() {
        let baseline = report(&[("t::old", Failed)]);
        let now = report(&[("t::old", Failed), ("t::new", Error), ("t::proof", Passed)]);
        let must_pass = ["t::proof".to_owned(), "t::gone".to_owned()];
        let judgement = Judgement::of(&now, &Measure { must_pass: &must_pass, ..measure(&baseline) });
        assert_eq!(
            judgement,
            Judgement {
                new_failures: vec!["t::new".into()],
                lost: vec![],
                unproved: vec!["t::gone".into()],
                known: vec!["t::old".into()],
                nothing_passes: false,
            }
        );
        assert!(!judgement.is_good());
        let good = report(&[("t::old", Failed), ("t::proof", Passed)]);
        assert!(
            Judgement::of(&good, &Measure { must_pass: &must_pass[..1], ..measure(&baseline) }).is_good()
        );
    }

    #[test]
    fn a_run_in_which_nothing_passes_is_bad_where_something_passed_before() {
        let baseline = report(&[("t::a", Passed)]);
        for now in [report(&[]), report(&[("toryo::test-command", Passed)]), report(&[("t::b", Skipped)])] {
            let judgement = Judgement::of(&now, &measure(&baseline));
            assert_eq!(judgement.new_failures, [COMMAND_ID]);
            assert!(!judgement.is_good() && !judgement.nothing_passes);
        }
        let none = report(&[]);
        let judgement = Judgement::of(&none, &measure(&none));
        assert!(judgement.is_good() && judgement.nothing_passes);
    }

    #[test]
    fn tests_that_vanish_or_are_skipped_are_lost() {
        let baseline = report(&[
            ("t.a::gone", Passed),
            ("t.a::skipped", Passed),
            ("t.a::kept", Passed),
            ("t.a::old", Failed),
        ]);
        let now = report(&[("t.a::skipped", Skipped), ("t.a::kept", Passed)]);
        let judgement = Judgement::of(&now, &measure(&baseline));
        assert_eq!(judgement.lost, ["t.a::gone", "t.a::skipped"]);
        assert!(!judgement.is_good());
    }

    #[test]
    fn tests_may_go_where_the_plan_says_so_and_be_renamed_where_the_proof_is() {
        let baseline = report(&[("t.a.TestX::one", Passed), ("t.a.TestX::two", Passed), ("t.ab::x", Passed)]);
        let (a, ab): (RepoPath, RepoPath) = ("t/a.py".parse().unwrap(), "t/ab.py".parse().unwrap());
        let fewer = report(&[("t.a.TestX::one", Passed), ("t.ab::x", Passed)]);
        let lost = |now: &TestReport, planned: &[RepoPath], rewritten: &[RepoPath]| {
            Judgement::of(now, &Measure { planned, rewritten, ..measure(&baseline) }).lost
        };
        let (one, other) = (std::slice::from_ref(&a), std::slice::from_ref(&ab));
        assert_eq!(lost(&fewer, one, &[]), Vec::<String>::new());
        assert_eq!(lost(&fewer, other, &[]), ["t.a.TestX::two"]);
        assert_eq!(lost(&fewer, &[], one), ["t.a.TestX::two"]);
        let renamed = report(&[("t.a.TestX::one", Passed), ("t.a.TestX::deux", Passed), ("t.ab::x", Passed)]);
        assert_eq!(lost(&renamed, &[], one), Vec::<String>::new());
        assert_eq!(lost(&renamed, &[], other), ["t.a.TestX::two"]);
    }
}
