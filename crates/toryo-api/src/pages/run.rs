//! The page of one run. Its parts are refreshed one by one while the run goes on.

use crate::diff::Diff;
use crate::pages::layout::{Here, Shell, ago, coded, elapsed, link, pill, shell};
use crate::pages::list::title;
use crate::pages::tests::Tests;
use crate::pages::{ask, costs, diff, graph, log, review, steer, tests, words};
use chrono::{DateTime, TimeDelta, Utc};
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
    /// Its forks.
    pub forks: Vec<Run>,
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
                    (part("steer", &steer::panel(&page.run, &page.steps, &page.forks)))
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
        (part("steer", &steer::panel(&page.run, &page.steps, &page.forks)))
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
                    div.pr { dt { "pull request" } dd { (link(&pull.url, &format!("#{} {}", pull.number, if pull.draft { "draft" } else { pull.state.as_str() }))) } }
                }
                div { dt { "started" } dd { (ago(run.started_at.unwrap_or(run.created_at), page.now)) } }
                div { dt title="Waiting for people is not counted." { "active" } dd { (active(run, page.now)) } }
                div { dt { "cost" } dd { (run.cost) } }
                div { dt { "tokens" } dd title={ (run.tokens_in) " in, " (run.tokens_out) " out" } {
                    (words::count(run.tokens_in)) " in, " (words::count(run.tokens_out)) " out"
                } }
            }
        }
    }
}

/// How long the run has run, waiting for people not counted; the script keeps counting while it runs.
fn active(run: &Run, now: DateTime<Utc>) -> Markup {
    let ms = i64::try_from(run.active_ms_at(now)).unwrap_or(i64::MAX);
    match run.active_since {
        Some(_) => elapsed(Some(now - TimeDelta::milliseconds(ms)), None, now),
        None if run.started_at.is_some() => html! { span { (words::span(ms / 1000)) } },
        None => elapsed(None, None, now),
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
                p.goal { (coded(&page.run.goal)) }
                @if let Some(spec) = refined {
                    @if !spec.acceptance_criteria.is_empty() {
                        h3 { "Acceptance criteria" }
                        ul.criteria { @for line in &spec.acceptance_criteria { li { (coded(line)) } } }
                    }
                    @let assumed: Vec<_> = spec.questions.iter().filter(|it| !it.assumption.is_empty()).collect();
                    @if !assumed.is_empty() {
                        details.fold data-key="assumptions" {
                            summary { (words::plural(assumed.len() as u64, "assumption")) }
                            ul { @for question in assumed { li { (coded(&question.text)) p.faint { (coded(&question.assumption)) } } } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod hostile {
    use super::*;
    use serde_json::json;
    use toryo_blackboard::Control;
    use toryo_domain::{Approval, Limits, NewEvent, Priority, RunStatus, StepStatus, Usd};

    const HOSTILE: &str =
        "</textarea></title><script>alert(1)</script><img src=x onerror=\"alert(1)\"> `<b>`";

    fn hostile_page() -> RunPage {
        let now: DateTime<Utc> = "2026-11-21T08:00:00Z".parse().unwrap();
        let id = uuid::Uuid::nil();
        let run = Run {
            id: id.into(),
            task_id: id.into(),
            repo_url: HOSTILE.into(),
            goal: HOSTILE.into(),
            status: RunStatus::NeedsHuman,
            status_reason: Some(HOSTILE.into()),
            gate: None,
            control: Control::default(),
            base_branch: Some(HOSTILE.into()),
            base_commit: None,
            title: Some(HOSTILE.into()),
            branch: Some(HOSTILE.into()),
            commit: None,
            pull_request: Some(toryo_domain::PullRequest {
                number: 1,
                url: "javascript:alert(1)".into(),
                head_branch: HOSTILE.into(),
                state: toryo_domain::PullRequestState::Open,
                draft: true,
            }),
            best_diff: None,
            replay: true,
            cost: Usd::ZERO,
            tokens_in: 0,
            tokens_out: 0,
            limits: Limits::default(),
            origin: None,
            active_ms: 0,
            active_since: None,
            priority: Priority::Normal,
            approval: Approval::None,
            last_seq: EventType::ALL.len() as u64,
            created_at: now,
            started_at: Some(now),
            finished_at: None,
        };
        let facts = json!({
            "text": HOSTILE, "reason": HOSTILE, "title": HOSTILE, "model": HOSTILE, "summary": HOSTILE, "rule": HOSTILE,
            "body": HOSTILE, "author": HOSTILE, "by": HOSTILE, "class": HOSTILE, "path": HOSTILE, "line": HOSTILE,
            "failing": [HOSTILE], "questions": [{ "text": HOSTILE }], "refusals": [{ "reason": HOSTILE }],
        });
        let events = EventType::ALL.iter().zip(1..).map(|(kind, seq)| {
            let NewEvent { kind, step_key, attempt, data } = NewEvent::of_run(*kind, facts.clone());
            Event { run_id: run.id, seq, at: now, kind, step_key, attempt, data }
        });
        let step = StepRow {
            id: id.into(),
            run_id: run.id,
            key: "code:a#2".parse().unwrap(),
            role: toryo_domain::Role::Coder,
            status: StepStatus::Failed,
            depends_on: vec![],
            attempts: 2,
            epoch: 0,
            output: None,
            failure: None,
            ready_at: None,
            created_at: now,
            started_at: Some(now),
            finished_at: None,
        };
        let events = events.collect();
        let artifact = Artifact {
            id: id.into(),
            run_id: run.id,
            step_key: None,
            kind: HOSTILE.into(),
            name: HOSTILE.into(),
            media_type: "text/html".into(),
            digest: toryo_domain::Digest::of(""),
            size_bytes: 1,
            created_at: now,
        };
        let diff = Diff::parse(&format!("--- a/x\n+++ b/{HOSTILE}\n@@ -1 +1 @@ {HOSTILE}\n-a\n+{HOSTILE}\n"));
        RunPage {
            run,
            steps: vec![step],
            events,
            diff,
            tests: None,
            costs: vec![],
            artifacts: vec![artifact],
            forks: vec![],
            now,
        }
    }

    #[test]
    fn text_of_a_run_never_becomes_markup() {
        let mut hostile = hostile_page();
        for status in RunStatus::ALL {
            hostile.run.status = *status;
            let html = page(&hostile).into_string();
            for markup in ["<script>alert", "<img", "<b>", "</textarea></title>", "href=\"javascript:"] {
                assert!(!html.contains(markup), "{status}: {markup}");
            }
            assert!(html.contains("replay of recorded replies"));
        }
    }

    #[test]
    fn the_parts_that_are_refreshed_are_those_of_the_page() {
        let names = |html: &str| {
            let parts = html.split("data-part=\"").skip(1).filter_map(|rest| rest.split('"').next());
            parts.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        let hostile = hostile_page();
        let whole = names(&page(&hostile).into_string());
        assert_eq!(names(&all_parts(&hostile).into_string()), whole);
        assert!(names(&live_parts(&hostile).into_string()).is_subset(&whole));
    }

    #[test]
    fn pages_hold_no_script_and_no_style_of_their_own() {
        let html = page(&hostile_page()).into_string();
        // The policy of the server forbids both; a page that needs them would be broken.
        for inline in [" style=\"", "<style", " onclick=\"", "<script>"] {
            assert!(!html.contains(inline), "{inline}");
        }
    }
}
