//! The page of one run. Its parts are refreshed one by one while the run goes on.

use crate::diff::Diff;
use crate::pages::layout::{Here, Shell, ago, elapsed, link, pill, shell};
use crate::pages::list::title;
use crate::pages::tests::Tests;
use crate::pages::{ask, costs, diff, graph, log, review, tests, words};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use toryo_blackboard::model_calls::RoleCost;
use toryo_blackboard::{Artifact, Run, StepRow};
use toryo_domain::{Event, EventType, Output};

/// What the page shows.
pub struct RunPage {
    /// The run.
    pub run: Run,
    /// Its graph.
    pub steps: Vec<StepRow>,
    /// The newest events.
    pub events: Vec<Event>,
    /// The change in its best state so far.
    pub diff: Diff,
    /// The newest test run.
    pub tests: Option<Tests>,
    /// Cost by agent.
    pub costs: Vec<RoleCost>,
    /// What it left.
    pub artifacts: Vec<Artifact>,
    /// The present moment.
    pub now: DateTime<Utc>,
}

/// The whole page.
#[must_use]
pub fn page(page: &RunPage) -> Markup {
    let run = &page.run;
    let seen = page.events.last().map_or(run.last_seq, |event| event.seq);
    let types: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    let content = html! {
        div.run-page data-run=(run.id) data-seq=(seen) data-final[run.status.is_final()] data-types=(types.join(" ")) {
            (part("head", &head(page)))
            (part("ask", &ask::banner(run, &page.steps)))
            (part("graph", &graph_panel(page)))
            div.columns {
                div.main-column {
                    (part("spec", &spec(page)))
                    (part("diff", &html! { section.panel { (diff::diff(&page.diff, &format!("/runs/{}/diff", run.id))) } }))
                    (part("tests", &html! { section.panel { (tests::panel(page.tests.as_ref())) } }))
                    (part("review", &html! { section.panel { (review::panel(&page.steps)) } }))
                }
                div.side-column {
                    section.panel.log-panel { (log::log(&page.events)) }
                    (part("costs", &html! { section.panel { (costs::panel(run, &page.costs)) } }))
                    (part("artifacts", &html! { section.panel { (costs::artifacts(&page.artifacts)) } }))
                }
            }
        }
    };
    shell(&Shell { title: &title(run), here: Some(Here::Runs), script: Some("run") }, &content)
}

/// The parts that a running run changes all the time, for the script to put in place.
#[must_use]
pub fn live_parts(page: &RunPage) -> Markup {
    html! {
        (part("head", &head(page)))
        (part("ask", &ask::banner(&page.run, &page.steps)))
        (part("graph", &graph_panel(page)))
        (part("costs", &html! { section.panel { (costs::panel(&page.run, &page.costs)) } }))
    }
}

/// All parts but the log.
#[must_use]
pub fn all_parts(page: &RunPage) -> Markup {
    html! {
        (live_parts(page))
        (part("spec", &spec(page)))
        (part("diff", &html! { section.panel { (diff::diff(&page.diff, &format!("/runs/{}/diff", page.run.id))) } }))
        (part("tests", &html! { section.panel { (tests::panel(page.tests.as_ref())) } }))
        (part("review", &html! { section.panel { (review::panel(&page.steps)) } }))
        (part("artifacts", &html! { section.panel { (costs::artifacts(&page.artifacts)) } }))
    }
}

fn part(name: &str, content: &Markup) -> Markup {
    html! { div.part data-part=(name) { (content) } }
}

fn head(page: &RunPage) -> Markup {
    let run = &page.run;
    html! {
        div.run-head data-status=(run.status) data-status-words=(words::run_status(run.status)) {
            div.run-title {
                h1 { (title(run)) }
                (pill(run.status))
                @if run.replay { span.tag.replay title="Model replies come from a recording, not from a model." { "replay of recorded replies" } }
                div.buttons { (ask::buttons(run)) }
            }
            dl.facts {
                div { dt { "repository" } dd title=(run.repo_url) { (words::repo_name(&run.repo_url)) } }
                @if let Some(branch) = &run.base_branch {
                    div { dt { "from" } dd { code { (branch) } @if let Some(commit) = &run.base_commit { " " code.faint title=(commit) { (commit.short()) } } } }
                }
                @if let Some(branch) = &run.branch { div { dt { "branch" } dd { code { (branch) } } } }
                @if let Some(commit) = &run.commit { div { dt { "commit" } dd { code title=(commit) { (commit.short()) } } } }
                @if let Some(pull) = &run.pull_request {
                    div.pr { dt { "pull request" } dd { (link(&pull.url, &format!("#{} {}", pull.number, pull.state))) } }
                }
                div { dt { "started" } dd { (ago(run.started_at.unwrap_or(run.created_at), page.now)) } }
                div { dt { "time" } dd { (elapsed(run.started_at, run.finished_at, page.now)) } }
                div { dt { "cost" } dd { (run.cost) } }
                div { dt { "tokens" } dd title={ (run.tokens_in) " in, " (run.tokens_out) " out" } {
                    (words::count(run.tokens_in)) " in, " (words::count(run.tokens_out)) " out"
                } }
            }
        }
    }
}

fn graph_panel(page: &RunPage) -> Markup {
    html! { section.panel.graph-panel aria-label="Steps" { (graph::graph(&page.steps, page.now)) } }
}

/// The goal as it was written, and what the Spec-Refiner made of it.
fn spec(page: &RunPage) -> Markup {
    let specs = page.steps.iter().filter_map(|step| match &step.output {
        Some(Output::Spec(spec)) => Some((step.key.round, spec)),
        _ => None,
    });
    let refined = specs.max_by_key(|(round, _)| *round).map(|(_, spec)| spec);
    html! {
        section.panel {
            div.panel-head { h2 { "Goal" } }
            div.pad {
                p.goal { (page.run.goal) }
                @if let Some(spec) = refined {
                    @if !spec.acceptance_criteria.is_empty() {
                        h3 { "Acceptance criteria" }
                        ul.criteria { @for line in &spec.acceptance_criteria { li { (line) } } }
                    }
                    @let assumed: Vec<_> = spec.questions.iter().filter(|it| !it.assumption.is_empty()).collect();
                    @if !assumed.is_empty() {
                        details.fold data-key="assumptions" {
                            summary { (words::plural(assumed.len() as u64, "assumption")) }
                            ul { @for question in assumed { li { (question.text) p.faint { (question.assumption) } } } }
                        }
                    }
                }
            }
        }
    }
}
