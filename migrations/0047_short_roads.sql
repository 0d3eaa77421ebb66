-- The same outcomes and claims for less: what a statement costs is mostly its start (nodes, constraints, predicates of
-- indexes) and the scans of what other parts of it have found, so there are fewer of both.

-- As `commit_outcomes`, which workers of the version before go on calling. The caller says how many events an outcome has
-- and which one each is; a lease stands beside the outcome that it follows; and who waits is looked at once for all.
create function store_outcomes(
    -- The newest graph that the engine understands.
    engine_version smallint,
    -- What it saw of each run, once a run: what people decided, the steps.
    runs_seen uuid[], controls_seen jsonb[], graphs_seen text[],
    -- The attempts that end, and what their runs keep of the outcomes.
    done_steps uuid[], done_fences bigint[], outputs jsonb[],
    base_branches text[], base_commits text[], titles text[], best_diffs text[],
    branches text[], commits text[], pull_requests jsonb[],
    -- Whether a run has succeeded with it, and how many events say what happened.
    ends boolean[], event_counts integer[],
    -- The first step that becomes ready, where a worker would go on with it at once, for how many seconds, after how
    -- many of the events, and the facts of the event that says so.
    heirs uuid[], heir_keys text[], heir_workers uuid[], heir_leases double precision[], heir_places integer[],
    heir_data jsonb[],
    -- Steps to append, in order, each with the place of its outcome; what they wait for, a line each.
    new_of integer[], new_ids uuid[], new_keys text[], new_roles text[], new_depends text[], new_ready boolean[],
    -- Pending steps that become ready, and all that do, the appended ones with them.
    unblocked_of integer[], unblocked uuid[], waking_of integer[], waking uuid[],
    -- Events, each with its place among those of its outcome, from 1.
    event_of integer[], event_places integer[], event_types text[], event_keys text[], event_attempts integer[],
    event_data jsonb[]
) returns table (place bigint, last_event bigint, heir_fence bigint, heir_attempt integer, newest_message bigint)
language plpgsql
-- A plan that was made when the tables were empty must not be used when they are full.
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    held uuid[];
    moment timestamptz;
