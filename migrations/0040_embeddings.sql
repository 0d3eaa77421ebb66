-- Vectors of pieces of code, by the digest of their text: equal code is embedded once for all commits and
-- repositories. Each model has an HNSW index of its own, made when the model is first used.

create table embedding_models (
    id integer primary key generated always as identity,
    name text not null,
    dimensions integer not null,
    constraint embedding_models_name unique (name)
);

create table embeddings (
    model_id integer not null references embedding_models (id),
    digest bytea not null,
    embedding vector not null,
    primary key (model_id, digest)
);

-- Which repository holds which piece, and when it was last seen there.
create table embedding_uses (
    repo_url text not null,
    digest bytea not null,
    seen_at timestamptz not null default now(),
    primary key (repo_url, digest)
);
create index embedding_uses_by_digest on embedding_uses (digest);
create index embedding_uses_by_age on embedding_uses (seen_at);
