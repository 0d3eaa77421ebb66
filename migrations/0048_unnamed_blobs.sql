-- Blobs that nothing names, and since when that is known. One is deleted where it is still so long after: whoever is about
-- to name it has ended by then. By the database's clock, so that a jump of one machine's deletes nothing.
create table unnamed_blobs (
    digest bytea primary key,
    since timestamptz not null default now()
);
