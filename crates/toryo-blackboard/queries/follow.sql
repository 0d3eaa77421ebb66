-- Leases a step that has just become ready to the worker whose outcome made it so, unless somebody waits who comes
-- first: another tenant, or a step that is more urgent by a whole class. It takes over the numbered places of the step
-- before, so limits stay kept. $1 the step, $2 the step before, $3 its fencing token, $4 worker, $5 seconds of the lease,
-- $6 roles, $7 the engine's version.
with picked as (
    select next.id, done.tenant_slot, done.repo_slot
    from steps as next
    join steps as done on done.id = $2 and done.fence = $3 and done.status = 'succeeded' and done.worker_id = $4
    join runs on runs.id = next.run_id
    where next.id = $1 and next.status = 'ready' and not next.parked and next.ready_at <= now()
        and next.role = any($6) and runs.needs_version <= $7 and runs.status = 'running'
        and not exists (select from steps where status = 'ready' and not parked and tenant < next.tenant)
        and not exists (select from steps where status = 'ready' and not parked and tenant > next.tenant)
        and not exists (
            select from steps
            where status = 'ready' and not parked and urgency < next.urgency - interval '10 minutes' and ready_at <= now()
        )
),
leased as (
    update steps
    set status = 'running', attempts = attempts + 1, fence = nextval('fences'), worker_id = $4,
        lease_until = now() + make_interval(secs => $5), started_at = coalesce(started_at, now()), follows_fence = $3,
        tenant_slot = picked.tenant_slot, repo_slot = picked.repo_slot
    from picked
    where steps.id = picked.id and steps.status = 'ready'
    returning steps.run_id, steps.id, steps.step_key, steps.attempts, steps.fence
),
noted as (
    insert into attempts (step_id, fence, attempt, worker_id) select id, fence, attempts, $4 from leased
)
select * from leased
