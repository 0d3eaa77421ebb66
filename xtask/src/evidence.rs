//! Proof that the tests used the real servers, read from the servers themselves.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{bed::TestBed, engine::Containers};

/// Counters of the three servers before the tests.
#[derive(Debug)]
pub(crate) struct Before {
    counts: Counts,
    containers: Containers,
    log_bytes: usize,
}

/// How much the servers were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Sessions that clients opened in Postgres, `psql` of this program apart.
    pub(crate) sessions: u64,
    /// Transactions that wrote, in all databases, also those that are dropped again.
    pub(crate) transactions: u64,
    /// Connections of clients to NATS.
    pub(crate) connections: u64,
    /// Messages that clients sent to NATS.
    pub(crate) messages: u64,
    /// Requests to JetStream: streams, consumers and their messages.
    pub(crate) jetstream: u64,
    /// Containers with a label of Toryo's.
    pub(crate) containers: u64,
}

impl Before {
    /// Reads the counters and begins to listen for containers.
    pub(crate) async fn the_tests(bed: &TestBed) -> Result<Self> {
        let containers =
            bed.engine.count_containers().await.context("the container engine sends no events")?;
        let log_bytes = log_of_postgres(bed)?.len();
        Ok(Self { counts: read(bed, 0, 0).await?, containers, log_bytes })
    }

    /// How much was used since.
    pub(crate) async fn until_now(&self, bed: &TestBed) -> Result<Counts> {
        if !self.containers.is_complete() {
            bail!("the container engine stopped sending events during the tests");
        }
        let log = log_of_postgres(bed)?;
        let sessions = sessions(log.get(self.log_bytes..).unwrap_or(&log));
        let now = read(bed, sessions, self.containers.created()).await?;
        Ok(now.since(self.counts))
    }
}

async fn read(bed: &TestBed, sessions: u64, containers: u64) -> Result<Counts> {
    // Transaction ids are counted for the whole server, so they survive the databases of the tests.
    let transactions = bed.stack.sql("select pg_snapshot_xmax(pg_current_snapshot())").await?;
    let varz: Value = serde_json::from_str(&bed.stack.nats_monitor("/varz").await?)?;
    Ok(Counts {
        sessions,
        transactions: transactions.parse().context("Postgres counts no transactions")?,
        connections: number(&varz["total_connections"])?,
        messages: number(&varz["in_msgs"])?,
        jetstream: number(&varz["jetstream"]["stats"]["api"]["total"])?,
        containers,
    })
}

fn number(value: &Value) -> Result<u64> {
    value.as_u64().with_context(|| format!("nats-server reports {value} where a number should be"))
}

fn log_of_postgres(bed: &TestBed) -> Result<String> {
    let path = bed.stack.postgres_log();
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Sessions in the log that `psql` did not open: this program uses `psql`, the tests use connections.
fn sessions(log: &str) -> u64 {
    let opened =
        |line: &&str| line.contains("connection authorized: ") && !line.contains("application_name=psql");
    log.lines().filter(opened).count() as u64
}

impl Counts {
    fn since(self, before: Self) -> Self {
        Self {
            sessions: self.sessions,
            transactions: self.transactions.saturating_sub(before.transactions),
            connections: self.connections.saturating_sub(before.connections),
            messages: self.messages.saturating_sub(before.messages),
            jetstream: self.jetstream.saturating_sub(before.jetstream),
            containers: self.containers,
        }
    }

    fn named(self) -> [(&'static str, u64); 6] {
        [
            ("Postgres sessions", self.sessions),
            ("Postgres writing transactions", self.transactions),
            ("NATS connections", self.connections),
            ("NATS messages", self.messages),
            ("JetStream requests", self.jetstream),
            ("containers of the sandbox", self.containers),
        ]
    }

    /// A line for people.
    pub(crate) fn line(self) -> String {
        let parts = self.named().map(|(name, count)| format!("{name}: {count}"));
        format!("used by the tests: {}", parts.join(", "))
    }

    /// Fails, naming what was not used.
    pub(crate) fn all_used(self) -> Result<()> {
        let unused: Vec<_> =
            self.named().into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect();
        if unused.is_empty() {
            return Ok(());
        }
        bail!("the tests passed without using the real servers; none of: {}", unused.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_this_programs_own_psql_do_not_count() {
        let log = "LOG:  connection authorized: user=toryo database=toryo application_name=psql\n\
                   LOG:  connection authorized: user=toryo database=test_1\n\
                   LOG:  connection authorized: user=toryo database=test_1 application_name=toryo\n\
                   LOG:  checkpoint starting: time\n";
        assert_eq!(sessions(log), 2);
    }

    #[test]
    fn one_unused_server_is_enough_to_fail() {
        let used =
            Counts { sessions: 1, transactions: 2, connections: 3, messages: 4, jetstream: 5, containers: 6 };
        used.all_used().unwrap();
        let failure = Counts { containers: 0, ..used }.all_used().unwrap_err().to_string();
        assert!(failure.ends_with("none of: containers of the sandbox"), "{failure}");
        let doubled = Counts { transactions: 5, ..used };
        assert_eq!(doubled.since(used).transactions, 3);
    }
}
