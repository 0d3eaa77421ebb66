//! Stores what [`advance`](crate::advance) says: the one way by which a run's graph grows and a run turns.

use crate::advance::{Graph, Rules, Turn, advance};
use serde_json::{Value, json};
use std::time::Duration;
use toryo_blackboard::db::Connection;
use toryo_blackboard::{Error, Run, StepRow, events, outbox, runs, steps};
use toryo_domain::{EventType, Gate, NewEvent, Output, RunId, RunSignal, StepId, StepKey, StepStatus};

/// Grows the graph of a locked run and stores `events` before those that follow; returns the last number.
pub async fn grow(tx: &mut Connection, run: &mut Run, mut events: Vec<NewEvent>) -> Result<u64, Error> {
    let rows = steps::of_run_in(tx, run.id).await?;
    let next = advance(&Graph::new(&rows), &Rules::from(&*run));
    for step in &next.append {
        steps::append(tx, run.id, run.priority.rank(), step).await?;
    }
    for key in &next.unblock {
        let id = steps::unblock(tx, run.id, key).await?;
        announce(tx, run.id, id, "1", Duration::ZERO).await?;
        let data = json!({ "role": key.kind.role() });
        events.push(NewEvent::of_step(EventType::StepReady, key.clone(), None, data));
    }
    if let Some(turn) = next.turn {
        events.extend(take(tx, run, &rows, turn).await?);
    }
    events::append(tx, run.id, &events).await
}

/// Puts a wake-up for a step into the outbox. The queue drops a second one of the same `round`.
pub async fn announce(
    tx: &mut Connection,
    run: RunId,
    step: StepId,
    round: &str,
    delay: Duration,
) -> Result<(), Error> {
    let payload = json!({ "version": 1, "run_id": run, "step_id": step });
    outbox::push(tx, "step_ready", &format!("{step}:{round}"), &payload, delay).await
}

/// Announces the ready steps of a run that may go on again; what was announced meanwhile found nothing to do.
pub async fn announce_again(tx: &mut Connection, run: &Run) -> Result<(), Error> {
    for step in steps::of_run_in(tx, run.id).await?.iter().filter(|step| step.status == StepStatus::Ready) {
        announce(tx, run.id, step.id, &format!("resumed-{}", run.last_seq), Duration::ZERO).await?;
    }
    Ok(())
}

/// Turns the run, where its status allows it: a run that stopped for a person meanwhile stays stopped.
async fn take(
    tx: &mut Connection,
    run: &mut Run,
    steps: &[StepRow],
    turn: Turn,
) -> Result<Option<NewEvent>, Error> {
    let (signal, event, reason, gate, data) = match turn {
        Turn::AskInput => {
            let reason = "the goal cannot be acted on before its open questions are answered".to_owned();
            let data = json!({ "questions": open_questions(steps) });
            (RunSignal::AskInput, EventType::RunWaitingForInput, Some(reason), None, data)
        }
        Turn::AskApproval(gate) => {
            let reason = match gate {
                Gate::Plan => "the plan waits for approval",
                Gate::PullRequest => "the change waits for approval before its pull request is opened",
            };
            let data = json!({ "gate": gate });
            (
                RunSignal::AskApproval,
                EventType::RunWaitingForApproval,
                Some(reason.to_owned()),
                Some(gate),
                data,
            )
        }
        Turn::HitGuardrail(reason) => {
            let data = json!({ "reason": reason });
            (RunSignal::HitGuardrail, EventType::RunNeedsHuman, Some(reason), None, data)
        }
        Turn::Succeed => (RunSignal::Succeed, EventType::RunSucceeded, None, None, result(steps)),
    };
    if run.status.after(signal).is_err() {
        return Ok(None);
    }
    runs::signal(tx, run, signal, reason.as_deref(), gate).await?;
    Ok(Some(NewEvent::of_run(event, data)))
}

fn latest(steps: &[StepRow], wanted: impl Fn(&StepKey) -> bool) -> Option<&Output> {
    steps.iter().filter(|step| wanted(&step.key)).max_by_key(|step| step.key.round)?.output.as_ref()
}

fn open_questions(steps: &[StepRow]) -> Value {
    match latest(steps, |key| key.kind == toryo_domain::StepKind::Spec) {
        Some(Output::Spec(spec)) => json!(spec.questions),
        _ => json!([]),
    }
}

fn result(steps: &[StepRow]) -> Value {
    match latest(steps, |key| key.kind == toryo_domain::StepKind::Integrate) {
        Some(Output::Integrate(output)) => json!({
            "branch": output.branch, "commit": output.commit, "pull_request": output.pull_request
        }),
        _ => json!({}),
    }
}
