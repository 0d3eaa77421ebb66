//! Executing a finished run again, without writing anything: every step sees what it saw then, and its outcome and events
//! are compared with those that are stored.
//!
//! The agents are given by the caller, with tools that answer from the journal and publish nothing. What may differ is
//! time: durations, moments, and logs of commands, which hold both. Everything else is compared bit by bit.

mod compare;

pub use compare::Difference;

use crate::advance::{Graph, Rules, advance};
use crate::agent::{Agent, Orders, Recorder, StepContext};
use crate::inbox::as_shown;
use crate::{Engine, Failure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use toryo_blackboard::executed::{self, Attempt, Executed};
use toryo_blackboard::messages::{self, Shown};
use toryo_blackboard::{BlobStore, Error, Message, Run, StepRow};
use toryo_blackboard::{archive, runs, steps, tasks};
use toryo_domain::{Event, RunId, RunStatus, StepId, StepKey, StepKind, StepStatus, Task, WorkerId};

/// A finished run, read for executing it again.
pub struct Replay {
    run: Run,
    task: Task,
    rows: Vec<StepRow>,
    executed: Vec<Executed>,
    messages: Vec<Message>,
    shown: HashMap<StepId, Shown>,
    events: Vec<Event>,
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReplay {
    /// The step.
    pub step_key: StepKey,
    /// How it compares.
    pub verdict: Verdict,
    /// Where it differs.
    pub differences: Vec<Difference>,
    /// Why it was not executed, or how it failed.
    pub note: Option<String>,
}

/// How a step compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Outcome and events are the same.
    Same,
    /// They are not, or the step failed this time.
    Different,
    /// It was not executed: its outcome belongs to another run, or cannot be asked for any more.
    Skipped,
}

/// What a replay says as it goes on, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// A step was executed again.
    Step(StepReplay),
    /// All of them were.
    End(Summary),
}

/// How a whole run compares.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Whether nothing differs.
    pub same: bool,
    /// Steps that are the same.
    pub steps_same: usize,
    /// Steps that differ.
    pub steps_different: usize,
    /// Steps that were not executed.
    pub steps_skipped: usize,
    /// Where the engine decides differently now.
    pub decisions: Vec<Difference>,
}

/// Most events read at once.
const PAGE: u32 = 1000;

impl Replay {
    /// Reads a run.
    ///
    /// # Errors
    /// It is still under way (as [`Error::Conflict`]), or there is none.
    pub async fn read(engine: &Engine, blobs: &dyn BlobStore, run: RunId) -> Result<Self, Error> {
        let db = &engine.db;
        let run = runs::get(db, run).await?;
        if !run.status.is_final() && run.status != RunStatus::NeedsHuman {
            return Err(Error::Conflict(format!(
                "the run is {}: only one that has ended can be replayed",
                run.status
            )));
        }
        let mut stored = Vec::new();
        loop {
            let after = stored.last().map_or(0, |event: &Event| event.seq);
            let page = archive::events_after(db, blobs, run.id, after, PAGE).await?;
            if page.is_empty() {
                break;
            }
            stored.extend(page);
        }
        Ok(Self {
            task: tasks::get(db, run.task_id).await?.task,
            rows: steps::of_run(db, run.id).await?,
            executed: executed::of_run(db, run.id).await?,
            messages: messages::of_run(db, run.id).await?,
            shown: messages::shown_in_run(db, run.id).await?,
            events: stored,
            run,
        })
    }

    /// The run.
    #[must_use]
    pub const fn run(&self) -> &Run {
        &self.run
    }

    /// The steps to execute, in the order in which they ended.
    #[must_use]
    pub fn steps(&self) -> &[Executed] {
        &self.executed
    }

    /// Executes all steps again, one after the other, and says what came of each. Ends early where nobody listens.
    pub async fn all(
        &self,
        agents: &[Arc<dyn Agent>],
        blobs: &Arc<dyn BlobStore>,
        lines: &Sender<Line>,
        cancel: &CancellationToken,
    ) {
        let mut summary = Summary { decisions: self.decisions(), ..Summary::default() };
        for step in &self.executed {
            let replayed = tokio::select! {
                replayed = self.step(step, agents, blobs, cancel) => replayed,
                () = lines.closed() => return,
            };
            match replayed.verdict {
                Verdict::Same => summary.steps_same += 1,
                Verdict::Different => summary.steps_different += 1,
                Verdict::Skipped => summary.steps_skipped += 1,
            }
            if lines.send(Line::Step(replayed)).await.is_err() || cancel.is_cancelled() {
                return;
            }
        }
        summary.same = summary.steps_different == 0 && summary.decisions.is_empty();
        // Whoever no longer listens does not need the end.
        let _unheard = lines.send(Line::End(summary)).await;
    }

