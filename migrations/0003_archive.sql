-- A run that was tried again after it was archived is archived again.
drop index runs_to_archive;
create index runs_to_archive on runs (finished_at)
    where finished_at is not null and (archived_at is null or archived_at < finished_at);
