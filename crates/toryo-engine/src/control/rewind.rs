//! Going back to a step: it is executed again, and what follows on it is decided anew. What is upstream stays.

use super::resume::{grant, start_over};
use super::{Error, finish, resumed};
use crate::engine::Engine;
use crate::grow::{announce, announce_again, grow};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use toryo_blackboard::{Control, StepRow, graph, runs, steps};
use toryo_domain::{EventType, NewEvent, RunId, RunSignal, RunStatus, StepKey, StepKind, StepStatus};

/// Executes a step again, whatever came of it, and everything that follows on it. A run that ran meanwhile goes on; one
/// that stopped, waits or failed starts again.
///
/// # Errors
/// The run is over or has not begun, or the step is not part of it or has not begun.
pub async fn retry_from(engine: &Engine, run: RunId, by: &str, from: &StepKey) -> Result<RunStatus, Error> {
    let mut tx = engine.db.begin().await?;
    let mut run = runs::lock(&mut tx, run).await?;
    let rows = steps::of_run_in(&mut tx, run.id).await?;
    let row = rows.iter().find(|row| row.key == *from);
    match row.map(|row| row.status) {
        Some(StepStatus::Ready | StepStatus::Running | StepStatus::Succeeded | StepStatus::Failed)
            if from.kind != StepKind::Draft => {}
        Some(_) => return Err(Error::NotPossible(format!("step `{from}` has not begun"))),
        None => return Err(Error::NotPossible(format!("step `{from}` is not part of the run"))),
    }
    match run.status {
        RunStatus::Running => {}
        RunStatus::NeedsHuman | RunStatus::Failed => {
            grant(&mut run);
            runs::signal(&mut tx, &mut run, RunSignal::Retry, None, None).await?;
        }
        RunStatus::WaitingForInput | RunStatus::WaitingForApproval => {
            runs::signal(&mut tx, &mut run, RunSignal::Retry, None, None).await?;
        }
        RunStatus::Queued => return Err(Error::NotPossible("the run has not begun".into())),
        RunStatus::Succeeded | RunStatus::Cancelled => {
            let text = format!("the run is {}: fork it at `{from}` instead", run.status);
            return Err(Error::NotPossible(text));
        }
    }
    let following = following(&rows, from);
    let step = graph::rewind(&mut tx, run.id, from, &following).await?;
    start_over(&mut run, &rows);
    decide_anew(&mut run.control, from, &following);
    runs::set_control(&mut tx, run.id, &run.control).await?;
    let happened = vec![
        resumed(by, json!({ "from": from, "superseded": following })),
        NewEvent::of_step(EventType::StepReady, from.clone(), None, json!({ "role": from.kind.role() })),
    ];
    announce(&mut tx, run.id, step, &format!("rewound-{}", run.last_seq), Duration::ZERO).await?;
    announce_again(&mut tx, &run).await?;
    let seq = grow(&mut tx, &mut run, happened).await?;
    finish(engine, tx, &run, seq).await
}

/// The steps that follow on `from`: those that depend on it, directly or not, and later rounds of the same work.
#[must_use]
pub(super) fn following(rows: &[StepRow], from: &StepKey) -> Vec<StepKey> {
    let mut found: BTreeSet<&StepKey> = BTreeSet::from([from]);
    loop {
        let before = found.len();
        for row in rows {
            let later = found.iter().any(|key| {
                key.kind == row.key.kind && key.subtask == row.key.subtask && key.round < row.key.round
            });
            if later || row.depends_on.iter().any(|needed| found.contains(needed)) {
                found.insert(&row.key);
            }
        }
        if found.len() == before {
            break;
        }
    }
    found.into_iter().filter(|key| *key != from).cloned().collect()
}

/// Takes back what people decided about what no longer counts.
pub(super) fn decide_anew(control: &mut Control, from: &StepKey, following: &[StepKey]) {
    let gone = |kind: StepKind| from.kind == kind || following.iter().any(|key| key.kind == kind);
    match from.kind {
        StepKind::Spec => (control.spec_rounds, control.plan_rounds) = (from.round, 1),
        StepKind::Plan => control.plan_rounds = from.round,
        StepKind::Retrieve
        | StepKind::Reproduce
        | StepKind::Code
        | StepKind::Test
        | StepKind::Critic
        | StepKind::Merge
        | StepKind::Integrate
        | StepKind::Draft => {}
    }
    if gone(StepKind::Plan) {
        control.approved_plan = None;
    }
    if gone(StepKind::Merge) {
        control.approved_merge = None;
        control.merge_rounds =
            if from.kind == StepKind::Merge { control.merge_rounds.min(from.round) } else { 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, depends_on: &[&str]) -> StepRow {
        let key: StepKey = key.parse().unwrap();
        let now = chrono::DateTime::UNIX_EPOCH;
        StepRow {
            id: toryo_domain::StepId::generate(),
            run_id: RunId::generate(),
            role: key.kind.role(),
            key,
            status: StepStatus::Succeeded,
            depends_on: depends_on.iter().map(|key| key.parse().unwrap()).collect(),
            attempts: 1,
            epoch: 0,
            output: None,
            failure: None,
            ready_at: None,
            created_at: now,
            started_at: None,
            finished_at: None,
        }
    }

    #[test]
    fn what_follows_is_what_depends_on_it_and_later_rounds() {
        let rows = [
            row("spec", &[]),
            row("plan", &["spec"]),
            row("plan#2", &["spec"]),
            row("retrieve:a", &["plan#2"]),
            row("code:a", &["retrieve:a"]),
            row("test:a", &["code:a"]),
            row("code:a#2", &["test:a"]),
            row("retrieve:b", &["plan#2"]),
            row("code:b", &["retrieve:b"]),
            row("merge", &["test:a", "code:b"]),
        ];
        let of = |key: &str| {
            let found = following(&rows, &key.parse().unwrap());
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("code:b"), "merge");
        assert_eq!(of("code:a"), "code:a#2 test:a merge");
        assert_eq!(of("code:a#2"), "");
        assert_eq!(of("plan"), "plan#2 retrieve:a retrieve:b code:a code:a#2 code:b test:a merge");
    }
}
