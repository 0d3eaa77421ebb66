//! Test reports in the words of JUnit XML, whichever tool wrote them.

use crate::text_enum;
use serde::{Deserialize, Serialize};

text_enum! {
    /// How one test case ended.
    pub enum TestOutcome {
        /// As expected.
        Passed = "passed",
        /// An assertion did not hold.
        Failed = "failed",
        /// It broke outside an assertion, or could not be collected.
        Error = "error",
        /// Not run.
        Skipped = "skipped",
    }
}

/// One test case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestCase {
    /// What the tool calls its class or module; `tests.test_dates.TestParse`.
    pub class_name: String,
    /// Its name, with parameters: `test_end[2024-02-29]`.
    pub name: String,
    /// The file, where the report names it.
    pub file: Option<String>,
    /// How it ended.
    pub outcome: TestOutcome,
    /// Seconds it took.
    pub duration_seconds: f64,
    /// The failure's first line.
    pub message: Option<String>,
    /// The failure's text with its frames, masked and capped by whoever stores it.
    pub details: Option<String>,
}

impl TestCase {
    /// `tests.test_dates.TestParse::test_end[2024-02-29]`: the same test has the same id in every report.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}::{}", self.class_name, self.name)
    }
}

/// What a test command said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TestReport {
    /// Every test case, in the report's order.
    pub cases: Vec<TestCase>,
}

impl TestReport {
    /// How many cases ended so.
    #[must_use]
    pub fn count(&self, outcome: TestOutcome) -> usize {
        self.cases.iter().filter(|case| case.outcome == outcome).count()
    }

    /// The cases that failed or broke.
    pub fn failures(&self) -> impl Iterator<Item = &TestCase> {
        self.cases.iter().filter(|case| matches!(case.outcome, TestOutcome::Failed | TestOutcome::Error))
    }
}
