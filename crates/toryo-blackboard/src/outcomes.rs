//! Outcomes that only let the graph grow, or end their run: many runs in one statement, which is a transaction of its own.
//!
//! Whoever decides looks at the run without a lock ([`see`]). [`commit`] takes the locks, compares what was seen with what
//! is so now, and writes nothing for a run where that differs: then one looks again. The statement is `store_outcomes` of
//! the migrations; the fence of each attempt stands in it as everywhere.

mod columns;

use crate::{Claim, Db, Error, Run, StepRow, db::Connection, row, runs, steps};
use columns::Columns;
use serde_json::Value;
use std::fmt::Write;
use std::time::Duration;
use toryo_domain::{NewEvent, Output, RunId, StepId, StepKey, Task, WorkerId};
use uuid::Uuid;

/// A run as its worker saw it last.
#[derive(Debug, Clone)]
pub struct View {
    /// The run.
    pub run: Run,
    /// What was asked for.
    pub task: Task,
    /// Its graph, in the order in which steps were appended.
    pub steps: Vec<StepRow>,
    /// The place of its newest message; 0 where there is none.
    pub newest_message: i64,
    /// What people decided, as it is stored: another version may have written more than this one reads.
    control: Value,
}

/// What a run itself keeps of an outcome.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The branch and the commit it starts from, and its title.
    pub base: Option<[String; 3]>,
    /// The diff of the best state so far.
    pub best_diff: Option<String>,
    /// Its branch, the tip of that, and its pull request.
    pub result: Option<([String; 2], Value)>,
}

/// A step that a worker would go on with.
#[derive(Debug, Clone)]
pub struct Heir {
    /// The step.
    pub step: StepId,
    /// Its address.
    pub key: StepKey,
    /// Who asks for it.
    pub worker: WorkerId,
    /// How long its lease would hold without being extended.
    pub lease: Duration,
    /// After how many of the events it begins.
    pub place: usize,
    /// The facts of the event that says so.
    pub started: Value,
}

/// An outcome and what follows from it, decided on what a [`View`] showed.
#[derive(Debug)]
pub struct Outcome {
    /// The attempt.
    claim: Claim,
    control: Value,
    graph: String,
    output: Value,
    /// What the run keeps of it.
    pub kept: Kept,
    /// Steps to append, pending or ready.
    pub append: Vec<StepRow>,
    /// Steps that become ready, appended ones among them.
    pub waking: Vec<StepId>,
    /// Who would go on at once.
    pub heir: Option<Heir>,
    /// What happened, in order.
    pub events: Vec<NewEvent>,
    /// Whether the run has succeeded with it.
    pub is_end: bool,
}

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The number of the last event.
    pub seq: u64,
    /// The lease of the heir, where it got one.
    pub heir: Option<Claim>,
    /// The place of the run's newest message, where there is an heir; 0 where there is none.
    pub newest_message: i64,
}

impl Outcome {
    /// Of this attempt, with nothing that follows yet.
    ///
    /// # Errors
    /// The output cannot be written as JSON.
    pub fn new(view: &View, claim: &Claim, output: &Output) -> Result<Self, Error> {
        Ok(Self {
            claim: claim.clone(),
            control: view.control.clone(),
            graph: seen(&view.steps),
            output: row::to_json("output", output)?,
            kept: Kept::default(),
            append: vec![],
            waking: vec![],
            heir: None,
            events: vec![],
            is_end: false,
        })
    }

    /// The run.
    #[must_use]
    pub const fn run(&self) -> RunId {
        self.claim.run_id
    }

    /// The fencing token of the attempt.
    #[must_use]
    pub const fn fence(&self) -> i64 {
        self.claim.fence
    }
}

/// A run as it is now, without its lock.
///
/// # Errors
/// There is no such run, or the database does not answer.
pub async fn see(db: &Db, id: RunId) -> Result<View, Error> {
    let mut lane = db.lane().await?;
    let view = see_in(&mut lane.connection, id).await?;
    lane.done();
    Ok(view)
}

/// A run as a transaction sees it.
///
/// # Errors
/// There is no such run, or the database does not answer.
pub async fn see_in(db: &mut Connection, id: RunId) -> Result<View, Error> {
    let statement = "select runs.*, tasks.wish, tasks.created_at as asked_at, (select coalesce(max(n), 0) from messages \
                     where messages.run_id = runs.id) as newest_message \
                     from runs join tasks on tasks.id = runs.task_id where runs.id = $1";
    let found = sqlx::query(statement).bind(id.uuid()).fetch_optional(&mut *db).await?;
    let found = found.ok_or_else(|| runs::not_found(id))?;
    let steps = steps::of_run_in(db, id).await?;
    let task = Task {
        id: row::get::<Uuid>(&found, "task_id")?.into(),
        wish: row::json(&found, "wish")?,
        created_at: row::get(&found, "asked_at")?,
    };
    Ok(View {
        run: runs::of_wish(&found, task.wish.clone())?,
        task,
        steps,
        newest_message: row::get(&found, "newest_message")?,
        control: row::get(&found, "control")?,
    })
}

/// As the statement writes what it finds.
fn seen(steps: &[StepRow]) -> String {
    let mut text = String::with_capacity(steps.len() * 12);
    for step in steps {
        let between = if text.is_empty() { "" } else { " " };
        // Writing to a text cannot fail.
        let _written = write!(text, "{between}{}{}", step.status, step.epoch);
    }
    text
}

/// Stores these outcomes, of one run each, for an engine that understands graphs up to `version`. `None` for those whose
/// run is no longer as it was seen or is locked just now, whose lease is lost, or which are stored already: for these
/// nothing was written.
///
/// # Errors
/// The database does not answer, and whether it committed is then unknown; or it refuses one of them, and none is stored.
pub async fn commit(db: &Db, version: i16, outcomes: &[Outcome]) -> Result<Vec<Option<Stored>>, Error> {
    let mut columns = Columns::default();
    for (place, outcome) in (1..).zip(outcomes) {
        columns.push(place, outcome)?;
    }
    let mut lane = db.lane().await?;
    let rows = columns.statement(version).fetch_all(&mut lane.connection).await?;
    lane.done();
    let mut stored: Vec<Option<Stored>> = outcomes.iter().map(|_| None).collect();
    for found in &rows {
        let place = usize::try_from(row::get::<i64>(found, "place")? - 1).ok();
        let Some((outcome, slot)) =
            place.and_then(|place| Some((outcomes.get(place)?, stored.get_mut(place)?)))
        else {
            continue;
        };
        *slot = Some(Stored {
            seq: row::unsigned(found, "last_event")?,
            heir: outcome.heir.as_ref().map(|heir| leased(found, outcome, heir)).transpose()?.flatten(),
            newest_message: row::get(found, "newest_message")?,
        });
    }
    Ok(stored)
}

fn leased(row: &sqlx::postgres::PgRow, outcome: &Outcome, heir: &Heir) -> Result<Option<Claim>, Error> {
    let Some(fence) = row::get::<Option<i64>>(row, "heir_fence")? else { return Ok(None) };
    Ok(Some(Claim {
        run_id: outcome.run(),
        step_id: heir.step,
        key: heir.key.clone(),
        attempt: u32::try_from(row::get::<i32>(row, "heir_attempt")?)
            .map_err(|error| Error::corrupt("attempt", error))?,
        fence,
    }))
}
