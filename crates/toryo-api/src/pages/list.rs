//! The list of runs, its empty state, and the form for a new task.

use crate::pages::layout::{Here, Shell, ago, coded, command, elapsed, icon, link, pill, shell};
use crate::pages::words;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use toryo_blackboard::{Page, Run};
use toryo_domain::{Approval, Limits, RunStatus};

/// What the list shows.
pub struct RunList {
    /// One page of runs.
    pub page: Page<Run>,
    /// The status they were filtered by.
    pub status: Option<RunStatus>,
    /// The page's place: `None` on the first one.
    pub cursor: Option<String>,
    /// Repositories that were used before, for the form.
    pub repos: Vec<String>,
    /// Limits of a task that names none.
    pub limits: Limits,
    /// The present moment.
    pub now: DateTime<Utc>,
}

/// The whole page.
#[must_use]
pub fn page(list: &RunList) -> Markup {
    let content = html! {
        div.head {
            h1 { "Runs" }
            button.primary type="button" data-open="new-task" { (icon("plus")) "New task" }
        }
        nav.filters aria-label="Filter by status" {
            a href="/" aria-current=[list.status.is_none().then_some("true")] { "All" }
            @for status in RunStatus::ALL {
                a href={ "/?status=" (status) } aria-current=[(list.status == Some(*status)).then_some("true")] {
                    (words::run_status(*status))
                }
            }
        }
        div id="runs" data-src={ "/ui/runs" (query(list)) } { (table(list)) }
        (new_task(list))
    };
    shell(&Shell { title: "Runs", here: Some(Here::Runs), script: Some("runs") }, &content)
}

