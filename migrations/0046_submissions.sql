-- A task, its first run, what set it off, the run's first step, its first events and the wake-up for the step: in one call,
-- which is a transaction of its own. Fails on `triggers_taken`, and stores nothing, where something of the same delivery,
-- body or logical key set a run off before; one that is under way is waited for.
create function submit_task(
    the_task uuid, the_run uuid, new_repo uuid, url text, tenant text, wish jsonb, priority smallint,
    trigger_id uuid, source text, delivery text, body_digest text, once_a_body text, logical_key text,
    first_step uuid, first_key text, first_role text,
    event_types text[], event_keys text[], event_data jsonb[]
) returns bigint language plpgsql as $$
#variable_conflict use_variable
declare
    repo uuid;
    moment timestamptz;
begin
    -- A known repository is only read: many tasks of one do not wait for each other.
    select repos.id into repo from repos where repos.url = submit_task.url;
    if repo is null then
        insert into repos (id, url) values (new_repo, url)
            on conflict on constraint repos_url_key do update set url = excluded.url returning id into repo;
    end if;
    insert into tasks (id, repo_id, wish, tenant) values (the_task, repo, wish, tenant);
    insert into runs (id, task_id, status, last_seq)
        values (the_run, the_task, 'queued', cardinality(event_types));
    insert into triggers (id, source, delivery, body_digest, once_a_body, logical_key, task_id, run_id)
        values (trigger_id, source, delivery, body_digest, once_a_body, logical_key, the_task, the_run)
        on conflict do nothing;
    if not found then
        raise exception 'the trigger is taken'
            using errcode = 'unique_violation', constraint = 'triggers_taken';
    end if;
    insert into steps (id, run_id, step_key, role, status, depends_on, priority, tenant, repo_id, ready_at)
        values (first_step, the_run, first_key, first_role, 'ready', '{}', priority, tenant, repo, now());
    moment := clock_timestamp();
    insert into events (run_id, seq, at, type, step_key, data)
        select the_run, n, moment, type, step_key, data
        from unnest(event_types, event_keys, event_data) with ordinality as new (type, step_key, data, n);
    insert into outbox (kind, dedup_id, payload) values ('step_ready', first_step || ':unblocked-0',
        jsonb_build_object('version', 1, 'run_id', the_run, 'step_id', first_step));
    return cardinality(event_types);
end $$;
