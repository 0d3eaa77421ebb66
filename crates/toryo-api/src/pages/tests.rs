//! The newest test report of a run: counts, failures first, coverage.

use crate::pages::layout::coded;
use crate::pages::words::{plural, span};
use maud::{Markup, html};
use toryo_domain::output::TestOutput;
use toryo_domain::{TestCase, TestOutcome, TestReport};

/// Most cases that are listed.
const MOST_CASES: usize = 500;

/// A test run and the step it belongs to.
pub struct Tests {
    /// The step in words.
    pub step: String,
    /// The result.
    pub output: TestOutput,
    /// Every case, where the report is kept.
    pub report: Option<TestReport>,
}

/// The panel; `None` while no test ran.
#[must_use]
pub fn panel(tests: Option<&Tests>) -> Markup {
    html! {
        div.panel-head {
            h2 { "Tests" }
            @if let Some(tests) = tests { span.faint { (tests.step) } }
        }
        @match tests { None => p.faint.pad { "No test run yet." }, Some(tests) => (result(tests)) }
    }
}

fn result(tests: &Tests) -> Markup {
    let summary = &tests.output.summary;
    let verdict =
        if tests.output.passed { ("good", "All that must pass passes") } else { ("bad", "Something fails") };
    html! {
        div.pad {
            p.verdict.(verdict.0) { strong { (verdict.1) } }
            dl.facts {
                div { dt { "passed" } dd.good { (summary.passed) } }
                div { dt { "failed" } dd class=[(summary.failed > 0).then_some("bad")] { (summary.failed) } }
                div { dt { "skipped" } dd { (summary.skipped) } }
                div { dt { "time" } dd { (span(i64::try_from(summary.duration_ms / 1000).unwrap_or_default())) } }
                @if let Some(coverage) = summary.coverage {
                    div { dt { "coverage" } dd { (format!("{:.0} %", coverage * 100.0)) " " meter min="0" max="1" value=(coverage) { (format!("{:.0} %", coverage * 100.0)) } } }
                }
            }
            @if let Some(analysis) = &tests.output.analysis {
                p.analysis { strong { "Cause: " } (coded(&analysis.root_cause)) }
                p.analysis { strong { "Next: " } (coded(&analysis.next_step)) }
            }
        }
        @match &tests.report {
            Some(report) => (cases(report)),
            None => @if !summary.failing.is_empty() { ul.cases { @for id in &summary.failing { li.case.bad { code { (id) } } } } },
        }
    }
}

fn cases(report: &TestReport) -> Markup {
    let passed: Vec<&TestCase> =
        report.cases.iter().filter(|case| case.outcome == TestOutcome::Passed).collect();
    let skipped: Vec<&TestCase> =
        report.cases.iter().filter(|case| case.outcome == TestOutcome::Skipped).collect();
    html! {
        ul.cases { @for case in report.failures().take(MOST_CASES) { (failed(case)) } }
        (folded("skipped", &skipped))
        (folded("passed", &passed))
    }
}

fn failed(case: &TestCase) -> Markup {
    html! {
        li.case.bad {
            @match (&case.details, &case.message) {
                (None, None) => code { (case.id()) },
                (details, message) => {
                    details data-key={ "case:" (case.id()) } {
                        summary { code { (case.id()) } @if let Some(message) = message { span.message { (message) } } }
                        pre tabindex="0" { (details.as_deref().or(message.as_deref()).unwrap_or_default()) }
                    }
                },
            }
        }
    }
}

fn folded(outcome: &'static str, cases: &[&TestCase]) -> Markup {
    html! {
        @if !cases.is_empty() {
            details.fold data-key={ "cases:" (outcome) } {
                summary { (plural(cases.len() as u64, "test")) " " (outcome) }
                ul.cases { @for case in cases.iter().take(MOST_CASES) { li.case { code { (case.id()) } span.faint { (format!("{:.2} s", case.duration_seconds)) } } } }
                @if cases.len() > MOST_CASES { p.faint.pad { "Only the first " (MOST_CASES) " are listed." } }
            }
        }
    }
}