fn query(list: &RunList) -> String {
    let mut parts = vec![];
    if let Some(status) = list.status {
        parts.push(format!("status={status}"));
    }
    if let Some(cursor) = &list.cursor {
        parts.push(format!("cursor={cursor}"));
    }
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

/// The part that is refreshed: the runs, or what to do while there are none.
#[must_use]
pub fn table(list: &RunList) -> Markup {
    if list.page.items.is_empty() {
        return if list.status.is_none() && list.cursor.is_none() { first_steps() } else { none_such() };
    }
    html! {
        table.runs {
            thead {
                tr {
                    th scope="col" { "Status" }
                    th scope="col" { "Task" }
                    th scope="col" { "Repository" }
                    th scope="col" { "Started" }
                    th.num scope="col" { "Time" }
                    th.num scope="col" { "Cost" }
                    th scope="col" { "Pull request" }
                }
            }
            tbody { @for run in &list.page.items { (row(run, list.now)) } }
        }
        @if let Some(next) = &list.page.next_cursor {
            p.more {
                a.button href={ "/?" @if let Some(status) = list.status { "status=" (status) "&" } "cursor=" (next) } {
                    "Older runs"
                }
            }
        }
    }
}

fn row(run: &Run, now: DateTime<Utc>) -> Markup {
    html! {
        tr {
            td.status { (pill(run.status)) }
            th.task scope="row" {
                a href={ "/ui/runs/" (run.id) } { (title(run)) }
                @if run.replay { span.tag { "replay" } }
                @if let Some(reason) = run.status_reason.as_deref().filter(|_| run.status != RunStatus::Succeeded) {
                    span.reason { (coded(reason)) }
                }
            }
            td.repo title=(run.repo_url) { (words::repo_name(&run.repo_url)) }
            td.started { (ago(run.started_at.unwrap_or(run.created_at), now)) }
            td.num.time { (elapsed(run.started_at, run.finished_at, now)) }
            td.num.cost { (run.cost) }
            td.pr {
                @match &run.pull_request {
                    Some(pull) => (link(&pull.url, &format!("#{} {}", pull.number, pull.state))),
                    None => span.faint { "–" },
                }
            }
        }
    }
}

/// The Spec-Refiner's title, or the goal's first line.
#[must_use]
pub fn title(run: &Run) -> String {
    let text = run.title.as_deref().filter(|title| !title.trim().is_empty());
    let text =
        text.unwrap_or_else(|| run.goal.lines().find(|line| !line.trim().is_empty()).unwrap_or("Untitled"));
    match text.char_indices().nth(140) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn first_steps() -> Markup {
    html! {
        section.empty {
            h2 { "No run yet" }
            p { "Give Toryo a repository and say what should be different. It plans, writes, tests and reviews the change, and opens a pull request." }
            (command("toryo run --repo /path/to/repository --goal \"Make date ranges include their last day\" --watch"))
            p.or { "or" }
            button.primary type="button" data-open="new-task" { (icon("plus")) "New task" }
        }
    }
}

fn none_such() -> Markup {
    html! { section.empty { h2 { "No run in this list" } p { a href="/" { "Show all runs" } } } }
}

fn new_task(list: &RunList) -> Markup {
    html! {
        dialog.sheet id="new-task" aria-labelledby="new-task-title" {
            form method="dialog" data-new-task novalidate {
                header {
                    h2 id="new-task-title" { "New task" }
                    button.quiet type="button" data-close aria-label="Close" { (icon("failed")) }
                }
                p.error role="alert" data-error="" hidden {}
                (field("repo_url", "Repository", "A URL, or a path on the server's machine.", &html! {
                    input id="f-repo_url" name="repo_url" required autocomplete="off" list="known-repos"
                        placeholder="/srv/git/calendar" aria-describedby="h-repo_url";
                    datalist id="known-repos" { @for url in &list.repos { option value=(url) {} } }
                }))
                (field("goal", "Goal", "What should be different afterwards, as you would write it to a colleague.", &html! {
                    textarea id="f-goal" name="goal" required rows="5" aria-describedby="h-goal" {}
                }))
                (field("acceptance_criteria", "Acceptance criteria", "One a line; optional.", &html! {
                    textarea id="f-acceptance_criteria" name="acceptance_criteria" rows="3" aria-describedby="h-acceptance_criteria" {}
                }))
                details {
                    summary { "Branch, approval and limits" }
                    div.grid {
                        (field("base_branch", "Start from branch", "The default branch if empty.", &html! {
                            input id="f-base_branch" name="base_branch" autocomplete="off" aria-describedby="h-base_branch";
                        }))
                        (field("approval", "Ask me before", "Where the run waits for you.", &html! {
                            select id="f-approval" name="approval" aria-describedby="h-approval" {
                                @for approval in Approval::ALL { option value=(approval) { (approval_words(*approval)) } }
                            }
                        }))
                        (number("limits/usd", "Most dollars", list.limits.usd.dollars(), "0.01"))
                        (number("limits/minutes", "Most minutes", list.limits.minutes, "1"))
                        (number("limits/tokens", "Most tokens", list.limits.tokens, "1"))
                        (number("limits/repair_loops", "Most repairs", list.limits.repair_loops, "1"))
                    }
                }
                footer {
                    button.primary type="submit" { "Start the run" }
                    button type="button" data-close { "Cancel" }
                }
            }
        }
    }
}

const fn approval_words(approval: Approval) -> &'static str {
    match approval {
        Approval::None => "Nothing",
        Approval::Plan => "Code is written",
        Approval::Pr => "The pull request is opened",
        Approval::All => "Both",
    }
}

fn field(name: &str, label: &str, hint: &str, input: &Markup) -> Markup {
    html! {
        div.field {
            label for={ "f-" (name) } { (label) }
            (input)
            p.hint id={ "h-" (name) } { (hint) }
            p.error role="alert" data-error={ "/" (name) } hidden {}
        }
    }
}

fn number(name: &str, label: &str, usual: impl std::fmt::Display, step: &str) -> Markup {
    field(
        name,
        label,
        &format!("{usual} if empty."),
        &html! {
            input id={ "f-" (name) } name=(name) type="number" min="0" step=(step) inputmode="decimal" aria-describedby={ "h-" (name) };
        },
    )
}
