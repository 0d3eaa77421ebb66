//! Model calls: journal and ledger in one. A reply is stored, and its cost added to the run, before it is used.

use crate::{Db, Error, db::Connection, reservations, row};
use serde_json::Value;
use toryo_domain::{Digest, Role, RunId, StepId, Usd};
use uuid::Uuid;

/// A reply to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewModelCall {
    /// The run.
    pub run_id: RunId,
    /// The step.
    pub step_id: StepId,
    /// The fencing token of the attempt that called.
    pub fence: i64,
    /// The attempt.
    pub attempt: u32,
    /// Counted from 1 within the step.
    pub call_no: u32,
    /// Digest of the request.
    pub request_digest: Digest,
    /// The agent.
    pub role: Role,
    /// The route it asked for.
    pub route: String,
    /// The provider that answered.
    pub provider: String,
    /// The model that answered.
    pub model: String,
    /// The reply as the gateway reads it back.
    pub reply: Value,
    /// Tokens sent.
    pub input_tokens: u64,
    /// Those of them that came from the provider's cache.
    pub cached_input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Those of them that were reasoning.
    pub reasoning_tokens: u64,
    /// What it cost.
    pub cost: Usd,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// Whether it came from a recording instead of a model.
    pub recorded: bool,
}

/// What a run has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Money.
    pub cost: Usd,
    /// Tokens, in and out.
    pub tokens: u64,
}

/// The stored reply to this request of this step, since the step was last opened.
///
/// # Errors
/// The database does not answer.
pub async fn find(db: &Db, step: StepId, call_no: u32, request: &Digest) -> Result<Option<Value>, Error> {
    let statement = "select model_calls.reply from model_calls join steps on steps.id = model_calls.step_id \
                     where step_id = $1 and call_no = $2 and request_digest = $3 and model_calls.epoch = steps.epoch";
    Ok(sqlx::query_scalar(statement)
        .bind(step.uuid())
        .bind(i64::from(call_no))
        .bind(request.to_string())
        .fetch_optional(db.pool())
        .await?)
}

/// Stores a reply, adds its cost to the run and ends the call's reservation. What a provider was paid for is kept even where the lease was
/// lost meanwhile, so that the next attempt does not pay again.
///
/// # Errors
/// The database does not answer.
pub async fn insert(db: &mut Connection, call: &NewModelCall) -> Result<(), Error> {
    let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    // The run's row first: the one order of locks.
    let charge = "update runs set cost_nano_usd = cost_nano_usd + $2, tokens_in = tokens_in + $3, \
                  tokens_out = tokens_out + $4, recorded = recorded or $5 where id = $1";
    sqlx::query(charge)
        .bind(call.run_id.uuid())
        .bind(call.cost.nanos())
        .bind(count(call.input_tokens))
        .bind(count(call.output_tokens))
        .bind(call.recorded)
        .execute(&mut *db)
        .await?;
    let statement = "insert into model_calls (id, run_id, step_id, epoch, call_no, request_digest, attempt, role, \
         route, provider, model, reply, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, \
         cost_nano_usd, latency_ms, recorded) \
         select $1, $2, $3, epoch, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18 \
         from steps where id = $3";
    sqlx::query(statement)
        .bind(Uuid::now_v7())
        .bind(call.run_id.uuid())
        .bind(call.step_id.uuid())
        .bind(i64::from(call.call_no))
        .bind(call.request_digest.to_string())
        .bind(i64::from(call.attempt))
        .bind(call.role.as_str())
        .bind(&call.route)
        .bind(&call.provider)
        .bind(&call.model)
        .bind(&call.reply)
        .bind(count(call.input_tokens))
        .bind(count(call.cached_input_tokens))
        .bind(count(call.output_tokens))
        .bind(count(call.reasoning_tokens))
        .bind(call.cost.nanos())
        .bind(count(call.latency_ms))
        .bind(call.recorded)
        .execute(&mut *db)
        .await?;
    reservations::remove(db, call.step_id, call.call_no, call.fence).await
}

/// What a run has used so far.
///
/// # Errors
/// There is no such run.
pub async fn spent(db: &Db, run: RunId) -> Result<Spent, Error> {
    let found = sqlx::query("select cost_nano_usd, tokens_in + tokens_out as tokens from runs where id = $1")
        .bind(run.uuid())
        .fetch_optional(db.pool())
        .await?
        .ok_or_else(|| Error::NotFound { what: format!("run {run}") })?;
    Ok(Spent {
        cost: Usd::from_nanos(row::get(&found, "cost_nano_usd")?),
        tokens: row::unsigned(&found, "tokens")?,
    })
}

/// What a role's model calls cost a run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RoleCost {
    /// The role.
    pub role: Role,
    /// Calls that were paid for.
    pub calls: u64,
    /// Tokens sent.
    pub tokens_in: u64,
    /// Tokens received.
    pub tokens_out: u64,
    /// Money.
    pub cost: Usd,
}

/// Cost of a run by role, dearest first.
///
/// # Errors
/// The database does not answer.
pub async fn by_role(db: &Db, run: RunId) -> Result<Vec<RoleCost>, Error> {
    let statement = "select role, count(*) as calls, sum(input_tokens)::bigint as tokens_in, \
         sum(output_tokens)::bigint as tokens_out, sum(cost_nano_usd)::bigint as cost from model_calls \
         where run_id = $1 group by role order by cost desc, role";
    let rows = sqlx::query(statement).bind(run.uuid()).fetch_all(db.pool()).await?;
    rows.iter()
        .map(|row| {
            Ok(RoleCost {
                role: row::parse(row, "role")?,
                calls: row::unsigned(row, "calls")?,
                tokens_in: row::unsigned(row, "tokens_in")?,
                tokens_out: row::unsigned(row, "tokens_out")?,
                cost: Usd::from_nanos(row::get(row, "cost")?),
            })
        })
        .collect()
}
