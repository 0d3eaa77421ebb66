-- Words of questions and answers, for routes whose policy keeps them, and until when.
create table gateway_prompts (
    call_id uuid primary key,
    at timestamptz not null,
    team_id uuid,
    route text not null,
    -- Whether what is sensitive was taken out: masked or full.
    policy text not null,
    question text not null,
    answer text not null,
    keep_until timestamptz not null
);
create index gateway_prompts_by_end on gateway_prompts (keep_until);
