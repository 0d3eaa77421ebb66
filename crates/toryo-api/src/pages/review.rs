//! What the Critic found: the last round of each subtask, earlier rounds folded.

use crate::pages::layout::coded;
use crate::pages::words;
use maud::{Markup, html};
use toryo_blackboard::StepRow;
use toryo_domain::output::CriticOutput;
use toryo_domain::{Finding, Output, Severity, StepKey};

/// The panel of all reviews.
#[must_use]
pub fn panel(steps: &[StepRow]) -> Markup {
    let reviews: Vec<(&StepKey, &CriticOutput)> = steps
        .iter()
        .filter_map(|step| match &step.output {
            Some(Output::Critic(output)) => Some((&step.key, output)),
            _ => None,
        })
        .collect();
    let is_last =
        |key: &StepKey| !reviews.iter().any(|(it, _)| it.subtask == key.subtask && it.round > key.round);
    let (last, earlier): (Vec<_>, Vec<_>) = reviews.iter().partition(|(key, _)| is_last(key));
    html! {
        div.panel-head { h2 { "Review" } }
        @if reviews.is_empty() { p.faint.pad { "No review yet." } }
        @for (key, output) in last { (review(key, output)) }
        @if !earlier.is_empty() {
            details.fold data-key="reviews:earlier" {
                summary { (words::plural(earlier.len() as u64, "earlier round")) }
                @for (key, output) in earlier { (review(key, output)) }
            }
        }
    }
}

fn review(key: &StepKey, output: &CriticOutput) -> Markup {
    let verdict = if output.approved { ("good", "Approved") } else { ("bad", "Revision asked for") };
    let mut findings: Vec<&Finding> = output.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    html! {
        article.review {
            p.verdict.(verdict.0) { strong { (verdict.1) } " " span.faint { (words::step(key)) } }
            dl.verdicts {
                div { dt { "Change" } dd { (coded(&output.patch_verdict)) } }
                div { dt { "Tests" } dd { (coded(&output.test_verdict)) } }
            }
            ul.findings { @for finding in findings { (finding_row(finding)) } }
        }
    }
}

fn finding_row(finding: &Finding) -> Markup {
    let class = match finding.severity {
        Severity::Blocking => "bad",
        Severity::Warning => "warn",
        Severity::Info => "info",
    };
    html! {
        li.finding.(class) {
            span.tag.(class) { (finding.severity) }
            " " code { (finding.rule) }
            @if let Some(path) = &finding.path { " " span.path { (path) @if let Some(line) = finding.line { ":" (line) } } }
            p { (coded(&finding.text)) }
        }
    }
}
