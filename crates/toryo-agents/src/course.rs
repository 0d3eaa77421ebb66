//! Another course for work that goes round in circles: what agents are told, by the rules of
//! [`toryo_engine::loops`].

use std::fmt::Write as _;
use toryo_domain::{Output, StepKey, StepKind};
use toryo_engine::StepContext;
use toryo_engine::loops::{self, Course};

/// Most characters of one earlier attempt.
const LONGEST: usize = 400;

/// Whether the work on a subtask went round in circles, so that the next step takes another course.
pub(crate) fn has_changed(ctx: &StepContext, subtask: &str) -> bool {
    match loops::course(&loops::history(subtask, |key| ctx.outputs.get(key))) {
        Course::Keep => false,
        Course::Change { .. } | Course::Stop(_) => true,
    }
}

/// What was seen and what was tried, where the work went round in circles.
pub(crate) fn dead_ends(ctx: &StepContext, subtask: &str) -> Option<String> {
    let circle = match loops::course(&loops::history(subtask, |key| ctx.outputs.get(key))) {
        Course::Keep => return None,
        Course::Change { circle, .. } | Course::Stop(circle) => circle,
    };
    let mut text = format!("{circle}.\n");
    for round in 1.. {
        let Some(Output::Code(code)) = ctx.outputs.get(&StepKey::of_subtask(StepKind::Code, subtask, round))
        else {
            break;
        };
        let summary: String = code.summary.chars().take(LONGEST).collect();
        let _ = writeln!(text, "Attempt {round}: {summary}");
    }
    Some(text)
}
