//! What a run wants from a person: answers, an approval, a decision at a limit. And what people may always do.

use crate::pages::layout::{coded, icon, link};
use crate::pages::words;
use maud::{Markup, html};
use toryo_blackboard::{Run, StepRow};
use toryo_domain::output::{PlanOutput, Question, Weight};
use toryo_domain::{Gate, Output, RunStatus, StepKind};
use toryo_engine::control::gate_round;

/// The banner; nothing while the run needs nobody.
#[must_use]
pub fn banner(run: &Run, steps: &[StepRow]) -> Markup {
    match run.status {
        RunStatus::WaitingForInput => answers(run, &questions(steps)),
        RunStatus::WaitingForApproval => approval(run, steps),
        RunStatus::NeedsHuman => stopped(run),
        RunStatus::Failed => html! {
            section.ask.bad aria-labelledby="ask-title" {
                h2 id="ask-title" { (icon("failed")) "The run failed" }
                p.reason { (coded(run.status_reason.as_deref().unwrap_or("The log says why."))) }
                p.buttons { (button(run, "retry", "Try what failed again", "primary")) }
            }
        },
        RunStatus::Queued | RunStatus::Running | RunStatus::Succeeded | RunStatus::Cancelled => html! {},
    }
}

/// Buttons of the header, as the status allows.
#[must_use]
pub fn buttons(run: &Run) -> Markup {
    html! {
        @if matches!(run.status, RunStatus::Queued | RunStatus::Running) {
            button type="button" data-action={ "/runs/" (run.id) "/pause" } { "Pause" }
        }
        @if !run.status.is_final() {
            button.danger type="button" data-action={ "/runs/" (run.id) "/cancel" } data-confirm="End this run? What it has so far is kept." { "Cancel run" }
        }
    }
}

fn button(run: &Run, action: &str, text: &str, class: &str) -> Markup {
    html! { button class=(class) type="button" data-action={ "/runs/" (run.id) "/" (action) } { (text) } }
}

/// The questions of the last `spec` step, those that stop the run first.
fn questions(steps: &[StepRow]) -> Vec<&Question> {
    let specs = steps.iter().filter_map(|step| match &step.output {
        Some(Output::Spec(spec)) => Some((step.key.round, spec)),
        _ => None,
    });
    let last = specs.max_by_key(|(round, _)| *round);
    let mut questions: Vec<&Question> = last.iter().flat_map(|(_, spec)| &spec.questions).collect();
    questions.sort_by_key(|question| std::cmp::Reverse(question.weight));
    questions
}

fn answers(run: &Run, questions: &[&Question]) -> Markup {
    html! {
        section.ask aria-labelledby="ask-title" {
            h2 id="ask-title" { (icon("person")) "Questions before work can begin" }
            ol.questions {
                @for question in questions {
                    li {
                        (coded(&question.text)) " "
                        span.tag.bad[question.weight == Weight::Blocking] { (question.weight) }
                        @if !question.assumption.is_empty() { p.faint { "Otherwise assumed: " (coded(&question.assumption)) } }
                    }
                }
            }
            form data-post={ "/runs/" (run.id) "/messages" } data-keep="answer" {
                label for="answer" { "Your answer" }
                textarea id="answer" name="body" rows="4" required {}
                p.error role="alert" data-error="" hidden {}
                p.buttons { button.primary type="submit" { "Answer and go on" } }
            }
        }
    }
}

fn approval(run: &Run, steps: &[StepRow]) -> Markup {
    let (title, hint) = match run.gate {
        Some(Gate::Plan) => {
            ("The plan waits for your approval", "Approve it, or say what should be different.")
        }
        Some(Gate::PullRequest) | None => (
            "The change waits for your approval",
            "Read the change and its tests below. A pull request follows on approval.",
        ),
    };
    // What the person saw: where the run has gone on meanwhile, the press decides nothing.
    let seen = serde_json::json!({ "gate": run.gate, "round": gate_round(run, steps) });
    html! {
        section.ask aria-labelledby="ask-title" {
            h2 id="ask-title" { (icon("person")) (title) }
            @if run.gate == Some(Gate::Plan) { (plan(steps)) }
            p.faint { (hint) }
            form data-keep="comment" {
                label for="comment" { "Comment" }
                textarea id="comment" name="comment" rows="3" aria-describedby="comment-hint" {}
                p.hint id="comment-hint" { "Without a comment a rejection ends the run." }
                p.error role="alert" data-error="" hidden {}
                p.buttons {
                    button.primary type="submit" data-post={ "/runs/" (run.id) "/approve" } data-with=(seen) { "Approve" }
                    button type="submit" data-post={ "/runs/" (run.id) "/reject" } data-with=(seen)
                        data-confirm-blank="Reject without a comment? That ends the run." { "Reject" }
                }
            }
        }
    }
}

fn plan(steps: &[StepRow]) -> Markup {
    let plans = steps.iter().filter(|step| step.key.kind == StepKind::Plan);
    let Some(Output::Plan(PlanOutput { plan })) =
        plans.max_by_key(|step| step.key.round).and_then(|step| step.output.as_ref())
    else {
        return html! {};
    };
    html! {
        p { (coded(&plan.summary)) }
        ol.plan {
            @for subtask in &plan.subtasks {
                li {
                    strong { (subtask.title) } " " span.tag { (words::subtask_kind(subtask.kind)) }
                    p { (coded(&subtask.description)) }
                    @let files: Vec<&str> = subtask.target_files.iter().chain(&subtask.new_files).map(|path| path.as_str()).collect();
                    p.faint { (files.join(", ")) }
                }
            }
        }
    }
}

fn stopped(run: &Run) -> Markup {
    html! {
        section.ask aria-labelledby="ask-title" {
            h2 id="ask-title" { (icon("person")) @if run.control.paused { "Paused" } @else { "Stopped: a person decides" } }
            p.reason { (coded(run.status_reason.as_deref().unwrap_or("The log says why."))) }
            @if run.control.paused {
                p.faint { "Nothing is lost. It goes on where it stood." }
            } @else if let Some(pull) = run.pull_request.as_ref().filter(|pull| pull.draft) {
                p { "The best state so far is a draft: " (link(&pull.url, &format!("#{}", pull.number))) ". It says what is missing." }
                p.faint { "Going on grants the same allowance once more; the same pull request becomes ready in the end." }
            } @else {
                p.faint { "The best state so far is kept and shown. Going on grants the same allowance once more." }
            }
            form data-keep="hint" {
                label for="hint" { "A hint for the agents" }
                textarea id="hint" name="body" rows="2" aria-describedby="hint-hint" {}
                p.hint id="hint-hint" { "Optional. They read it with their next step." }
                p.error role="alert" data-error="" hidden {}
                p.buttons {
                    button.primary type="submit" data-first={ "/runs/" (run.id) "/messages" } data-post={ "/runs/" (run.id) "/resume" } {
                        "Go on"
                    }
                }
            }
        }
    }
}
