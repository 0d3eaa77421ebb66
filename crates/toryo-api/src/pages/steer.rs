//! What people may do with a run at any moment: other limits, a message, going back to a step, a fork.

use crate::pages::layout::link;
use crate::pages::words;
use maud::{Markup, html};
use toryo_blackboard::{Run, StepRow};
use toryo_domain::{RunStatus, StepKind, StepStatus};

/// The panel; folded until somebody wants it.
#[must_use]
pub fn panel(run: &Run, steps: &[StepRow], forks: &[Run]) -> Markup {
    let begun: Vec<String> =
        steps.iter().filter(|step| has_begun(step)).map(|step| step.key.to_string()).collect();
    html! {
        section.panel {
            div.panel-head { h2 { "Steer" } }
            div.pad {
                @if let Some(origin) = &run.origin {
                    p { "A fork at " code { (origin.at) } " of " (link(&format!("/ui/runs/{}", origin.run_id), "this run")) ". "
                        (link(&format!("/ui/runs/{}/compare/{}", origin.run_id, run.id), "Compare both")) }
                }
                @if !forks.is_empty() {
                    ul { @for fork in forks { li {
                        (link(&format!("/ui/runs/{}", fork.id), "Fork")) ": " (words::run_status(fork.status)) ". "
                        (link(&format!("/ui/runs/{}/compare/{}", run.id, fork.id), "Compare")) } } }
                }
                @if !run.status.is_final() { (message(run)) (limits(run)) }
                @if !begun.is_empty() {
                    @if can_go_back(run.status) { (back(run, &begun)) }
                    (fork(run, &begun))
                }
            }
        }
    }
}

fn has_begun(step: &StepRow) -> bool {
    let begun = match step.status {
        StepStatus::Ready | StepStatus::Running | StepStatus::Succeeded | StepStatus::Failed => true,
        StepStatus::Pending | StepStatus::Cancelled => false,
    };
    begun && step.key.kind != StepKind::Draft
}

const fn can_go_back(status: RunStatus) -> bool {
    match status {
        RunStatus::Running
        | RunStatus::NeedsHuman
        | RunStatus::Failed
        | RunStatus::WaitingForInput
        | RunStatus::WaitingForApproval => true,
        RunStatus::Queued | RunStatus::Succeeded | RunStatus::Cancelled => false,
    }
}

fn message(run: &Run) -> Markup {
    html! {
        details.fold data-key="steer-message" {
            summary { "Write to the agents" }
            form data-post={ "/runs/" (run.id) "/messages" } data-keep="steer-message" {
                label for="steer-body" { "They read it with their next step" }
                textarea id="steer-body" name="body" rows="3" required {}
                p.error role="alert" data-error="" hidden {}
                p.buttons { button type="submit" { "Send" } }
            }
        }
    }
}

fn limits(run: &Run) -> Markup {
    let now = run.allowance();
    let field = |name: &str, label: &str, value: String, step: &str| {
        html! {
            label for={ "steer-" (name) } { (label) }
            input id={ "steer-" (name) } name=(name) type="number" min="0" step=(step) placeholder=(value);
            p.error role="alert" data-error={ "/" (name) } hidden {}
        }
    };
    html! {
        details.fold data-key="steer-limits" {
            summary { "Change the limits" }
            form data-post={ "/runs/" (run.id) "/limits" } data-method="PATCH" {
                (field("usd", "US dollars", now.usd.dollars().to_string(), "any"))
                (field("tokens", "Tokens", now.tokens.to_string(), "1"))
                (field("minutes", "Minutes of work", now.minutes.to_string(), "1"))
                (field("repair_loops", "Repairs of one subtask", now.repair_loops.to_string(), "1"))
                p.error role="alert" data-error="" hidden {}
                p.buttons { button type="submit" { "Set" } }
            }
        }
    }
}

fn steps(id: &str, name: &str, keys: &[String]) -> Markup {
    html! { select id=(id) name=(name) { @for key in keys { option value=(key) { (key) } } } }
}

fn back(run: &Run, keys: &[String]) -> Markup {
    html! {
        details.fold data-key="steer-back" {
            summary { "Go back to a step" }
            form data-post={ "/runs/" (run.id) "/retry" } {
                label for="steer-from" { "It is executed again, and all that follows on it; what is upstream stays" }
                (steps("steer-from", "from", keys))
                p.error role="alert" data-error="" hidden {}
                p.buttons { button type="submit" data-confirm="Execute this step and all that follows on it again?" { "Go back" } }
            }
        }
    }
}

fn fork(run: &Run, keys: &[String]) -> Markup {
    html! {
        details.fold data-key="steer-fork" {
            summary { "Fork" }
            form data-post={ "/runs/" (run.id) "/forks" } data-goto="run" data-keep="steer-fork" {
                label for="steer-at" { "A new run that shares everything before this step" }
                (steps("steer-at", "at", keys))
                label for="steer-route" { "Another model route for the Coder" }
                input id="steer-route" name="routes/coder" placeholder="coder" maxlength="80";
                label for="steer-note" { "A message to its agents" }
                textarea id="steer-note" name="message" rows="2" {}
                p.error role="alert" data-error="" hidden {}
                p.buttons { button type="submit" { "Fork" } }
            }
        }
    }
}