begin
    -- Locks in the one order: runs, by id, then steps. Nobody is waited for with other runs' locks in hand.
    select array_agg(locked.id) into held from (
        select runs.id from runs
        where runs.id = any(runs_seen) and runs.status = 'running' and runs.needs_version <= engine_version
        order by runs.id for update skip locked
    ) as locked;
    if held is null then
        return;
    end if;

    -- One time for all events of the outcomes: later than all before them, whose writers held the locks.
    moment := clock_timestamp();
    -- A statement of its own, so that it sees what was committed before the locks were taken.
    return query
    with given as materialized (
        select given.*, runs.last_seq
        from unnest(runs_seen, controls_seen, graphs_seen, done_steps, done_fences, outputs, base_branches, base_commits,
            titles, best_diffs, branches, commits, pull_requests, ends, event_counts, heirs, heir_keys, heir_workers,
            heir_leases, heir_places, heir_data) with ordinality
            as given (run, control, graph, step, fence, output, base_branch, base_commit, title, best_diff, branch,
                commit_id, pull_request, is_end, events, heir, heir_key, heir_worker, heir_lease, heir_place, heir_data,
                place)
        join runs on runs.id = given.run
        where given.run = any(held) and runs.control = given.control and given.graph = (
            -- As `steps_seen`, which would be a statement of its own for each run.
            select string_agg(status || epoch, ' ' order by position) from steps where run_id = given.run
        )
    ),
    done as (
        update steps set status = 'succeeded', output = given.output, finished_at = now(), lease_until = null,
            failure_class = null, failure = null
        from given
        where steps.id = given.step and steps.run_id = given.run and steps.fence = given.fence
            and steps.status = 'running'
        returning given.*, steps.tenant, steps.repo_id, steps.priority, steps.tenant_slot, steps.repo_slot
    ),
    -- Another tenant, or a step that is more urgent by a whole class, is not made to wait.
    waiting as materialized (
        select (select tenant from steps where status = 'ready' and not parked order by tenant limit 1) as first_tenant,
            (select tenant from steps where status = 'ready' and not parked order by tenant desc limit 1) as last_tenant,
            (select urgency from steps where status = 'ready' and not parked and ready_at <= now()
                order by urgency limit 1) as most_urgent
    ),
    led as materialized (
        select done.*, case
            when heir is null or first_tenant < tenant or last_tenant > tenant
                or most_urgent < (now() at time zone 'UTC') + (priority - 1) * interval '10 minutes' then null
            else nextval('fences') end as lease
        from done cross join waiting
    ),
    ended as (
        update attempts set finished_at = now(), result = 'succeeded' from led
        where attempts.step_id = led.step and attempts.fence = led.fence
    ),
    -- An heir takes over the numbered places of the step before, so limits stay kept.
    appended as (
        insert into steps (id, run_id, step_key, role, depends_on, priority, tenant, repo_id, ready_at, status, attempts,
            fence, worker_id, lease_until, started_at, follows_fence, tenant_slot, repo_slot)
        select new.id, run, new.step_key, new.role, string_to_array(new.depends_on, chr(10)), priority,
            tenant, repo_id, case when new.ready then now() end,
            case when new.lease is not null then 'running' when new.ready then 'ready' else 'pending' end,
            case when new.lease is not null then 1 else 0 end, new.lease,
            case when new.lease is not null then heir_worker end,
            case when new.lease is not null then now() + make_interval(secs => heir_lease) end,
            case when new.lease is not null then now() end, case when new.lease is not null then fence end,
            case when new.lease is not null then tenant_slot end, case when new.lease is not null then repo_slot end
        from (
            select new.*, case when led.heir = new.id then led.lease end as lease, led.run, led.priority, led.tenant,
                led.repo_id, led.heir_worker, led.heir_lease, led.fence, led.tenant_slot, led.repo_slot
            from unnest(new_of, new_ids, new_keys, new_roles, new_depends, new_ready) with ordinality
                as new (of, id, step_key, role, depends_on, ready, n)
            join led on led.place = new.of
        ) as new
        order by new.n
        returning id, fence, attempts, worker_id
    ),
    woken as (
        update steps set status = case when ready.lease is not null then 'running' else 'ready' end, ready_at = now(),
            finished_at = null, attempts = steps.attempts + (ready.lease is not null)::integer,
            fence = coalesce(ready.lease, steps.fence),
            worker_id = case when ready.lease is not null then ready.heir_worker end,
            lease_until = case when ready.lease is not null then now() + make_interval(secs => ready.heir_lease) end,
            started_at = case when ready.lease is not null then coalesce(steps.started_at, now()) else steps.started_at end,
            follows_fence = case when ready.lease is not null then ready.fence else steps.follows_fence end,
            tenant_slot = case when ready.lease is not null then ready.tenant_slot else steps.tenant_slot end,
            repo_slot = case when ready.lease is not null then ready.repo_slot else steps.repo_slot end
        from (
            select ready.id, case when led.heir = ready.id then led.lease end as lease, led.heir_worker, led.heir_lease,
                led.fence, led.tenant_slot, led.repo_slot
            from unnest(unblocked_of, unblocked) as ready (of, id) join led on led.place = ready.of
        ) as ready
        where steps.id = ready.id and steps.status = 'pending'
        returning steps.id, steps.fence, steps.attempts, steps.worker_id, ready.lease
    ),
    begun as materialized (
        select id, fence, attempts, worker_id from appended where fence is not null
        union all select id, fence, attempts, worker_id from woken where lease is not null
    ),
    noted as (
        insert into attempts (step_id, fence, attempt, worker_id) select id, fence, attempts, worker_id from begun
    ),
    posted as (
        insert into outbox (kind, dedup_id, payload)
        select 'step_ready', ready.id || ':unblocked-' || led.last_seq,
            jsonb_build_object('version', 1, 'run_id', led.run, 'step_id', ready.id)
        from unnest(waking_of, waking) as ready (of, id) join led on led.place = ready.of
        where led.lease is null or led.heir <> ready.id
    ),
    told as (
        insert into events (run_id, seq, at, type, step_key, attempt, data)
        select led.run, led.last_seq + new.n + (led.lease is not null and new.n > led.heir_place)::integer, moment,
            new.type, new.step_key, new.attempt, new.data
        from unnest(event_of, event_places, event_types, event_keys, event_attempts, event_data)
            as new (of, n, type, step_key, attempt, data)
        join led on led.place = new.of
        union all
        select led.run, led.last_seq + led.heir_place + 1, moment, 'step.started', led.heir_key, begun.attempts,
            led.heir_data
        from begun join led on led.heir = begun.id
    ),
    moved as (
        update runs set last_seq = led.last_seq + led.events + (led.lease is not null)::integer,
            base_branch = coalesce(led.base_branch, runs.base_branch),
            base_commit = coalesce(led.base_commit, runs.base_commit), title = coalesce(led.title, runs.title),
            best_diff = coalesce(led.best_diff, runs.best_diff), branch = coalesce(led.branch, runs.branch),
            commit_id = coalesce(led.commit_id, runs.commit_id),
            pull_request = coalesce(led.pull_request, runs.pull_request),
            status = case when led.is_end then 'succeeded' else runs.status end,
            status_reason = case when led.is_end then null else runs.status_reason end,
            gate = case when led.is_end then null else runs.gate end,
            finished_at = case when led.is_end then now() else runs.finished_at end,
            active_ms = runs.active_ms + case when led.is_end
                then coalesce((extract(epoch from now() - runs.active_since) * 1000)::bigint, 0) else 0 end,
            active_since = case when led.is_end then null else runs.active_since end
        from led where runs.id = led.run
    )
    select led.place, led.last_seq + led.events + (led.lease is not null)::integer, led.lease, begun.attempts,
        (select coalesce(max(n), 0) from messages where messages.run_id = led.run and led.lease is not null)
    from led left join begun on begun.id = led.heir;
