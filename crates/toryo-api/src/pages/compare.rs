//! Two runs side by side: a fork and the run it comes from.

use crate::diff::Diff;
use crate::pages::layout::{Here, Shell, link, pill, shell};
use crate::pages::list::title;
use crate::pages::words;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use std::collections::BTreeSet;
use toryo_blackboard::{Run, StepRow};
use toryo_domain::Output;
use toryo_domain::output::TestSummary;

/// One of the two.
pub struct Side {
    /// The run.
    pub run: Run,
    /// Its graph.
    pub steps: Vec<StepRow>,
    /// Its change.
    pub diff: Diff,
}

/// The whole page.
#[must_use]
pub fn page(left: &Side, right: &Side, now: DateTime<Utc>) -> Markup {
    let sides = [left, right];
    let row = |name: &str, cell: &dyn Fn(&Side) -> Markup| {
        html! { tr { th scope="row" { (name) } @for side in sides { td { (cell(side)) } } } }
    };
    let seconds = |side: &Side| i64::try_from(side.run.active_ms_at(now) / 1000).unwrap_or_default();
    let content = html! {
        div.run-head { div.run-title { h1 { "Two outcomes" } } }
        section.panel { table.compare {
            thead { tr { td {} @for side in sides { th scope="col" {
                span { (which(&side.run)) } (link(&format!("/ui/runs/{}", side.run.id), &title(&side.run)))
            } } } }
            tbody {
                (row("status", &|side| pill(side.run.status)))
                (row("differs by", &|side| html! { (variant(&side.run)) }))
                (row("cost", &|side| html! { (side.run.cost) }))
                (row("tokens", &|side| html! { (words::count(side.run.tokens_in)) " in, " (words::count(side.run.tokens_out)) " out" }))
                (row("active", &|side| html! { (words::span(seconds(side))) }))
                (row("steps", &|side| html! { (side.steps.len()) }))
                (row("change", &|side| {
                    let (added, removed) = side.diff.totals();
                    html! { (words::plural(side.diff.files.len() as u64, "file")) ", +" (added) " −" (removed) }
                }))
                (row("tests", &|side| html! { @match tests(&side.steps) {
                    Some(summary) => { (summary.passed) " passed, " (summary.failed) " failed" },
                    None => "–",
                } }))
                (row("pull request", &|side| html! { @match &side.run.pull_request {
                    Some(pull) => (link(&pull.url, &format!("#{} {}", pull.number, if pull.draft { "draft" } else { pull.state.as_str() }))),
                    None => "–",
                } }))
            }
        } }
        section.panel { div.panel-head { h2 { "Steps" } } table.compare {
            tbody { @for key in keys(left, right) {
                @let (one, two) = (find(left, &key), find(right, &key));
                tr { th scope="row" { code { (key) } } (cell(one)) (cell(two)) td.faint { (verdict(one, two)) } }
            } }
        } }
    };
    shell(&Shell { title: "Two outcomes", here: Some(Here::Runs), script: None }, &content)
}

fn which(run: &Run) -> &'static str {
    if run.origin.is_some() { "Fork" } else { "Original" }
}

fn variant(run: &Run) -> String {
    let Some(origin) = &run.origin else { return "–".to_owned() };
    let mut parts = vec![format!("forked at {}", origin.at)];
    parts.extend(origin.variant.routes.iter().map(|(from, to)| format!("{from} asks {to}")));
    parts.extend(origin.variant.prompts.keys().map(|name| format!("another prompt `{name}`")));
    parts.join(", ")
}

/// Counts of the test run that ended last.
fn tests(steps: &[StepRow]) -> Option<&TestSummary> {
    let summary = |step: &&StepRow| match &step.output {
        Some(Output::Test(_)) => true,
        Some(Output::Merge(merge)) => merge.test.is_some(),
        Some(_) | None => false,
    };
    let newest = steps.iter().filter(summary).max_by_key(|step| step.finished_at)?;
    match &newest.output {
        Some(Output::Test(test)) => Some(&test.summary),
        Some(Output::Merge(merge)) => merge.test.as_ref().map(|test| &test.summary),
        _ => None,
    }
}

fn keys(left: &Side, right: &Side) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = left.steps.iter().chain(&right.steps).map(|step| step.key.to_string());
    all.filter(|key| seen.insert(key.clone())).collect()
}

fn find<'a>(side: &'a Side, key: &str) -> Option<&'a StepRow> {
    side.steps.iter().find(|step| step.key.to_string() == key)
}

fn cell(step: Option<&StepRow>) -> Markup {
    html! { td { @match step { Some(step) => (words::step_status(step.status)), None => span.faint { "–" } } } }
}

fn verdict(one: Option<&StepRow>, two: Option<&StepRow>) -> &'static str {
    match (one.and_then(|step| step.output.as_ref()), two.and_then(|step| step.output.as_ref())) {
        (Some(left), Some(right)) if left == right => "same outcome",
        (Some(_), Some(_)) => "another outcome",
        _ => "",
    }
}
