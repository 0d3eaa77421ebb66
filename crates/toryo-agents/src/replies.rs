//! What models answer: the typed twin of each schema in `schemas/`. Tests compare the two.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toryo_code::{EditSet, ProposeEdit};
use toryo_domain::output::{FailureAnalysis, Question};
use toryo_domain::{Plan, RepoPath, Severity};

/// A reply of a schema.
pub trait Reply: DeserializeOwned + Send {
    /// The schema's name (design §5.2).
    const SCHEMA: &'static str;
}

macro_rules! replies {
    ($($type:ty => $schema:literal),+ $(,)?) => {$(
        impl Reply for $type {
            const SCHEMA: &'static str = $schema;
        }
    )+};
}

replies! {
    RefinedSpec => "refined_spec",
    Plan => "plan",
    RetrievalQuery => "retrieval_query",
    EditSet => "edit_set",
    TestPlan => "test_plan",
    FailureAnalysis => "failure_analysis",
    Review => "review",
    PullRequestText => "pull_request",
}

/// Of the Spec-Refiner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefinedSpec {
    /// A headline.
    pub title: String,
    /// The goal in the Spec-Refiner's words.
    pub summary: String,
    /// What has to hold in the end.
    pub acceptance_criteria: Vec<String>,
    /// What belongs to it.
    pub in_scope: Vec<String>,
    /// What does not.
    pub out_of_scope: Vec<String>,
    /// What has to be respected.
    pub constraints: Vec<String>,
    /// What is open.
    pub questions: Vec<Question>,
}

/// Of the Retriever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrievalQuery {
    /// Search texts.
    pub queries: Vec<String>,
    /// Dotted names.
    pub symbols: Vec<String>,
    /// Files; models misspell them, so they are checked where they are used.
    pub paths: Vec<String>,
}

/// Of the Tester: tests that fail before the change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestPlan {
    /// Edits of test files.
    pub edits: Vec<ProposeEdit>,
    /// The new tests, as pytest names them: `tests/test_a.py::TestB::test_c`.
    pub tests: Vec<String>,
    /// Whether the base commit fails them because the module or function is still missing.
    pub expects_missing: bool,
    /// How they fail without the change.
    pub expected_failure: String,
    /// What the tests show, and why these.
    pub summary: String,
}

/// Of the Critic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Judgement of the change.
    pub patch_verdict: String,
    /// Judgement of its tests.
    pub test_verdict: String,
    /// Each criterion.
    pub criteria: Vec<CriterionVerdict>,
    /// What was found.
    pub findings: Vec<ReviewFinding>,
}

/// One criterion's judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriterionVerdict {
    /// The criterion.
    pub criterion: String,
    /// Whether the change meets it.
    pub met: bool,
    /// What shows it.
    pub evidence: String,
}

/// A finding as the Critic words it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewFinding {
    /// How much it weighs.
    pub severity: Severity,
    /// What kind it is.
    pub rule: String,
    /// Its file.
    pub path: Option<RepoPath>,
    /// Its line.
    pub line: Option<u32>,
    /// What is wrong and what would be right.
    pub text: String,
}

/// Of the Integrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullRequestText {
    /// One line.
    pub title: String,
    /// The commit message.
    pub commit: CommitText,
    /// Why.
    pub purpose: String,
    /// What, one item a module.
    pub changes: Vec<String>,
    /// What could go wrong.
    pub risk: RiskText,
    /// How to take it back.
    pub rollback: String,
    /// What is open.
    pub open_points: Vec<String>,
}

/// A Conventional Commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitText {
    /// `fix`, `feat` …
    #[serde(rename = "type")]
    pub kind: String,
    /// The part of the code.
    pub scope: Option<String>,
    /// Imperative, lower case.
    pub subject: String,
    /// Why.
    pub body: String,
}

/// A risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskText {
    /// `low`, `medium` or `high`.
    pub level: String,
    /// What to look at.
    pub text: String,
}
