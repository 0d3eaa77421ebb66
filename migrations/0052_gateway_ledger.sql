-- One row a call. Rows come in the order of time, so that a block range index finds a span of days.
create table gateway_ledger (
    id uuid primary key,
    at timestamptz not null,
    organisation_id uuid,
    team_id uuid,
    user_id uuid,
    key_id uuid,
    -- The owner of the repository, where one of Toryo's own agents called.
    tenant text,
    run_id uuid,
    step_id uuid,
    agent text,
    route text not null,
    deployment text not null,
    provider text not null,
    model text not null,
    region text,
    account text,
    dialect text not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    cached_input_tokens bigint not null,
    cache_write_tokens bigint not null,
    reasoning_tokens bigint not null,
    counted_by text not null,
    cost_nano_usd bigint not null,
    priced_as_of text,
    latency_ms bigint not null,
    first_token_ms bigint,
    status text not null,
    error_class text,
    http_status integer not null,
    attempts bigint not null,
    cache text not null,
    stream boolean not null
);
create index gateway_ledger_at on gateway_ledger using brin (at) with (pages_per_range = 16);
create index gateway_ledger_by_team on gateway_ledger (team_id, at) where team_id is not null;
create index gateway_ledger_by_key on gateway_ledger (key_id, at) where key_id is not null;
create index gateway_ledger_by_run on gateway_ledger (run_id) where run_id is not null;
