//! The short road of an outcome: decided on what the worker saw of the run, stored in one statement.
//!
//! It is taken where nothing happens but that the graph grows, or that the run succeeds with it. Everything else (a
//! person is asked, a limit is hit, a step is brought back) goes the long road of [`commit`](crate::commit), under the
//! run's lock from the first look on. Both decide with [`advance`](crate::advance).

use crate::Engine;
use crate::advance::{Advance, Graph, Rules, Turn, advance};
use crate::boundary::{Boundary, reached_by};
use crate::commit::Next;
use crate::grow::{changed_course, result};
use crate::summary::summary;
use crate::version::needed;
use crate::worker::starting;
use serde_json::json;
use toryo_blackboard::outcomes::{self, Heir, Kept, Outcome, View};
use toryo_blackboard::{Claim, Claimant, Error, NewStep, StepRow};
use toryo_domain::plan::MERGED;
use toryo_domain::{CommitId, EventType, NewEvent, Output, PullRequest, RunStatus, StepId, StepStatus};

/// Looks at a run that others change at the same time, before the long road is taken.
const LOOKS: u32 = 3;

/// An outcome with what follows from it, and the graph with that.
struct Decided {
    outcome: Outcome,
    steps: Vec<StepRow>,
}

/// Stores an outcome by the short road; `None` where it has to go the long one.
///
/// # Errors
/// The database does not answer; whether it committed is then unknown.
pub async fn success(
    engine: &Engine,
    view: Option<View>,
    claim: &Claim,
    output: &Output,
    heir: Option<&Claimant>,
) -> Result<Option<Option<Next>>, Error> {
    let mut seen = view;
    for _ in 0..LOOKS {
        let view = match seen.take() {
            Some(view) => view,
            None => outcomes::see(&engine.db, claim.run_id).await?,
        };
        let Some(decided) = decide(&view, claim, output, heir)? else { return Ok(None) };
        if let Some(next) = store(engine, view, decided, claim).await? {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

async fn store(
    engine: &Engine,
    mut view: View,
    Decided { outcome, mut steps }: Decided,
    claim: &Claim,
) -> Result<Option<Option<Next>>, Error> {
    let woken = outcome.waking.len();
    reached_by(Boundary::OutcomeLocked, &claim.key).await?;
    reached_by(Boundary::OutcomeWritten, &claim.key).await?;
    let Some(stored) = engine.batch.commit(engine, outcome).await? else { return Ok(None) };
    reached_by(Boundary::OutcomeCommitted, &claim.key).await?;
    if woken > usize::from(stored.heir.is_some()) {
        engine.committed(claim.run_id, stored.seq).await;
    } else {
        engine.told(claim.run_id, stored.seq).await;
    }
    let Some(next) = stored.heir else { return Ok(Some(None)) };
    if let Some(step) = steps.iter_mut().find(|step| step.id == next.step_id) {
        (step.status, step.attempts) = (StepStatus::Running, next.attempt);
    }
    (view.steps, view.newest_message, view.run.last_seq) = (steps, stored.newest_message, stored.seq);
    Ok(Some(Some(Next { claim: next, view: Some(view) })))
}

/// What follows from an outcome; `None` where that is more than that the graph grows or the run succeeds.
fn decide(
    view: &View,
    claim: &Claim,
    output: &Output,
    heir: Option<&Claimant>,
) -> Result<Option<Decided>, Error> {
    if view.run.status != RunStatus::Running || view.run.control.stopping.is_some() {
        return Ok(None);
    }
    let mut steps = view.steps.clone();
    let Some(done) = steps.iter_mut().find(|step| step.id == claim.step_id) else { return Ok(None) };
    (done.status, done.output, done.failure) = (StepStatus::Succeeded, Some(output.clone()), None);
    let next = advance(&Graph::new(&steps), &Rules::from(&view.run));
    let mut outcome = Outcome::new(view, claim, output)?;
    outcome.is_end = match next.turn {
        None => false,
        Some(Turn::Succeed) => true,
        Some(Turn::AskInput | Turn::AskApproval(_) | Turn::HitGuardrail(_)) => return Ok(None),
    };
    let known = steps.len();
    for step in &next.append {
        // A step that was there before is brought back, and one that old workers do not know marks its run.
        if steps.iter().any(|row| row.key == step.key) || needed(step.key.kind) > 1 {
            return Ok(None);
        }
        steps.push(pending(view, step));
    }
    outcome.kept = kept(claim, output)?;
    outcome.events.push(NewEvent::of_step(
        EventType::StepSucceeded,
        claim.key.clone(),
        Some(claim.attempt),
        summary(output),
    ));
    outcome.events.extend(next.changed_course.iter().map(changed_course));
    let heir = heir.filter(|_| !outcome.is_end);
    wake(&mut outcome, &mut steps, &next, heir);
    if outcome.is_end {
        outcome.events.push(NewEvent::of_run(EventType::RunSucceeded, result(&steps)));
    }
    outcome.append = steps.get(known..).unwrap_or_default().to_vec();
    Ok(Some(Decided { outcome, steps }))
}

/// Makes steps ready, the first one for the heir.
fn wake(outcome: &mut Outcome, steps: &mut [StepRow], next: &Advance, heir: Option<&Claimant>) {
    for key in &next.unblock {
        let Some(step) = steps.iter_mut().find(|step| step.key == *key) else { continue };
        step.status = StepStatus::Ready;
        outcome.waking.push(step.id);
        let data = json!({ "role": step.role });
        outcome.events.push(NewEvent::of_step(EventType::StepReady, key.clone(), None, data));
        if let Some(claimant) = heir.filter(|it| outcome.heir.is_none() && it.roles.contains(&step.role)) {
            outcome.heir = Some(Heir {
                step: step.id,
                key: key.clone(),
                worker: claimant.worker,
                lease: claimant.lease,
                place: outcome.events.len(),
                started: starting(step.role, claimant.worker),
            });
        }
    }
}

/// A step as it is appended. Its times are those of the database, which nobody asks for here.
fn pending(view: &View, step: &NewStep) -> StepRow {
    StepRow {
        id: StepId::generate(),
        run_id: view.run.id,
        key: step.key.clone(),
        role: step.key.kind.role(),
        status: StepStatus::Pending,
        depends_on: step.depends_on.clone(),
        attempts: 0,
        epoch: 0,
        output: None,
        failure: None,
        ready_at: None,
        created_at: view.run.created_at,
        started_at: None,
        finished_at: None,
    }
}

/// What the run itself keeps of an output.
pub fn kept(claim: &Claim, output: &Output) -> Result<Kept, Error> {
    let mut kept = Kept::default();
    let result = |branch: &String, commit: &CommitId, pull_request: &PullRequest| {
        let pull_request =
            serde_json::to_value(pull_request).map_err(|error| Error::corrupt("pull request", error))?;
        Ok::<_, Error>(Some(([branch.clone(), commit.to_string()], pull_request)))
    };
    match output {
        Output::Spec(it) => {
            kept.base = Some([it.base_branch.clone(), it.base_commit.to_string(), it.title.clone()])
        }
        // What is mended on the joined tree shows in the next join.
        Output::Code(_) if claim.key.subtask.as_deref() == Some(MERGED) => {}
        Output::Code(code) => kept.best_diff = Some(code.diff.to_string()),
        Output::Merge(merge) => kept.best_diff = Some(merge.diff.to_string()),
        Output::Integrate(end) => kept.result = result(&end.branch, &end.commit, &end.pull_request)?,
        Output::Draft(end) => kept.result = result(&end.branch, &end.commit, &end.pull_request)?,
        Output::Plan(_)
        | Output::Retrieve(_)
        | Output::Reproduce(_)
        | Output::Test(_)
        | Output::Critic(_) => {}
    }
    Ok(kept)
}
