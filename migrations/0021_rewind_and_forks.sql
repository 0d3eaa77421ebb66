-- What came of steps before a person went back to one of them or to one before it.
create table superseded (
    step_id uuid not null references steps (id),
    epoch integer not null,
    status text not null,
    output jsonb,
    failure_class text,
    failure text,
    finished_at timestamptz,
    superseded_at timestamptz not null default now(),
    primary key (step_id, epoch)
);

-- The step of another run whose outcome this one shares: it was paid there.
alter table steps add column shared_from uuid references steps (id);

-- Where a fork comes from and what it does otherwise; null for a run of its own.
alter table runs add column origin jsonb;
create index runs_by_origin on runs ((origin ->> 'run_id')) where origin is not null;