    /// Executes a step again and compares.
    pub async fn step(
        &self,
        step: &Executed,
        agents: &[Arc<dyn Agent>],
        blobs: &Arc<dyn BlobStore>,
        cancel: &CancellationToken,
    ) -> StepReplay {
        let done = |verdict, differences, note| StepReplay {
            step_key: step.key.clone(),
            verdict,
            differences,
            note,
        };
        let Some(attempt) = step.attempt else {
            let note = "its outcome is shared with the run it was forked from: replay that one";
            return done(Verdict::Skipped, vec![], Some(note.to_owned()));
        };
        if step.key.kind == StepKind::Draft && self.run.control.stopping.is_none() {
            return done(
                Verdict::Skipped,
                vec![],
                Some("the limit that asked for it was lifted since".to_owned()),
            );
        }
        let Some(agent) = agents.iter().find(|agent| agent.role() == step.key.kind.role()) else {
            return done(
                Verdict::Skipped,
                vec![],
                Some(format!("no agent plays the {}", step.key.kind.role())),
            );
        };
        let recorder = Arc::new(Recorder::default());
        let ctx = self.context(step, attempt, Arc::clone(&recorder), Arc::clone(blobs), cancel.clone());
        match agent.run(&ctx).await {
            Err(failure) => done(Verdict::Different, vec![], Some(failed(&failure))),
            Ok(output) => {
                let mut differences = compare::outputs(&step.output, &output, &**blobs).await;
                differences.extend(compare::events(&self.events_of(step, attempt), &recorder.events()));
                let verdict = if differences.is_empty() { Verdict::Same } else { Verdict::Different };
                done(verdict, differences, None)
            }
        }
    }

    /// What the step saw when its attempt began.
    fn context(
        &self,
        step: &Executed,
        attempt: Attempt,
        recorder: Arc<Recorder>,
        blobs: Arc<dyn BlobStore>,
        cancel: CancellationToken,
    ) -> StepContext {
        let mut task = self.task.clone();
        task.wish.limits = self.run.allowance();
        let before = |other: &&Executed| other.finished_at.is_some_and(|at| at <= attempt.started_at);
        let mut heard = vec![];
        if let Some(shown) = self.shown.get(&step.step_id) {
            for (call, messages) in as_shown(&self.messages, shown) {
                // Call 0 is the step's beginning.
                if call == 0 { heard = messages } else { recorder.say_at(call, messages) }
            }
        }
        StepContext {
            task,
            run_id: self.run.id,
            step_id: step.step_id,
            step_key: step.key.clone(),
            attempt: attempt.number,
            fence: attempt.fence,
            worker_id: WorkerId::generate(),
            outputs: self
                .executed
                .iter()
                .filter(before)
                .map(|other| (other.key.clone(), other.output.clone()))
                .collect(),
            messages: heard,
            orders: Orders {
                stopping: self.run.control.stopping.clone(),
                variant: self.run.origin.as_ref().map(|origin| origin.variant.clone()).unwrap_or_default(),
            },
            cancel,
            blobs,
            reporter: recorder,
        }
    }

    fn events_of(&self, step: &Executed, attempt: Attempt) -> Vec<&Event> {
        let of_attempt = |event: &&Event| {
            event.step_key.as_ref() == Some(&step.key)
                && event.attempt == Some(attempt.number)
                && event.at >= attempt.started_at
        };
        self.events.iter().filter(of_attempt).collect()
    }

    /// Decides again what follows on the stored outcomes, and compares the graph. Rounds that people asked for are not
    /// the engine's to decide.
    #[must_use]
    pub fn decisions(&self) -> Vec<Difference> {
        let rules = Rules::from(&self.run);
        let succeeded = |key: &StepKey| self.executed.iter().find(|step| step.key == *key);
        let mut rows: Vec<StepRow> = Vec::new();
        loop {
            let next = advance(&Graph::new(&rows), &rules);
            if next.append.is_empty() {
                break;
            }
            for new in next.append {
                let Some(mut row) = self.rows.iter().find(|row| row.key == new.key).cloned() else {
                    return vec![Difference::at("graph", "no such step", &new.key)];
                };
                row.status =
                    if succeeded(&row.key).is_some() { StepStatus::Succeeded } else { StepStatus::Failed };
                row.depends_on = new.depends_on;
                rows.push(row);
            }
        }
        let derived: BTreeSet<&StepKey> = rows.iter().map(|row| &row.key).collect();
        let asked_for = |key: &StepKey| match key.kind {
            StepKind::Spec => key.round < self.run.control.spec_rounds,
            StepKind::Plan => key.round < self.run.control.plan_rounds,
            StepKind::Draft => true,
            // What hangs on a plan that was rejected since went with it.
            _ => self.run.control.plan_rounds > 1,
        };
        let missing = self.executed.iter().map(|step| &step.key);
        let missing = missing.filter(|key| !derived.contains(key) && !asked_for(key));
        missing.map(|key| Difference::at("graph", key, "no such step")).collect()
    }
}

fn failed(failure: &Failure) -> String {
    format!("it failed this time ({}): {}", failure.class, failure.text)
}
