-- What model calls under way may cost at most. A row counts as long as the lease under which it was made holds, so a
-- crash between asking and answering gives it back by itself.
create table reservations (
    run_id uuid not null references runs (id),
    step_id uuid not null references steps (id),
    call_no integer not null,
    fence bigint not null,
    cost_nano_usd bigint not null,
    tokens bigint not null,
    created_at timestamptz not null default now(),
    primary key (step_id, call_no)
);
create index reservations_by_run on reservations (run_id);
