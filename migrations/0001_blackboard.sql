-- The blackboard: tasks, runs, steps, events, artifacts, and what carries wake-ups and budgets.
-- Texts of closed lists (status, role …) are those of the enums in toryo-domain.

create extension if not exists vector;

-- Fencing tokens: every lease gets a higher one than all before it.
create sequence fences;

create table repos (
    id uuid primary key,
    url text not null unique,
    default_branch text,
    settings jsonb not null default '{}',
    indexed_commit text,
    indexed_at timestamptz,
    created_at timestamptz not null default now()
);

create table tasks (
    id uuid primary key,
    repo_id uuid not null references repos (id),
    wish jsonb not null,
    idempotency_key text,
    request_digest text,
    created_at timestamptz not null default now(),
    constraint tasks_idempotency_key unique (idempotency_key)
);

create table runs (
    id uuid primary key,
    task_id uuid not null references tasks (id),
    status text not null,
    status_reason text,
    gate text,
    -- What people decided: rounds asked for, gates passed, allowances granted.
    control jsonb not null default '{}',
    base_branch text,
    base_commit text,
    title text,
    branch text,
    commit_id text,
    pull_request jsonb,
    best_diff text,
    recorded boolean not null default false,
    cost_nano_usd bigint not null default 0,
    tokens_in bigint not null default 0,
    tokens_out bigint not null default 0,
    -- The number of the newest event; raising it takes the run's row lock, so events have no gaps.
    last_seq bigint not null default 0,
    -- Time spent running, and since when it runs now: waiting for people is not counted.
    active_ms bigint not null default 0,
    active_since timestamptz,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz
);
create index runs_by_task on runs (task_id);
create index runs_by_status on runs (status, id);

create table steps (
    id uuid primary key,
    run_id uuid not null references runs (id),
    step_key text not null,
    role text not null,
    status text not null,
    depends_on text[] not null,
    priority smallint not null,
    -- Attempts since the step was last opened by a person, and how often it was.
    attempts integer not null default 0,
    epoch integer not null default 0,
    ready_at timestamptz,
    worker_id uuid,
    fence bigint,
    lease_until timestamptz,
    output jsonb,
    failure_class text,
    failure text,
    position bigint generated always as identity,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    constraint steps_key unique (run_id, step_key)
);
create index steps_ready on steps (priority, ready_at, position) where status = 'ready';
create index steps_leased on steps (lease_until) where status = 'running';
create index steps_fenced on steps (fence) where status = 'running';

create table attempts (
    step_id uuid not null references steps (id),
    fence bigint not null,
    attempt integer not null,
    worker_id uuid not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    result text,
    failure text,
    primary key (step_id, fence)
);

create table events (
    run_id uuid not null references runs (id),
    seq bigint not null,
    at timestamptz not null default now(),
    type text not null,
    step_key text,
    attempt integer,
    data jsonb not null,
    primary key (run_id, seq)
);

create table outbox (
    id bigint generated always as identity primary key,
    kind text not null,
    dedup_id text not null,
    payload jsonb not null,
    due_at timestamptz not null default now(),
    created_at timestamptz not null default now()
);
create index outbox_due on outbox (due_at, id);

create table artifacts (
    id uuid primary key,
    run_id uuid not null references runs (id),
    step_id uuid references steps (id),
    step_key text,
    kind text not null,
    name text not null,
    media_type text not null,
    digest text not null,
    size_bytes bigint not null,
    created_at timestamptz not null default now(),
    constraint artifacts_once unique (step_id, kind, name, digest)
);
create index artifacts_by_run on artifacts (run_id, id);

-- Journal and ledger in one: a reply is here before it is used, and what it cost.
create table model_calls (
    id uuid primary key,
    run_id uuid not null references runs (id),
    step_id uuid not null references steps (id),
    epoch integer not null,
    call_no integer not null,
    request_digest text not null,
    attempt integer not null,
    role text not null,
    route text not null,
    provider text not null,
    model text not null,
    reply jsonb not null,
    input_tokens bigint not null,
    cached_input_tokens bigint not null,
    output_tokens bigint not null,
    reasoning_tokens bigint not null,
    cost_nano_usd bigint not null,
    latency_ms bigint not null,
    recorded boolean not null,
    created_at timestamptz not null default now(),
    constraint model_calls_once unique (step_id, epoch, call_no, request_digest)
);
create index model_calls_by_run on model_calls (run_id, id);

create table messages (
    id uuid primary key,
    run_id uuid not null references runs (id),
    author text not null,
    body text not null,
    created_at timestamptz not null default now()
);
create index messages_by_run on messages (run_id, id);

-- Pull requests of the local forge.
create table pull_requests (
    id uuid primary key,
    run_id uuid not null references runs (id),
    repo_url text not null,
    number bigint not null,
    title text not null,
    body text not null,
    head_branch text not null,
    base_branch text not null,
    head_commit text not null,
    state text not null,
    draft boolean not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint pull_requests_head unique (repo_url, head_branch),
    constraint pull_requests_number unique (repo_url, number)
);

create table workers (
    id uuid primary key,
    host text not null,
    version text not null,
    capacity integer not null,
    started_at timestamptz not null default now(),
    last_heartbeat timestamptz not null default now()
);
