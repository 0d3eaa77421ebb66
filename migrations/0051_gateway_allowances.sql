-- How limits hold over several processes without a round trip a call: a process draws a grant from a limit and spends it
-- in memory. `used` (settled money) plus all grants never pass the limit.

create table gateway_instances (
    id uuid primary key,
    expires_at timestamptz not null,
    -- Its lease ran out and somebody noticed: it may never draw again under this id.
    reaped_at timestamptz
);

-- One row a limit and window: what is locked to draw from it. `used` counts settled money of every account, whether it
-- has a budget or not, so that a budget set in the middle of a month knows what was spent.
create table gateway_counters (
    account_id uuid not null,
    kind smallint not null,
    starts_at timestamptz not null,
    used bigint not null default 0,
    primary key (account_id, kind, starts_at)
);

create table gateway_grants (
    account_id uuid not null,
    kind smallint not null,
    starts_at timestamptz not null,
    instance_id uuid not null references gateway_instances (id) on delete cascade,
    held bigint not null,
    primary key (account_id, kind, starts_at, instance_id)
);
create index gateway_grants_by_instance on gateway_grants (instance_id);

create function gateway_window(kind smallint, at timestamptz) returns timestamptz language sql immutable as $$
    select case
        when kind in (0, 1) then date_trunc('minute', at, 'UTC')
        when kind = 3 then date_trunc('day', at, 'UTC')
        when kind = 4 then date_trunc('week', at, 'UTC')
        when kind = 5 then date_trunc('month', at, 'UTC')
        else 'epoch'::timestamptz
    end
$$;

-- The limit as it is now; null where there is none.
create function gateway_limit(account uuid, kind smallint) returns bigint language sql stable as $$
    select case kind
        when 0 then (select requests_per_minute from gateway_accounts where id = account)
        when 1 then (select tokens_per_minute from gateway_accounts where id = account)
        when 2 then (select parallel from gateway_accounts where id = account)
        else (select limit_nano_usd from gateway_budgets b where b.account_id = account and b.kind = gateway_limit.kind)
    end
$$;

-- Extends the lease of a process, and notes whose lease ran out. False where its own did.
create function gateway_renew(instance uuid, lease interval) returns boolean language plpgsql as $$
declare
    at timestamptz := clock_timestamp();
begin
    update gateway_instances set expires_at = at + lease
        where id = instance and expires_at > at and reaped_at is null;
    if not found then
        return false;
    end if;
    -- A row that is locked is being renewed.
    update gateway_instances set reaped_at = at where id in (
        select id from gateway_instances where expires_at <= at and reaped_at is null for update skip locked);
    return true;
end
$$;

-- Locks the counters of these limits, in the one order that all callers keep.
create function gateway_lock(accounts uuid[], kinds smallint[], starts timestamptz[]) returns void language plpgsql as $$
begin
    insert into gateway_counters (account_id, kind, starts_at)
        select distinct a, k, s from unnest(accounts, kinds, starts) as x(a, k, s) order by a, k, s
        on conflict do nothing;
    perform 1 from gateway_counters c
        where (c.account_id, c.kind, c.starts_at) in (select a, k, s from unnest(accounts, kinds, starts) as x(a, k, s))
        order by c.account_id, c.kind, c.starts_at for update;
end
$$;

-- Draws for several asks, each all or nothing, in their order. Near a limit a grant shrinks to what is needed, so that
-- no process hoards what another one needs. Money of a process whose lease ran out stays held for `hold`, until its
-- journal is read or given up; its calls at once are free at once; what it held of a minute passes with the minute.
create function gateway_draw(
    instance uuid, lease interval, hold interval, recall boolean,
    asks integer[], accounts uuid[], kinds smallint[], needs bigint[], wants bigint[]
) returns table (ask integer, item integer, starts_at timestamptz, granted bigint, most bigint, used bigint, held bigint)
language plpgsql as $$
#variable_conflict use_column
declare
    at timestamptz;
    starts timestamptz[];
    live integer;
    item_ integer;
    from_ integer := 1;
    to_ integer;
    fits boolean;
    most_ bigint[];
    used_ bigint[];
    held_ bigint[];
    grant_ bigint;
