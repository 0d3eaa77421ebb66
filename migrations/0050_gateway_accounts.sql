-- Who may call the gateway: organisations, teams, users and keys are accounts of one table, because each has the same
-- limits and all limits of all accounts of a caller hold at once.
create table gateway_accounts (
    id uuid primary key,
    kind text not null,
    name text not null,
    organisation_id uuid references gateway_accounts (id),
    team_id uuid references gateway_accounts (id),
    user_id uuid references gateway_accounts (id),
    -- What a key may administer.
    role text,
    -- Null: what the account above allows.
    routes text[],
    requests_per_minute bigint,
    tokens_per_minute bigint,
    parallel bigint,
    expires_at timestamptz,
    created_at timestamptz not null default now(),
    -- Rows stay, so that the ledger can name them.
    removed_at timestamptz,
    constraint gateway_accounts_kind check (kind in ('organisation', 'team', 'user', 'key')),
    constraint gateway_accounts_role check ((kind = 'key') = (role is not null)),
    constraint gateway_accounts_limits check (requests_per_minute >= 0 and tokens_per_minute >= 0 and parallel >= 0)
);
create unique index gateway_accounts_name on gateway_accounts (kind, coalesce(organisation_id, id), name)
    where removed_at is null and kind in ('team', 'user');
create unique index gateway_accounts_organisation on gateway_accounts (name) where removed_at is null and kind = 'organisation';
create index gateway_accounts_by_kind on gateway_accounts (kind, id);
create index gateway_accounts_by_team on gateway_accounts (team_id, id) where team_id is not null;
create index gateway_accounts_by_user on gateway_accounts (user_id, id) where user_id is not null;

-- What a key is known by. Two at once while one takes over from the other.
create table gateway_secrets (
    digest bytea primary key,
    key_id uuid not null references gateway_accounts (id),
    -- The beginning, by which people recognise it.
    prefix text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz
);
create index gateway_secrets_by_key on gateway_secrets (key_id);

create table gateway_members (
    team_id uuid not null references gateway_accounts (id),
    user_id uuid not null references gateway_accounts (id),
    role text not null,
    primary key (team_id, user_id),
    constraint gateway_members_role check (role in ('admin', 'member'))
);
create index gateway_members_by_user on gateway_members (user_id);

-- Counts changes of keys and accounts, so that a process that missed a notification sees that it did.
create table gateway_version (single boolean primary key default true check (single), version bigint not null);
insert into gateway_version (version) values (0);

-- Kinds of limit: 0 requests a minute, 1 tokens a minute, 2 calls at once, 3 to 6 money a day, week, month, ever.
create table gateway_budgets (
    id uuid primary key,
    account_id uuid not null references gateway_accounts (id),
    kind smallint not null,
    limit_nano_usd bigint not null,
    -- Raises an alert of its own, refuses nothing.
    soft_nano_usd bigint,
    -- Shares of the limit at which an alert is raised, in percent.
    alerts smallint[] not null default '{50,80,90,100}',
    created_at timestamptz not null default now(),
    constraint gateway_budgets_kind check (kind between 3 and 6),
    constraint gateway_budgets_limits check (limit_nano_usd >= 0 and soft_nano_usd >= 0),
    constraint gateway_budgets_period unique (account_id, kind)
);

-- Once a budget, period and threshold; 0 is the soft limit.
create table gateway_alerts (
    budget_id uuid not null references gateway_budgets (id) on delete cascade,
    starts_at timestamptz not null,
    threshold smallint not null,
    spent_nano_usd bigint not null,
    limit_nano_usd bigint not null,
    raised_at timestamptz not null default now(),
    primary key (budget_id, starts_at, threshold)
);
