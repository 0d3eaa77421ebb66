//! Names of tests: pytest's, as models write them, and those of reports.

use toryo_domain::{RepoPath, TestCase, TestOutcome, TestReport};

/// A test as a model names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedTest {
    /// Its file.
    pub(super) file: RepoPath,
    /// Its id in reports, without parameters: `tests.test_a.TestB::test_c`.
    pub(super) id: String,
}

impl NamedTest {
    /// From `tests/test_a.py::TestB::test_c`; parameters are cut off.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a test like `tests/test_a.py::test_b`");
        let mut parts = text.trim().split("::");
        let file: RepoPath = parts.next().and_then(|file| file.parse().ok()).ok_or_else(wrong)?;
        let module = file.as_str().strip_suffix(".py").ok_or_else(wrong)?.replace('/', ".");
        let mut names: Vec<&str> = parts.collect();
        let name = names.pop().and_then(|name| name.split('[').next()).ok_or_else(wrong)?;
        if name.is_empty() || names.iter().any(|name| name.is_empty()) {
            return Err(wrong());
        }
        let class = std::iter::once(module.as_str()).chain(names).collect::<Vec<_>>().join(".");
        Ok(Self { id: format!("{class}::{name}"), file })
    }
}

/// Whether a case is this test, with any parameters.
pub(super) fn is(case: &TestCase, id: &str) -> bool {
    let full = case.id();
    full == id || full.strip_prefix(id).is_some_and(|rest| rest.starts_with('['))
}

/// Whether a case is a test of this file, by what the report names or by the module its class begins with.
pub(super) fn is_in(case: &TestCase, file: &RepoPath) -> bool {
    if let Some(named) = &case.file {
        return named == file.as_str();
    }
    let module = file.as_str().strip_suffix(".py").unwrap_or(file.as_str()).replace('/', ".");
    case.class_name.strip_prefix(&module).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a test passes: it is there, and none of its cases does anything else.
pub(super) fn passes(report: &TestReport, id: &str) -> bool {
    let mut cases = report.cases.iter().filter(|case| is(case, id)).peekable();
    cases.peek().is_some() && cases.all(|case| case.outcome == TestOutcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(class: &str, name: &str, outcome: TestOutcome) -> TestCase {
        TestCase {
            class_name: class.into(),
            name: name.into(),
            file: None,
            outcome,
            duration_seconds: 0.0,
            message: None,
            details: None,
        }
    }

    #[test]
    fn names_of_pytest_become_ids_of_reports() {
        let id = |text| NamedTest::parse(text).map(|test| test.id);
        assert_eq!(id("tests/test_a.py::test_b"), Ok("tests.test_a::test_b".into()));
        assert_eq!(id(" tests/x/test_a.py::TestB::test_c[1-x] "), Ok("tests.x.test_a.TestB::test_c".into()));
        for wrong in
            ["", "test_b", "tests/test_a.py", "tests/test_a.py::", "../a.py::b", "a.js::b", "a.py::::b"]
        {
            assert!(id(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_test_passes_with_all_its_parameters_or_not_at_all() {
        use TestOutcome::{Failed, Passed, Skipped};
        let report = |outcomes: &[TestOutcome]| TestReport {
            cases: outcomes
                .iter()
                .enumerate()
                .map(|(n, o)| case("t.a", &format!("test_b[{n}]"), *o))
                .collect(),
        };
        assert!(passes(&report(&[Passed, Passed]), "t.a::test_b"));
        assert!(!passes(&report(&[Passed, Failed]), "t.a::test_b"));
        assert!(!passes(&report(&[Skipped]), "t.a::test_b"));
        assert!(!passes(&report(&[]), "t.a::test_b"));
        assert!(!passes(&report(&[Passed]), "t.a::test_"));
    }
}
