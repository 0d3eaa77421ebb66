-- The order in which messages were written. They are written under the lock of their run's row, so whoever has read one
-- has read all before it.
alter table messages add column n bigint generated always as identity;

-- Up to which message a step was shown what people wrote, as of its beginning (call 0) and of each model call before which
-- it was shown more. An attempt that comes later shows the same at the same call, so that it finds the replies again that
-- were paid.
create table messages_shown (
    step_id uuid not null references steps (id),
    epoch integer not null,
    call_no integer not null,
    through bigint not null,
    primary key (step_id, epoch, call_no)
);
