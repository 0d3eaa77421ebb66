//! What holds after every order, as statements: each finds rows that must not be.

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use toryo_domain::RunId;

/// Numbered as in the description of this test.
const FORBIDDEN: &[(&str, &str)] = &[
    (
        "1: an event's number leaves a gap",
        "select seq::text from (select seq, row_number() over (order by seq) as n from events where run_id = $1) e where seq <> n",
    ),
    (
        "1: the counter is not the last event's number",
        "select last_seq::text from runs where id = $1 and last_seq <> (select count(*) from events where run_id = $1)",
    ),
    (
        "2: a step of a run that has ended runs or may run",
        "select step_key from steps join runs on runs.id = run_id where run_id = $1 \
         and runs.status in ('cancelled', 'succeeded') and steps.status in ('running', 'ready', 'pending')",
    ),
    (
        "2: a step of a run that failed runs",
        "select step_key from steps join runs on runs.id = run_id where run_id = $1 \
         and runs.status = 'failed' and steps.status = 'running'",
    ),
    (
        "3: the last event of a run that has ended does not say so",
        "select type from events join runs on runs.id = run_id where run_id = $1 and seq = last_seq \
         and status in ('cancelled', 'succeeded', 'failed') and type <> 'run.' || status",
    ),
    (
        "4: a step that does not run has a lease, or one that runs has none",
        "select step_key from steps where run_id = $1 and (status = 'running') <> (lease_until is not null)",
    ),
    (
        "4: an attempt is open whose step does not run under it",
        "select step_key from attempts join steps on steps.id = step_id where run_id = $1 \
         and attempts.finished_at is null and not (steps.status = 'running' and steps.fence = attempts.fence)",
    ),
    (
        "4: a running step's attempt is closed",
        "select step_key from steps where run_id = $1 and status = 'running' and not exists \
         (select 1 from attempts where step_id = steps.id and attempts.fence = steps.fence and finished_at is null)",
    ),
    (
        "5: a lease has an older token than one before it",
        "select step_key from steps where run_id = $1 and status = 'running' \
         and fence < (select max(attempts.fence) from attempts where step_id = steps.id)",
    ),
    (
        "6: a step has begun without what it depends on",
        "select step_key from steps where run_id = $1 and status in ('ready', 'running', 'succeeded') and exists \
         (select 1 from unnest(depends_on) needed where not exists (select 1 from steps other \
          where other.run_id = $1 and other.step_key = needed and other.status = 'succeeded'))",
    ),
    (
        "7: a step has an output and has not succeeded, or the other way round",
        "select step_key from steps where run_id = $1 and (status = 'succeeded') <> (output is not null)",
    ),
    (
        "7: a step has succeeded twice",
        "select step_key from attempts join steps on steps.id = step_id where run_id = $1 and result = 'succeeded' \
         group by step_key having count(*) > 1",
    ),
    (
        "9: a run has succeeded without a pull request, or says so more than once",
        "select status from runs where id = $1 and status = 'succeeded' and ((select count(*) from events \
         where run_id = $1 and type = 'run.succeeded') <> 1 or pull_request is null)",
    ),
];

/// What was seen before, for what must not change.
#[derive(Default)]
pub struct Memory {
    ended: Option<String>,
}

impl Memory {
    /// Checks everything.
    pub async fn look(&mut self, db: &PgPool, run: RunId) -> Result<(), String> {
        // One statement: it is asked after every order.
        let parts: Vec<String> = FORBIDDEN
            .iter()
            .map(|(what, statement)| {
                format!("select $q${what}: $q$ || found from ({statement}) as it (found)")
            })
            .collect();
        let all = AssertSqlSafe(parts.join(" union all "));
        let found: Vec<String> = sqlx::query_scalar(all)
            .bind(run.uuid())
            .fetch_all(db)
            .await
            .map_err(|error| error.to_string())?;
        if !found.is_empty() {
            return Err(found.join("; "));
        }
        let status: String = sqlx::query_scalar("select status from runs where id = $1")
            .bind(run.uuid())
            .fetch_one(db)
            .await
            .unwrap();
        let now = self.state(db, run).await;
        if let Some(ended) = self.ended.as_ref().filter(|ended| **ended != now) {
            return Err(format!("2: a run that has ended changes: {ended} becomes {now}"));
        }
        if ["cancelled", "succeeded"].contains(&&*status) {
            self.ended = Some(now);
        }
        Ok(())
    }

    /// Everything of a run that an outcome could change, as one text.
    pub async fn state(&self, db: &PgPool, run: RunId) -> String {
        let statement = "select concat_ws(' ', (select status || last_seq || control::text from runs where id = $1), \
             (select string_agg(concat_ws(',', step_key, status, attempts, fence, lease_until, epoch), ';' order by step_key) \
              from steps where run_id = $1), \
             (select string_agg(concat_ws(',', attempts.fence, result, attempts.finished_at), ';' order by attempts.fence) \
              from attempts join steps on steps.id = step_id where run_id = $1))";
        sqlx::query_scalar(statement).bind(run.uuid()).fetch_one(db).await.unwrap()
    }
}