begin
    if not gateway_renew(instance, lease) then
        raise exception 'the lease of the instance ran out' using errcode = 'TY001';
    end if;
    at := clock_timestamp();
    select array_agg(gateway_window(k, at) order by n) into starts from unnest(kinds) with ordinality as x(k, n);
    perform gateway_lock(accounts, kinds, starts);
    select greatest(count(*), 1) into live from gateway_instances i where i.reaped_at is null and i.expires_at > at;
    while from_ <= array_length(asks, 1) loop
        to_ := from_;
        while to_ < array_length(asks, 1) and asks[to_ + 1] = asks[from_] loop
            to_ := to_ + 1;
        end loop;
        fits := true;
        for item_ in from_..to_ loop
            most_[item_] := coalesce(gateway_limit(accounts[item_], kinds[item_]), 9000000000000000000);
            used_[item_] := (select c.used from gateway_counters c
                where c.account_id = accounts[item_] and c.kind = kinds[item_] and c.starts_at = starts[item_]);
            held_[item_] := (select coalesce(sum(g.held), 0) from gateway_grants g
                join gateway_instances i on i.id = g.instance_id
                where g.account_id = accounts[item_] and g.kind = kinds[item_] and g.starts_at = starts[item_]
                and (i.reaped_at is null or g.kind < 2 or (g.kind > 2 and i.reaped_at + hold > at)));
            if most_[item_] - used_[item_] - held_[item_] < needs[item_] then
                fits := false;
            end if;
        end loop;
        for item_ in from_..to_ loop
            grant_ := 0;
            if fits then
                grant_ := greatest(needs[item_], least(wants[item_],
                    (most_[item_] - used_[item_] - held_[item_]) / (2 * live)));
                insert into gateway_grants (account_id, kind, starts_at, instance_id, held)
                    values (accounts[item_], kinds[item_], starts[item_], instance, grant_)
                    on conflict (account_id, kind, starts_at, instance_id)
                    do update set held = gateway_grants.held + excluded.held;
            elsif recall and most_[item_] - used_[item_] >= needs[item_]
                and most_[item_] - used_[item_] - held_[item_] < needs[item_] and live > 1 then
                perform pg_notify('toryo_gateway', 'recall ' || accounts[item_] || ' ' || instance);
            end if;
            ask := asks[item_];
            item := item_;
            starts_at := starts[item_];
            granted := grant_;
            most := most_[item_];
            used := used_[item_];
            held := held_[item_] + grant_;
            return next;
        end loop;
        from_ := to_ + 1;
    end loop;
end
$$;

-- Says what a process holds of these limits; 0 hands all back. Raises as well, past the limit if need be: what is spent
-- is spent.
create function gateway_hold(
    instance uuid, lease interval, accounts uuid[], kinds smallint[], starts timestamptz[], holds bigint[]
) returns void language plpgsql as $$
begin
    if not gateway_renew(instance, lease) then
        raise exception 'the lease of the instance ran out' using errcode = 'TY001';
    end if;
    perform gateway_lock(accounts, kinds, starts);
    delete from gateway_grants g using unnest(accounts, kinds, starts, holds) as x(a, k, s, h)
        where g.account_id = a and g.kind = k and g.starts_at = s and g.instance_id = instance and h <= 0;
    insert into gateway_grants (account_id, kind, starts_at, instance_id, held)
        select a, k, s, instance, h from unnest(accounts, kinds, starts, holds) as x(a, k, s, h) where h > 0
        order by a, k, s
        on conflict (account_id, kind, starts_at, instance_id) do update set held = excluded.held;
end
$$;

-- Charges settled money, takes it out of the grants that covered it, and raises the alerts that this makes due.
create function gateway_charge(
    accounts uuid[], kinds smallint[], starts timestamptz[], instances uuid[], costs bigint[]
) returns table (
    budget_id uuid, account_id uuid, kind smallint, starts_at timestamptz, threshold smallint,
    spent_nano_usd bigint, limit_nano_usd bigint
) language plpgsql as $$
#variable_conflict use_column
begin
    perform gateway_lock(accounts, kinds, starts);
    insert into gateway_counters as c (account_id, kind, starts_at, used)
        select a, k, s, sum(cost) from unnest(accounts, kinds, starts, costs) as x(a, k, s, cost)
        group by a, k, s order by a, k, s
        on conflict (account_id, kind, starts_at) do update set used = c.used + excluded.used;
    update gateway_grants g set held = greatest(g.held - cost, 0)
        from (select a, k, s, i, sum(cost) as cost from unnest(accounts, kinds, starts, instances, costs) as x(a, k, s, i, cost)
              where i is not null group by a, k, s, i) as x
        where g.account_id = a and g.kind = k and g.starts_at = s and g.instance_id = i;
    return query
        with raised as (
            insert into gateway_alerts (budget_id, starts_at, threshold, spent_nano_usd, limit_nano_usd)
            select distinct b.id, c.starts_at, t, c.used, b.limit_nano_usd
            from unnest(accounts, kinds, starts) as x(a, k, s)
            join gateway_counters c on c.account_id = a and c.kind = k and c.starts_at = s
            join gateway_budgets b on b.account_id = a and b.kind = k
            cross join lateral unnest(case when c.used >= b.soft_nano_usd then b.alerts || 0::smallint else b.alerts end) as t
            where t = 0 or c.used::numeric * 100 >= b.limit_nano_usd::numeric * t
            on conflict do nothing
            returning *
        )
        select r.budget_id, b.account_id, b.kind, r.starts_at, r.threshold, r.spent_nano_usd, r.limit_nano_usd
        from raised r join gateway_budgets b on b.id = r.budget_id;
end
$$;
