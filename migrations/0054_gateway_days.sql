-- Calls whose rows were old enough to be removed, added up by day (UTC) and by every dimension but run and step. What is
-- asked of usage reads rows and days as one.
create table gateway_days (
    at timestamptz not null,
    -- A digest of the dimensions, some of which may be null: a day and a name are one line.
    name text not null,
    organisation_id uuid,
    team_id uuid,
    user_id uuid,
    key_id uuid,
    tenant text,
    agent text,
    route text not null,
    deployment text not null,
    provider text not null,
    model text not null,
    region text,
    account text,
    dialect text not null,
    counted_by text not null,
    status text not null,
    error_class text,
    cache text not null,
    calls bigint not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    cached_input_tokens bigint not null,
    cache_write_tokens bigint not null,
    reasoning_tokens bigint not null,
    cost_nano_usd bigint not null,
    latency_ms bigint not null,
    first_token_ms bigint not null,
    first_tokens bigint not null,
    primary key (at, name)
);
create index gateway_days_by_team on gateway_days (team_id, at) where team_id is not null;
create index gateway_days_by_key on gateway_days (key_id, at) where key_id is not null;

create view gateway_usage as
    select at, organisation_id, team_id, user_id, key_id, tenant, run_id, step_id, agent, route, deployment, provider, model,
        region, account, dialect, counted_by, status, error_class, cache, 1::bigint as calls, input_tokens, output_tokens,
        cached_input_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd, latency_ms,
        coalesce(first_token_ms, 0) as first_token_ms, (first_token_ms is not null)::integer::bigint as first_tokens
    from gateway_ledger
    union all
    select at, organisation_id, team_id, user_id, key_id, tenant, null::uuid, null::uuid, agent, route, deployment, provider,
        model, region, account, dialect, counted_by, status, error_class, cache, calls, input_tokens, output_tokens,
        cached_input_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd, latency_ms, first_token_ms, first_tokens
    from gateway_days;
