//! A private Postgres with pgvector and a private nats-server under a data folder.
