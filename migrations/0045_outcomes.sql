-- Outcomes of attempts that succeeded, and what follows from them, in one call: many runs share one commit, and no round
-- trip is made for each statement. The engine decides on what it has seen of a run; here that is compared with what is so
-- now, under the lock of the run's row, and nothing is written where it differs: then the engine looks again.

-- What decisions about a graph depend on, step by step: a step's outcome never changes within one epoch.
create function steps_seen(a_run uuid) returns text stable language sql as $$
    select string_agg(status || epoch, ' ' order by position) from steps where run_id = a_run
$$;

-- A row for each outcome that is stored: its place in the arrays, the number of the run's last event, the lease that was
-- taken on its heir, where nobody waits who comes first, and the newest message that a person wrote. No row for one whose
-- run is no longer as it was seen or is locked by somebody, or whose lease is lost.
create function commit_outcomes(
    -- The newest graph that the engine understands.
    engine_version smallint,
    -- What it saw of each run, once a run: what people decided, the steps.
    runs_seen uuid[], controls_seen jsonb[], graphs_seen text[],
    -- The attempts that end, and what their runs keep of the outcomes.
    done_steps uuid[], done_fences bigint[], outputs jsonb[],
    base_branches text[], base_commits text[], titles text[], best_diffs text[],
    branches text[], commits text[], pull_requests jsonb[],
    -- Whether a run has succeeded with it.
    ends boolean[],
    -- The first step that becomes ready, where a worker would go on with it at once, for how many seconds, after how
    -- many of the events, and the facts of the event that says so.
    heirs uuid[], heir_keys text[], heir_workers uuid[], heir_leases double precision[], heir_places integer[],
    heir_data jsonb[],
    -- Steps to append, in order, each with the place of its outcome; what they wait for, a line each.
    new_of integer[], new_ids uuid[], new_keys text[], new_roles text[], new_depends text[], new_ready boolean[],
    -- Pending steps that become ready, and all that do, the appended ones with them.
    unblocked_of integer[], unblocked uuid[], waking_of integer[], waking uuid[],
    -- Events, in order.
    event_of integer[], event_types text[], event_keys text[], event_attempts integer[], event_data jsonb[]
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
            titles, best_diffs, branches, commits, pull_requests, ends, heirs, heir_keys, heir_workers, heir_leases,
            heir_places, heir_data) with ordinality
            as given (run, control, graph, step, fence, output, base_branch, base_commit, title, best_diff, branch,
                commit_id, pull_request, is_end, heir, heir_key, heir_worker, heir_lease, heir_place, heir_data, place)
        join runs on runs.id = given.run
        where given.run = any(held) and runs.control = given.control and steps_seen(given.run) = given.graph
    ),
    done as (
        update steps set status = 'succeeded', output = given.output, finished_at = now(), lease_until = null,
            failure_class = null, failure = null
        from given
        where steps.id = given.step and steps.run_id = given.run and steps.fence = given.fence
            and steps.status = 'running'
        returning given.*, steps.tenant, steps.repo_id, steps.priority, steps.tenant_slot, steps.repo_slot
    ),
    ended as (
        update attempts set finished_at = now(), result = 'succeeded' from done
        where attempts.step_id = done.step and attempts.fence = done.fence
    ),
    -- Another tenant, or a step that is more urgent by a whole class, is not made to wait.
    leased as materialized (
        select done.place, done.heir, nextval('fences') as lease from done
        where done.heir is not null
            and not exists (select from steps where status = 'ready' and not parked and tenant < done.tenant)
            and not exists (select from steps where status = 'ready' and not parked and tenant > done.tenant)
            and not exists (
                select from steps where status = 'ready' and not parked and ready_at <= now()
                and urgency < (now() at time zone 'UTC') + (done.priority - 1) * interval '10 minutes'
            )
    ),
    -- An heir takes over the numbered places of the step before, so limits stay kept.
    appended as (
        insert into steps (id, run_id, step_key, role, depends_on, priority, tenant, repo_id, ready_at, status, attempts,
            fence, worker_id, lease_until, started_at, follows_fence, tenant_slot, repo_slot)
        select new.id, done.run, new.step_key, new.role, string_to_array(new.depends_on, chr(10)), done.priority,
            done.tenant, done.repo_id, case when new.ready then now() end,
            case when lease is not null then 'running' when new.ready then 'ready' else 'pending' end,
            case when lease is not null then 1 else 0 end, lease,
            case when lease is not null then done.heir_worker end,
            case when lease is not null then now() + make_interval(secs => done.heir_lease) end,
            case when lease is not null then now() end, case when lease is not null then done.fence end,
            case when lease is not null then done.tenant_slot end, case when lease is not null then done.repo_slot end
        from unnest(new_of, new_ids, new_keys, new_roles, new_depends, new_ready) with ordinality
            as new (of, id, step_key, role, depends_on, ready, n)
        join done on done.place = new.of
        left join leased on leased.place = new.of and leased.heir = new.id
        order by new.n
        returning id, fence, attempts, worker_id
    ),
    woken as (
        update steps set status = case when lease is not null then 'running' else 'ready' end, ready_at = now(),
            finished_at = null, attempts = steps.attempts + (lease is not null)::integer,
            fence = coalesce(lease, steps.fence),
            worker_id = case when lease is not null then done.heir_worker end,
            lease_until = case when lease is not null then now() + make_interval(secs => done.heir_lease) end,
            started_at = case when lease is not null then coalesce(steps.started_at, now()) else steps.started_at end,
            follows_fence = case when lease is not null then done.fence else steps.follows_fence end,
            tenant_slot = case when lease is not null then done.tenant_slot else steps.tenant_slot end,
            repo_slot = case when lease is not null then done.repo_slot else steps.repo_slot end
        from unnest(unblocked_of, unblocked) as ready (of, id)
        join done on done.place = ready.of
        left join leased on leased.place = ready.of and leased.heir = ready.id
        where steps.id = ready.id and steps.status = 'pending'
        returning steps.id, steps.fence, steps.attempts, steps.worker_id, lease
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
        select 'step_ready', ready.id || ':unblocked-' || done.last_seq,
            jsonb_build_object('version', 1, 'run_id', done.run, 'step_id', ready.id)
        from unnest(waking_of, waking) as ready (of, id)
        join done on done.place = ready.of
        left join leased on leased.place = ready.of and leased.heir = ready.id
        where lease is null
    ),
    news as materialized (
        select done.run, done.last_seq, new.of::bigint as of, new.type, new.step_key, new.attempt, new.data,
            new.n - min(new.n) over (partition by new.of) + 1 as n, lease is not null and done.heir_place is not null as moved,
            done.heir_place
        from unnest(event_of, event_types, event_keys, event_attempts, event_data) with ordinality
            as new (of, type, step_key, attempt, data, n)
        join done on done.place = new.of
        left join leased on leased.place = new.of
    ),
    told as (
        insert into events (run_id, seq, at, type, step_key, attempt, data)
        select run, last_seq + n + (moved and n > heir_place)::integer, moment, type, step_key, attempt, data
        from news
        union all
        select done.run, done.last_seq + done.heir_place + 1, moment, 'step.started', done.heir_key,
            begun.attempts, done.heir_data
        from leased join done on done.place = leased.place join begun on begun.id = leased.heir
    ),
    counted as materialized (
        select done.place, done.last_seq + (select count(*) from news where news.of = done.place)
            + (leased.lease is not null)::integer as last_event
        from done left join leased on leased.place = done.place
    ),
    moved as (
        update runs set last_seq = counted.last_event, base_branch = coalesce(done.base_branch, runs.base_branch),
            base_commit = coalesce(done.base_commit, runs.base_commit), title = coalesce(done.title, runs.title),
            best_diff = coalesce(done.best_diff, runs.best_diff), branch = coalesce(done.branch, runs.branch),
            commit_id = coalesce(done.commit_id, runs.commit_id),
            pull_request = coalesce(done.pull_request, runs.pull_request),
            status = case when done.is_end then 'succeeded' else runs.status end,
            status_reason = case when done.is_end then null else runs.status_reason end,
            gate = case when done.is_end then null else runs.gate end,
            finished_at = case when done.is_end then now() else runs.finished_at end,
            active_ms = runs.active_ms + case when done.is_end
                then coalesce((extract(epoch from now() - runs.active_since) * 1000)::bigint, 0) else 0 end,
            active_since = case when done.is_end then null else runs.active_since end
        from done join counted on counted.place = done.place
        where runs.id = done.run
    )
    select done.place, counted.last_event, leased.lease, begun.attempts,
        (select coalesce(max(n), 0) from messages where messages.run_id = done.run and leased.lease is not null)
    from done join counted on counted.place = done.place
    left join leased on leased.place = done.place left join begun on begun.id = leased.heir;
end $$;

-- Steps that have ended need not follow their run when it stops: they are not claimed. When it goes on, all follow, for
-- a person may go back to any.
create or replace function steps_follow_run() returns trigger language plpgsql as $$
begin
    if new.status in ('queued', 'running') then
        update steps set parked = false where run_id = new.id and parked;
    else
        update steps set parked = true
            where run_id = new.id and not parked and status not in ('succeeded', 'cancelled');
    end if;
    return null;
end $$;

-- Every statement that writes one of these rows takes its parent from a row that it has locked or has just written, and
-- no parent is ever deleted. The check of each row cost as much as writing it.
alter table events drop constraint events_run_id_fkey;
alter table attempts drop constraint attempts_step_id_fkey;
alter table steps drop constraint steps_run_id_fkey;
