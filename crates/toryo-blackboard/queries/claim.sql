-- Leases the most urgent step of the tenant that has the fewest steps running, starts its run with the first one, and
-- says so in events. Nothing here waits for another transaction: what somebody else holds is passed over. $1 worker, $2 seconds of the lease, $3 roles, $4 steps to pass
-- over, $5 a tenant's and $6 a repository's limit where they have none of their own, $7 the engine's version.
with recursive
-- Who has anything ready, one probe of the index each, however long the queues are.
place (tenant, repo_id) as (
    (select tenant, repo_id from steps where status = 'ready' and not parked order by tenant, repo_id limit 1)
    union all
    select next.tenant, next.repo_id
    from place cross join lateral (
        select steps.tenant, steps.repo_id from steps
        where status = 'ready' and not parked and (steps.tenant, steps.repo_id) > (place.tenant, place.repo_id)
        order by steps.tenant, steps.repo_id limit 1
    ) as next
),
busy as materialized (
    select tenant, repo_id, tenant_slot, repo_slot from steps where status = 'running'
),
room as (
    select place.tenant, place.repo_id,
        coalesce(tenants.max_steps, $5::integer) as tenant_most, coalesce(repos.max_steps, $6::integer) as repo_most,
        (select count(*) from busy where busy.tenant = place.tenant) as tenant_busy,
        (select count(*) from busy where busy.repo_id = place.repo_id) as repo_busy
    from place
    left join tenants on tenants.name = place.tenant
    left join repos on repos.id = place.repo_id
),
-- The head of every queue that has room: as many as claimers may pass over at once.
due as materialized (
    select head.id, head.urgency, head.position, room.tenant_busy, room.tenant_most, room.repo_most
    from room cross join lateral (
        select steps.id, steps.urgency, steps.position
        from steps join runs on runs.id = steps.run_id
        where steps.status = 'ready' and not steps.parked
            and steps.tenant = room.tenant and steps.repo_id = room.repo_id
            and steps.ready_at <= now() and steps.role = any($3) and steps.id <> all($4)
            and runs.status in ('queued', 'running') and runs.needs_version <= $7
        order by steps.urgency, steps.position
        limit 8
    ) as head
    where (room.tenant_most is null or room.tenant_busy < room.tenant_most)
        and (room.repo_most is null or room.repo_busy < room.repo_most)
    order by room.tenant_busy, head.urgency, head.position
    limit 64
),
-- Run before step, as everywhere. A lock that is waited for elsewhere is skipped here, with a fresh look at the row.
picked as materialized (
    select steps.id, runs.status as run_status, due.tenant_most, due.repo_most
    from due join steps on steps.id = due.id join runs on runs.id = steps.run_id
    where steps.status = 'ready' and runs.status in ('queued', 'running')
    order by due.tenant_busy, due.urgency, due.position
    limit 1
    for update of runs, steps skip locked
),
-- Two claimers that choose the same numbered place meet in a unique index; by lot they rarely do. Steps that run since
-- before the limit have no place and count for the first ones.
leased as (
    update steps
    set status = 'running', attempts = attempts + 1, fence = nextval('fences'), worker_id = $1,
        lease_until = now() + make_interval(secs => $2), started_at = coalesce(started_at, now()), follows_fence = null,
        tenant_slot = (
            select number from generate_series(
                (select 1 + count(*)::integer from busy where busy.tenant = steps.tenant
                    and coalesce(tenant_slot > picked.tenant_most, true)),
                picked.tenant_most
            ) as number
            where not exists (select from busy where busy.tenant = steps.tenant and busy.tenant_slot = number)
            order by random() limit 1
        ),
        repo_slot = (
            select number from generate_series(
                (select 1 + count(*)::integer from busy where busy.repo_id = steps.repo_id
                    and coalesce(repo_slot > picked.repo_most, true)),
                picked.repo_most
            ) as number
            where not exists (select from busy where busy.repo_id = steps.repo_id and busy.repo_slot = number)
            order by random() limit 1
        )
    from picked
    where steps.id = picked.id and steps.status = 'ready'
    returning steps.run_id, steps.id, steps.step_key, steps.role, steps.attempts, steps.fence,
        picked.run_status = 'queued' as is_start
),
noted as (
    insert into attempts (step_id, fence, attempt, worker_id) select id, fence, attempts, $1 from leased
),
moved as (
    update runs set last_seq = last_seq + 1 + is_start::integer,
        status = case when is_start then 'running' else runs.status end,
        started_at = coalesce(runs.started_at, now()), active_since = coalesce(runs.active_since, now())
    from leased where runs.id = leased.run_id
    returning runs.last_seq
),
told as (
    insert into events (run_id, seq, at, type, step_key, attempt, data)
    select leased.run_id, moved.last_seq - 1, clock_timestamp(), 'run.started', null, null, '{}'
    from leased cross join moved where is_start
    union all
    select leased.run_id, moved.last_seq, clock_timestamp(), 'step.started', step_key, attempts,
        jsonb_build_object('role', role, 'worker_id', $1)
    from leased cross join moved
)
select (select count(*) from due) as due, leased.*, moved.last_seq
from (values (1)) as always left join leased on true left join moved on true