end $$;

-- A claim where the whole queue is one line: one tenant has steps that are due, and nobody has a limit. Leases the most
-- urgent one as the statement for all cases does, says so in events, and passes over what somebody else holds. One row:
-- `simple` is false where that statement has to choose, `due` how many steps wait that could not be had.
create function claim_simply(
    claimant uuid, lease_seconds double precision, played text[], passed_over uuid[], engine_version smallint
) returns table (simple boolean, due bigint, run_id uuid, id uuid, step_key text, role text, attempts integer, fence bigint,
    is_start boolean, last_seq bigint)
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    picked record;
begin
    if exists (select from tenants where max_steps is not null) or exists (select from repos where max_steps is not null)
        or (select tenant from steps where status = 'ready' and not parked order by tenant limit 1)
            <> (select tenant from steps where status = 'ready' and not parked order by tenant desc limit 1)
    then
        return query select false, 0::bigint, null::uuid, null::uuid, null, null, 0, 0::bigint, false, 0::bigint;
        return;
    end if;
    -- Run before step, as everywhere. A lock that is waited for elsewhere is skipped here, with a fresh look at the row.
    select steps.id, steps.run_id, runs.status = 'queued' as is_start into picked
    from steps join runs on runs.id = steps.run_id
    where steps.status = 'ready' and not steps.parked and steps.ready_at <= now() and steps.role = any(played)
        and steps.id <> all(passed_over) and runs.status in ('queued', 'running')
        and runs.needs_version <= engine_version
    order by steps.urgency, steps.position limit 1
    for update of runs, steps skip locked;
    if not found then
        return query
        select true, count(*), null::uuid, null::uuid, null, null, 0, 0::bigint, false, 0::bigint from (
            select from steps join runs on runs.id = steps.run_id
            where steps.status = 'ready' and not steps.parked and steps.ready_at <= now() and steps.role = any(played)
                and steps.id <> all(passed_over) and runs.status in ('queued', 'running')
                and runs.needs_version <= engine_version
            limit 1
        ) as one;
        return;
    end if;
    return query
    with leased as (
        update steps set status = 'running', attempts = attempts + 1, fence = nextval('fences'), worker_id = claimant,
            lease_until = now() + make_interval(secs => lease_seconds), started_at = coalesce(started_at, now()),
            follows_fence = null, tenant_slot = null, repo_slot = null
        where steps.id = picked.id and steps.status = 'ready'
        returning steps.run_id, steps.id, steps.step_key, steps.role, steps.attempts, steps.fence
    ),
    noted as (
        insert into attempts (step_id, fence, attempt, worker_id) select id, fence, attempts, claimant from leased
    ),
    moved as (
        update runs set last_seq = last_seq + 1 + picked.is_start::integer,
            status = case when picked.is_start then 'running' else runs.status end,
            started_at = coalesce(runs.started_at, now()), active_since = coalesce(runs.active_since, now())
        where runs.id = picked.run_id
        returning runs.last_seq
    ),
    told as (
        insert into events (run_id, seq, at, type, step_key, attempt, data)
        select leased.run_id, moved.last_seq - 1, clock_timestamp(), 'run.started', null, null, '{}'::jsonb
        from leased cross join moved where picked.is_start
        union all
        select leased.run_id, moved.last_seq, clock_timestamp(), 'step.started', step_key, attempts,
            jsonb_build_object('role', role, 'worker_id', claimant)
        from leased cross join moved
    )
    select true, 1::bigint, leased.*, picked.is_start, moved.last_seq from leased cross join moved;
end $$;

-- Who has limits, known without a look at everybody.
create index tenants_limited on tenants (name) where max_steps is not null;
create index repos_limited on repos (id) where max_steps is not null;
-- In the order in which a claim takes them.
drop index steps_urgent;
create index steps_urgent on steps (urgency, position) where status = 'ready' and not parked;
-- Few steps run at once: one index of them is enough. Every lease was written to all three.
drop index steps_leased;
drop index steps_follows;
-- Rows that are written again and again find room beside themselves, and then no index is touched.
alter table runs set (fillfactor = 70);
alter table attempts set (fillfactor = 90);

-- As those dropped before: the parent is written in the same statement or locked by it, and none is ever deleted. Each
-- check cost a statement of its own and a lock on a row that the next commit writes.
alter table runs drop constraint runs_task_id_fkey;
alter table triggers drop constraint triggers_task_id_fkey;
alter table triggers drop constraint triggers_run_id_fkey;
-- Nobody asks these any more.
alter table tasks drop constraint tasks_idempotency_key;
drop index triggers_by_run;
