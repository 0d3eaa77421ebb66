//! What a run leaves, without what differs from run to run; and what must not be left by all of them together.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sqlx::postgres::PgPool;
use sqlx::{Row, postgres::PgRow};
use std::path::Path;
use std::process::Command;
use uuid::Uuid;

/// The output of a Git command.
pub fn git(repository: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").arg("-C").arg(repository).args(arguments).output()?;
    ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

async fn rows(db: &PgPool, run: Uuid, statement: &'static str) -> Result<Vec<Value>> {
    let rows = sqlx::query(statement).bind(run).fetch_all(db).await?;
    rows.iter().map(|row: &PgRow| Ok(row.try_get::<Value, _>(0)?)).collect()
}

/// Everything that a run left and that matters, as JSON. Two runs of one task on one commit leave the same.
pub async fn of_run(db: &PgPool, run: Uuid, repository: &Path) -> Result<Value> {
    let row = sqlx::query(
        "select status, branch, commit_id, title, base_commit, best_diff from runs where id = $1",
    )
    .bind(run)
    .fetch_one(db)
    .await?;
    let branch: Option<String> = row.try_get("branch")?;
    let branch = branch.context("the run has no branch")?;
    let commit: Option<String> = row.try_get("commit_id")?;
    let steps = "select jsonb_build_object('key', step_key, 'status', status, 'needs', depends_on, 'output', output, \
                 'failure', failure) from steps where run_id = $1 order by step_key";
    let calls = "select jsonb_build_object('step', steps.step_key, 'call', call_no, 'request', request_digest, 'reply', \
                 reply -> 'content') from model_calls join steps on steps.id = model_calls.step_id \
                 where model_calls.run_id = $1 order by steps.step_key, call_no, request_digest";
    let artifacts = "select distinct jsonb_build_object('step', step_key, 'kind', kind, 'name', name, 'digest', digest) \
                     from artifacts where run_id = $1 order by 1";
    // What a repeated attempt says again is said more than once; what a run does happens once.
    // A run that stood still for a while leaves the same as one that did not.
    let events = "select jsonb_build_object('type', type, 'step', step_key, 'times', count(*)) from events \
                  where run_id = $1 and (type like 'run.%' or type = 'step.succeeded' or type = 'pull_request.opened') \
                  and not (type = 'run.needs_human' and data @> '{\"paused\": true}') \
                  and not (type = 'run.resumed' and not data ? 'gate') \
                  group by type, step_key order by type, step_key";
    let pulls = "select jsonb_build_object('title', title, 'body', body, 'base', base_branch, 'state', state, 'draft', \
                 draft, 'head', head_branch, 'commit', head_commit) from pull_requests where run_id = $1";
    let whole = json!({
        "status": row.try_get::<String, _>("status")?,
        "title": row.try_get::<Option<String>, _>("title")?,
        "base": row.try_get::<Option<String>, _>("base_commit")?,
        "best_diff": row.try_get::<Option<String>, _>("best_diff")?,
        "tree": git(repository, &["rev-parse", &format!("{branch}^{{tree}}")])?,
        "tip": git(repository, &["rev-parse", &branch])?,
        "parent": git(repository, &["rev-parse", &format!("{branch}^")])?,
        "steps": rows(db, run, steps).await?,
        "calls": rows(db, run, calls).await?,
        "artifacts": rows(db, run, artifacts).await?,
        "events": rows(db, run, events).await?,
        "pulls": rows(db, run, pulls).await?,
    });
    let mut text = whole.to_string();
    for (own, name) in [
        (run.to_string(), "RUN"),
        (branch, "BRANCH"),
        (commit.context("the run has no commit")?, "COMMIT"),
        (repository.display().to_string(), "REPOSITORY"),
    ] {
        text = text.replace(&own, name);
    }
    let mut whole: Value = serde_json::from_str(&text)?;
    for step in whole["steps"].as_array_mut().into_iter().flatten() {
        if let Some(pull) = step.pointer_mut("/output/pull_request") {
            pull["number"] = Value::Null;
            pull["url"] = Value::Null;
        }
    }
    Ok(whole)
}

/// What a run left that stopped at its limit. How far its subtasks had come then is a matter of chance; that there is one
/// draft of one branch, and that nothing came after it, is not.
pub async fn of_draft(db: &PgPool, run: Uuid, repository: &Path) -> Result<Value> {
    let statement = "select runs.status, runs.branch, steps.status as draft from runs \
                     join steps on steps.run_id = runs.id and steps.step_key = 'draft' where runs.id = $1";
    let row = sqlx::query(statement).bind(run).fetch_one(db).await.context("a run without a draft")?;
    let branch: Option<String> = row.try_get("branch")?;
    let tip = git(repository, &["rev-parse", &branch.context("the run has no branch")?])?;
    let events = "select jsonb_build_object('type', type, 'times', count(*)) from events where run_id = $1 \
                  and (type like 'run.%' or type = 'pull_request.opened' or step_key = 'draft' and type = 'step.succeeded') \
                  group by type order by type";
    let pulls = "select jsonb_build_object('base', base_branch, 'state', state, 'draft', draft, 'commit', head_commit) \
                 from pull_requests where run_id = $1";
    let whole = json!({
        "status": row.try_get::<String, _>("status")?,
        "draft": row.try_get::<String, _>("draft")?,
        "events": rows(db, run, events).await?,
        "pulls": rows(db, run, pulls).await?,
    });
    Ok(serde_json::from_str(&whole.to_string().replace(&tip, "TIP"))?)
}

/// The first lines in which two states differ.
pub fn difference(wanted: &Value, found: &Value) -> Option<String> {
    if wanted == found {
        return None;
    }
    let lines = |value: &Value| format!("{value:#}").lines().map(str::to_owned).collect::<Vec<_>>();
    let (wanted, found) = (lines(wanted), lines(found));
    let at = wanted.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let part = |lines: &[String]| lines[at.saturating_sub(6)..lines.len().min(at + 6)].join("\n");
    Some(format!("wanted:\n{}\nfound:\n{}", part(&wanted), part(&found)))
}

/// Checks that nothing of this is anywhere: each statement names rows that must not be.
pub async fn assert_nothing_left(db: &PgPool) -> Result<()> {
    let forbidden = [
        (
            "a step that is neither done nor cancelled, but of a run that waits for a person",
            "select step_key from steps join runs on runs.id = run_id where steps.status not in ('succeeded', 'cancelled') and runs.status <> 'needs_human'",
        ),
        ("a lease", "select step_key from steps where lease_until is not null"),
        ("an attempt that is not closed", "select worker_id::text from attempts where finished_at is null"),
        (
            "a step that succeeded more often than it was opened",
            "select step_id::text from attempts join steps on steps.id = step_id where result = 'succeeded' group by step_id having count(*) > 1 + max(epoch)",
        ),
        ("an outbox row", "select dedup_id from outbox"),
        ("a dead letter", "select step_id::text from dead_letters"),
        ("money that is still reserved", "select step_id::text from reservations"),
        (
            "a gap in the events of a run",
            "select run_id::text from (select run_id, seq, row_number() over (partition by run_id order by seq) as n from events) e where seq <> n",
        ),
        (
            "events that are not in the order of time",
            "select run_id::text from (select run_id, at, lag(at) over (partition by run_id order by seq) as before from events) e where at < before",
        ),
        (
            "an event after a run's last one",
            "select run_id::text from events e where type = 'run.succeeded' and seq < (select max(seq) from events o where o.run_id = e.run_id)",
        ),
        (
            "a run whose counter is not its last event",
            "select id::text from runs where last_seq <> (select count(*) from events where run_id = runs.id)",
        ),
        (
            "a run that was charged otherwise than its ledger says",
            "select id::text from runs where cost_nano_usd <> (select coalesce(sum(cost_nano_usd), 0) from model_calls where run_id = runs.id)",
        ),
        (
            "two runs of one task",
            "select task_id::text from runs where origin is null group by task_id having count(*) > 1",
        ),
        (
            "two forks of one wish",
            "select origin ->> 'key' from runs where origin is not null group by 1 having count(*) > 1",
        ),
        (
            "two pull requests of one run",
            "select run_id::text from pull_requests group by run_id having count(*) > 1",
        ),
    ];
    for (what, statement) in forbidden {
        let found: Vec<String> = sqlx::query_scalar(statement).fetch_all(db).await?;
        ensure!(found.is_empty(), "there is {what}: {found:?}");
    }
    Ok(())
}
