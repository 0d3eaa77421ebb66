//! Stores what [`advance`](crate::advance) says: the one way by which a run's graph grows and a run turns.

use crate::advance::{Advance, ChangedCourse, Graph, Rules, Turn, advance, draft_key};
use crate::version;
use crate::worker::started;
use serde_json::{Value, json};
use std::time::Duration;
use toryo_blackboard::db::Connection;
use toryo_blackboard::{Claim, Claimant, Error, Run, StepRow, events, graph, leases, outbox, runs, steps};
use toryo_domain::{
    EventType, Gate, NewEvent, Output, RunId, RunSignal, RunStatus, StepId, StepKey, StepStatus, Stopping,
};

/// Grows the graph of a locked run and stores `events` before those that follow; returns the last number.
pub async fn grow(tx: &mut Connection, run: &mut Run, events: Vec<NewEvent>) -> Result<u64, Error> {
    grow_for(tx, run, events, None).await
}

/// A worker that may go on with what its outcome makes ready, in the same commit and without a message.
pub struct Heir<'a> {
    /// The lease whose outcome is stored.
    pub done: &'a Claim,
    /// The worker.
    pub claimant: &'a Claimant,
    /// The lease it got.
    pub next: Option<Claim>,
}

/// As [`grow`]; the first step that becomes ready goes to the heir, where nobody waits who comes first.
pub async fn grow_for(
    tx: &mut Connection,
    run: &mut Run,
    mut events: Vec<NewEvent>,
    heir: Option<&mut Heir<'_>>,
) -> Result<u64, Error> {
    if run.control.stopping.is_some() {
        // What was put back since waits like the rest.
        graph::hold(tx, run.id, &draft_key(&run.control)).await?;
    }
    let rows = steps::of_run_in(tx, run.id).await?;
    let graph = Graph::new(&rows);
    let mut next = advance(&graph, &Rules::from(&*run));
    if let Some(Turn::HitGuardrail(stopping)) = &next.turn
        && run.control.stopping.is_none()
        && run.status == RunStatus::Running
        && graph.has_change()
    {
        // What it has becomes a draft before a person is called.
        events.push(begin_stopping(tx, run, stopping.clone()).await?);
        next = advance(&graph, &Rules::from(&*run));
    }
    let heir = heir.filter(|_| next.turn.is_none());
    store(tx, run, &next, &mut events, heir).await?;
    if let Some(turn) = next.turn {
        events.extend(take(tx, run, &rows, turn).await?);
    }
    events::append(tx, run.id, &events).await
}

/// Appends and unblocks steps.
async fn store(
    tx: &mut Connection,
    run: &Run,
    next: &Advance,
    events: &mut Vec<NewEvent>,
    mut heir: Option<&mut Heir<'_>>,
) -> Result<(), Error> {
    events.extend(next.changed_course.iter().map(changed_course));
    for step in &next.append {
        if !steps::append(tx, run.id, run.priority.rank(), step).await? {
            graph::revive(tx, run.id, step).await?;
        }
    }
    let newest = next.append.iter().map(|step| version::needed(step.key.kind)).max();
    if let Some(newest) = newest.filter(|newest| *newest > 1) {
        leases::need_version(tx, run.id, newest).await?;
    }
    for key in &next.unblock {
        let id = steps::unblock(tx, run.id, key).await?;
        let data = json!({ "role": key.kind.role() });
        events.push(NewEvent::of_step(EventType::StepReady, key.clone(), None, data));
        if let Some(heir) = heir.as_mut().filter(|heir| heir.next.is_none())
            && let Some(claim) = leases::follow(tx, id, heir.done, heir.claimant).await?
        {
            events.push(started(&claim, heir.claimant.worker));
            heir.next = Some(claim);
            continue;
        }
        // A step may be unblocked again after it was held: the queue must not take that for the same message.
        announce(tx, run.id, id, &format!("unblocked-{}", run.last_seq), Duration::ZERO).await?;
    }
    Ok(())
}

/// Says that a subtask takes another course.
pub fn changed_course(changed: &ChangedCourse) -> NewEvent {
    let text = format!("{}; the next repair takes another course", changed.circle);
    let data = json!({
        "decision": "change_course", "rule": changed.circle.rule(), "subtask": changed.subtask, "text": text,
    });
    NewEvent::of_run(EventType::PolicyDecision, data)
}

/// A limit was hit: from now on nothing new begins. The event says so; [`grow`] does the rest.
pub async fn begin_stopping(
    tx: &mut Connection,
    run: &mut Run,
    stopping: Stopping,
) -> Result<NewEvent, Error> {
    let data = json!({
        "decision": "stop", "rule": format!("limit.{}", stopping.limit), "text": stopping.reason,
    });
    run.control.stopping = Some(stopping);
    runs::set_control(tx, run.id, &run.control).await?;
    graph::hold(tx, run.id, &draft_key(&run.control)).await?;
    Ok(NewEvent::of_run(EventType::PolicyDecision, data))
}

/// Stores what happened, and what follows where the run is stopping.
pub async fn follow(tx: &mut Connection, run: &mut Run, events: Vec<NewEvent>) -> Result<u64, Error> {
    if run.control.stopping.is_some() {
        grow(tx, run, events).await
    } else {
        events::append(tx, run.id, &events).await
    }
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
            let waiting = Run { gate: Some(gate), ..run.clone() };
            let data = json!({ "gate": gate, "round": crate::control::gate_round(&waiting, steps) });
            (
                RunSignal::AskApproval,
                EventType::RunWaitingForApproval,
                Some(reason.to_owned()),
                Some(gate),
                data,
            )
        }
        Turn::HitGuardrail(stopping) => {
            let (reason, data) = stopped(run, steps, &stopping);
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

/// Why a run stops at a limit, and what it leaves.
fn stopped(run: &Run, steps: &[StepRow], stopping: &Stopping) -> (String, Value) {
    let draft = steps.iter().find(|step| step.key == draft_key(&run.control));
    let mut reason = stopping.reason.clone();
    let mut data = json!({ "class": "budget", "limit": stopping.limit });
    match draft.map(|step| (&step.output, &step.failure)) {
        Some((Some(Output::Draft(draft)), _)) => {
            data["branch"] = json!(draft.branch);
            data["pull_request"] = json!(draft.pull_request);
            data["missing"] = json!(draft.missing);
        }
        Some((_, Some(failure))) => {
            reason.push_str(&format!("; no draft could be made of what there is: {}", failure.text));
        }
        Some(_) | None => {}
    }
    data["reason"] = json!(reason);
    (reason, data)
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

/// What a run that has succeeded leaves.
pub fn result(steps: &[StepRow]) -> Value {
    match latest(steps, |key| key.kind == toryo_domain::StepKind::Integrate) {
        Some(Output::Integrate(output)) => json!({
            "branch": output.branch, "commit": output.commit, "pull_request": output.pull_request
        }),
        _ => json!({}),
    }
}
