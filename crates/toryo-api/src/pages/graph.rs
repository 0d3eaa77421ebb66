//! The step graph: what leads to the subtasks, one lane a subtask with its rounds, what follows on them.

use crate::pages::layout::{elapsed, icon};
use crate::pages::words;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use std::collections::BTreeSet;
use toryo_blackboard::StepRow;
use toryo_domain::{Output, Plan, StepKind, StepStatus, plan::MERGED};

/// A row of the graph.
struct Lane<'a> {
    id: &'a str,
    steps: Vec<&'a StepRow>,
}

/// The graph of a run; what the default graph will bring is shown as an outline.
#[must_use]
pub fn graph(steps: &[StepRow], now: DateTime<Utc>) -> Markup {
    let plan = plan_of(steps);
    let of = |kinds: &[StepKind]| -> Vec<&StepRow> {
        steps.iter().filter(|step| step.key.subtask.is_none() && kinds.contains(&step.key.kind)).collect()
    };
    let lanes = lanes(steps, plan);
    html! {
        div.graph {
            (rail(&of(&[StepKind::Spec, StepKind::Plan]), &[StepKind::Spec, StepKind::Plan], now))
            ol.lanes aria-label="Subtasks" {
                @if lanes.is_empty() {
                    li.lane { ol.rail { @for kind in [StepKind::Retrieve, StepKind::Code, StepKind::Test, StepKind::Critic] { (outline(kind)) } } }
                }
                @for lane in &lanes { (lane_row(lane, plan, now)) }
            }
            (rail(&of(&[StepKind::Merge, StepKind::Integrate]), &[StepKind::Merge, StepKind::Integrate], now))
            @let drafts = of(&[StepKind::Draft]);
            @if !drafts.is_empty() { (rail(&drafts, &[StepKind::Draft], now)) }
        }
    }
}

/// The plan of the last round.
fn plan_of(steps: &[StepRow]) -> Option<&Plan> {
    let plans = steps.iter().filter_map(|step| match &step.output {
        Some(Output::Plan(output)) => Some((step.key.round, &output.plan)),
        _ => None,
    });
    plans.max_by_key(|(round, _)| *round).map(|(_, plan)| plan)
}

/// One lane a subtask: in the plan's order, then the repairs of the join, then what an earlier plan had.
fn lanes<'a>(steps: &'a [StepRow], plan: Option<&'a Plan>) -> Vec<Lane<'a>> {
    let mut ids: Vec<&str> = plan.iter().flat_map(|plan| &plan.subtasks).map(|it| it.id.as_str()).collect();
    let mut seen: BTreeSet<&str> = ids.iter().copied().collect();
    ids.extend(steps.iter().filter_map(|step| step.key.subtask.as_deref()).filter(|id| seen.insert(id)));
    ids.into_iter()
        .map(|id| Lane {
            id,
            steps: steps.iter().filter(|step| step.key.subtask.as_deref() == Some(id)).collect(),
        })
        .collect()
}

fn lane_row(lane: &Lane<'_>, plan: Option<&Plan>, now: DateTime<Utc>) -> Markup {
    let subtask = plan.and_then(|plan| plan.subtask(lane.id));
    let title = match subtask {
        Some(subtask) => subtask.title.as_str(),
        None if lane.id == MERGED => "Repairs of the joined change",
        None => lane.id,
    };
    let waits_for = subtask.map(|subtask| subtask.depends_on.join(", ")).filter(|list| !list.is_empty());
    html! {
        li.lane {
            p.lane-title {
                span { (title) }
                @if let Some(list) = waits_for { span.faint { "after " (list) } }
            }
            ol.rail {
                @for step in &lane.steps { (chip(step, now)) }
                @if lane.steps.is_empty() { @for kind in [StepKind::Retrieve, StepKind::Code, StepKind::Test, StepKind::Critic] { (outline(kind)) } }
            }
        }
    }
}

fn rail(steps: &[&StepRow], expected: &[StepKind], now: DateTime<Utc>) -> Markup {
    html! {
        ol.rail.trunk {
            @for kind in expected {
                @let found: Vec<_> = steps.iter().filter(|step| step.key.kind == *kind).collect();
                @for step in &found { (chip(step, now)) }
                @if found.is_empty() { (outline(*kind)) }
            }
        }
    }
}

fn chip(step: &StepRow, now: DateTime<Utc>) -> Markup {
    let key = step.key.to_string();
    let objection = objection(step);
    let status = objection.unwrap_or_else(|| words::step_status(step.status));
    let icon_name = if objection.is_some() { "objection" } else { icon_of(step.status) };
    html! {
        li.chip.{ "st-" (step.status) }.objection[objection.is_some()] {
            button type="button" data-step=(key) title={ (key) " – " (status) @if step.attempts > 1 { ", attempt " (step.attempts) } } {
                (icon(icon_name))
                span.chip-name { (words::step_kind(step.key.kind)) @if step.key.round > 1 { " " span.round { (step.key.round) } } }
                span.visually-hidden { (status) }
                @if step.started_at.is_some() { span.chip-time { (elapsed(step.started_at, step.finished_at, now)) } }
            }
        }
    }
}

/// What a step that did its work has to say against the change.
const fn objection(step: &StepRow) -> Option<&'static str> {
    match &step.output {
        Some(Output::Test(test)) if !test.passed => Some("tests fail"),
        Some(Output::Critic(review)) if !review.approved => Some("asks for a revision"),
        Some(Output::Merge(merge)) if !merge.conflicts.is_empty() => Some("conflicts"),
        Some(Output::Merge(merge)) => match &merge.test {
            Some(test) if !test.passed => Some("tests fail"),
            _ => None,
        },
        _ => None,
    }
}

fn outline(kind: StepKind) -> Markup {
    html! {
        li.chip.outline { span.chip-body { (icon("pending")) span.chip-name { (words::step_kind(kind)) } span.visually-hidden { "not yet" } } }
    }
}

const fn icon_of(status: StepStatus) -> &'static str {
    match status {
        StepStatus::Pending => "pending",
        StepStatus::Ready => "ready",
        StepStatus::Running => "running",
        StepStatus::Succeeded => "done",
        StepStatus::Failed => "failed",
        StepStatus::Cancelled => "cancelled",
    }
}
