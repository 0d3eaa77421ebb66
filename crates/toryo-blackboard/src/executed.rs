//! What a run executed, for executing it again: each succeeded step with the attempt that its outcome came from.

use crate::{Db, Error, row};
use chrono::{DateTime, Utc};
use toryo_domain::{Output, RunId, StepId, StepKey};

/// A step that succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct Executed {
    /// Its id: what its replies are journalled under.
    pub step_id: StepId,
    /// Its address.
    pub key: StepKey,
    /// Its outcome.
    pub output: Output,
    /// The attempt it came from; none where it is shared with another run.
    pub attempt: Option<Attempt>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// An attempt that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// Its fencing token.
    pub fence: i64,
    /// When it began: what was on the blackboard then is what it saw.
    pub started_at: DateTime<Utc>,
}

/// The succeeded steps of a run, in the order in which they ended.
///
/// # Errors
/// The database does not answer.
pub async fn of_run(db: &Db, run: RunId) -> Result<Vec<Executed>, Error> {
    let statement = "select steps.id, steps.step_key, steps.output, steps.finished_at, newest.attempt, newest.fence, \
                     newest.started_at as began from steps left join lateral (select attempt, fence, started_at \
                     from attempts where attempts.step_id = steps.id and result = 'succeeded' \
                     and steps.shared_from is null order by fence desc limit 1) newest on true \
                     where steps.run_id = $1 and steps.status = 'succeeded' order by steps.finished_at, steps.position";
    let rows = sqlx::query(statement).bind(run.uuid()).fetch_all(db.pool()).await?;
    rows.iter()
        .map(|row| {
            let number: Option<i32> = row::get(row, "attempt")?;
            let attempt = match (number, row::get(row, "fence")?, row::get(row, "began")?) {
                (Some(number), Some(fence), Some(started_at)) => {
                    let number = u32::try_from(number).map_err(|error| Error::corrupt("attempt", error))?;
                    Some(Attempt { number, fence, started_at })
                }
                _ => None,
            };
            Ok(Executed {
                step_id: row::get::<uuid::Uuid>(row, "id")?.into(),
                key: row::parse(row, "step_key")?,
                output: row::json(row, "output")?,
                attempt,
                finished_at: row::get(row, "finished_at")?,
            })
        })
        .collect()
}
