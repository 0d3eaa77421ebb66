-- The queue: who shares the workers, how many steps may run at once, and what the database itself refuses.

-- Whose work it is: the owner of the task's repository.
alter table tasks add column tenant text not null default 'local';

-- A tenant's own limit; without a row or a number the operator's default holds. 0 stops it.
create table tenants (
    name text primary key,
    max_steps integer constraint tenants_max_steps check (max_steps >= 0),
    created_at timestamptz not null default now()
);

-- A repository's limit is a setting of it: `{"max_steps": 3}`. Anything but a short number is no limit.
alter table repos add column max_steps integer generated always as (
    case when settings ->> 'max_steps' ~ '^[0-9]{1,6}$' then (settings ->> 'max_steps')::integer end
) stored;

-- The lowest version of the engine that may touch a run: an old worker leaves what it does not know to a new one.
alter table runs add column needs_version smallint not null default 1;

alter table steps
    add column tenant text not null default 'local',
    add column repo_id uuid not null default '00000000-0000-0000-0000-000000000000',
    -- Its run waits for a person or has ended: not to be claimed, and not in the way of those that are.
    add column parked boolean not null default false,
    -- A class of priority is worth ten minutes of waiting: `low` overtakes new `high` steps after twenty.
    add column urgency timestamp generated always as
        ((ready_at at time zone 'UTC') + priority * interval '10 minutes') stored,
    -- Numbered places under the limits; two running steps never have the same one.
    add column tenant_slot integer,
    add column repo_slot integer,
    -- The fencing token of the attempt in whose commit this lease was taken, where one was.
    add column follows_fence bigint;

update steps set repo_id = tasks.repo_id, parked = runs.status not in ('queued', 'running')
    from runs join tasks on tasks.id = runs.task_id where runs.id = steps.run_id;

create index steps_due on steps (tenant, repo_id, urgency, position) where status = 'ready' and not parked;
drop index steps_ready;
create index steps_urgent on steps (urgency) where status = 'ready' and not parked;
create unique index steps_tenant_slot on steps (tenant, tenant_slot) where status = 'running' and tenant_slot is not null;
create unique index steps_repo_slot on steps (repo_id, repo_slot) where status = 'running' and repo_slot is not null;
create index steps_follows on steps (follows_fence) where status = 'running' and follows_fence is not null;

-- Steps follow their run when it stops for a person or goes on.
create function steps_follow_run() returns trigger language plpgsql as $$
begin
    update steps set parked = new.status not in ('queued', 'running')
        where run_id = new.id and parked <> (new.status not in ('queued', 'running'));
    return null;
end $$;
create trigger runs_park_steps after update of status on runs for each row
    when ((old.status in ('queued', 'running')) <> (new.status in ('queued', 'running')))
    execute function steps_follow_run();

-- A lease is whole or it is none.
alter table steps add constraint steps_lease check (
    status <> 'running' or (fence is not null and worker_id is not null and lease_until is not null)
);

-- No lease is taken over while it holds, whatever a statement says; tokens only grow, even where a step was put back.
create function steps_refuse() returns trigger language plpgsql as $$
begin
    raise exception 'the lease % of step % is stale', new.fence, new.id
        using errcode = 'integrity_constraint_violation', constraint = 'steps_fence';
end $$;
create trigger steps_fence before update on steps for each row
    when (
        (old.status = 'running' and new.status = 'running' and new.fence <> old.fence)
        or (old.status <> 'running' and new.status = 'running' and new.fence <= coalesce(old.fence, 0))
        or (old.status in ('succeeded', 'failed', 'cancelled') and new.status = 'running')
    )
    execute function steps_refuse();

-- What an attempt leaves belongs to an attempt: its end is written once.
create function attempts_refuse() returns trigger language plpgsql as $$
begin
    raise exception 'attempt % of step % has ended', old.fence, old.step_id
        using errcode = 'integrity_constraint_violation', constraint = 'attempts_fence';
end $$;
create trigger attempts_fence before update on attempts for each row
    when (old.finished_at is not null and new.result is distinct from old.result)
    execute function attempts_refuse();

-- What set a run off, so that the same thing never does so twice.
create table triggers (
    id uuid primary key,
    -- Where it came from: `api`, `github`, `gitlab` …
    source text not null,
    -- The sender's own number of the delivery; for the API its `Idempotency-Key`.
    delivery text,
    body_digest text not null,
    -- The body's digest again, where the same body may only count once.
    once_a_body text,
    -- Source object and command, such as `acme/shop#12 label:toryo`.
    logical_key text,
    task_id uuid not null references tasks (id),
    run_id uuid not null references runs (id),
    created_at timestamptz not null default now(),
    constraint triggers_delivery unique (source, delivery),
    constraint triggers_body unique (source, once_a_body),
    constraint triggers_logical_key unique (source, logical_key)
);
create index triggers_by_run on triggers (run_id);
insert into triggers (id, source, delivery, body_digest, task_id, run_id)
    select tasks.id, 'api', idempotency_key, coalesce(request_digest, ''), tasks.id,
           (select runs.id from runs where runs.task_id = tasks.id order by runs.id limit 1)
    from tasks where idempotency_key is not null
    and exists (select 1 from runs where runs.task_id = tasks.id);

-- Keys of requests that make something other than a task.
create table idempotency_keys (
    scope text not null,
    key text not null,
    request_digest text not null,
    created_at timestamptz not null default now(),
    primary key (scope, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);

-- Steps that used up their attempts. The letter is open as long as the step is as that attempt left it.
create table dead_letters (
    id uuid primary key,
    run_id uuid not null references runs (id),
    step_id uuid not null references steps (id),
    step_key text not null,
    fence bigint not null,
    attempts integer not null,
    class text not null,
    reason text not null,
    created_at timestamptz not null default now(),
    constraint dead_letters_once unique (step_id, fence)
);

alter table workers
    add column draining boolean not null default false,
    add column engine_version smallint not null default 1;

-- Runs whose events stand in a blob: those up to `archived_seq`; what happened since is in `events`.
alter table runs
    add column archive text,
    add column archived_seq bigint not null default 0,
    add column archived_at timestamptz;
create index runs_to_archive on runs (finished_at) where finished_at is not null and archived_at is null;
