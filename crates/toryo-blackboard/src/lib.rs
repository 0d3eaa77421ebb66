//! Postgres: one module per aggregate, migrations, outbox, leases; the BlobStore port.
