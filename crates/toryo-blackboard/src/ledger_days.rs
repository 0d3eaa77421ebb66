//! Old rows of the ledger: added up by day and removed, in one statement, so that usage is the same before and after,
//! whatever dies in between.

use crate::db::Connection;
use crate::{Error, row};

/// Adds up and removes at most `batch` rows of days (UTC) that ended more than `days` days ago; how many rows it were.
/// Rows that somebody else is removing are left to it, so several processes may do this at once.
///
/// # Errors
/// The database does not answer; nothing is changed then.
pub async fn roll_up(db: &mut Connection, days: u32, batch: u32) -> Result<u64, Error> {
    let done = sqlx::query(
        "with due as ( \
             select id from gateway_ledger \
             where at < date_trunc('day', now() - make_interval(days => $1), 'UTC') \
             limit $2 for update skip locked \
         ), gone as ( \
             delete from gateway_ledger l using due where l.id = due.id returning l.* \
         ), named as ( \
             select *, date_trunc('day', at, 'UTC') as day, md5(row(organisation_id, team_id, user_id, key_id, tenant, \
                 agent, route, deployment, provider, model, region, account, dialect, counted_by, status, error_class, \
                 cache)::text) as name \
             from gone \
         ), kept as ( \
             insert into gateway_days as d (at, name, organisation_id, team_id, user_id, key_id, tenant, agent, route, \
                 deployment, provider, model, region, account, dialect, counted_by, status, error_class, cache, calls, \
                 input_tokens, output_tokens, cached_input_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd, \
                 latency_ms, first_token_ms, first_tokens) \
             select day, name, organisation_id, team_id, user_id, key_id, tenant, agent, route, deployment, provider, \
                 model, region, account, dialect, counted_by, status, error_class, cache, count(*), \
                 sum(input_tokens), sum(output_tokens), sum(cached_input_tokens), sum(cache_write_tokens), \
                 sum(reasoning_tokens), sum(cost_nano_usd), sum(latency_ms), coalesce(sum(first_token_ms), 0), \
                 count(first_token_ms) \
             from named \
             group by day, name, organisation_id, team_id, user_id, key_id, tenant, agent, route, deployment, provider, \
                 model, region, account, dialect, counted_by, status, error_class, cache \
             order by day, name \
             on conflict (at, name) do update set calls = d.calls + excluded.calls, \
                 input_tokens = d.input_tokens + excluded.input_tokens, \
                 output_tokens = d.output_tokens + excluded.output_tokens, \
                 cached_input_tokens = d.cached_input_tokens + excluded.cached_input_tokens, \
                 cache_write_tokens = d.cache_write_tokens + excluded.cache_write_tokens, \
                 reasoning_tokens = d.reasoning_tokens + excluded.reasoning_tokens, \
                 cost_nano_usd = d.cost_nano_usd + excluded.cost_nano_usd, \
                 latency_ms = d.latency_ms + excluded.latency_ms, \
                 first_token_ms = d.first_token_ms + excluded.first_token_ms, \
                 first_tokens = d.first_tokens + excluded.first_tokens \
             returning 1 \
         ) select (select count(*) from gone) as rows, (select count(*) from kept) as lines",
    )
    .bind(i32::try_from(days).unwrap_or(i32::MAX))
    .bind(i64::from(batch))
    .fetch_one(db)
    .await?;
    row::unsigned(&done, "rows")
}
